"""Fine-tuning: a network for each fold, which scores its held-out images, and one for the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.keras_model import keras_outputs
from lesionlite_export.noise import no_tracing_warnings
from lesionlite_export.progress import Reporter
from lesionlite_export.representative import ImageTensor
from lesionlite_export.views import pixel_views
from lesionlite_runtime.contract_checks import VIEWS
from lesionlite_training.augment import get_augmentation
from lesionlite_training.backbones import Backbone
from lesionlite_training.batches import Examples
from lesionlite_training.checkpoints import Arrays
from lesionlite_training.configuration import FineTuning
from lesionlite_training.distillation import distilled_targets, view_means
from lesionlite_training.features import BATCH
from lesionlite_training.folds import Folds, OutOfFold
from lesionlite_training.head import fit_logits, random_logits
from lesionlite_training.levels import mean_of_heads, with_levels
from lesionlite_training.networks import (
    scaled_backbone,
    score_network,
    set_trainable,
    trained_parameters,
    training_network,
    with_norm,
    without_norm,
)
from lesionlite_training.plan import FINAL_NAME, Plan, fold_name, split
from lesionlite_training.readers import Reader, feature_reader, pixel_reader
from lesionlite_training.trainer import Member, train_member
from lesionlite_training.training_set import (
    TrainingSet,
    class_answers,
    image_weights,
    positive_classes,
    training_targets,
)

FINAL = "final"
TEACHER = "-teacher"
"""Ends the name of the folder of a member's teacher."""


def fine_tune(
    plan: Plan, data: TrainingSet, folds: Folds, report: Reporter, trial: int | None = None
) -> tuple[OutOfFold, Any]:
    """Out-of-fold scores by the folds' networks, and the network trained on all images.

    Args:
        plan: how, and where the state is kept.
        data: the images.
        folds: the fold of each.
        report: who is told of the progress.
        trial: train the first so many folds alone: there are no scores of the others then, and
            None in place of the network. A run without it goes on from there.

    Raises:
        UnusableInput: see `train_member`; what `check_plan` finds is not looked for again.
    """
    augmentation = get_augmentation(plan.tuning.augmentation)
    if plan.tuning.blocks == 0:
        assert data.features is not None
        reader = feature_reader(data.features, augmentation)
    else:
        reader = pixel_reader(data.images, plan.image_input, augmentation, plan.cache, report)
    everything = np.arange(len(data.labels))
    by_view = np.zeros((VIEWS[-1], len(data.labels)))
    numbers = [int(number) for number in np.unique(folds)]
    try:
        with no_tracing_warnings():
            for number in numbers[:trial]:
                name, folder = fold_name(number, numbers), f"fold-{number}"
                inside, outside = everything[folds != number], everything[folds == number]
                network = _train(plan, data, reader, inside, name, folder, report)
                held_out = [data.images[i] for i in outside]
                by_view[:, outside] = _scores_by_view(network, held_out, name, report)
            network = None
            if trial is None:
                network = _train(plan, data, reader, everything, FINAL_NAME, FINAL, report)
    except KeyboardInterrupt:
        report.say(f"{plan.folder} keeps what is trained so far; --resume goes on from there")
        raise
    scored = np.isin(folds, numbers[:trial])
    by_view = by_view[:, scored]
    views = {n: by_view[:n].mean(0) for n in VIEWS[1:]}
    return OutOfFold(by_view[0], folds[scored], views), network


def _scores_by_view(
    network: Any, images: Sequence[ImageTensor], name: str, report: Reporter
) -> NDArray[np.float64]:
    """The score of each turned and flipped copy of each image: float64 ``[8, n]``.

    The first is of the image itself, and the mean of the first four or of all is that of a file
    with as many views.
    """
    label = f"Scoring what {name} held out"
    copies = (
        np.ascontiguousarray(copy)
        for image in report.track(images, label, len(images))
        for copy in pixel_views(image.pixels)
    )
    return np.concatenate(list(keras_outputs(network, copies))).reshape(-1, VIEWS[-1]).T


def _train(
    plan: Plan,
    data: TrainingSet,
    reader: Reader,
    inside: NDArray[np.int64],
    name: str,
    folder: str,
    report: Reporter,
) -> Any:
    """The score network of one member, trained on the images ``inside``."""
    learn, judge = split(plan, data, inside)
    targets = training_targets(plan.tuning, data)
    lesson = _Lesson(learn, judge, targets, targets[learn], plan.seed)
    if plan.tuning.distillation:
        teacher = f"the teacher of {name}"
        weights = _trained(plan, data, reader, lesson, teacher, f"{folder}{TEACHER}", report)
        network = training_network(scaled_backbone(plan.backbone), targets.shape[1], plan.tuning)
        network.set_weights(weights)
        means = view_means(network, [data.images[i] for i in learn], teacher, report)
        taught = distilled_targets(lesson.taught, means, plan.tuning.distillation)
        lesson = replace(lesson, taught=taught, seed=plan.seed + 1)
    weights = _trained(plan, data, reader, lesson, name, folder, report)
    with report.phase(f"Fitting the heads of {name}" if plan.levels else f"Assembling {name}"):
        return assembled(plan.backbone, plan.tuning, data, learn, plan.regularization, weights)


