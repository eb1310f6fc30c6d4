"""Ways to lay a picture wrongly into the network's frame: turned, cut, or resized otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lesionlite_export.kit.encode import turned
from lesionlite_export.kit.photo import Photo
from lesionlite_runtime.color import to_rgb
from lesionlite_runtime.resize import RESIZE_METHODS, resize

Pixels = NDArray[np.uint8]
Way = Callable[[Photo], "Pixels | None"]
_GREY_BARS = 114
_IMAGENET = 256 / 224


def orientation_ignored(photo: Photo, only_png: bool = False) -> Pixels | None:
    """As stored; ``only_png``: where a PNG says how it is turned."""
    if photo.picture.orientation == 1 or (only_png and not photo.is_png):
        return None
    return _stretched(photo, to_rgb(replace(photo.picture, orientation=1)))


def turned_twice(photo: Photo) -> Pixels | None:
    """By the decoder and once more by the app."""
    if photo.picture.orientation == 1:
        return None
    return _stretched(photo, turned(photo.upright, photo.picture.orientation))


def wrong_way_round(photo: Photo) -> Pixels | None:
    """Quarter turns counter-clockwise in place of clockwise."""
    other = {5: 7, 6: 8, 7: 5, 8: 6}.get(photo.picture.orientation)
    if other is None:
        return None
    return _stretched(photo, to_rgb(replace(photo.picture, orientation=other)))


def mirrors_ignored(photo: Photo) -> Pixels | None:
    """The four orientations that mirror taken for none."""
    if photo.picture.orientation not in (2, 4, 5, 7):
        return None
    return orientation_ignored(photo)


def laid_otherwise(photo: Photo, orientation: int) -> Pixels:
    """Every picture turned, as if by ``orientation``."""
    return _stretched(photo, turned(photo.upright, orientation))


def resized_by(photo: Photo, method: str) -> Pixels | None:
    """By another method that contracts know."""
    target = photo.target
    if method == target.resize:
        return None
    return resize(photo.upright, target.height, target.width, method)


def filtered(photo: Photo, resample: Image.Resampling) -> Pixels:
    """By a filter of Pillow's, of which nearest takes the pixel under the middle."""
    size = (photo.target.width, photo.target.height)
    return np.asarray(Image.fromarray(photo.upright).resize(size, resample))


def rows_first(photo: Photo) -> Pixels | None:
    """Pillow's bilinear down, then across: the bytes between the passes are others."""
    if photo.target.resize != "pillow-bilinear-v1":
        return None
    image = Image.fromarray(photo.upright)
    down = image.resize((image.width, photo.target.height), Image.Resampling.BILINEAR)
    size = (photo.target.width, photo.target.height)
    return np.asarray(down.resize(size, Image.Resampling.BILINEAR))


def nearest_of_corners(photo: Photo) -> Pixels:
    """The pixel under the upper left corner: ``floor(i * n / m)``."""
    rows, columns = (
        np.arange(wanted) * length // wanted for length, wanted in zip(*_sizes(photo), strict=True)
    )
    return photo.upright[rows[:, None], columns]


def corners_aligned(photo: Photo) -> Pixels:
    """Bilinear without antialiasing, the last pixel on the last: ``i * (n - 1) / (m - 1)``."""
    pixels = photo.upright.astype(np.float64)
    for axis, (length, wanted) in enumerate(zip(*_sizes(photo), strict=True)):
        place = np.arange(wanted) * ((length - 1) / max(wanted - 1, 1))
        low = np.minimum(place.astype(int), length - 1)
        share = (place - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        lower, upper = (pixels.take(at, axis=axis) for at in (low, np.minimum(low + 1, length - 1)))
        pixels = lower + (upper - lower) * share
    return _rounded(pixels)


def antialiased_in_float(photo: Photo) -> Pixels | None:
    """Pillow's triangle filter without rounding between the passes."""
    if photo.target.resize != "pillow-bilinear-v1":
        return None
    size = (photo.target.width, photo.target.height)
    channels = photo.upright.astype(np.float32).transpose(2, 0, 1)
    resized = [
        np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.BILINEAR), np.float64)
        for channel in channels
    ]
    return _rounded(np.dstack(resized))


def centre_square(photo: Photo) -> Pixels:
    """The middle of the longer side cut out, so that the proportions stay."""
    (height, width), (rows, columns) = _sizes(photo)
    scale = min(height / rows, width / columns)
    return _stretched(photo, _middle(photo.upright, round(rows * scale), round(columns * scale)))


def imagenet_crop(photo: Photo) -> Pixels:
    """The shorter side resized to 256 of 224, then the middle cut out."""
    (height, width), (rows, columns) = _sizes(photo)
    scale = min(height / rows, width / columns) / _IMAGENET
    larger = resize(
        photo.upright,
        max(rows, round(height / scale)),
        max(columns, round(width / scale)),
        photo.target.resize,
    )
    return _middle(larger, rows, columns)


