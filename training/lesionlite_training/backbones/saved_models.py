"""Backbones that are SavedModels: the tutorial's Inception V3 from TensorFlow Hub, and any other.

They take values in [0, 1], TensorFlow Hub's convention for images
(https://www.tensorflow.org/hub/common_signatures/images#input), unless another range is said.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lesionlite_export.hub_cache import is_url
from lesionlite_export.noise import native_noise_logged
from lesionlite_export.saved_model import saved_model_sha256
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_training.backbones import (
    UNKNOWN_LICENCE,
    Backbone,
    ValueRange,
    needs_keras,
    register,
    scaling,
)
from lesionlite_training.hub import resolve_handle

if TYPE_CHECKING:
    import keras

# The tutorial's module; its page gives range, size and feature size, and says that it is the
# TF-Slim checkpoint inception_v3_2016_08_28.
INCEPTION_V3_URL = "https://tfhub.dev/google/tf2-preview/inception_v3/feature_vector/4"
INCEPTION_V3_SIZE = 299
INCEPTION_V3_FEATURES = 2048


@register(
    name="inception_v3",
    input_size=INCEPTION_V3_SIZE,
    scale=1 / 255,
    offset=0.0,
    feature_size=INCEPTION_V3_FEATURES,
    licence="Apache-2.0",
    weights=INCEPTION_V3_URL,
    fixed_size=True,
)
def build_inception_v3(pretrained: bool, size: int) -> keras.Model:
    """The tutorial's Inception V3 from TensorFlow Hub; see `Backbone.build`."""
    _check_pretrained(pretrained, "inception_v3")
    model = _build(resolve_handle(INCEPTION_V3_URL), size)
    if model.output_shape[1] != INCEPTION_V3_FEATURES:
        raise UnusableInput(
            f"the SavedModel that stands in the cache for {INCEPTION_V3_URL} gives "
            f"{model.output_shape[1]} features, not {INCEPTION_V3_FEATURES}",
            "download it anew, or name the folder itself as the backbone",
        )
    return model


def saved_model_backbone(
    handle: str, value_range: ValueRange | None = None, size: int | None = None
) -> Backbone:
    """The backbone in the SavedModel that ``handle`` names.

    Args:
        handle: its folder, or its URL on TensorFlow Hub.
        value_range: what pixels of 0 and 255 become; by default 0 and 1, for a graph of uint8 0 and
            255.
        size: side of the images, where the graph takes any.

    Raises:
        MissingHere: when a URL is neither in the cache nor can be downloaded, or TensorFlow is not
            installed.
        UnusableInput: when it is no SavedModel, or none of an image feature extractor.
        UsageError: when ``size`` is missing, or is not the graph's.
    """
    folder = resolve_handle(handle)
    layer = _layer(folder, size)
    scale, offset = scaling(value_range, layer.input_type)

    def factory(pretrained: bool, side: int) -> keras.Model:
        _check_pretrained(pretrained, handle)
        return _build(folder, side)

    return Backbone(
        name=handle if is_url(handle) else folder.resolve().name,
        input_size=layer.size,
        scale=scale,
        offset=offset,
        feature_size=layer.feature_size,
        licence=UNKNOWN_LICENCE,
        weights=f"SavedModel, sha256 {saved_model_sha256(folder)}",
        factory=factory,
        fixed_size=layer.fixed_size,
    )


def _build(folder: Path, size: int) -> keras.Model:
    layer = _layer(folder, size)
    with native_noise_logged():
        import keras

        image = keras.Input((size, size, 3), name="scaled_image")
        return keras.Model(image, layer(image), name="saved_model_features")


def _layer(folder: Path, size: int | None) -> Any:
    needs_keras()
    with native_noise_logged():
        from lesionlite_export.saved_model_layer import SavedModelLayer

        return SavedModelLayer.from_folder(folder, size)


def _check_pretrained(pretrained: bool, name: str) -> None:
    if not pretrained:
        raise UsageError(
            f"the backbone {name} has no random weights, only those in its SavedModel",
            "use them, or inception_v3_keras",
        )
