"""The skin model: backbone, head, threshold from out-of-fold scores, contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lesionlite_export.keras_model import check_keras_path, network_sha256, save_keras
from lesionlite_export.manifest import Manifest
from lesionlite_export.noise import native_noise_logged
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.representative import ImageTensor, Unusable, list_digest
from lesionlite_export.statistics import Labels, auc
from lesionlite_runtime.codec import to_json
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.contract_fields import ImageInput, Interval, ViewsThreshold
from lesionlite_training.backbones import Backbone, get_backbone
from lesionlite_training.calibration import (
    NONE,
    Measured,
    calibrated,
    fold_into,
    measure_calibration,
)
from lesionlite_training.configuration import FineTuning, Settings
from lesionlite_training.distinct import distinct_images
from lesionlite_training.features import features_of
from lesionlite_training.fine_tuning import Plan, TrainingSet, fine_tune
from lesionlite_training.folds import (
    Folds,
    Grouping,
    OutOfFold,
    assign_folds,
    groups_of,
)
from lesionlite_training.head import Head, fit_head, out_of_fold
from lesionlite_training.labels import UNNAMED_CLASSES
from lesionlite_training.lesion_contract import (
    image_input_of,
    lesion_contract,
    training_record,
)
from lesionlite_training.networks import scaled_backbone, score_network
from lesionlite_training.pixel_cache import cached_images
from lesionlite_training.runs import check_run, open_run
from lesionlite_training.threshold import choose_threshold
from lesionlite_training.trainer import Watcher


@dataclass(frozen=True)
class Run:
    """Where a fine-tuning run keeps its state.

    Attributes:
        folder: of the run.
        resume: go on with the run in it, where there is one.
        watcher: see `Watcher`.
    """

    folder: Path
    resume: bool = False
    watcher: Watcher | None = None


@dataclass(frozen=True)
class Trained:
    """A saved model with its out-of-fold figures.

    ``out_of_fold`` has the scores of the model as saved: calibrated ones where there is a
    ``calibration``. ``views_aucs`` are of files that average several views of an image.
    """

    path: Path
    contract: ClassifierContract
    auc: Interval
    fold_aucs: tuple[float, ...]
    views_aucs: Mapping[int, Interval]
    images: tuple[ImageTensor, ...]
    out_of_fold: OutOfFold
    grouping: Grouping
    calibration: Measured | None
    unusable: tuple[Unusable, ...]


def train_lesion(
    manifest: Manifest,
    classes: Mapping[str, int],
    out: Path,
    *,
    settings: Settings | None = None,
    cache: Path | None = None,
    run: Run | None = None,
    force: bool = False,
    report: Reporter | None = None,
) -> Trained:
    """Train a classifier on ``manifest`` and save it, with its contract, at ``out``.

    Args:
        manifest: the training images; none of them may be proof or test images.
        classes: label of each class name, for the contract.
        out: path of the ``.keras``.
        settings: backbone, folds and their groups, seed, threshold rule, calibration, fine-tuning.
        cache: folder for decoded images and frozen features; None for none.
        run: where fine-tuning keeps its state; by default in a folder beside ``out``.
        force: overwrite what lies at ``out``, and the run in its folder.
        report: who is told of the progress.

    Raises:
        UnusableInput: when the manifest has one label only, too few images or groups for the
            folds, ids that contradict each other, two images of equal pixels but different labels
            or ids, or none that can be read; when the rule or the calibration cannot be kept; or
            training fails: see `train_member`.
        UsageError: when ``out`` cannot be written, a setting is unknown, or the run's folder holds
            another run.
        MissingHere: when weights are missing, or a disk is full.
    """
    settings, report = settings or Settings(), report or Silent()
    check_keras_path(out, force)
    run = run or Run(out.with_suffix(".run"))
    if settings.fine_tuning is not None:
        check_run(run.folder, resume=run.resume, force=force)
    manifest.needs_both_labels()
    with native_noise_logged():
        backbone = get_backbone(
            settings.backbone, value_range=_pair(settings.value_range), size=settings.size
        )
        _check_sizes(backbone, settings.fine_tuning)
        network = scaled_backbone(backbone)
    image_input = image_input_of(backbone, settings.resize)
    prepared = cached_images(manifest, image_input, cache, "Reading images", report)
    images, described = distinct_images(prepared.images)
    labels = np.array([image.label for image in described], np.int64)
    grouping = groups_of(described, settings.group)
    report.say(grouping.note)
    groups = grouping.groups if grouping.by else None
    folds = assign_folds(labels, settings.folds, settings.seed, groups)
    if settings.fine_tuning is None:
        held_out, model = _frozen(network, settings, images, labels, folds, cache, report)
    else:
        data = TrainingSet(images, labels, _class_names(images), groups, None, dict(classes))
        held_out, model = _fine_tuned(
            network,
            backbone,
            image_input,
            settings,
            settings.fine_tuning,
            data,
            folds,
            cache,
            run,
            force,
            report,
        )
    calibration = None
    if settings.calibrate != NONE:
        calibration = measure_calibration(labels, held_out, settings.calibrate)
        held_out = calibrated(held_out, calibration.calibration)
        fold_into(model, calibration.calibration)
    threshold = choose_threshold(labels, held_out.scores, settings.rule)
    views = tuple(
        ViewsThreshold(n, choose_threshold(labels, scores, settings.rule))
        for n, scores in held_out.views.items()
    )
    record = training_record(settings, images, labels, grouping, calibration)
    contract = lesion_contract(backbone, image_input, classes, threshold, record, views)
    with report.phase("Saving the model"):
        written = save_keras(model, contract, out, force)
    assert isinstance(written, ClassifierContract)
    return Trained(
        out,
        written,
        auc(labels, held_out.scores),
        _fold_aucs(labels, held_out),
        {n: auc(labels, scores) for n, scores in held_out.views.items()},
        images,
        held_out,
        grouping,
        calibration,
        prepared.unusable,
    )


def _frozen(
    network: Any,
    settings: Settings,
    images: Sequence[ImageTensor],
    labels: Labels,
    folds: Folds,
    cache: Path | None,
    report: Reporter,
) -> tuple[OutOfFold, Any]:
    """Out-of-fold scores of logistic heads on frozen features, and the network with one on all."""
    features = features_of(network, images, cache, report)
    held_out = out_of_fold(features, labels, folds, report, settings.regularization)
    return held_out, _with_head(network, fit_head(features, labels, settings.regularization))


def _with_head(network: Any, head: Head) -> Any:
    kernel, bias = head.weights[:, np.newaxis], np.array([head.bias], np.float32)
    return score_network(network, [*network.get_weights(), kernel, bias], None)


def _fine_tuned(
    network: Any,
    backbone: Backbone,
    image_input: ImageInput,
    settings: Settings,
    tuning: FineTuning,
    data: TrainingSet,
    folds: Folds,
    cache: Path | None,
    run: Run,
    force: bool,
    report: Reporter,
) -> tuple[OutOfFold, Any]:
    import keras

    record = {
        "schema": "lesionlite.run/1",
        "images_sha256": list_digest(data.images),
        "labels": data.labels.tolist(),
        "classes": data.classes,
        "class_names": list(data.class_names),
        "groups": None if data.groups is None else list(data.groups),
        "folds": folds.tolist(),
        "backbone_sha256": network_sha256(network),
        "keras_backend": keras.backend.backend(),
        "input": to_json(image_input),
        "seed": settings.seed,
        "regularization": settings.regularization,
        "fine_tuning": to_json(tuning),
    }
    open_run(run.folder, record, resume=run.resume, force=force)
    if tuning.blocks == 0 or tuning.head_start == "logistic":
        features = features_of(network, data.images, cache, report)
        data = replace(data, features=features)
    plan = Plan(
        backbone,
        image_input,
        tuning,
        settings.seed,
        settings.regularization,
        cache,
        run.folder,
        run.watcher,
    )
    return fine_tune(plan, data, folds, report)


def _class_names(images: Sequence[ImageTensor]) -> list[str]:
    """The class of each image; where it has none, the name of its label."""
    names = {label: name for name, label in UNNAMED_CLASSES.items()}
    return [item.image.class_name or names[item.image.label] for item in images]


def _pair(value_range: tuple[float, ...] | None) -> tuple[float, float] | None:
    return None if value_range is None else (value_range[0], value_range[1])


def _check_sizes(backbone: Backbone, tuning: FineTuning | None) -> None:
    for stage in () if tuning is None else tuning.stages:
        if stage.size is not None:
            backbone.check_size(stage.size)


def _fold_aucs(labels: Labels, held_out: OutOfFold) -> tuple[float, ...]:
    return tuple(
        auc(labels[held_out.folds == fold], held_out.scores[held_out.folds == fold]).value
        for fold in np.unique(held_out.folds)
    )
