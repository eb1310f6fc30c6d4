"""How a skin model is trained: frozen dataclasses, checked as they are made."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lesionlite_export.grouping import GROUPINGS
from lesionlite_runtime.errors import UsageError
from lesionlite_runtime.resize import RESIZE_METHODS, check_choice
from lesionlite_training.augment import get_augmentation
from lesionlite_training.calibration import CALIBRATIONS
from lesionlite_training.calibration import NONE as NO_CALIBRATION
from lesionlite_training.copies import COPIES
from lesionlite_training.head import REGULARIZATION
from lesionlite_training.threshold import DEFAULT_RULE, parse_rule

MAX_SEED = 2**31 - 1
SIZES = (32, 1024)
"""Smallest and largest side of the images in pixels."""
CHOICES = {
    "targets": ("label", "classes"),
    "head_start": ("logistic", "random"),
    "head_norm": ("none", "batch"),
    "batch_norm": ("train", "frozen"),
    "loss": ("cross_entropy", "focal"),
    "class_weights": ("none", "sqrt", "balanced"),
    "optimizer": ("adamw", "sgd", "rmsprop"),
    "schedule": ("cosine", "constant"),
}
_SIZE = (
    lambda size: size is None or SIZES[0] <= size <= SIZES[1],
    f"{SIZES[0]} to {SIZES[1]} pixels",
)
# By class and field: what is in range, and the words for it. NaN is in none.
_RANGES: dict[str, dict[str, tuple[Callable[[Any], bool], str]]] = {
    "Stage": {
        "epochs": (lambda n: 1 <= n <= 100_000, "1 to 100000"),
        "size": _SIZE,
    },
    "FineTuning": {
        "blocks": (lambda n: n is None or n >= 0, "0 or more"),
        "focal_gamma": (lambda x: 0 <= x <= 10, "0 to 10"),
        "label_smoothing": (lambda x: 0 <= x < 1, "0 or more, under 1"),
        "learning_rate": (lambda x: 0 < x <= 10, "a number over 0, and 10 at most"),
        "weight_decay": (lambda x: 0 <= x < 1, "0 or more, under 1"),
        "warmup_steps": (lambda n: n >= 0, "0 or more"),
        "batch": (lambda n: n >= 1, "1 or more"),
        "ema": (lambda x: 0 <= x < 1, "0 or more, under 1"),
        "dropout": (lambda x: 0 <= x < 1, "0 or more, under 1"),
        "distillation": (lambda x: 0 <= x <= 1, "0 to 1"),
        "validation": (lambda x: 0 <= x <= 0.5, "0 to 0.5"),
        "patience": (lambda n: n >= 0, "0 or more"),
    },
    "Settings": {
        "value_range": (
            lambda pair: pair is None or (len(pair) == 2 and all(abs(x) < 1e6 for x in pair)),
            "two numbers, the lowest and the highest",
        ),
        "size": _SIZE,
        "folds": (lambda n: 2 <= n <= 1000, "2 to 1000"),
        "seed": (lambda n: 0 <= n <= MAX_SEED, f"0 to {MAX_SEED}"),
        "regularization": (lambda x: 0 < x < 1e9, "a number over 0, and under 1e9"),
    },
}


def _check_ranges(given: object) -> None:
    for name, (fits, text) in _RANGES[type(given).__name__].items():
        if not fits(getattr(given, name)):
            raise UsageError(f"{name} is out of range", f"pass {text}")


@dataclass(frozen=True)
class Stage:
    """Some epochs at one image size.

    Attributes:
        epochs: passes over the training images, 1 or more.
        size: side of the images in pixels; null for the network's own.
    """

    epochs: int
    size: int | None = None

    def __post_init__(self) -> None:
        _check_ranges(self)


@dataclass(frozen=True)
class FineTuning:
    """Training by gradient descent, on top of the head that is fitted on frozen features.

    Attributes:
        blocks: how many of the backbone's last blocks are trained; null for all of them, 0 for the
            head alone, on features that are computed once.
        batch_norm: ``train`` updates the trained blocks' moving statistics, ``frozen`` keeps them.
        targets: ``label`` trains one sigmoid; ``classes`` trains a softmax over the manifest's
            classes, and the score is the sum of those labelled 1.
        head_start: ``logistic`` starts from the head fitted on frozen features, ``random`` from
            Keras' initial weights.
        head_norm: ``batch`` puts batch-norm between features and head, folded into the head in the
            end: for features that are many, or of unequal size; ``none``.
        dropout: share of the features that a step of training leaves out.
        augmentation: a preset of `lesionlite_training.augment`; with ``blocks = 0`` it must be
            ``none``, or ``flips`` for the four flips whose features are kept.
        loss: ``cross_entropy``, or ``focal`` (Lin et al. 2017, arXiv 1708.02002).
        focal_gamma: exponent of the focal loss.
        label_smoothing: share of each target that is spread over all classes.
        class_weights: weight of an image by its class's count n: 1, n^-1/2 or n^-1, mean 1.
        optimizer: ``adamw``, ``sgd`` (momentum 0.9, Nesterov) or ``rmsprop``.
        learning_rate: at its highest.
        weight_decay: decoupled, of all weights but biases and batch-norm.
        schedule: ``cosine`` falls to 0 at the last step; ``constant``.
        warmup_steps: steps over which the rate rises from 0.
        batch: images in a step.
        ema: momentum of the moving average of weights that is kept in the end; 0 for none.
        stages: epochs by image size, in order.
        distillation: share of each target that is what a teacher says of the image: a network of
            the same kind, trained in the same way before, by the mean of its 8 views. 0 for none.
        validation: share of a member's training images that is held back to judge its epochs, as
            1/n; 0 for none. Of the epochs at the last size, the best by its loss is kept; without
            it, the last one.
        patience: epochs of the last stage without a better validation loss before training stops;
            0 for no stopping.
    """

    blocks: int | None = None
    batch_norm: str = "train"
    targets: str = "label"
    head_start: str = "logistic"
    head_norm: str = "none"
    dropout: float = 0.0
    augmentation: str = "perez2018"
    loss: str = "cross_entropy"
    focal_gamma: float = 2.0
    label_smoothing: float = 0.0
    class_weights: str = "none"
    optimizer: str = "adamw"
    learning_rate: float = 3e-4
    weight_decay: float = 0.02
    schedule: str = "cosine"
    warmup_steps: int = 100
    batch: int = 32
    ema: float = 0.99
    stages: tuple[Stage, ...] = (Stage(12),)
    distillation: float = 0.0
    validation: float = 0.0
    patience: int = 0

    def __post_init__(self) -> None:
        _check(self)

    @property
    def epochs(self) -> int:
        """Epochs of all stages."""
        return sum(stage.epochs for stage in self.stages)

    def stage_at(self, epoch: int) -> Stage:
        """The stage that ``epoch``, counted from 0, belongs to."""
        for stage in self.stages:
            if epoch < stage.epochs:
                return stage
            epoch -= stage.epochs
        raise IndexError(epoch)


@dataclass(frozen=True)
class Settings:
    """How a skin model is trained.

    Attributes:
        backbone: a name of the registry, a path or a URL: see `get_backbone`.
        value_range: what the backbone takes for pixels 0 and 255, for one given by path or URL.
        size: side of the images, for one that takes any.
        resize: how photos are brought to that size.
        folds: number of folds that the out-of-fold scores come from.
        seed: of folds, order, augmentation and random weights.
        group: see `groups_of`.
        rule: see `choose_threshold`.
        calibrate: none, temperature or platt.
        regularization: of the logistic head; see `fit_head`.
        copies: kinds of copies, of `COPIES`, that the logistic head of the file learns from beside
            the four flips of each image.
        levels: beside the head that fine-tuning trains, a logistic one on the blocks that it leaves
            as published: see `lesionlite_training.levels`.
        fine_tuning: null leaves the backbone as it is, under a logistic head.
    """

    backbone: str = "efficientnet_lite0"
    value_range: tuple[float, ...] | None = None
    size: int | None = None
    resize: str = "pillow-bilinear-v1"
    folds: int = 5
    seed: int = 0
    group: str = "auto"
    rule: str = DEFAULT_RULE
    calibrate: str = "none"
    regularization: float = REGULARIZATION
    copies: tuple[str, ...] = ()
    levels: bool = False
    fine_tuning: FineTuning | None = None

    def __post_init__(self) -> None:
        _check_ranges(self)
        for kind in self.copies:
            check_choice("kind of copies", kind, tuple(COPIES))
        if len(set(self.copies)) < len(self.copies):
            raise UsageError("copies names one kind twice", "name each once")
        parse_rule(self.rule)
        check_choice("resize method", self.resize, RESIZE_METHODS)
        check_choice("grouping", self.group, GROUPINGS)
        check_choice("calibration", self.calibrate, CALIBRATIONS)
        tuning = self.fine_tuning
        if self.calibrate != NO_CALIBRATION and tuning is not None and tuning.targets == "classes":
            raise UsageError(
                "a softmax over classes has no one logit that a calibration could change",
                "train with targets = label, or without a calibration",
            )
        if self.levels and (tuning is None or not tuning.blocks):
            raise UsageError(
                "levels are for a network of which some blocks are fine-tuned, and others are not",
                "set blocks of fine_tuning to the number of blocks to train, or leave levels out",
            )
        if self.copies and tuning is not None and not self.levels:
            raise UsageError(
                "copies are for a logistic head, and fine-tuning keeps none",
                "use an augmentation of fine_tuning, or set levels",
            )


def _check(tuning: FineTuning) -> None:
    for name, allowed in CHOICES.items():
        value = getattr(tuning, name)
        if value not in allowed:
            near = difflib.get_close_matches(str(value), allowed) or allowed
            raise UsageError(f"there is no {name} {value!r}", f"use one of: {', '.join(near)}")
    get_augmentation(tuning.augmentation)
    if tuning.blocks == 0 and tuning.augmentation not in ("none", "flips"):
        raise UsageError(
            f"a head on frozen features cannot be trained on the augmentation "
            f"{tuning.augmentation!r}",
            "use none or flips, or train some blocks",
        )
    if tuning.blocks == 0 and tuning.distillation:
        raise UsageError(
            "a head on frozen features has no teacher: it does not see the views of an image",
            "leave distillation out, or train some blocks",
        )
    _check_ranges(tuning)
    _check_stages(tuning)
    if tuning.patience and not tuning.validation:
        raise UsageError(
            "patience needs images to judge the epochs by", "set validation to 0.1, say"
        )


def _check_stages(tuning: FineTuning) -> None:
    if not tuning.stages:
        raise UsageError("there is no stage to train in", "give one, or leave stages out")
    if tuning.blocks == 0 and (len(tuning.stages) > 1 or tuning.stages[0].size is not None):
        raise UsageError(
            "a head on frozen features has one stage, at the network's own size",
            "leave out the others, and size",
        )
