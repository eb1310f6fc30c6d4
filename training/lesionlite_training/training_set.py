"""What the networks of a fine-tuning run learn from: images, targets and weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.representative import ImageTensor
from lesionlite_export.statistics import Labels
from lesionlite_runtime.errors import UnusableInput, printable
from lesionlite_training.configuration import FineTuning
from lesionlite_training.levels import CameraChange
from lesionlite_training.networks import class_targets


@dataclass(frozen=True)
class TrainingSet:
    """What all members learn from.

    Attributes:
        images: the images, as the contract has them.
        labels: int64 ``[n]``.
        class_names: the class of each image.
        groups: the group of each; None where every image is its own.
        features: float32 ``[n, views, features]`` of the frozen backbone; None where not needed.
        classes: label of each class.
        levels: float32 ``[n, views, levels]`` of the published backbone; None where not needed.
        camera: what the camera's own files change in levels; None where there are none.
    """

    images: Sequence[ImageTensor]
    labels: Labels
    class_names: Sequence[str]
    groups: Sequence[str] | None
    features: NDArray[np.float32] | None
    classes: dict[str, int]
    levels: NDArray[np.float32] | None = None
    camera: CameraChange | None = None


def check_classes(data: TrainingSet) -> None:
    """Refuse images without a class that a softmax over classes needs, and classes without images.

    Raises:
        UnusableInput: see above.
    """
    for name in data.classes:
        if name not in data.class_names:
            raise UnusableInput(
                f"no image has the class {printable(name)}",
                "leave it out of the classes, or train with targets = label",
            )
    for item, name in zip(data.images, data.class_names, strict=True):
        if name not in data.classes:
            raise UnusableInput(
                f"the image has no class, or one without a label ({printable(name)})",
                "give it one, or train with targets = label",
                item.image.path,
            )


def class_answers(data: TrainingSet, learn: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each image's class among the classes, all of which must be there.

    Raises:
        UnusableInput: when one is not.
    """
    names = list(data.classes)
    answers = np.array([names.index(data.class_names[i]) for i in learn])
    missing = [name for i, name in enumerate(names) if i not in answers]
    if missing:
        raise UnusableInput(
            f"a fold's network would see no image of the class {printable(missing[0])}",
            "add images of it, or train with targets = label",
        )
    return answers


def check_batch(name: str, images: int, batch: int) -> None:
    """Refuse to train the network ``name`` on fewer images than a batch.

    Raises:
        UnusableInput: see above.
    """
    if images < batch:
        raise UnusableInput(
            f"{name} has {images} training images, fewer than a batch of {batch}",
            "lower the batch",
        )


def training_targets(tuning: FineTuning, data: TrainingSet) -> NDArray[np.float32]:
    """float32 ``[n, 1]`` for labels, ``[n, classes]`` for classes, smoothed."""
    smoothing = tuning.label_smoothing
    if tuning.targets == "classes":
        return class_targets(data.class_names, list(data.classes), smoothing)
    labels = data.labels[:, np.newaxis]
    return np.asarray(labels * (1 - smoothing) + smoothing / 2, np.float32)


def positive_classes(tuning: FineTuning, data: TrainingSet) -> list[bool] | None:
    """Whether each class is labelled 1; None for a head of one sigmoid."""
    if tuning.targets == "label":
        return None
    return [label == 1 for label in data.classes.values()]


def image_weights(
    tuning: FineTuning, data: TrainingSet, learn: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The weight of each image in ``learn``, mean 1."""
    names = (
        np.array([data.class_names[i] for i in learn])
        if tuning.targets == "classes"
        else data.labels[learn]
    )
    _, place, counts = np.unique(names, return_inverse=True, return_counts=True)
    power = {"none": 0.0, "sqrt": -0.5, "balanced": -1.0}[tuning.class_weights]
    weights = counts[place].astype(np.float64) ** power
    return np.asarray(weights / weights.mean(), np.float32)
