"""Augmentation: what leaves an image as it is, what each change does, and what is never made up."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlite_runtime.errors import UsageError
from lesionlite_training.augment import PRESETS, Augmentation, augment, get_augmentation


def picture(height: int = 48, width: int = 64) -> np.ndarray:
    """Smooth colours, different at each place."""
    y, x = np.mgrid[:height, :width] / np.array([height, width])[:, np.newaxis, np.newaxis]
    return np.rint(np.stack([200 * x + 20, 180 * y + 30, 90 + 60 * x * y], 2)).astype(np.uint8)


def copies(augmentation: Augmentation, count: int = 40, size: int = 32) -> list[np.ndarray]:
    return [
        augment(picture(), size, augmentation, np.random.default_rng(seed)) for seed in range(count)
    ]


def test_no_augmentation_leaves_the_pixels() -> None:
    square = picture(40, 40)
    assert np.array_equal(augment(square, 40, Augmentation(), np.random.default_rng(0)), square)


def test_turns_and_flips_are_exact_and_all_occur() -> None:
    square = picture(40, 40)
    eight = {
        turned.tobytes()
        for turns in range(4)
        for turned in (np.rot90(square, turns), np.rot90(square[:, ::-1], turns))
    }
    seen = {
        augment(square, 40, PRESETS["flips"], np.random.default_rng(seed)).tobytes()
        for seed in range(100)
    }
    assert seen == eight


def test_a_crop_shows_a_part_of_the_frame() -> None:
    spans = []
    for copy in copies(Augmentation(crop=0.4)):
        red = copy[..., 0].astype(float)
        spans.append((red.max() - red.min()) / 200)
        assert red.min() >= 18
        assert red.max() <= 222
    # The crop is square in units of the frame: its side is the root of its share of the area.
    assert min(spans) == pytest.approx(np.sqrt(0.4), abs=0.08)
    assert max(spans) > 0.9


def test_what_leaves_the_frame_is_mirrored_and_not_black() -> None:
    for copy in copies(Augmentation(turn=90, shear=20, scale=0.2)):
        assert copy[..., 0].min() >= 18
        assert copy[..., 1].min() >= 28


def test_brightness_scales_all_values() -> None:
    plain = copies(Augmentation(), 1)[0].astype(float)
    factors = [(c / plain).mean() for c in copies(Augmentation(brightness=0.2))]
    assert min(factors) >= 0.79
    assert max(factors) <= 1.21
    assert max(factors) - min(factors) > 0.3


def test_contrast_keeps_the_mean_luma_and_saturation_each_luma() -> None:
    luma = np.array([0.299, 0.587, 0.114])
    muted = (90 + picture(64, 64) * 0.2).astype(np.uint8)  # no value is cut off at 0 or 255
    plain = muted @ luma

    def lumas(augmentation: Augmentation) -> list[np.ndarray]:
        generators = map(np.random.default_rng, range(40))
        return [augment(muted, 64, augmentation, generator) @ luma for generator in generators]

    contrasts = lumas(Augmentation(contrast=0.3))
    assert all(abs(copy.mean() - plain.mean()) < 1 for copy in contrasts)
    assert 0.71 > min(copy.std() / plain.std() for copy in contrasts) > 0.6
    assert all(
        np.abs(copy - plain).max() < 1.5 for copy in lumas(Augmentation(saturation=0.3, hue=0.1))
    )


def test_a_half_turn_of_the_hue_complements_colour() -> None:
    reddish = np.full((40, 40, 3), (150, 100, 100), np.uint8)
    hues = [
        augment(reddish, 40, Augmentation(hue=0.5), np.random.default_rng(seed))[0, 0]
        for seed in range(50)
    ]
    assert any(pixel[0] < pixel[1] for pixel in hues)


@given(
    st.integers(33, 90),
    st.integers(33, 90),
    st.integers(1, 70),
    st.sampled_from(sorted(PRESETS)),
    st.integers(0, 2**31),
)
def test_any_preset_gives_pixels_of_the_size_and_the_same_again(
    height: int, width: int, size: int, preset: str, seed: int
) -> None:
    made = [
        augment(picture(height, width), size, PRESETS[preset], np.random.default_rng(seed))
        for _ in range(2)
    ]
    assert made[0].shape == (size, size, 3)
    assert made[0].dtype == np.uint8
    assert np.array_equal(made[0], made[1])


def test_a_camera_blurs_every_second_copy_and_compresses_its_share() -> None:
    board = np.kron(np.indices((16, 16)).sum(0) % 2, np.ones((4, 4)))[..., np.newaxis]
    sharp = np.repeat(board * 200 + 20, 3, 2).astype(np.uint8)

    def changed(augmentation: Augmentation) -> list[np.ndarray]:
        generators = map(np.random.default_rng, range(200))
        return [augment(sharp, 64, augmentation, generator) for generator in generators]

    blurred = [copy for copy in changed(Augmentation(blur=0.02)) if not np.array_equal(copy, sharp)]
    assert 70 <= len(blurred) <= 130
    assert all(copy.std() < sharp.std() for copy in blurred)
    compressed = [copy for copy in changed(Augmentation(jpeg=0.25)) if (copy != sharp).any()]
    assert 30 <= len(compressed) <= 70
    errors = [np.abs(copy.astype(int) - sharp).mean() for copy in compressed]
    assert len({round(error, 3) for error in errors}) > 10  # not one quality alone
    assert max(errors) < 20  # still the same image


def test_the_camera_comes_after_all_other_draws() -> None:
    """So that what a preset without it shows stays as it was before there was a camera."""
    known = PRESETS["perez2018-camera"]
    assert replace(known, blur=0.0, jpeg=0.0) == PRESETS["perez2018"]
    without = augment(picture(), 32, PRESETS["perez2018"], np.random.default_rng(3))
    assert hashlib.sha256(without.tobytes()).hexdigest()[:12] == "23ba66a04779"


def test_colours_do_not_depend_on_the_other_changes() -> None:
    """A fixed number of draws a call: one more kind of change does not reshuffle the others."""
    square = picture(40, 40)
    mild = PRESETS["mild"]
    one = augment(square, 40, replace(mild, crop=1.0, aspect=1.0), np.random.default_rng(5))
    two = augment(
        square, 40, replace(mild, crop=1.0, aspect=1.0, flip=False), np.random.default_rng(5)
    )
    assert np.array_equal(np.sort(one.reshape(-1)), np.sort(two.reshape(-1)))


def test_an_unknown_preset_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="use one of: perez2018"):
        get_augmentation("perez")
