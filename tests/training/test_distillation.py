"""What a teacher says of an image, and what becomes of it in the targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.progress import Silent
from lesionlite_export.representative import PreparedImage
from lesionlite_training.distillation import distilled_targets, view_means

SIDE = 8


def corner_network(units: int) -> Any:
    """Logits that are the brightness of the upper left corner, in steps of 50, times 1, 2, ..."""
    import keras

    pixels = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    corner = keras.layers.Rescaling(0.02)(pixels)[:, 0, 0, :1]
    scale = keras.layers.Dense(units, use_bias=False)
    network = keras.Model(pixels, scale(corner))
    scale.set_weights([np.arange(1.0, units + 1)[np.newaxis]])
    return network


def lit(corners: list[int]) -> PreparedImage:
    """A black image but for its corners: upper left, upper right, lower left, lower right."""
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    places = ((0, 0), (0, -1), (-1, 0), (-1, -1))
    for (row, column), value in zip(places, corners, strict=True):
        pixels[row, column] = value
    return PreparedImage(LabelledImage(Path("a.png"), 0, ""), pixels, "a")


@pytest.mark.tensorflow
@pytest.mark.parametrize("units", [1, 3])
def test_a_teacher_says_the_mean_over_all_turns_and_flips(units: int) -> None:
    """Each corner comes to the upper left in two of the eight views."""
    images = [lit([0, 50, 100, 150]), lit([200, 200, 0, 0])]
    found = view_means(corner_network(units), images, "the teacher", Silent())
    logits = np.array([[0, 1, 2, 3], [4, 4, 0, 0]])[..., np.newaxis] * np.arange(1, units + 1)
    exponents = np.exp(logits)
    total = 1 + exponents if units == 1 else exponents.sum(-1, keepdims=True)
    assert found == pytest.approx((exponents / total).mean(1), abs=1e-6)


def test_the_share_is_the_teachers() -> None:
    labels = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    said = np.array([[0.6, 0.4], [0.3, 0.7]])
    found = distilled_targets(labels, said, 0.75)
    assert found.dtype == np.float32
    assert found == pytest.approx(np.array([[0.7, 0.3], [0.225, 0.775]]))
