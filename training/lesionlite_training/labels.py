"""Which images to train on, and which label each class has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lesionlite_export.manifest import DEFAULT_CLASSES, Manifest, read_isic_split, read_manifest
from lesionlite_runtime.errors import UnusableInput, UsageError, printable

TRAINING_SPLIT = "train"
UNNAMED_CLASSES: Mapping[str, int] = {"benign": 0, "malignant": 1}
"""The classes of a manifest that names none: its labels."""


def training_set(data: Path, labels: Mapping[str, int]) -> tuple[Manifest, Mapping[str, int]]:
    """The training images that ``data`` stands for, and the label (0 or 1) of each class.

    Args:
        data: a folder in the ISIC layout, whose ``train`` is taken, or a manifest CSV.
        labels: of the class folders; empty for `DEFAULT_CLASSES`. A CSV states its labels itself.

    Raises:
        UnusableInput: when the folder or the CSV cannot be used, or the CSV labels one class 0 here
            and 1 there.
        UsageError: when ``labels`` are given for a CSV.
    """
    if data.is_dir():
        classes = labels or DEFAULT_CLASSES
        return read_isic_split(data, TRAINING_SPLIT, classes), classes
    if labels:
        raise UsageError(
            "--label is for the class folders of a folder",
            "leave it out: a CSV has its labels in the column label",
            data,
        )
    manifest = read_manifest(data)
    return manifest, classes_of(manifest)


def classes_of(manifest: Manifest) -> Mapping[str, int]:
    """The label of each class that ``manifest`` names; `UNNAMED_CLASSES` where it names none.

    Raises:
        UnusableInput: when a class has both labels.
    """
    classes: dict[str, int] = {}
    for image in manifest.images:
        if image.class_name and classes.setdefault(image.class_name, image.label) != image.label:
            raise UnusableInput(
                f"the class {printable(image.class_name)} has the label 0 and the label 1",
                "correct the labels, or leave the column class out",
                manifest.source,
            )
    return dict(sorted(classes.items())) or UNNAMED_CLASSES
