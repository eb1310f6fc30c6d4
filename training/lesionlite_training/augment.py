"""Augmentation for dermoscopy: one affine map and one colour map for each training image.

A lesion has no upright side, so turns and flips are free; crops and scale stand for distance and
framing; colour stays mild, since colour is a sign. What leaves the frame is mirrored at its border.
Last comes what a camera does to a photo: blur, and JPEG compression.
"""

from __future__ import annotations

import difflib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from lesionlite_runtime.errors import UsageError

# Rec. 601 luma, and the axes of colour difference around which a hue is turned.
_LUMA = np.array([0.299, 0.587, 0.114])
_TO_YIQ = np.array([_LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)
_MAX_PIXEL = 255.0
JPEG_QUALITIES = (30, 95)
"""Lowest and highest quality of Pillow's JPEG, drawn evenly."""


@dataclass(frozen=True)
class Augmentation:
    """The ranges that an image's changes are drawn from, each evenly.

    Attributes:
        crop: smallest share of the frame's area that a crop keeps, 0 to 1; 1 for no crop.
        aspect: largest ratio of a crop's sides, 1 or more; its logarithm is drawn evenly.
        turn: largest rotation either way, in degrees.
        quarter_turns: also turn by 0, 90, 180 or 270 degrees.
        flip: mirror every second image.
        scale: largest change of scale: a factor of ``1 - scale`` to ``1 + scale``.
        shear: largest shear either way, in degrees.
        brightness: largest change of the factor on all values.
        contrast: likewise on the distance from the image's mean luma.
        saturation: likewise on the distance from each pixel's luma.
        hue: largest turn of the hue either way, as a share of the full circle.
        blur: largest standard deviation of a Gaussian blur, as a share of the copy's side; every
            second image stays sharp.
        jpeg: share of the images that are compressed, at one of `JPEG_QUALITIES`.
        untouched: share of the images that are shown as the network will see them, but for the
            quarter turns and the flip. It is for the reader to keep, since `augment` is given an
            image of another size.
    """

    crop: float = 1.0
    aspect: float = 1.0
    turn: float = 0.0
    quarter_turns: bool = False
    flip: bool = False
    scale: float = 0.0
    shear: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    blur: float = 0.0
    jpeg: float = 0.0
    untouched: float = 0.0

    @property
    def turns_alone(self) -> Augmentation:
        """The quarter turns and the flip of this one, which move pixels and change none."""
        return Augmentation(quarter_turns=self.quarter_turns, flip=self.flip)


# The best set ("J") of Perez et al. 2018, arXiv 1809.01442.
_PEREZ_2018 = Augmentation(
    crop=0.4,
    aspect=4 / 3,
    turn=90.0,
    flip=True,
    quarter_turns=True,  # with the flips: what their two kinds of flip give
    scale=0.2,
    shear=20.0,
    brightness=0.3,
    contrast=0.3,
    saturation=0.3,
    hue=0.1,
)

PRESETS: Mapping[str, Augmentation] = {
    "none": Augmentation(),
    "flips": Augmentation(quarter_turns=True, flip=True),
    "mild": Augmentation(
        crop=0.7,
        aspect=1.1,
        quarter_turns=True,
        flip=True,
        brightness=0.1,
        contrast=0.1,
        saturation=0.1,
        hue=0.02,
    ),
    "perez2018": _PEREZ_2018,
    "perez2018-camera": replace(_PEREZ_2018, blur=0.008, jpeg=0.5),
    "half-mild-camera": Augmentation(
        crop=0.6,
        aspect=1.2,
        turn=90.0,
        flip=True,
        quarter_turns=True,
        scale=0.1,
        shear=8.0,
        brightness=0.15,
        contrast=0.15,
        saturation=0.15,
        hue=0.03,
        blur=0.008,
        jpeg=0.5,
        untouched=0.5,
    ),
}


def get_augmentation(name: str) -> Augmentation:
    """The preset called ``name``.

    Raises:
        UsageError: there is none; the sentence names the nearest ones.
    """
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS) or list(PRESETS)
        raise UsageError(f"unknown augmentation {name!r}", f"use one of: {', '.join(near)}")
    return PRESETS[name]


def augment(
    pixels: NDArray[np.uint8],
    size: int,
    augmentation: Augmentation,
    generator: np.random.Generator,
) -> NDArray[np.uint8]:
    """One changed copy of an image.

    Args:
        pixels: uint8 ``[H, W, 3]``.
        size: side of the copy in pixels.
        augmentation: what may change.
        generator: where the changes are drawn from; a fixed number of draws for each call.

    Returns:
        uint8 ``[size, size, 3]``.
    """
    matrix = _draw_geometry(augmentation, generator)
    colors, offset = _draw_colors(pixels, augmentation, generator)
    sigma, quality = _draw_camera(augmentation, size, generator)
    copy = _sample(pixels, size, matrix)
    if not np.array_equal(colors, np.eye(3)) or offset.any():
        changed = copy.reshape(-1, 3) @ colors.T.astype(np.float32) + offset.astype(np.float32)
        np.clip(changed, 0, _MAX_PIXEL, out=changed)
        copy = np.rint(changed, out=changed).astype(np.uint8).reshape(copy.shape)
    if sigma:
        copy = np.array(Image.fromarray(copy).filter(ImageFilter.GaussianBlur(sigma)))
    return copy if quality is None else _compressed(copy, quality)


