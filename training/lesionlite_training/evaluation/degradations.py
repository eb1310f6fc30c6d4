"""What befalls a photo on its way: compression, blur, light, colour, framing, few pixels.

Each degradation takes the decoded, upright photo, uint8 RGB ``[H, W, 3]``, and gives another such
photo, the same each time. What they do is a stated amount of one thing, no model of a camera.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from lesionlite_runtime.pixels import MIN_SIDE, decode, resize

Pixels = NDArray[np.uint8]
LUMA = (0.299, 0.587, 0.114)
"""Rec. 601."""


@dataclass(frozen=True)
class Degradation:
    """A change of photos: its name, how much of it, and the function that makes it."""

    name: str
    level: str
    apply: Callable[[Pixels], Pixels]


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    """``pixels`` written as JPEG by Pillow (colour at half the resolution) and read again."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return decode(stream.getvalue())


def blur(pixels: Pixels, share: float) -> Pixels:
    """Pillow's Gaussian blur with a standard deviation of ``share`` of the width."""
    sigma = share * pixels.shape[1]
    return np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma)))


def gains(pixels: Pixels, red: float, green: float, blue: float) -> Pixels:
    """Each channel's values times a factor, cut off at 255."""
    return _recolored(pixels, np.diag([red, green, blue]))


def hue(pixels: Pixels, share: float) -> Pixels:
    """Colours turned about the grey axis by ``share`` of the full circle, red towards yellow."""
    angle = 2 * math.pi * share
    mean, side = (1 - math.cos(angle)) / 3, math.sin(angle) / math.sqrt(3)
    about = np.array([[0, -side, side], [side, 0, -side], [-side, side, 0]])
    return _recolored(pixels, math.cos(angle) * np.eye(3) + mean + about)


def saturation(pixels: Pixels, factor: float) -> Pixels:
    """The distance of each value from its pixel's luma times ``factor``."""
    return _recolored(pixels, factor * np.eye(3) + (1 - factor) * np.array([LUMA] * 3))


def turn(pixels: Pixels, degrees: float) -> Pixels:
    """The photo turned anticlockwise in its frame, which is mirrored at its border."""
    height, width = pixels.shape[:2]
    margin = math.ceil((math.hypot(height, width) - min(height, width)) / 2) + 1
    framed = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode="symmetric")
    turned = Image.fromarray(framed).rotate(degrees, Image.Resampling.BILINEAR)
    return np.array(turned)[margin : margin + height, margin : margin + width].copy()


def quarter_turn(pixels: Pixels) -> Pixels:
    """The whole photo turned anticlockwise by 90 degrees, and its frame with it."""
    return np.ascontiguousarray(np.rot90(pixels))


def mirror(pixels: Pixels) -> Pixels:
    """Left and right changed over."""
    return np.ascontiguousarray(pixels[:, ::-1])


def crop(pixels: Pixels, share: float) -> Pixels:
    """The middle of the photo: ``share`` of each side, and `MIN_SIDE` pixels at least."""
    height, width = (max(MIN_SIDE, round(share * side)) for side in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width].copy()


def shift(pixels: Pixels, share: float) -> Pixels:
    """The photo moved to the right and down by ``share`` of each side, mirrored at its border."""
    height, width = pixels.shape[:2]
    down, right = round(share * height), round(share * width)
    framed = np.pad(pixels, ((down, 0), (right, 0), (0, 0)), mode="symmetric")
    return framed[:height, :width].copy()


def few_pixels(pixels: Pixels, side: int) -> Pixels:
    """The photo shrunk until its longer side has ``side`` pixels, and stretched again.

    Both by ``pillow-bilinear-v1``. A photo that has no more pixels stays as it is.
    """
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    small = resize(pixels, max(1, round(scale * height)), max(1, round(scale * width)))
    return resize(small, height, width)


def _recolored(pixels: Pixels, matrix: NDArray[np.float64]) -> Pixels:
    rows = np.column_stack([matrix, np.zeros(3)])
    return np.array(Image.fromarray(pixels).convert("RGB", tuple(rows.ravel().tolist())))


DEGRADATIONS = (
    *(Degradation("JPEG", f"quality {q}", partial(jpeg, quality=q)) for q in (50, 30, 10)),
    *(
        Degradation("blur", f"sigma {100 * s:g} % of width", partial(blur, share=s))
        for s in (0.002, 0.004, 0.008)
    ),
    *(
        Degradation("exposure", f"x {x:g}", partial(gains, red=x, green=x, blue=x))
        for x in (0.6, 0.8, 1.25, 1.5)
    ),
    Degradation("cast", "red +10 %, blue -10 %", partial(gains, red=1.1, green=1, blue=0.9)),
    Degradation("cast", "red -10 %, blue +10 %", partial(gains, red=0.9, green=1, blue=1.1)),
    *(Degradation("hue", f"{s:+g} of the circle", partial(hue, share=s)) for s in (-0.05, 0.05)),
    *(Degradation("saturation", f"x {x:g}", partial(saturation, factor=x)) for x in (0.7, 1.3)),
    *(Degradation("turn", f"{d} degrees", partial(turn, degrees=d)) for d in (15, 45)),
    Degradation("turn", "90 degrees", quarter_turn),
    Degradation("mirror", "left to right", mirror),
    *(
        Degradation("centre crop", f"{100 * s:g} % of sides", partial(crop, share=s))
        for s in (0.9, 0.75)
    ),
    Degradation("shift", "10 % of sides", partial(shift, share=0.1)),
    *(
        Degradation("few pixels", f"longer side {n}", partial(few_pixels, side=n))
        for n in (128, 64)
    ),
)
