"""Backbones that are feature extractors in a ``.keras`` file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lesionlite_export.keras_model import load_network
from lesionlite_export.noise import native_noise_logged
from lesionlite_runtime.container import keras_members
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.files import read_file
from lesionlite_training.backbones import (
    UNKNOWN_LICENCE,
    Backbone,
    ValueRange,
    needs_keras,
    scaling,
)

if TYPE_CHECKING:
    import keras

INPUT_TYPES = ("float32", "uint8")


def keras_file_backbone(
    path: Path, value_range: ValueRange | None = None, size: int | None = None
) -> Backbone:
    """The backbone in the ``.keras`` file at ``path``.

    Args:
        path: a Keras model from images ``[n, H, W, 3]`` to vectors ``[n, features]``.
        value_range: what pixels of 0 and 255 become; by default 0 and 1, for a model of uint8 0 and
            255.
        size: side of the images, where the model takes any.

    Raises:
        MissingHere: when Keras is not installed.
        UnusableInput: when the file cannot be loaded safely, is a model that lesionlite trained, or
            has other inputs or outputs.
        UsageError: when ``size`` is missing, or is not the model's.
    """
    needs_keras()
    file = str(path)
    data = read_file(path)
    if keras_members(data, file):
        raise UnusableInput(
            "this model was trained by lesionlite: it gives a score, not features",
            "name the feature extractor that it was made from",
            file,
        )
    network = load_network(path)
    side, input_type, features = _interface(network, file)
    if side is None and size is None:
        raise UsageError("this model takes images of any size", "say which side to use", file)
    if side is not None and size not in (None, side):
        raise UsageError(
            f"this model takes images of {side} pixels, not {size}", "use its own size", file
        )
    scale, offset = scaling(value_range, input_type)

    def factory(pretrained: bool, chosen: int) -> keras.Model:
        if not pretrained:
            raise UsageError("this file has no random weights, only its own", "use them", file)
        return _build(load_network(path), chosen)

    return Backbone(
        name=path.name,
        input_size=side or size or 0,
        scale=scale,
        offset=offset,
        feature_size=features,
        licence=UNKNOWN_LICENCE,
        weights=f"Keras model, sha256 {hashlib.sha256(data).hexdigest()}",
        factory=factory,
        fixed_size=side is not None,
    )


def _build(network: Any, size: int) -> keras.Model:
    with native_noise_logged():
        import keras

        image = keras.Input((size, size, 3), name="scaled_image")
        return keras.Model(image, network(image), name="keras_file_features")


def _interface(network: Any, file: str) -> tuple[int | None, str, int]:
    """(side of the images or None for any, type of the input, number of features)."""
    # A model that was never built has neither.
    inputs: Sequence[Any] = getattr(network, "inputs", None) or ()
    outputs: Sequence[Any] = getattr(network, "outputs", None) or ()
    if len(inputs) != 1 or len(outputs) != 1:
        raise UnusableInput(
            f"the network has {len(inputs)} inputs and {len(outputs)} outputs, not one of each",
            "save a model from one image to one vector",
            file,
        )
    (given, features) = (tuple(inputs[0].shape), tuple(outputs[0].shape))
    if len(given) != 4 or given[0] is not None or given[3] != 3 or given[1] != given[2]:
        raise UnusableInput(
            f"the network takes {list(given)}, not batches of square RGB images",
            "save a model of images [None, H, H, 3]",
            file,
        )
    if inputs[0].dtype not in INPUT_TYPES:
        raise UnusableInput(
            f"the network takes {inputs[0].dtype}, not {' or '.join(INPUT_TYPES)}",
            "save a model of one of them",
            file,
        )
    if len(features) != 2 or features[1] is None:
        raise UnusableInput(
            f"the network returns {list(features)}, not vectors [None, features]",
            "end it in a pooling layer",
            file,
        )
    return given[1], str(inputs[0].dtype), int(features[1])
