"""Each degradation does what its name and level say, measured on the pixels."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lesionlite_runtime.pixels import MIN_SIDE, decode
from lesionlite_training.evaluation import degradations
from lesionlite_training.evaluation.degradations import DEGRADATIONS, Degradation, Pixels

ALL = {f"{one.name}, {one.level}": one for one in DEGRADATIONS}


def noise(height: int = 60, width: int = 90, seed: int = 0) -> Pixels:
    """An image of which no two pixels are alike."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def ramp(height: int = 60, width: int = 90) -> Pixels:
    """Red grows to the right, green downwards; blue is level."""
    red = np.broadcast_to(np.linspace(20, 220, width), (height, width))
    green = np.broadcast_to(np.linspace(20, 220, height)[:, np.newaxis], (height, width))
    return np.stack([red, green, np.full((height, width), 100.0)], axis=-1).astype(np.uint8)


def flat(red: int, green: int, blue: int) -> Pixels:
    return np.full((40, 50, 3), (red, green, blue), np.uint8)


def test_the_list_is_what_is_promised() -> None:
    assert list(ALL) == [
        "JPEG, quality 50",
        "JPEG, quality 30",
        "JPEG, quality 10",
        "blur, sigma 0.2 % of width",
        "blur, sigma 0.4 % of width",
        "blur, sigma 0.8 % of width",
        "exposure, x 0.6",
        "exposure, x 0.8",
        "exposure, x 1.25",
        "exposure, x 1.5",
        "cast, red +10 %, blue -10 %",
        "cast, red -10 %, blue +10 %",
        "hue, -0.05 of the circle",
        "hue, +0.05 of the circle",
        "saturation, x 0.7",
        "saturation, x 1.3",
        "turn, 15 degrees",
        "turn, 45 degrees",
        "turn, 90 degrees",
        "mirror, left to right",
        "centre crop, 90 % of sides",
        "centre crop, 75 % of sides",
        "shift, 10 % of sides",
        "few pixels, longer side 128",
        "few pixels, longer side 64",
    ]


@pytest.mark.parametrize("name", ALL)
def test_a_photo_becomes_another_photo_the_same_each_time(
    name: str, drawn_photos: list[Path]
) -> None:
    photo = decode(drawn_photos[0])
    before = photo.copy()
    first, second = ALL[name].apply(photo), ALL[name].apply(photo)
    assert np.array_equal(photo, before)
    assert first.dtype == np.uint8
    assert first.ndim == 3
    assert first.shape[2] == 3
    assert first.flags.c_contiguous
    assert np.array_equal(first, second)
    assert first.shape != photo.shape or not np.array_equal(first, photo)


@given(st.sampled_from(DEGRADATIONS), st.integers(32, 50), st.integers(32, 50), st.integers(0, 9))
@settings(max_examples=60)
def test_no_size_is_too_odd(one: Degradation, height: int, width: int, seed: int) -> None:
    """What is large enough to decide on stays so."""
    degraded = one.apply(noise(height, width, seed))
    assert degraded.dtype == np.uint8
    assert min(degraded.shape[:2]) >= MIN_SIDE


@pytest.mark.parametrize("quality", [50, 30, 10])
def test_jpeg_is_pillows(quality: int, drawn_photos: list[Path]) -> None:
    photo = decode(drawn_photos[0])
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, "JPEG", quality=quality)
    wanted = np.array(Image.open(stream))
    assert np.array_equal(ALL[f"JPEG, quality {quality}"].apply(photo), wanted)


def test_a_lower_quality_and_a_wider_blur_change_more(drawn_photos: list[Path]) -> None:
    photo = decode(drawn_photos[0])

    def change(name: str) -> float:
        return float(np.abs(ALL[name].apply(photo).astype(int) - photo).mean())

    for names in (
        [f"JPEG, quality {quality}" for quality in (50, 30, 10)],
        [f"blur, sigma {share:g} % of width" for share in (0.2, 0.4, 0.8)],
        [f"few pixels, longer side {side}" for side in (128, 64)],
    ):
        changes = [change(name) for name in names]
        assert changes == sorted(changes)
        assert changes[0] > 0


