"""The contract of a trained skin model, with the record of its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lesionlite_export.grouping import Grouping
from lesionlite_export.representative import ImageTensor
from lesionlite_export.seen import images_record
from lesionlite_export.statistics import Labels
from lesionlite_export.tools import tool_versions
from lesionlite_runtime.codec import to_json
from lesionlite_runtime.contract import CLASSIFICATION, SCHEMA, ClassifierContract
from lesionlite_runtime.contract_fields import (
    ImageInput,
    Provenance,
    ScoreOutput,
    Threshold,
    ViewsThreshold,
)
from lesionlite_training.backbones import Backbone
from lesionlite_training.calibration import Measured
from lesionlite_training.configuration import Settings

UNKNOWN_DIGEST = "0" * 64
FROZEN = "frozen backbone, logistic head on four flips of each image"
WITH_COPIES = "frozen backbone, logistic head on four flips and copies of each image"
HEAD_ALONE = "frozen backbone, head by gradient descent"
FINE_TUNED = "backbone and head by gradient descent"
WITH_LEVELS = "last blocks and a head by gradient descent, a logistic head on the blocks before"


def image_input_of(backbone: Backbone, resize: str) -> ImageInput:
    """What the contract says of the photos that ``backbone`` takes."""
    size = backbone.input_size
    return ImageInput("image", (1, size, size, 3), "uint8", "RGB", "exif", resize, "stretch")


def training_record(
    settings: Settings,
    images: Sequence[ImageTensor],
    labels: Labels,
    grouping: Grouping,
    calibration: Measured | None,
    originals: Sequence[ImageTensor] = (),
) -> dict[str, Any]:
    """What the contract keeps of data, method and seed.

    Args:
        settings: how the network was trained.
        images: on what.
        labels: of each.
        grouping: of the folds.
        calibration: of the scores, out of fold.
        originals: camera's files that a head on levels does not answer to.
    """
    tuning = settings.fine_tuning
    if tuning is None:
        method: dict[str, Any] = {"method": WITH_COPIES if settings.copies else FROZEN}
    else:
        trained = WITH_LEVELS if settings.levels else FINE_TUNED
        method = {
            "method": HEAD_ALONE if tuning.blocks == 0 else trained,
            "fine_tuning": to_json(tuning),
        }
    if settings.copies:
        method["copies"] = list(settings.copies)
    if originals:
        method["originals"] = len(originals)
    return {
        **method,
        "n": len(images),
        "positives": int(labels.sum()),
        **images_record(images, originals),
        "folds": settings.folds,
        "grouping": grouping.to_json(),
        "calibration": None if calibration is None else calibration.to_json(),
        "seed": settings.seed,
        "regularization": settings.regularization,
    }


def lesion_contract(
    backbone: Backbone,
    image_input: ImageInput,
    classes: Mapping[str, int],
    threshold: Threshold,
    record: dict[str, Any],
    views: tuple[ViewsThreshold, ...] = (),
) -> ClassifierContract:
    """The contract before export; the network's digest is not known yet."""
    return ClassifierContract(
        schema=SCHEMA,
        task=CLASSIFICATION,
        input=image_input,
        output=ScoreOutput("score", "float32", ("benign", "malignant"), "malignant", dict(classes)),
        threshold=threshold,
        views_thresholds=views or None,
        provenance=Provenance(
            network_sha256=UNKNOWN_DIGEST,
            backbone=backbone.name,
            training={**record, "weights": backbone.weights, "weights_licence": backbone.licence},
            calibration=None,
            recipe=None,
            tools=tool_versions(),
        ),
        parity=None,
        flatbuffer_sha256=None,
        flatbuffer_bytes=None,
    )
