"""Copies of images as another camera would have made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlite_export.manifest import read_isic_split
from lesionlite_export.progress import Silent
from lesionlite_export.representative import PreparedImage, prepare
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_training.backbones import get_backbone
from lesionlite_training.copies import COPIES, CopiedImage, features_with_copies
from lesionlite_training.features import features_of
from lesionlite_training.lesion_contract import image_input_of
from lesionlite_training.networks import scaled_backbone

KINDS = sorted(COPIES)


@pytest.fixture(scope="module")
def backbone(tiny_backbone: Path) -> Any:
    """The tiny backbone at 56 pixels: copies are made at 64."""
    return get_backbone(str(tiny_backbone), size=56)


@pytest.fixture(scope="module")
def image_input(backbone: Any) -> ImageInput:
    """What its contract would make of photos."""
    return image_input_of(backbone, "pillow-bilinear-v1")


@pytest.fixture(scope="module")
def images(few_drawings: Path, image_input: ImageInput) -> list[PreparedImage]:
    """Four drawings."""
    listed = read_isic_split(few_drawings, "train").images[:4]
    return [item for item in prepare(listed, image_input) if isinstance(item, PreparedImage)]


@given(
    st.sampled_from(KINDS),
    st.integers(8, 40),
    st.integers(8, 40),
    st.integers(0, 2**32 - 1),
)
def test_a_copy_is_of_the_same_shape_and_decided_by_its_seed(
    kind: str, height: int, width: int, seed: int
) -> None:
    shown = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    before = shown.copy()
    one, other = (COPIES[kind](shown, np.random.default_rng(seed)) for _ in range(2))
    assert one.shape == shown.shape
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(shown, before)


@given(st.sampled_from(KINDS), st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_an_even_surface_stays_what_it_is_but_for_noise(kind: str, value: int, seed: int) -> None:
    even = np.full((32, 32, 3), value, np.uint8)
    copy = COPIES[kind](even, np.random.default_rng(seed))
    assert abs(copy.astype(float).mean() - value) <= 2
    if kind != "noise":
        assert np.ptp(copy) <= 1


def spread(pixels: np.ndarray) -> float:
    """Mean difference between neighbours."""
    return float(np.abs(np.diff(pixels.astype(float), axis=1)).mean())


@pytest.mark.parametrize(
    ("kind", "rougher"),
    [("blur", False), ("resample", False), ("median", False), ("noise", True)],
)
def test_what_a_copy_does_to_detail(kind: str, rougher: bool, images: list[PreparedImage]) -> None:
    for number, item in enumerate(images):
        copy = COPIES[kind](item.pixels, np.random.default_rng(number))
        assert (spread(copy) > spread(item.pixels)) == rougher


@pytest.mark.parametrize("kind", KINDS)
def test_a_copied_image_is_the_same_each_time_and_has_a_name_of_its_own(
    kind: str, images: list[PreparedImage], image_input: ImageInput
) -> None:
    copies = [CopiedImage(item, kind, image_input) for item in images]
    for item, copy in zip(images, copies, strict=True):
        assert copy.pixels.shape == (56, 56, 3)
        np.testing.assert_array_equal(copy.pixels, copy.pixels)
        assert not np.array_equal(copy.pixels, item.pixels)
        assert (copy.image, copy.file_sha256) == (item.image, item.file_sha256)
    names = {copy.sha256 for copy in copies} | {item.sha256 for item in images}
    names |= {CopiedImage(images[0], other, image_input).sha256 for other in KINDS}
    assert len(names) == 2 * len(images) + len(KINDS) - 1


@pytest.mark.tensorflow
def test_features_of_copies_stand_behind_those_of_the_flips(
    backbone: Any, images: list[PreparedImage], image_input: ImageInput, tmp_path: Path
) -> None:
    network = scaled_backbone(backbone)
    kinds = ("noise", "jpeg")
    found = features_with_copies(network, images, image_input, kinds, tmp_path, Silent())
    assert found.shape == (4, 6, 16)
    np.testing.assert_array_equal(found[:, :4], features_of(network, images, None, Silent()))
    again = features_with_copies(network, images, image_input, kinds[::-1], tmp_path, Silent())
    np.testing.assert_array_equal(again[:, [0, 1, 2, 3, 5, 4]], found)
    assert len({row.tobytes() for row in found.reshape(-1, 16)}) == 24
    without = features_with_copies(network, images, image_input, (), tmp_path, Silent())
    np.testing.assert_array_equal(without, found[:, :4])
