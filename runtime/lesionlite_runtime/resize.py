"""The resizes that a contract can name, each with arithmetic that does not change."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lesionlite_runtime.errors import UsageError

PILLOW_BILINEAR = "pillow-bilinear-v1"
TF_BILINEAR = "tf-bilinear-v1"
MEDIAPIPE_BILINEAR = "mediapipe-bilinear-v1"
RESIZE_METHODS = (PILLOW_BILINEAR, TF_BILINEAR, MEDIAPIPE_BILINEAR)

_BLOCK = 2**18  # output pixels at a time: work memory stays at some megabytes
_STEPS = 32  # places between two pixels that mediapipe-bilinear-v1 knows


def resize(
    pixels: NDArray[np.uint8], height: int, width: int, method: str = PILLOW_BILINEAR
) -> NDArray[np.uint8]:
    """Stretch an image to ``height`` x ``width``.

    Args:
        pixels: uint8 ``[H, W, 3]``.
        height: rows wanted, 1 or more.
        width: columns wanted, 1 or more.
        method: ``pillow-bilinear-v1``: Pillow's bilinear filter, widened where it shrinks
            (antialiased), in fixed point; ``tf-bilinear-v1``: ``tf_bilinear_float32``, rounded
            half to even; ``mediapipe-bilinear-v1``: what MediaPipe Tasks does to a photo on a CPU,
            corners aligned, not antialiased, in fixed point.

    Returns:
        uint8 ``[height, width, 3]``, C-contiguous; never the array that was given.

    Raises:
        UsageError: an array of another shape or type, a size below 1, an unknown method.
    """
    check_pixels(pixels)
    check_choice("resize method", method, RESIZE_METHODS)
    _check_target(height, width)
    if method == TF_BILINEAR:
        result = np.empty((height, width, 3), np.uint8)
        for rows, values in _tf_rows(pixels, height, width):
            result[rows] = np.clip(np.rint(values), 0, 255)
        return result
    if method == MEDIAPIPE_BILINEAR:
        return _mediapipe_bilinear(pixels, height, width)
    # Across, then down, in two calls: in one call Pillow decides on the order, which is always this
    # one up to version 12 and depends on the sizes from 13 on, and rounding between them shows it.
    across = Image.fromarray(pixels).resize((int(width), len(pixels)), Image.Resampling.BILINEAR)
    return np.array(across.resize((int(width), int(height)), Image.Resampling.BILINEAR))


def tf_bilinear_float32(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float32]:
    """What ``tf.image.resize(pixels, (height, width), "bilinear")`` computes, bit for bit.

    Half-pixel centres, no antialiasing, float32 throughout, no fused multiply-add. Memory beyond
    the result is a few megabytes, whatever the size of ``pixels``.

    Args:
        pixels: uint8 ``[H, W, 3]``.
        height: rows wanted, 1 or more.
        width: columns wanted, 1 or more.

    Returns:
        float32 ``[height, width, 3]`` in 0 to 255, not rounded.

    Raises:
        UsageError: an array of another shape or type, or a size below 1.
    """
    check_pixels(pixels)
    _check_target(height, width)
    result = np.empty((height, width, 3), np.float32)
    for rows, values in _tf_rows(pixels, height, width):
        result[rows] = values
    return result


def check_pixels(pixels: object) -> None:
    """Raise ``UsageError`` unless this is a uint8 array ``[H, W, 3]`` with a pixel in it."""
    if not isinstance(pixels, np.ndarray):
        found = type(pixels).__name__
    elif pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        found = f"{pixels.dtype} {list(pixels.shape)}"
    else:
        return
    raise UsageError(
        f"pixels have to be a uint8 array [height, width, 3] in RGB, not {found}",
        "convert them before the call",
    )


def check_choice(what: str, value: str, known: Iterable[str]) -> None:
    """Raise ``UsageError`` with the nearest names unless ``value`` is one of ``known``."""
    names = list(known)
    if value not in names:
        near = difflib.get_close_matches(str(value), names, n=2, cutoff=0.4) or names
        raise UsageError(f"unknown {what} {str(value)!r}", f"did you mean {' or '.join(near)}?")


def _check_target(height: int, width: int) -> None:
    for size in (height, width):
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise UsageError(
                f"an image cannot be resized to {height!r} x {width!r}",
                "give whole numbers of 1 or more",
            )


def _axis(
    length: int, wanted: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each output position the two source positions, and how far it is between them."""
    scale = np.float32(length) / np.float32(wanted)
    half = np.float32(0.5)
    at = (np.arange(wanted, dtype=np.float32) + half) * scale - half
    floor = np.floor(at)
    lower = np.maximum(floor.astype(np.intp), 0)
    upper = np.minimum(np.ceil(at).astype(np.intp), length - 1)
    return lower, upper, at - floor


def _tf_rows(
    pixels: NDArray[np.uint8], height: int, width: int
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """The rows of ``tf_bilinear_float32``, some at a time."""
    y0, y1, down = _axis(pixels.shape[0], height)
    x0, x1, across = _axis(pixels.shape[1], width)
    step = max(1, _BLOCK // width)
    for top in range(0, height, step):
        part = slice(top, top + step)
        upper = _tf_columns(pixels, y0[part, None], x0, x1, across)
        lower = _tf_columns(pixels, y1[part, None], x0, x1, across)
        yield part, upper + (lower - upper) * down[part, None, None]


def _tf_columns(
    pixels: NDArray[np.uint8],
    rows: NDArray[np.intp],
    x0: NDArray[np.intp],
    x1: NDArray[np.intp],
    across: NDArray[np.float32],
) -> NDArray[np.float32]:
    left = pixels[rows, x0].astype(np.float32)
    right = pixels[rows, x1].astype(np.float32)
    return left + (right - left) * across[:, None]


def _mediapipe_bilinear(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Bilinear between the four pixels around ``position * length / wanted``, in integers."""
    y0, y1, down = _steps(pixels.shape[0], height)
    x0, x1, across = _steps(pixels.shape[1], width)
    result = np.empty((height, width, 3), np.uint8)
    block = max(1, _BLOCK // width)
    for top in range(0, height, block):
        part = slice(top, top + block)
        upper = _weighed_columns(pixels, y0[part, None], x0, x1, across)
        lower = _weighed_columns(pixels, y1[part, None], x0, x1, across)
        weight = down[part, None, None]
        total = upper * (_STEPS - weight) + lower * weight
        result[part] = (total + _STEPS * _STEPS // 2) // (_STEPS * _STEPS)
    return result


def _steps(
    length: int, wanted: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int32]]:
    """For each output position the two source positions, and the steps from the first on.

    The place ``position * length / wanted`` is rounded to the nearest step, a tie to the even one.
    """
    place, rest = np.divmod(np.arange(wanted, dtype=np.int64) * (length * _STEPS), wanted)
    place += (2 * rest > wanted) | ((2 * rest == wanted) & (place % 2 == 1))
    pixel, steps = np.divmod(place, _STEPS)
    last = length - 1
    return np.minimum(pixel, last), np.minimum(pixel + 1, last), steps.astype(np.int32)


def _weighed_columns(
    pixels: NDArray[np.uint8],
    rows: NDArray[np.intp],
    x0: NDArray[np.intp],
    x1: NDArray[np.intp],
    across: NDArray[np.int32],
) -> NDArray[np.int32]:
    weight = across[:, None]
    return pixels[rows, x0] * (_STEPS - weight) + pixels[rows, x1] * weight