def assembled(
    backbone: Backbone,
    tuning: FineTuning,
    data: TrainingSet,
    learn: NDArray[np.int64],
    regularization: float,
    weights: Arrays,
) -> Any:
    """The score network of one member.

    Args:
        backbone: under the heads.
        tuning: how it was trained.
        data: the images; where it has levels, the network has a head on them, too, which does not
            answer to what the camera's files among ``learn`` change in them.
        learn: indices of the images that the member learnt from.
        regularization: of the head on levels; see `fit_head`.
        weights: the trained ones, as its folder keeps them.
    """
    *body, kernel, bias = without_norm(weights, tuning)
    features = scaled_backbone(backbone)
    if tuning.blocks != 0:
        features.set_weights(body)
    if data.levels is not None and tuning.blocks:
        answers, units = _answers(tuning, data, learn), kernel.shape[1]
        change = None if data.camera is None else data.camera.mean(learn)
        levels = fit_logits(data.levels[learn], answers, units, regularization, change)
        kernel, bias = mean_of_heads(levels, (kernel, bias))
        features = with_levels(features, backbone, tuning.blocks)
    trained = [*features.get_weights(), kernel, bias]
    return score_network(features, trained, positive_classes(tuning, data))


@dataclass(frozen=True)
class _Lesson:
    """Which images a member learns from and is judged by, and what they teach.

    Attributes:
        learn: indices of the images to learn from.
        judge: indices of those that judge the epochs.
        targets: float32 ``[n, k]`` of all images.
        taught: float32 ``[len(learn), k]``: what is learnt of ``learn``.
        seed: of order, augmentation and random weights.
    """

    learn: NDArray[np.int64]
    judge: NDArray[np.int64]
    targets: NDArray[np.float32]
    taught: NDArray[np.float32]
    seed: int


def _trained(
    plan: Plan,
    data: TrainingSet,
    reader: Reader,
    lesson: _Lesson,
    name: str,
    folder: str,
    report: Reporter,
) -> Arrays:
    """The trained weights of one network, in the order of its network with logits."""
    member = _member(plan, data, reader, lesson, name, folder)
    total, trained = trained_parameters(member.build(plan.tuning.stages[0].size))
    images = len(lesson.learn)
    report.say(f"{name}: {images} images, {total:,} parameters, {trained:,} of them trained")
    return train_member(member, plan.tuning, plan.folder / folder, report, plan.watcher)


def _member(
    plan: Plan, data: TrainingSet, reader: Reader, lesson: _Lesson, name: str, folder: str
) -> Member:
    tuning, learn, judge, units = plan.tuning, lesson.learn, lesson.judge, lesson.taught.shape[1]
    weights = image_weights(tuning, data, learn)
    head = _start(plan, data, lesson)

    def build(size: int | None) -> Any:
        if tuning.blocks == 0:
            return training_network(_feature_input(plan.backbone.feature_size), units, tuning)
        network = training_network(scaled_backbone(plan.backbone, size), units, tuning)
        set_trainable(network, plan.backbone, tuning.blocks, tuning.batch_norm)
        return network

    def examples(size: int | None) -> Examples:
        read = reader(size, False)
        return Examples(
            lambda index, generator: read(int(learn[index]), generator),
            lesson.taught,
            weights,
            tuning.batch,
            lesson.seed,
        )

    def validation(size: int | None) -> Iterator[tuple[NDArray[Any], NDArray[np.float32]]]:
        read, generator = reader(size, True), np.random.default_rng(0)
        for start in range(0, len(judge), BATCH):
            chosen = judge[start : start + BATCH]
            yield np.stack([read(int(i), generator) for i in chosen]), lesson.targets[chosen]

    backbone = [] if tuning.blocks == 0 else scaled_backbone(plan.backbone).get_weights()
    judged = validation if len(judge) else None
    return Member(name, folder, build, [*backbone, *head], examples, judged, lesson.seed)


def _feature_input(size: int) -> Any:
    import keras

    features = keras.Input((size,), name="features")
    return keras.Model(features, features, name="features")


def _start(plan: Plan, data: TrainingSet, lesson: _Lesson) -> list[NDArray[np.float64]]:
    """The head's weights before training, in the order of its network's."""
    units, tuning = lesson.taught.shape[1], plan.tuning
    if tuning.head_start == "random" or data.features is None:
        head = random_logits(plan.backbone.feature_size, units, lesson.seed)
        return [*head] if tuning.head_norm == "none" else with_norm(*head, None)
    features = data.features[lesson.learn]
    head = fit_logits(features, _answers(tuning, data, lesson.learn), units, plan.regularization)
    if tuning.head_norm == "none":
        return [*head]
    return with_norm(*head, features.reshape(-1, features.shape[-1]))


def _answers(tuning: FineTuning, data: TrainingSet, learn: NDArray[np.int64]) -> NDArray[np.int64]:
    """What a logistic head is fitted to: classes or labels."""
    return class_answers(data, learn) if tuning.targets == "classes" else data.labels[learn]
