"""What is told from a photo: one colour, and noise."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lesionlite_export.image_kinds import (
    CONSTANT,
    NOISE,
    NOISE_SHARE,
    PHOTO,
    image_kind,
    slow_share,
)
from lesionlite_runtime.pixels import image_tensor

Pixels = NDArray[np.uint8]
SIDE = 224


def resized(pixels: Pixels, side: int = SIDE) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return image_tensor(stream.getvalue(), side, side, "pillow-bilinear-v1", "stretch")


def noise(side: int, seed: int = 0, grey: bool = False) -> Pixels:
    shape = (side, side, 1 if grey else 3)
    drawn = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return np.repeat(drawn, 3, 2) if grey else drawn


@pytest.mark.parametrize("side", [96, 128, 224, 256, 640])
@pytest.mark.parametrize("grey", [False, True])
def test_noise_of_any_size_is_noise_to_the_network(side: int, grey: bool) -> None:
    assert image_kind(resized(noise(side, grey=grey))) == NOISE


@pytest.mark.parametrize("side", [32, 64, 96, 224, 299])
def test_noise_is_told_at_any_input_size(side: int) -> None:
    kinds = {image_kind(noise(side, seed)) for seed in range(20)}
    assert kinds == {NOISE}


def test_bell_shaped_and_faint_noise_are_noise() -> None:
    generator = np.random.default_rng(0)
    for deviation in (3, 40):
        drawn = np.clip(generator.normal(128, deviation, (SIDE, SIDE, 3)), 0, 255)
        assert image_kind(drawn.astype(np.uint8)) == NOISE


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (210, 150, 130)])
def test_one_colour_is_constant_and_so_is_one_level_of_difference(
    colour: tuple[int, int, int],
) -> None:
    pixels = np.full((SIDE, SIDE, 3), colour, np.uint8)
    assert image_kind(pixels) == CONSTANT
    pixels[::2] ^= 1
    assert image_kind(pixels) == CONSTANT


def test_a_drawn_photo_is_none_of_these_even_with_noise_upon_it(drawn_photos: list[Path]) -> None:
    generator = np.random.default_rng(1)
    for path in drawn_photos:
        pixels = image_tensor(path, SIDE, SIDE, "pillow-bilinear-v1", "stretch")
        assert image_kind(pixels) == PHOTO
        assert slow_share(pixels) > 10 * NOISE_SHARE
        spoiled = np.clip(pixels + generator.normal(0, 30, pixels.shape), 0, 255)
        assert image_kind(spoiled.astype(np.uint8)) == PHOTO
        shuffled = generator.permutation(pixels.reshape(-1, 3)).reshape(pixels.shape)
        assert image_kind(shuffled) == NOISE


def test_two_colours_of_one_luma_are_no_noise() -> None:
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[:, :, 1] = 100
    pixels[:, SIDE // 2 :] = (int(100 * 0.587 / 0.299), 0, 0)
    assert image_kind(pixels) == PHOTO


def test_a_tiny_image_is_not_told_from_noise() -> None:
    assert image_kind(noise(16)) == PHOTO


@pytest.mark.data
def test_every_real_photo_is_a_photo(data_dir: Path) -> None:
    shares = []
    for path in sorted(data_dir.glob("isic2017/valid/*/*.jpg")):
        pixels = image_tensor(path, SIDE, SIDE, "pillow-bilinear-v1", "stretch")
        assert image_kind(pixels) == PHOTO, path.name
        shares.append(slow_share(pixels))
    assert min(shares) > 5 * NOISE_SHARE