@pytest.mark.parametrize("share", [0.002, 0.004, 0.008])
def test_the_blur_is_as_wide_as_it_says(share: float) -> None:
    """The slope of a blurred edge is a Gaussian, whose spread is the sigma."""
    width = 1000
    edge = np.zeros((40, width, 3), np.uint8)
    edge[:, width // 2 :] = 240
    line = degradations.blur(edge, share)[20, :, 0].astype(float)
    slope = np.diff(line) / 240
    places = np.arange(len(slope))
    center = (places * slope).sum()
    sigma = math.sqrt(((places - center) ** 2 * slope).sum())
    assert sigma == pytest.approx(share * width, rel=0.06)
    assert center == pytest.approx(width / 2 - 1, abs=0.1)


@pytest.mark.parametrize("factor", [0.6, 0.8, 1.25, 1.5])
def test_exposure_multiplies_and_cuts_off(factor: float) -> None:
    photo = noise()
    found = ALL[f"exposure, x {factor:g}"].apply(photo)
    assert np.abs(found - np.minimum(photo * factor, 255)).max() <= 0.5
    assert (found == 255).any() == (factor > 1)


def test_a_cast_has_its_gains() -> None:
    photo = noise()
    warm = ALL["cast, red +10 %, blue -10 %"].apply(photo)
    cool = ALL["cast, red -10 %, blue +10 %"].apply(photo)
    assert np.array_equal(warm[..., 1], photo[..., 1])
    for found, red, blue in ((warm, 1.1, 0.9), (cool, 0.9, 1.1)):
        wanted = np.minimum(photo * np.array([red, 1, blue]), 255)
        assert np.abs(found - wanted).max() <= 0.5


def angle(pixels: Pixels) -> float:
    """The hue as a share of the full circle: the angle about the grey axis, red at 0."""
    red, green, blue = pixels.reshape(-1, 3).astype(float).mean(0)
    return math.atan2(math.sqrt(3) * (green - blue), 2 * red - green - blue) / (2 * math.pi) % 1


@pytest.mark.parametrize("share", [-0.05, 0.05])
@pytest.mark.parametrize("color", [(180, 90, 60), (120, 160, 90), (90, 100, 170)])
def test_the_hue_turns_by_its_share(share: float, color: tuple[int, int, int]) -> None:
    photo = flat(*color)
    found = ALL[f"hue, {share:+g} of the circle"].apply(photo)
    assert (angle(found) - angle(photo) + 0.5) % 1 - 0.5 == pytest.approx(share, abs=0.003)
    assert found.mean() == pytest.approx(photo.mean(), abs=0.5)
    assert found.astype(float).std() == pytest.approx(photo.astype(float).std(), abs=1)
    grey = flat(77, 77, 77)
    assert np.array_equal(ALL[f"hue, {share:+g} of the circle"].apply(grey), grey)


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_the_saturation_is_the_distance_from_the_luma(factor: float) -> None:
    photo = np.clip(noise(), 90, 160)
    luma = (photo * np.array([0.299, 0.587, 0.114])).sum(-1, keepdims=True)
    found = ALL[f"saturation, x {factor:g}"].apply(photo)
    assert np.abs(found - (luma + factor * (photo - luma))).max() <= 0.51


@pytest.mark.parametrize("degrees", [15, 45])
def test_a_turn_turns_about_the_middle(degrees: int) -> None:
    """On a level slope the value says where a pixel comes from."""
    photo = ramp(101, 151)
    found = ALL[f"turn, {degrees} degrees"].apply(photo).astype(float)
    assert found.shape == photo.shape
    y, x = np.mgrid[-20:21, -20:21]
    radians = math.radians(degrees)
    # Anticlockwise on the screen, where y goes down: what is shown at (x, y) was at from_x, from_y.
    from_x = 75 + x * math.cos(radians) - y * math.sin(radians)
    from_y = 50 + x * math.sin(radians) + y * math.cos(radians)
    middle = found[30:71, 55:96]
    assert np.abs(middle[..., 0] - (20 + from_x * 200 / 150)).max() < 2
    assert np.abs(middle[..., 1] - (20 + from_y * 200 / 100)).max() < 3


def test_a_turn_mirrors_the_frame_at_its_border() -> None:
    """No black corner is made up."""
    photo = flat(200, 150, 120)
    for degrees in (15, 45):
        assert np.array_equal(ALL[f"turn, {degrees} degrees"].apply(photo), photo)


def test_quarter_turn_and_mirror_move_every_pixel() -> None:
    photo = noise()
    turned = ALL["turn, 90 degrees"].apply(photo)
    assert turned.shape == (90, 60, 3)
    assert np.array_equal(turned[::-1].transpose(1, 0, 2), photo)
    mirrored = ALL["mirror, left to right"].apply(photo)
    assert np.array_equal(mirrored[:, ::-1], photo)


@pytest.mark.parametrize(("share", "shape"), [(0.9, (90, 180, 3)), (0.75, (75, 150, 3))])
def test_a_crop_is_the_middle(share: float, shape: tuple[int, ...]) -> None:
    photo = noise(100, 200)
    found = ALL[f"centre crop, {100 * share:g} % of sides"].apply(photo)
    assert found.shape == shape
    top, left = (100 - shape[0]) // 2, (200 - shape[1]) // 2
    assert np.array_equal(found, photo[top : top + shape[0], left : left + shape[1]])
    assert degradations.crop(noise(33, 400), 0.75).shape == (32, 300, 3)


def test_a_shift_goes_to_the_right_and_down() -> None:
    photo = noise(60, 90)
    found = ALL["shift, 10 % of sides"].apply(photo)
    assert found.shape == photo.shape
    assert np.array_equal(found[6:, 9:], photo[:-6, :-9])
    assert np.array_equal(found[:6, 9:], photo[:6, :-9][::-1])
    assert np.array_equal(found[6:, :9], photo[:-6, :9][:, ::-1])


@pytest.mark.parametrize("side", [128, 64])
def test_few_pixels_keep_no_more_than_they_can(side: int) -> None:
    apply: Callable[[Pixels], Pixels] = ALL[f"few pixels, longer side {side}"].apply
    stripes = np.zeros((200, 400, 3), np.uint8)
    stripes[:, ::2] = 200  # finer than any of the few pixels
    found = apply(stripes)
    assert found.shape == stripes.shape
    assert np.abs(found.astype(int) - 100).max() < 25
    broad = np.zeros((200, 400, 3), np.uint8)
    broad[:, 200:] = 200
    assert np.abs(apply(broad)[:, 20:180].astype(int)).max() == 0
    assert np.abs(apply(broad)[:, 220:380].astype(int) - 200).max() == 0
    small = noise(side, side)
    assert np.array_equal(apply(small), small)