def letterboxed(photo: Photo, bars: int) -> Pixels:
    """The proportions kept, bars of the grey ``bars`` beside."""
    (height, width), (rows, columns) = _sizes(photo)
    scale = max(height / rows, width / columns)
    inner = resize(
        photo.upright,
        max(1, round(height / scale)),
        max(1, round(width / scale)),
        photo.target.resize,
    )
    boxed = np.full((rows, columns, 3), bars, np.uint8)
    top, left = (rows - len(inner)) // 2, (columns - inner.shape[1]) // 2
    boxed[top : top + len(inner), left : left + inner.shape[1]] = inner
    return boxed


def _sizes(photo: Photo) -> tuple[tuple[int, int], tuple[int, int]]:
    """(rows, columns) of the upright picture, and those wanted."""
    height, width = photo.upright.shape[:2]
    return (height, width), (photo.target.height, photo.target.width)


def _stretched(photo: Photo, upright: Pixels) -> Pixels:
    target = photo.target
    return resize(upright, target.height, target.width, target.resize)


def _middle(pixels: Pixels, rows: int, columns: int) -> Pixels:
    top, left = (len(pixels) - rows) // 2, (pixels.shape[1] - columns) // 2
    return np.ascontiguousarray(pixels[top : top + rows, left : left + columns])


def _rounded(values: NDArray[np.float64]) -> Pixels:
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)


ORIENTATION_WAYS: dict[str, tuple[Way, str]] = {
    "orientation-ignored": (orientation_ignored, "the EXIF orientation is not applied"),
    "png-orientation-ignored": (
        partial(orientation_ignored, only_png=True),
        "the EXIF orientation of a PNG (its chunk eXIf) is not applied",
    ),
    "turned-twice": (
        turned_twice,
        "the EXIF orientation is applied twice: the decoder has turned the picture already",
    ),
    "wrong-way-round": (wrong_way_round, "quarter turns go the wrong way round (6 and 8 swapped)"),
    "mirrors-ignored": (
        mirrors_ignored,
        "the EXIF orientations that mirror (2, 4, 5, 7) are not applied",
    ),
    "upside-down": (partial(laid_otherwise, orientation=4), "every picture is upside down"),
    "mirrored": (partial(laid_otherwise, orientation=2), "every picture is mirrored"),
    "transposed": (partial(laid_otherwise, orientation=5), "rows and columns are swapped"),
}
OF_ANY_IMAGE = ("upside-down", "mirrored", "transposed")
"""Names of those that turn pictures without an orientation as well."""
RESIZE_WAYS: dict[str, tuple[Way, str]] = {
    "nearest": (
        partial(filtered, resample=Image.Resampling.NEAREST),
        "the resize takes the nearest pixel",
    ),
    "nearest-corner": (
        nearest_of_corners,
        "the resize takes the nearest pixel (of upper left corners)",
    ),
    **{
        f"resized-by-{method}": (
            partial(resized_by, method=method),
            {
                "tf-bilinear-v1": "the resize is bilinear without antialiasing (tf-bilinear-v1)",
                "mediapipe-bilinear-v1": "the resize is MediaPipe's own (mediapipe-bilinear-v1), "
                "bilinear without antialiasing",
                "pillow-bilinear-v1": "the resize is antialiased (pillow-bilinear-v1)",
            }[method],
        )
        for method in RESIZE_METHODS
    },
    "corners-aligned": (
        corners_aligned,
        "the resize is bilinear without antialiasing, with corners aligned",
    ),
    "bicubic": (partial(filtered, resample=Image.Resampling.BICUBIC), "the resize is bicubic"),
    "area": (
        partial(filtered, resample=Image.Resampling.BOX),
        "the resize averages over areas (a box filter)",
    ),
    "lanczos": (partial(filtered, resample=Image.Resampling.LANCZOS), "the resize is Lanczos's"),
    "centre-crop": (
        centre_square,
        "the middle of the picture is cut out before the resize; the contract stretches the whole",
    ),
    "imagenet-crop": (
        imagenet_crop,
        "the shorter side is resized to 256/224 of the input and the middle is cut out; the "
        "contract stretches the whole",
    ),
    "letterbox": (
        partial(letterboxed, bars=0),
        "the proportions are kept, with black bars; the contract stretches the whole",
    ),
    "letterbox-grey": (
        partial(letterboxed, bars=_GREY_BARS),
        "the proportions are kept, with grey bars; the contract stretches the whole",
    ),
    "rows-first": (
        rows_first,
        "the resize goes down before it goes across, and rounds between (one grey level off)",
    ),
    "antialiased-in-float": (
        antialiased_in_float,
        "the resize does not round to bytes between its two passes (one grey level off)",
    ),
}
