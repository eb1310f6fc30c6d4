"""The usual scalings of pixels, and what a network's first batch norm knows of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.export.brought import fitted

from lesionlite_export.pixel_scaling import (
    batch_norm_misfit,
    scaled,
    scaling_in_words,
    usual_scalings,
)
from lesionlite_runtime.draft_fields import DraftImage

IMAGE = DraftImage((1, 32, 32, 3), (0.0, 1.0), "RGB", "pillow-bilinear-v1")
OWN = {
    "0 to 1": IMAGE,
    "-1 to 1": DraftImage(IMAGE.shape, (-1.0, 1.0), "RGB", IMAGE.resize),
    "0 to 255": DraftImage(IMAGE.shape, (0, 255), "RGB", IMAGE.resize),
}


def test_pixels_are_scaled_and_ordered() -> None:
    pixels = np.array([[[[0, 51, 255]]]], np.uint8)
    assert scaled(pixels, IMAGE).ravel() == pytest.approx([0, 0.2, 1])
    bgr = DraftImage(IMAGE.shape, (0, 255), "BGR", IMAGE.resize, (100, 1, 2), (2, 5, 1))
    assert scaled(pixels, bgr).ravel().tolist() == [77.5, 10, -2]


@pytest.mark.parametrize("name", OWN)
def test_its_own_scaling_is_not_among_the_others(name: str) -> None:
    others = usual_scalings(OWN[name])
    assert len(others) == 4
    assert name not in others
    assert {o.resize for o in others.values()} == {IMAGE.resize}
    nearly = DraftImage(IMAGE.shape, (-127 / 128, 1.0), "RGB", IMAGE.resize)
    assert "-1 to 1" not in usual_scalings(nearly)
    turned = DraftImage(IMAGE.shape, (0.0, 1.0), "BGR", IMAGE.resize)
    assert usual_scalings(turned)["-1 to 1"].color == "BGR"


def test_a_scaling_in_words() -> None:
    assert scaling_in_words(IMAGE) == "0 to 1"
    other = DraftImage((1, 8, 8, 3), (0, 255), "BGR", "p", (103.939, 116.779, 123.68), (1, 2, 3))
    assert scaling_in_words(other) == "0 to 255 as BGR, less 103.939 116.779 123.68, by 1 2 3"


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", OWN)
def test_batch_norm_knows_the_scaling_that_it_was_trained_on(
    name: str, small_pixels: NDArray[np.uint8]
) -> None:
    own = OWN[name]
    labels = np.arange(len(small_pixels)) % 2
    network = fitted(small_pixels, labels, low=own.range[0], high=own.range[1])
    least = batch_norm_misfit(network, scaled(small_pixels, own))
    assert least is not None
    assert least < 0.05
    for other in usual_scalings(own).values():
        found = batch_norm_misfit(network, scaled(small_pixels, other))
        assert found is not None
        assert found > 0.3
    assert network.predict_on_batch(small_pixels.astype(np.float32)).shape == (len(labels), 1)


@pytest.mark.tensorflow
def test_no_batch_norm_or_an_untrained_one_says_nothing(small_pixels: NDArray[np.uint8]) -> None:
    import keras

    def network(*layers: Any) -> Any:
        return keras.Sequential([keras.Input((32, 32, 3)), *layers])

    x = scaled(small_pixels, IMAGE)
    conv = keras.layers.Conv2D(4, 3)
    assert batch_norm_misfit(network(conv), x) is None
    assert batch_norm_misfit(network(conv, keras.layers.BatchNormalization()), x) is None
