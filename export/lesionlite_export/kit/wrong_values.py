"""Ways to hand right pixels over wrongly: channels in another order, values in another range."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.kit.photo import Photo
from lesionlite_runtime.contract_checks import INTEGER_LEVELS
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.graph import TensorInfo

Pixels = NDArray[np.uint8]
Reals = NDArray[np.float64]
_MEAN, _DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
_LUMA = np.array([0.299, 0.587, 0.114])
_PIXEL = np.arange(256.0)[:, None].repeat(3, axis=1)


def swapped(photo: Photo) -> Pixels:
    """Red and blue change places."""
    return np.ascontiguousarray(photo.tensor[..., ::-1])


def planes(photo: Photo) -> Pixels:
    """All red, then all green, then all blue: ``[3, H, W]`` in place of ``[H, W, 3]``."""
    return np.ascontiguousarray(photo.tensor.transpose(2, 0, 1)).reshape(photo.tensor.shape)


def alpha_first(photo: Photo) -> Pixels:
    """Alpha, red, green of ARGB in place of red, green, blue."""
    tensor = photo.tensor
    return np.dstack([np.full(tensor.shape[:2], 255, np.uint8), tensor[..., 0], tensor[..., 1]])


def greyed(photo: Photo) -> Pixels:
    """The luma in all three channels."""
    luma = np.rint(photo.tensor @ _LUMA).astype(np.uint8)
    return np.repeat(luma[..., None], 3, axis=2)


COLOR_WAYS: dict[str, tuple[Callable[[Photo], Pixels], str]] = {
    "bgr": (swapped, "red and blue are swapped"),
    "planar": (planes, "the channels lie one after the other ([3, H, W]), not pixel by pixel"),
    "argb": (alpha_first, "the bytes start with alpha (ARGB), not with red"),
    "grey": (greyed, "the colours are lost (grey in all three channels)"),
}

# What a pixel value, by channel [256, 3], becomes in the app. Cast to the input's type afterwards.
RANGE_WAYS: dict[str, tuple[Reals, str]] = {
    "scaled-to-0-1": (_PIXEL / 255, "the pixels are divided by 255"),
    "scaled-to-minus-1-1": (_PIXEL / 127.5 - 1, "the pixels are scaled to -1 to 1"),
    "standardized": (
        (_PIXEL / 255 - _MEAN) / _DEVIATION,
        "ImageNet's mean and deviation are applied to the pixels",
    ),
    "not-scaled": (_PIXEL, "the pixels 0 to 255 are handed over as they are"),
    "shifted-by-128": (_PIXEL - 128, "128 is taken from the pixels (int8)"),
    "video-range": (
        np.rint(16 + _PIXEL * (219 / 255)),
        "the pixels have a video's range, 16 to 235",
    ),
}
CAST_RAW = "cast-raw"
SCALED_AND_ROUNDED = "scaled-to-0-1-rounded"
ROUNDED_SENTENCE = "the pixels are divided by 255 and rounded"


def range_tables(
    image: ImageInput, tensor: TensorInfo | None, right: NDArray[np.generic] | None
) -> dict[str, tuple[NDArray[np.generic], str]]:
    """By name: what each pixel value becomes, ``[256, 3]`` of the input's type, and the sentence.

    Args:
        image: the contract's input.
        tensor: the file's, with the scale and zero point of an integer input; None for bytes as
            they are.
        right: what each pixel value has to become, ``[256]``; None where it stays.
    """
    wanted = np.arange(256, dtype=np.uint8) if right is None else right
    found = {}
    for name, (reals, sentence) in RANGE_WAYS.items():
        table = _cast(reals, image, tensor)
        if not np.array_equal(table, wanted[:, None].repeat(3, axis=1)):
            cast = f", then cast to {image.dtype}" if image.dtype != "float32" else ""
            found[name] = (table, sentence + cast)
    if image.range is not None and image.dtype != "float32":
        bytes_as_they_are = np.arange(256, dtype=np.uint8).view(image.dtype)
        raw = bytes_as_they_are[:, None].repeat(3, axis=1)
        found[CAST_RAW] = (raw, f"the bytes of the pixels are taken for {image.dtype}")
    if image.range is None:
        rounded = np.rint(_PIXEL / 255).astype(np.uint8)
        found[SCALED_AND_ROUNDED] = (rounded, f"{ROUNDED_SENTENCE}, then cast to {image.dtype}")
    return found


def _cast(reals: Reals, image: ImageInput, tensor: TensorInfo | None) -> NDArray[np.generic]:
    if image.dtype == "float32":
        return reals.astype(np.float32)
    if tensor is not None and tensor.scales:  # an app that knows the input's scale quantizes
        levels = np.rint(reals / tensor.scales[0]) + tensor.zero_points[0]
        return np.asarray(np.clip(levels, *INTEGER_LEVELS[image.dtype]).astype(image.dtype))
    # towards zero and then around, as C, Java and JavaScript do
    return np.asarray((np.trunc(reals).astype(np.int64) % 256).astype(np.uint8))
