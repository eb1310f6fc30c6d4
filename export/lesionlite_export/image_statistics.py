"""Whether representative images can calibrate at all, and whether they look like the proof's.

A calibration on images unlike those that the file will see puts the ranges of its activations in
the wrong places. How images look is told by three figures an image (see `image_figures`); two sets
differ in one where the standardized difference of its means (Cohen's d) passes `LIMIT` and three
standard errors of itself. docs/calibration.md has what that limit lets pass and stops.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.representative import ImageTensor
from lesionlite_runtime.errors import UnusableInput

FIGURES = ("brightness", "contrast", "saturation")
LIMIT = 0.75
"""Standardized difference between two sets of images from which on a warning is due."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_STANDARD_ERRORS = 3.0
_LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class SetStatistics:
    """How the images of a set look: mean over images and standard deviation between them.

    Attributes:
        n: number of images.
        mean: by the names in `FIGURES`, each 0 to 1.
        deviation: likewise.
    """

    n: int
    mean: dict[str, float]
    deviation: dict[str, float]


def image_figures(pixels: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Brightness, contrast and saturation of ``[H, W, 3]``, each 0 to 1.

    Brightness is the mean of the luma (BT.601) over pixels, contrast its standard deviation,
    saturation the mean of HSV's ``(max - min) / max``.
    """
    scaled = pixels.astype(np.float32) / 255
    luma = scaled @ LUMA
    high, low = scaled.max(-1), scaled.min(-1)
    saturation = np.divide(high - low, high, out=np.zeros_like(high), where=high > 0)
    return float(luma.mean()), float(luma.std()), float(saturation.mean())


def set_statistics(pixels: Iterable[NDArray[np.uint8]]) -> SetStatistics:
    """The statistics of a set of images ``[H, W, 3]``, one at least."""
    figures = np.array([image_figures(image) for image in pixels], np.float64)
    n = len(figures)
    deviation = figures.std(0, ddof=1) if n > 1 else np.zeros(len(FIGURES))
    return SetStatistics(
        n,
        dict(zip(FIGURES, figures.mean(0).tolist(), strict=True)),
        dict(zip(FIGURES, deviation.tolist(), strict=True)),
    )


def standardized_differences(first: SetStatistics, second: SetStatistics) -> dict[str, float]:
    """Cohen's d of each figure, ``second`` less ``first``, over the root mean square deviation."""
    differences = {}
    for name in FIGURES:
        spread = np.hypot(first.deviation[name], second.deviation[name]) / np.sqrt(2)
        difference = second.mean[name] - first.mean[name]
        differences[name] = float(difference / max(float(spread), _LEAST_SPREAD))
    return differences


def difference_limit(first: int, second: int) -> float:
    """The standardized difference that sets of so many images are let pass.

    It is `LIMIT`, or three standard errors of the difference where the sets are small.
    """
    return max(LIMIT, _STANDARD_ERRORS * float(np.sqrt(1 / first + 1 / second)))


def compare_sets(representative: Sequence[ImageTensor], proof: Sequence[ImageTensor]) -> list[str]:
    """A warning for each figure in which the proof images look unlike the representative ones.

    Args:
        representative: the images that calibrate, one at least.
        proof: the images that the file is proved on, one at least.
    """
    first = set_statistics(image.pixels for image in representative)
    second = set_statistics(image.pixels for image in proof)
    limit = difference_limit(first.n, second.n)
    return [
        f"the proof images have another {name} than the representative ones "
        f"({second.mean[name]:.2f}, not {first.mean[name]:.2f}: {abs(difference):.1f} standard "
        f"deviations apart, and {limit:.2f} are let pass): calibrate on images like those that the "
        "file will see"
        for name, difference in standardized_differences(first, second).items()
        if abs(difference) > limit
    ]


def check_representative(images: Sequence[ImageTensor], source: str) -> list[str]:
    """Warnings about images that calibrate poorly.

    Args:
        images: the images that calibrate, one at least.
        source: what lists them, for errors.

    Raises:
        UnusableInput: when every image is of one colour: then no activation has a range.
    """
    n = len(images)
    plain = sum(bool((image.pixels == image.pixels[0, 0]).all()) for image in images)
    if plain == n:
        raise UnusableInput(
            f"each of its {n} images is of one colour, so that no range can be measured",
            "calibrate on photos like those that the file will see",
            source,
        )
    warnings = []
    if plain:
        warnings.append(f"{plain} of {n} representative images are of one colour each")
    classes = {image.image.class_name for image in images}
    labels = {image.image.label for image in images}
    if len(classes) == 1 and "" not in classes:
        warnings.append(
            f"all {n} representative images are of the class {classes.pop()}: the ranges of the "
            "others are not calibrated"
        )
    elif len(labels) == 1:
        warnings.append(
            f"all {n} representative images have the label {labels.pop()}: the ranges of the other "
            "are not calibrated"
        )
    return warnings
