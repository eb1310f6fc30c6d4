"""The skin model: frozen backbone, trained head, threshold from out-of-fold scores, contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lesionlite_export.keras_model import check_keras_path, save_keras
from lesionlite_export.manifest import Manifest
from lesionlite_export.noise import native_noise_logged
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.representative import PreparedImage, Unusable, list_digest
from lesionlite_export.statistics import Labels, auc
from lesionlite_export.tools import tool_versions
from lesionlite_export.verification import prepare_all
from lesionlite_runtime.contract import CLASSIFICATION, SCHEMA, ClassifierContract
from lesionlite_runtime.contract_fields import (
    ImageInput,
    Interval,
    Provenance,
    ScoreOutput,
    Threshold,
)
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.resize import RESIZE_METHODS, check_choice
from lesionlite_training.backbones import Backbone, get_backbone
from lesionlite_training.features import features_of
from lesionlite_training.head import REGULARIZATION, Head, OutOfFold, fit_head, out_of_fold
from lesionlite_training.threshold import DEFAULT_RULE, choose_threshold, parse_rule

UNKNOWN_DIGEST = "0" * 64


@dataclass(frozen=True)
class Settings:
    """How a skin model is trained."""

    backbone: str = "efficientnet_lite0"
    resize: str = "pillow-bilinear-v1"
    folds: int = 5
    seed: int = 0
    rule: str = DEFAULT_RULE
    regularization: float = REGULARIZATION


@dataclass(frozen=True)
class Trained:
    """A saved model with its out-of-fold figures."""

    path: Path
    contract: ClassifierContract
    auc: Interval
    fold_aucs: tuple[float, ...]
    images: tuple[PreparedImage, ...]
    out_of_fold: OutOfFold
    unusable: tuple[Unusable, ...]


def train_lesion(
    manifest: Manifest,
    classes: Mapping[str, int],
    out: Path,
    *,
    settings: Settings | None = None,
    cache: Path | None = None,
    force: bool = False,
    report: Reporter | None = None,
) -> Trained:
    """Train a classifier on ``manifest`` and save it, with its contract, at ``out``.

    Args:
        manifest: the training images; none of them may be proof or test images.
        classes: label of each class name, for the contract.
        out: path of the ``.keras``.
        settings: backbone, folds, seed, threshold rule.
        cache: folder for the frozen features; None for none.
        force: overwrite what lies at ``out``.
        report: who is told of the progress.

    Raises:
        UnusableInput: when the manifest has one label only, too few images for the folds, two
            images of equal pixels but different labels, or none that can be read.
        UsageError: when ``out`` cannot be written, or a setting is unknown.
    """
    settings, report = settings or Settings(), report or Silent()
    check_keras_path(out, force)
    parse_rule(settings.rule)
    check_choice("resize method", settings.resize, RESIZE_METHODS)
    manifest.needs_both_labels()
    backbone = get_backbone(settings.backbone)
    image_input = ImageInput(
        "image",
        (1, backbone.input_size, backbone.input_size, 3),
        "uint8",
        "RGB",
        "exif",
        settings.resize,
        "stretch",
    )
    prepared = prepare_all(manifest, image_input, "Reading images", report)
    images = _without_copies(prepared.images)
    labels = np.array([p.image.label for p in images], np.int64)
    with native_noise_logged():
        network = scaled_backbone(backbone)
    features = features_of(network, images, cache, report)
    held_out = out_of_fold(
        features, labels, settings.folds, settings.seed, report, settings.regularization
    )
    threshold = choose_threshold(labels, held_out.scores, settings.rule)
    head = fit_head(features, labels, settings.regularization)
    contract = _contract(
        settings, backbone, image_input, classes, threshold, _record(settings, images, labels)
    )
    with report.phase("Saving the model"):
        written = save_keras(with_head(network, head), contract, out, force)
    assert isinstance(written, ClassifierContract)
    return Trained(
        out,
        written,
        auc(labels, held_out.scores),
        _fold_aucs(labels, held_out),
        images,
        held_out,
        prepared.unusable,
    )


def scaled_backbone(backbone: Backbone) -> Any:
    """A Keras model from uint8 pixels ``[n, H, W, 3]`` to features, the scaling inside."""
    import keras

    size = backbone.input_size
    pixels = keras.Input((size, size, 3), dtype="uint8", name="image")
    scaling = keras.layers.Rescaling(backbone.scale, offset=backbone.offset, name="scaling")
    return keras.Model(pixels, backbone.build()(scaling(pixels)), name="features")


def with_head(network: Any, head: Head) -> Any:
    """``network`` with the head behind it: a Keras model from uint8 pixels to the score."""
    import keras

    dense = keras.layers.Dense(1, activation="sigmoid", name="score")
    model = keras.Model(network.inputs, dense(network.outputs[0]), name="lesion")
    dense.set_weights([head.weights[:, np.newaxis], np.array([head.bias], np.float32)])
    return model


def _without_copies(images: Sequence[PreparedImage]) -> tuple[PreparedImage, ...]:
    """The images less later ones of the same pixels, which would stand in two folds at once.

    Raises:
        UnusableInput: when two such images have different labels.
    """
    first: dict[str, PreparedImage] = {}
    for image in images:
        known = first.setdefault(image.sha256, image)
        if known.image.label != image.image.label:
            raise UnusableInput(
                f"this image has the pixels of {known.image.path}, and another label",
                "correct one of the labels, or leave both out",
                image.image.path,
            )
    return tuple(first.values())


def _fold_aucs(labels: Labels, held_out: OutOfFold) -> tuple[float, ...]:
    return tuple(
        auc(labels[held_out.folds == fold], held_out.scores[held_out.folds == fold]).value
        for fold in np.unique(held_out.folds)
    )


def _record(settings: Settings, images: Sequence[PreparedImage], labels: Labels) -> dict[str, Any]:
    return {
        "method": "frozen backbone, logistic head on four flips of each image",
        "n": len(images),
        "positives": int(labels.sum()),
        "images_sha256": list_digest(images),
        "folds": settings.folds,
        "seed": settings.seed,
        "regularization": settings.regularization,
    }


def _contract(
    settings: Settings,
    backbone: Backbone,
    image_input: ImageInput,
    classes: Mapping[str, int],
    threshold: Threshold,
    record: dict[str, Any],
) -> ClassifierContract:
    return ClassifierContract(
        schema=SCHEMA,
        task=CLASSIFICATION,
        input=image_input,
        output=ScoreOutput("score", "float32", ("benign", "malignant"), "malignant", dict(classes)),
        threshold=threshold,
        provenance=Provenance(
            network_sha256=UNKNOWN_DIGEST,
            backbone=settings.backbone,
            training={**record, "weights": backbone.weights, "weights_licence": backbone.licence},
            calibration=None,
            recipe=None,
            tools=tool_versions(),
        ),
        parity=None,
        flatbuffer_sha256=None,
        flatbuffer_bytes=None,
    )