def _draw_geometry(
    augmentation: Augmentation, generator: np.random.Generator
) -> NDArray[np.float64]:
    """``[2, 3]``: from the copy's coordinates to the image's, both -1 to 1 over the frame."""
    draw = generator.random(9)

    def within(value: float, limit: float) -> float:
        return (2 * value - 1) * limit

    area = 1 - draw[0] * (1 - augmentation.crop)
    # Half the logarithm on either side: the ratio of the sides is exp of the whole of it.
    ratio = math.exp(within(draw[1], math.log(augmentation.aspect)) / 2)
    half = np.minimum(1.0, math.sqrt(area) * np.array([ratio, 1 / ratio]))
    center = within(draw[2], 1.0) * (1 - half[0]), within(draw[3], 1.0) * (1 - half[1])
    quarter = int(draw[4] * 4) * 90 if augmentation.quarter_turns else 0
    angle = math.radians(quarter + within(draw[5], augmentation.turn))
    mirror = -1.0 if augmentation.flip and draw[6] < 0.5 else 1.0
    zoom = 1 / (1 + within(draw[7], augmentation.scale))
    slant = math.tan(math.radians(within(draw[8], augmentation.shear)))
    turned = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    turned = turned.round(12)  # so that quarter turns move each pixel onto another
    linear = np.diag(half) @ turned @ np.array([[1.0, slant], [0.0, 1.0]]) @ np.diag([mirror, 1.0])
    return np.column_stack([linear * zoom, center])


def _draw_colors(
    pixels: NDArray[np.uint8], augmentation: Augmentation, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrix ``[3, 3]`` and offset ``[3]`` of the map from colour to colour, values 0 to 255."""
    draw = 2 * generator.random(4) - 1
    bright = 1 + draw[0] * augmentation.brightness
    contrast = 1 + draw[1] * augmentation.contrast
    saturation = 1 + draw[2] * augmentation.saturation
    hue = 2 * math.pi * draw[3] * augmentation.hue
    turn = np.array(
        [
            [1.0, 0.0, 0.0],
            [0.0, saturation * math.cos(hue), -saturation * math.sin(hue)],
            [0.0, saturation * math.sin(hue), saturation * math.cos(hue)],
        ]
    )
    if not (augmentation.saturation or augmentation.hue):
        turned = np.eye(3)
    else:
        turned = _FROM_YIQ @ turn @ _TO_YIQ
    middle = 0.0
    if augmentation.contrast:
        middle = float(pixels.reshape(-1, 3).mean(0) @ _LUMA) * bright * (1 - contrast)
    return bright * contrast * turned, np.full(3, middle)


def _draw_camera(
    augmentation: Augmentation, size: int, generator: np.random.Generator
) -> tuple[float, int | None]:
    """The blur's standard deviation in pixels, and the JPEG quality; 0 and None for neither."""
    draw = generator.random(3)
    lowest, highest = JPEG_QUALITIES
    quality = lowest + int(draw[2] * (highest - lowest + 1))
    sigma = float(max(0.0, 2 * draw[0] - 1) * augmentation.blur * size)
    return sigma, quality if draw[1] < augmentation.jpeg else None


def _compressed(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.array(Image.open(stream))


def _sample(pixels: NDArray[np.uint8], size: int, matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The copy, bilinear, with the frame mirrored at its border where the map leaves it."""
    height, width = pixels.shape[:2]
    corners = np.array([[x, y, 1.0] for x in (-1.0, 1.0) for y in (-1.0, 1.0)]) @ matrix.T
    # One pixel more than the map reaches, for the neighbour that bilinear takes in.
    reach = np.abs(corners).max(0) - 1
    pad_x = min(width, max(0, math.ceil(reach[0] * width / 2 + 1)))
    pad_y = min(height, max(0, math.ceil(reach[1] * height / 2 + 1)))
    framed = np.pad(pixels, ((pad_y, pad_y), (pad_x, pad_x), (0, 0)), mode="symmetric")
    to_copy = np.array([[2 / size, 0, -1], [0, 2 / size, -1], [0, 0, 1]])
    to_pixels = np.array(
        [[width / 2, 0, width / 2 + pad_x], [0, height / 2, height / 2 + pad_y], [0, 0, 1]]
    )
    whole = to_pixels @ np.vstack([matrix, [0, 0, 1]]) @ to_copy
    copy = Image.fromarray(framed).transform(
        (size, size),
        Image.Transform.AFFINE,
        data=tuple(whole[:2].reshape(-1)),
        resample=Image.Resampling.BILINEAR,
    )
    return np.asarray(copy)
