"""Folds: each image in one of them, the images of one patient or lesion in the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.statistics import Labels, Scores
from lesionlite_runtime.errors import UnusableInput, UsageError, printable
from lesionlite_runtime.resize import check_choice

Folds = NDArray[np.int64]
PATIENT, LESION, AUTO, NONE = "patient_id", "lesion_id", "auto", "none"
GROUPINGS = (AUTO, PATIENT, LESION, NONE)


@dataclass(frozen=True)
class OutOfFold:
    """Each image's score by a model that did not see it, and the fold that it was held out in.

    ``views`` has, by their number, the mean scores of several turned and flipped copies of each
    image (see `lesionlite_export.views`), where they were computed.
    """

    scores: Scores
    folds: Folds
    views: Mapping[int, Scores] = field(default_factory=dict)


@dataclass(frozen=True)
class Grouping:
    """Which images must stay in one fold.

    Attributes:
        by: the columns that the groups come from; empty where every image is its own.
        groups: the group of each image; images of equal groups belong together.
        without_id: how many images have no id in those columns, each a group of its own.
    """

    by: tuple[str, ...]
    groups: tuple[str, ...]
    without_id: int

    @property
    def count(self) -> int:
        """Number of groups."""
        return len(set(self.groups))

    @property
    def note(self) -> str:
        """What the folds are grouped by, for people."""
        if not self.by:
            return "folds: no groups, every image for itself"
        rest = f"; {self.without_id} without an id, each for itself" if self.without_id else ""
        return (
            f"folds: grouped by {' and '.join(self.by)}, {self.count} groups of "
            f"{len(self.groups)} images{rest}"
        )

    def to_json(self) -> dict[str, Any]:
        """The record for the contract."""
        return {"by": list(self.by), "groups": self.count, "without_id": self.without_id}


def groups_of(images: Sequence[LabelledImage], by: str = AUTO) -> Grouping:
    """The groups that the manifest's facts put ``images`` into.

    Args:
        images: of one manifest.
        by: ``patient_id`` or ``lesion_id``: that column alone. ``auto``: the patient where it is
            known, of the image or of another one of its lesion, else the lesion where that is.
            ``none``: no groups. An image without an id is a group of its own.

    Raises:
        UnusableInput: when no image has an id in the column that is asked for, or a lesion has two
            patients.
        UsageError: for another ``by``.
    """
    check_choice("grouping", by, GROUPINGS)
    patient_of = _patients_of_lesions(images)
    if by == NONE:
        return Grouping((), tuple(f"image {i}" for i in range(len(images))), 0)
    columns = (PATIENT, LESION) if by == AUTO else (by,)
    used = tuple(c for c in columns if any(c in image.facts for image in images))
    if not used and by != AUTO:
        raise UnusableInput(
            f"no image has a {by}", f"fill the column {by} of the manifest, or pass --group none"
        )
    groups, without_id = [], 0
    for i, image in enumerate(images):
        patient, lesion = (image.facts.get(c) if c in columns else None for c in (PATIENT, LESION))
        if patient is None and lesion is not None and by == AUTO:
            patient = patient_of.get(lesion)
        if patient is not None:
            groups.append(f"{PATIENT} {patient}")
        elif lesion is not None:
            groups.append(f"{LESION} {lesion}")
        else:
            groups.append(f"image {i}")
            without_id += 1
    return Grouping(used, tuple(groups), without_id if used else 0)


def assign_folds(
    labels: Labels, folds: int, seed: int, groups: Sequence[str] | None = None
) -> Folds:
    """The fold of each image, int64 ``[n]`` from 0 to ``folds - 1``, stratified by label.

    Without groups they are scikit-learn's ``StratifiedKFold(shuffle=True, random_state=seed)``.
    With groups they are ``StratifiedGroupKFold``'s, on groups that the seed has shuffled: its own
    shuffling forgot the strata before version 1.8.

    Args:
        labels: int64 ``[n]``, 0 or 1.
        folds: how many, 2 or more.
        seed: of the shuffling.
        groups: the group of each image; None where every image is its own.

    Raises:
        UnusableInput: when a label is missing, or has fewer images or groups than there are folds,
            or the groups are too uneven for both labels to be in every fold.
        UsageError: for fewer than 2 folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    if folds < 2:
        raise UsageError(f"{folds} folds are too few", "pass 2 or more")
    members = (
        np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    )
    _check_counts(labels, folds, members, "images" if groups is None else "groups")
    fold_of = np.zeros(len(labels), np.int64)
    rows = np.zeros((len(labels), 1))
    if groups is None:
        splits = StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows, labels)
    else:
        shuffled = np.random.default_rng(seed).permutation(int(members.max()) + 1)[members]
        splits = StratifiedGroupKFold(folds).split(rows, labels, shuffled)
    for number, (_, outside) in enumerate(splits):
        fold_of[outside] = number
    check_folds(labels, fold_of, groups)
    return fold_of


def check_folds(labels: Labels, fold_of: Folds, groups: Sequence[str] | None = None) -> None:
    """Refuse folds that no honest score can come from.

    Raises:
        UnusableInput: when a fold lacks a label, or a group stands in two folds.
    """
    for fold in np.unique(fold_of):
        for label in (0, 1):
            if not np.any(labels[fold_of == fold] == label):
                raise UnusableInput(
                    f"fold {fold} has no image labelled {label}",
                    "pass fewer --folds, or another --seed",
                )
    if groups is None:
        return
    first: dict[str, int] = {}
    for group, fold in zip(groups, fold_of.tolist(), strict=True):
        if first.setdefault(group, fold) != fold:
            raise UnusableInput(
                f"the group {group!r} stands in two folds, {first[group]} and {fold}",
                "put all its images into one",
            )


def _patients_of_lesions(images: Sequence[LabelledImage]) -> dict[str, str]:
    """The patient of each lesion that has one.

    Raises:
        UnusableInput: when a lesion has two.
    """
    patients: dict[str, str] = {}
    for image in images:
        lesion, patient = image.facts.get(LESION), image.facts.get(PATIENT)
        if lesion is None or patient is None:
            continue
        known = patients.setdefault(lesion, patient)
        if known != patient:
            raise UnusableInput(
                f"the lesion {printable(lesion)} is of the patient {printable(known)} in one line "
                f"and of {printable(patient)} in the line of this image",
                "correct the ids in the manifest",
                image.path,
            )
    return patients


def _check_counts(labels: Labels, folds: int, members: NDArray[np.intp], what: str) -> None:
    for label in (0, 1):
        count = len(np.unique(members[labels == label]))
        if not count:
            raise UnusableInput(f"no image is labelled {label}", "folds need images of both labels")
        if count < folds:
            raise UnusableInput(
                f"one label has {count} {what}, fewer than the {folds} folds",
                "add images, or pass fewer --folds",
            )
