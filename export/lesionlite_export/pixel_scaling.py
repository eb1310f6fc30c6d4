"""Ways in which networks want their pixels scaled, and how a batch norm tells which it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.layer_names import all_layers
from lesionlite_runtime.draft_fields import DraftImage

# Means and deviations of ImageNet, as torchvision and Caffe took them.
_TORCH: tuple[tuple[float, ...], tuple[float, ...]] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CAFFE = (103.939, 116.779, 123.68)


class _Reached(BaseException):
    """The first batch norm was reached; no layer of Keras catches it."""


def usual_scalings(image: DraftImage) -> Mapping[str, DraftImage]:
    """The usual scalings of pixels for the network of ``image``, by name; its own left out."""
    plain = replace(image, mean=None, std=None)
    own, rgb = image.scaling, replace(plain, color="RGB")
    found = {
        "0 to 1": replace(plain, range=(0.0, 1.0)),
        "-1 to 1": replace(plain, range=(-1.0, 1.0)),
        "0 to 255": replace(plain, range=(0.0, 255.0)),
        "0 to 1 less ImageNet's mean, by its deviation": replace(
            rgb, range=(0.0, 1.0), mean=_TORCH[0], std=_TORCH[1]
        ),
        "0 to 255 as BGR, less ImageNet's mean": replace(
            plain, range=(0.0, 255.0), color="BGR", mean=_CAFFE
        ),
    }
    return {
        name: other
        for name, other in found.items()
        if other.color != image.color or not np.allclose(other.scaling, own, rtol=0.02, atol=0.02)
    }


def scaling_in_words(image: DraftImage) -> str:
    """What a draft says of the scaling of pixels, for people."""
    words = f"{image.range[0]:g} to {image.range[1]:g}"
    if image.color == "BGR":
        words += " as BGR"
    if image.mean is not None:
        words += f", less {_list(image.mean)}"
    return words if image.std is None else f"{words}, by {_list(image.std)}"


def _list(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)


def scaled(pixels: NDArray[np.uint8], image: DraftImage) -> NDArray[np.float32]:
    """What the network of ``image`` takes for ``pixels``, ``[n, H, W, 3]``."""
    factors, offsets = (np.array(values, np.float32) for values in image.scaling)
    ordered = pixels[..., ::-1] if image.color == "BGR" else pixels
    return np.asarray(ordered * factors + offsets, np.float32)


def batch_norm_misfit(core: Any, inputs: NDArray[np.float32]) -> float | None:
    """How far activations lie from those that a network's first batch norm was trained on.

    A batch norm keeps mean and variance, by channel, of what it saw in training. A wrong scaling of
    the pixels shifts both. No label is needed.

    Args:
        core: a Keras model.
        inputs: scaled images ``[n, H, W, 3]``.

    Returns:
        The Kullback-Leibler divergence between the two normal distributions, in nats, the median
        over channels; None where there is no batch norm, or one that was never trained.
    """
    import keras

    layers = [
        layer
        for layer in all_layers(core)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.axis in (-1, 3)
    ]
    seen: list[tuple[Any, NDArray[np.float64]]] = []

    def stopping(layer: Any) -> Any:
        def call(x: Any, *_arguments: Any, **_others: Any) -> Any:
            seen.append((layer, np.asarray(x, np.float64)))
            raise _Reached

        return call

    try:
        for layer in layers:
            layer.call = stopping(layer)
        core(inputs)
    except _Reached:
        pass
    finally:
        for layer in layers:
            del layer.call
    return _divergence(*seen[0]) if seen else None


def _divergence(layer: Any, x: NDArray[np.float64]) -> float | None:
    kept_mean = np.asarray(layer.moving_mean, np.float64)
    kept_variance = np.asarray(layer.moving_variance, np.float64)
    if not kept_mean.any() and (kept_variance == 1).all():
        return None
    axes = tuple(range(x.ndim - 1))
    mean, variance = x.mean(axes), x.var(axes) + layer.epsilon
    kept_variance = kept_variance + layer.epsilon
    ratio = variance / kept_variance
    distance = (mean - kept_mean) ** 2 / kept_variance
    return float(np.median((ratio + distance - 1 - np.log(ratio)) / 2))
