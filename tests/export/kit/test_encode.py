"""The kit's own image files: each reads back as the kind that it is meant to be."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lesionlite_export.kit import encode
from lesionlite_runtime.imagefiles import open_picture
from lesionlite_runtime.pixels import decode

NO_LIMIT = 10**8


def drawn(height: int = 40, width: int = 56) -> NDArray[np.uint8]:
    """Gradients that differ in every channel and direction."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 4, y * 6, (x * y) % 256], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_file_reads_back_upright(orientation: int) -> None:
    data = encode.png(drawn(), orientation=orientation)
    picture = open_picture(data, NO_LIMIT)
    assert picture.orientation == orientation
    assert np.array_equal(decode(data), drawn())
    photo = decode(encode.jpeg(drawn(), orientation=orientation))
    assert photo.shape == drawn().shape
    assert np.abs(photo.astype(int) - drawn()).mean() < 10
    assert np.array_equal(encode.turned(encode.stored(drawn(), orientation), orientation), drawn())


def test_a_deep_png_keeps_both_bytes() -> None:
    samples = drawn().astype(np.uint16) << 8 | (255 - drawn())
    data = encode.png(samples)
    assert data[24] == 16
    assert np.array_equal(decode(data), drawn())
    grey = encode.png(samples[..., 0])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(grey))), samples[..., 0])


def test_every_kind_is_what_it_says() -> None:
    kinds = {
        "L": encode.png(drawn()[..., 0]),
        "RGBA": encode.png(np.dstack([drawn(), drawn()[..., 0]])),
        "P": encode.palette_png(drawn()),
        "CMYK": encode.jpeg(encode.inks(drawn()), mode="CMYK"),
    }
    for mode, data in kinds.items():
        assert open_picture(data, NO_LIMIT).image.mode == mode
    assert open_picture(encode.jpeg(drawn(), mode="L"), NO_LIMIT).image.mode == "L"
    assert "progressive" in Image.open(io.BytesIO(encode.jpeg(drawn(), progressive=True))).info


def test_inks_give_the_colours_back() -> None:
    ink = encode.inks(drawn()).astype(int)
    left = 255 - ink
    assert np.abs(left[..., :3] * left[..., 3:] // 255 - drawn()).max() <= 2


def test_the_profile_exchanges_red_and_blue() -> None:
    data = encode.png(drawn(), icc=encode.swapped_profile())
    apart = np.abs(decode(data).astype(int) - drawn()[..., ::-1])
    assert apart.mean() < 4  # the curve is 2.2, sRGB's is near it
    assert np.abs(decode(data).astype(int) - drawn()).mean() > 20


def test_equal_pixels_give_equal_bytes() -> None:
    assert encode.png(drawn()) == encode.png(drawn())
    assert encode.jpeg(drawn(), orientation=5) == encode.jpeg(drawn(), orientation=5)
