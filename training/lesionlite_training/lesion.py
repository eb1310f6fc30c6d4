"""The skin model: backbone, head, threshold from out-of-fold scores, contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lesionlite_export.grouping import Grouping
from lesionlite_export.keras_model import check_keras_path, save_keras
from lesionlite_export.manifest import Manifest
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.representative import ImageTensor, Unusable
from lesionlite_export.statistics import Labels, auc
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.contract_fields import Interval, ViewsThreshold
from lesionlite_training.calibration import (
    NONE,
    Measured,
    calibrated,
    fold_into,
    measure_calibration,
)
from lesionlite_training.configuration import Settings
from lesionlite_training.copies import features_with_copies
from lesionlite_training.fine_tuning import fine_tune
from lesionlite_training.folds import OutOfFold
from lesionlite_training.head import Head, fit_head, out_of_fold
from lesionlite_training.lesion_contract import lesion_contract, training_record
from lesionlite_training.lesion_setup import Run, Setup, open_plan, set_up
from lesionlite_training.networks import score_network
from lesionlite_training.originals import NO_FILES, CameraFiles
from lesionlite_training.runs import check_run
from lesionlite_training.threshold import choose_threshold


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
    camera_files: CameraFiles = NO_FILES


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
    originals: Path | None = None,
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
        originals: folder with the camera's own files of some of the images: see `set_up`.

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
    setup = set_up(manifest, classes, settings, cache, report, originals)
    images, labels, grouping = setup.images, setup.labels, setup.grouping
    if settings.fine_tuning is None:
        held_out, model = _frozen(setup, report)
    else:
        plan, data = open_plan(setup, settings.fine_tuning, run, force, report)
        held_out, model = fine_tune(plan, data, setup.folds, report)
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
    originals_read = setup.camera_files.tensors
    record = training_record(settings, images, labels, grouping, calibration, originals_read)
    contract = lesion_contract(setup.backbone, setup.image_input, classes, threshold, record, views)
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
        setup.unusable,
        setup.camera_files,
    )


def _frozen(setup: Setup, report: Reporter) -> tuple[OutOfFold, Any]:
    """Out-of-fold scores of logistic heads on frozen features, and the network with one on all."""
    features = features_with_copies(
        setup.network, setup.images, setup.image_input, setup.settings.copies, setup.cache, report
    )
    regularization = setup.settings.regularization
    held_out = out_of_fold(features, setup.labels, setup.folds, report, regularization)
    head = fit_head(features, setup.labels, regularization)
    return held_out, _with_head(setup.network, head)


def _with_head(network: Any, head: Head) -> Any:
    kernel, bias = head.weights[:, np.newaxis], np.array([head.bias], np.float32)
    return score_network(network, [*network.get_weights(), kernel, bias], None)


def _fold_aucs(labels: Labels, held_out: OutOfFold) -> tuple[float, ...]:
    return tuple(
        auc(labels[held_out.folds == fold], held_out.scores[held_out.folds == fold]).value
        for fold in np.unique(held_out.folds)
    )
