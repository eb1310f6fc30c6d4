"""Which images belong together: those of one patient, or of one lesion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lesionlite_export.manifest import UNKNOWN, LabelledImage
from lesionlite_runtime.errors import UnusableInput, printable
from lesionlite_runtime.resize import check_choice

PATIENT, LESION, AUTO, NONE = "patient_id", "lesion_id", "auto", "none"
GROUPINGS = (AUTO, PATIENT, LESION, NONE)


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
    used = tuple(c for c in columns if any(_id(image, c) for image in images))
    if not used and by != AUTO:
        raise UnusableInput(
            f"no image has a {by}", f"fill the column {by} of the manifest, or pass --group none"
        )
    groups, without_id = [], 0
    for i, image in enumerate(images):
        patient, lesion = (_id(image, c) if c in columns else None for c in (PATIENT, LESION))
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


def _id(image: LabelledImage, column: str) -> str | None:
    """The id that the image has there; None for none, blanks, and "unknown"."""
    value = image.facts.get(column, "").strip()
    return value if value and value.casefold() != UNKNOWN else None


def _patients_of_lesions(images: Sequence[LabelledImage]) -> dict[str, str]:
    """The patient of each lesion that has one.

    Raises:
        UnusableInput: when a lesion has two.
    """
    patients: dict[str, str] = {}
    for image in images:
        lesion, patient = _id(image, LESION), _id(image, PATIENT)
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
