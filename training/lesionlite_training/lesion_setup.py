"""What every training of a skin model begins with: images, folds, backbone, and a run's state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lesionlite_export.grouping import Grouping, groups_of
from lesionlite_export.keras_model import network_sha256
from lesionlite_export.manifest import Manifest
from lesionlite_export.noise import native_noise_logged
from lesionlite_export.progress import Reporter
from lesionlite_export.representative import ImageTensor, Unusable, list_digest
from lesionlite_export.statistics import Labels
from lesionlite_runtime.codec import to_json
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import UsageError
from lesionlite_training.backbones import Backbone, get_backbone
from lesionlite_training.configuration import FineTuning, Settings
from lesionlite_training.copies import features_with_copies
from lesionlite_training.distinct import distinct_images
from lesionlite_training.features import UPRIGHT, features_of
from lesionlite_training.folds import Folds, assign_folds
from lesionlite_training.head import REGULARIZATION
from lesionlite_training.labels import UNNAMED_CLASSES
from lesionlite_training.lesion_contract import image_input_of
from lesionlite_training.levels import CameraChange, levels_network
from lesionlite_training.networks import scaled_backbone
from lesionlite_training.originals import NO_FILES, CameraFiles, find_originals, read_camera_files
from lesionlite_training.pixel_cache import cached_images
from lesionlite_training.plan import Plan, check_plan
from lesionlite_training.runs import open_run
from lesionlite_training.trainer import Watcher
from lesionlite_training.training_set import TrainingSet


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
class Setup:
    """What is to be trained, and on what.

    Attributes:
        settings: how.
        backbone: the network under the head.
        network: it, with its scaling.
        image_input: the contract's.
        images: the images, each once.
        labels: int64 ``[n]``.
        classes: label of each class.
        grouping: what keeps images in one fold.
        folds: the fold of each image.
        cache: folder for decoded images and features; None for none.
        unusable: images that could not be read.
        camera_files: originals of some of the images.
    """

    settings: Settings
    backbone: Backbone
    network: Any
    image_input: ImageInput
    images: tuple[ImageTensor, ...]
    labels: Labels
    classes: Mapping[str, int]
    grouping: Grouping
    folds: Folds
    cache: Path | None
    unusable: tuple[Unusable, ...]
    camera_files: CameraFiles = NO_FILES


def set_up(
    manifest: Manifest,
    classes: Mapping[str, int],
    settings: Settings,
    cache: Path | None,
    report: Reporter,
    originals: Path | None = None,
) -> Setup:
    """Read the images of ``manifest``, and put them into folds.

    Args:
        manifest: the training images.
        classes: label of each class.
        settings: how they are split, and what is to be trained.
        cache: folder for decoded images; None for none.
        report: who is told of the progress.
        originals: folder with the camera's own files of some of the images, which levels need.

    Raises:
        UnusableInput: when the manifest has one label only, too few images or groups for the
            folds, ids that contradict each other, two images of equal pixels but different labels
            or ids, or none that can be read; and see `read_camera_files`.
        UsageError: when a setting is unknown, or there are originals and no levels.
        MissingHere: when weights are missing.
    """
    if originals is not None and not settings.levels:
        raise UsageError(
            "originals are for a head on levels, and this network has none",
            "set levels in the configuration, or leave the originals out",
        )
    manifest.needs_both_labels()
    if originals is not None:
        find_originals(originals, manifest.images)
    with native_noise_logged():
        value_range = settings.value_range
        pair = None if value_range is None else (value_range[0], value_range[1])
        backbone = get_backbone(settings.backbone, value_range=pair, size=settings.size)
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
    files = NO_FILES
    if originals is not None:
        files = read_camera_files(originals, images, image_input, cache, report)
    return Setup(
        settings,
        backbone,
        network,
        image_input,
        images,
        labels,
        dict(classes),
        grouping,
        folds,
        cache,
        prepared.unusable,
        files,
    )


def open_plan(
    setup: Setup, tuning: FineTuning, run: Run, force: bool, report: Reporter
) -> tuple[Plan, TrainingSet]:
    """What `fine_tune` needs, after the run's folder was made ready.

    Raises:
        UsageError: when the folder holds another run; and see `check_plan`.
        UnusableInput: see `check_plan`.
        MissingHere: when it cannot be written.
    """
    import keras

    data = training_data(setup)
    groups = data.groups
    # What decides the weights that are trained: neither levels nor copies, nor the strength of a
    # logistic head that training does not start from. A run can be finished with others.
    started = setup.settings.regularization
    if tuning.head_start == "random" and tuning.blocks != 0:
        started = REGULARIZATION
    record = {
        "schema": "lesionlite.run/1",
        "images_sha256": list_digest(data.images),
        "labels": data.labels.tolist(),
        "classes": data.classes,
        "class_names": list(data.class_names),
        "groups": None if groups is None else list(groups),
        "folds": setup.folds.tolist(),
        "backbone_sha256": network_sha256(setup.network),
        "keras_backend": keras.backend.backend(),
        "input": to_json(setup.image_input),
        "seed": setup.settings.seed,
        "regularization": started,
        "fine_tuning": to_json(tuning),
    }
    plan = Plan(
        setup.backbone,
        setup.image_input,
        tuning,
        setup.settings.seed,
        setup.settings.regularization,
        setup.cache,
        run.folder,
        run.watcher,
        setup.settings.levels,
    )
    check_plan(plan, data, setup.folds, setup.network, setup.camera_files)
    open_run(run.folder, record, resume=run.resume, force=force)
    if tuning.blocks == 0 or tuning.head_start == "logistic":
        features = features_of(setup.network, data.images, setup.cache, report)
        data = replace(data, features=features)
    return plan, with_levels_of(setup, data, report)


def training_data(setup: Setup) -> TrainingSet:
    """The images of ``setup`` with what is known of each; neither features nor levels yet."""
    groups = setup.grouping.groups if setup.grouping.by else None
    names = _class_names(setup.images)
    return TrainingSet(setup.images, setup.labels, names, groups, None, dict(setup.classes))


def with_levels_of(setup: Setup, data: TrainingSet, report: Reporter) -> TrainingSet:
    """``data`` with the levels of its images, where the settings want a head on them."""
    settings, tuning = setup.settings, setup.settings.fine_tuning
    if not settings.levels or tuning is None or tuning.blocks is None:
        return data
    network = levels_network(setup.network, setup.backbone, tuning.blocks)
    found = features_with_copies(
        network, data.images, setup.image_input, settings.copies, setup.cache, report
    )
    files = setup.camera_files
    if not files.tensors:
        return replace(data, levels=found)
    of_files = features_of(network, files.tensors, setup.cache, report, UPRIGHT)
    camera = CameraChange(files.places, of_files[:, 0] - found[files.places, 0])
    return replace(data, levels=found, camera=camera)


def _class_names(images: Sequence[ImageTensor]) -> list[str]:
    """The class of each image; where it has none, the name of its label."""
    names = {label: name for name, label in UNNAMED_CLASSES.items()}
    return [item.image.class_name or names[item.image.label] for item in images]


def _check_sizes(backbone: Backbone, tuning: FineTuning | None) -> None:
    for stage in () if tuning is None else tuning.stages:
        if stage.size is not None:
            backbone.check_size(stage.size)
