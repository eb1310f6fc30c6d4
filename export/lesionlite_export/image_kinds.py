"""Images that are no photos: of one colour, or noise. What models make of them proves nothing.

A photo's brightness varies slowly: much of its variance is left when the image is averaged down to
8 x 8 fields. White noise keeps one part in as many as a field has pixels. docs/verification.md has
what was measured on photos, drawings and noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.image_statistics import LUMA

PHOTO, CONSTANT, NOISE = "photo", "constant", "noise"
FIELDS = 8
LEAST_DEVIATION = 1.0
"""Standard deviation of every channel, in levels of 255, below which an image is of one colour."""
NOISE_SHARE = 0.03
"""Share of the variance of the luma between fields below which an image is noise."""
_LEAST_SIDE = 32
_NOISE_FACTOR = 2.0


def image_kind(pixels: NDArray[np.uint8]) -> str:
    """``constant``, ``noise`` or ``photo``: what pixels ``[H, W, 3]`` look like.

    Images with a side below 32 pixels are not told from noise.
    """
    if float(pixels.std((0, 1)).max()) < LEAST_DEVIATION:
        return CONSTANT
    height, width = pixels.shape[0] // FIELDS, pixels.shape[1] // FIELDS
    if min(pixels.shape[:2]) < _LEAST_SIDE:
        return PHOTO
    # In a small image a field has few pixels, and noise keeps more.
    limit = max(NOISE_SHARE, _NOISE_FACTOR / (height * width))
    return NOISE if slow_share(pixels) < limit else PHOTO


def slow_share(pixels: NDArray[np.uint8]) -> float:
    """The share of the variance of the luma that is left in the means of 8 x 8 fields, 0 to 1.

    Args:
        pixels: ``[H, W, 3]`` with sides of 8 or more, not all of one luma; what does not fill a
            field at the lower and the right border is left out.
    """
    height, width = pixels.shape[0] // FIELDS, pixels.shape[1] // FIELDS
    luma = pixels[: height * FIELDS, : width * FIELDS].astype(np.float64) @ LUMA
    fields = luma.reshape(FIELDS, height, FIELDS, width).mean((1, 3))
    variance = float(luma.var())
    return float(fields.var()) / variance if variance > 0 else 1.0
