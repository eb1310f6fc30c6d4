"""Folds: each image in one of them, the images of one patient or lesion in the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.statistics import Labels, Scores
from lesionlite_runtime.errors import UnusableInput, UsageError

Folds = NDArray[np.int64]


@dataclass(frozen=True)
class OutOfFold:
    """Each image's score by a model that did not see it, and the fold that it was held out in.

    ``views`` has, by their number, the mean scores of several turned and flipped copies of each
    image (see `lesionlite_export.views`), where they were computed.
    """

    scores: Scores
    folds: Folds
    views: Mapping[int, Scores] = field(default_factory=dict)


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
