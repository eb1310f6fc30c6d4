"""What a fine-tuning run trains, and what is refused before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import UnusableInput
from lesionlite_training.backbones import Backbone
from lesionlite_training.configuration import FineTuning
from lesionlite_training.folds import Folds, assign_folds
from lesionlite_training.levels import check_levels
from lesionlite_training.networks import check_blocks
from lesionlite_training.originals import NO_FILES, CameraFiles, check_camera_files
from lesionlite_training.trainer import Watcher
from lesionlite_training.training_set import TrainingSet, check_batch, check_classes, class_answers

FINAL_NAME = "the final network"


@dataclass(frozen=True)
class Plan:
    """What is trained, and where its state is kept.

    Attributes:
        backbone: the network under the head.
        image_input: the contract's.
        tuning: how it is trained.
        seed: of order, augmentation and random weights.
        regularization: of the head that training starts from, and of that on levels.
        cache: folder for decoded images; None to hold them in memory.
        folder: of the run; each member has a folder in it.
        watcher: see `Watcher`.
        levels: whether the network that is saved has a second head, on the levels.
    """

    backbone: Backbone
    image_input: ImageInput
    tuning: FineTuning
    seed: int
    regularization: float
    cache: Path | None
    folder: Path
    watcher: Watcher | None = None
    levels: bool = False


def check_plan(
    plan: Plan, data: TrainingSet, folds: Folds, network: Any, files: CameraFiles = NO_FILES
) -> None:
    """Refuse what could not be trained, before a run is begun or the one in its place is gone.

    Args:
        plan: how.
        data: the images; features are not needed yet.
        folds: the fold of each.
        network: the backbone, from pixels to features.
        files: originals of some of the images.

    Raises:
        UsageError: when the backbone has fewer blocks, or none that are known.
        UnusableInput: when an image has no class that is needed, or a network would have fewer
            images than a batch, see none of a class, or learn from too few of the originals.
    """
    tuning = plan.tuning
    if tuning.targets == "classes":
        check_classes(data)
    if tuning.blocks:
        check_blocks(network, plan.backbone, tuning.blocks)
        if plan.levels:
            check_levels(network, plan.backbone, tuning.blocks)
    numbers = [int(number) for number in np.unique(folds)]
    parts = {fold_name(n, numbers): np.flatnonzero(folds != n) for n in numbers}
    for name, inside in {**parts, FINAL_NAME: np.arange(len(folds))}.items():
        learn, _ = split(plan, data, inside)
        check_batch(name, len(learn), tuning.batch)
        check_camera_files(files, learn, name)
        if tuning.targets == "classes" and (tuning.head_start == "logistic" or plan.levels):
            class_answers(data, learn)


def fold_name(number: int, numbers: Sequence[int]) -> str:
    """Of the network that does not see a fold, for people."""
    return f"fold {number + 1} of {len(numbers)}"


def split(
    plan: Plan, data: TrainingSet, inside: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The images to learn from, and those that judge the epochs (none without validation)."""
    if not plan.tuning.validation:
        return inside, inside[:0]
    groups = None if data.groups is None else [data.groups[i] for i in inside]
    parts = round(1 / plan.tuning.validation)
    try:
        held = assign_folds(data.labels[inside], parts, plan.seed, groups) == 0
    except UnusableInput as error:
        raise UnusableInput(
            f"no share of 1/{parts} can be held back from the images of a fold ({error.problem})",
            "add images, or set another validation share",
        ) from error
    return inside[~held], inside[held]
