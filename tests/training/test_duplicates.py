"""Copies by equal pixels and by perceptual hashes, on drawn photos."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from lesionlite_export.drawn import draw_lesion
from lesionlite_runtime.errors import MissingHere
from lesionlite_training import duplicates
from lesionlite_training.duplicates import (
    COARSE_LIMIT,
    FINE_LIMIT,
    TURNS,
    Fingerprint,
    NearPair,
    equal_groups,
    fingerprint,
    near_pairs,
)

pytest.importorskip("imagehash", reason="it comes with the extra training")
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def photos() -> list[Pixels]:
    """Twelve drawings, four of each kind."""
    kinds = ("melanoma", "nevus", "seborrheic_keratosis")
    return [draw_lesion(seed, kind, (192, 256)) for kind in kinds for seed in range(4)]


def changed(pixels: Pixels, change: Callable[[Image.Image], Image.Image]) -> Pixels:
    return np.ascontiguousarray(np.asarray(change(Image.fromarray(pixels))))


def as_jpeg(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=40)
    return Image.open(stream)


def test_different_drawings_are_no_copies(photos: list[Pixels]) -> None:
    prints = [fingerprint(photo) for photo in photos]
    assert equal_groups(prints) == []
    assert near_pairs(prints) == []


def test_equal_pixels_are_equal_whatever_their_order(photos: list[Pixels]) -> None:
    prints = [fingerprint(photos[i]) for i in (0, 1, 0, 2, 1, 0)]
    assert equal_groups(prints) == [[0, 2, 5], [1, 4]]
    assert near_pairs(prints) == []


def test_equal_bytes_of_another_shape_are_not_equal() -> None:
    flat = np.zeros((4, 6, 3), np.uint8)
    assert equal_groups([fingerprint(flat), fingerprint(flat.reshape(6, 4, 3))]) == []


@pytest.mark.parametrize(
    "change",
    [
        as_jpeg,
        lambda image: image.resize((128, 128), Image.Resampling.LANCZOS),
        lambda image: image.resize((512, 384), Image.Resampling.BICUBIC),
        lambda image: ImageEnhance.Brightness(image).enhance(0.8),
        lambda image: ImageEnhance.Contrast(image).enhance(1.3),
        lambda image: ImageEnhance.Color(image).enhance(0.2),
    ],
    ids=["jpeg", "smaller", "larger", "darker", "contrast", "paler"],
)
def test_a_changed_copy_is_a_near_duplicate(
    photos: list[Pixels], change: Callable[[Image.Image], Image.Image]
) -> None:
    found = [
        near_pairs([fingerprint(photo), fingerprint(changed(photo, change))]) for photo in photos
    ]
    assert [len(pairs) for pairs in found] == [1] * len(photos)
    assert {pairs[0].turn for pairs in found} == {"upright"}


@pytest.mark.parametrize(("name", "turn"), TURNS[1:])
def test_a_turned_copy_is_found_and_named(
    photos: list[Pixels], name: str, turn: Image.Transpose
) -> None:
    turned = changed(photos[4], lambda image: image.transpose(turn))
    (pair,) = near_pairs([fingerprint(photos[4]), fingerprint(turned)])
    assert (pair.first, pair.second) == (0, 1)
    # What undoes the turn: a mirroring undoes itself, a quarter is undone by three.
    undone = {"turned by 90°": "turned by 270°", "turned by 270°": "turned by 90°"}
    assert pair.turn == undone.get(name, name)


Hashes = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.integers(0, 255), max_size=70, unique=True)),
    min_size=2,
    max_size=8,
)


def _print(number: int, base: int, flipped: list[int]) -> Fingerprint:
    """Bits of four bases far from each other, some flipped; turned views are all far away."""
    generator = np.random.default_rng(base)
    fine = generator.integers(0, 2, 256).astype(np.bool_)
    fine[flipped] ^= True
    coarse = fine[:64]
    away = np.random.default_rng(1000 + number)
    return Fingerprint(
        (1, 1, str(number)),
        np.stack([coarse, *(away.integers(0, 2, (7, 64)) > 0)]),
        np.stack([fine, *(away.integers(0, 2, (7, 256)) > 0)]),
    )


@settings(deadline=None, max_examples=100)
@given(Hashes, st.integers(1, 4))
def test_pairs_are_those_of_a_plain_comparison(
    hashes: list[tuple[int, list[int]]], block: int
) -> None:
    prints = [_print(number, *item) for number, item in enumerate(hashes)]
    expected = [
        (i, j, int(np.count_nonzero(a.fine[0] != b.fine[0])))
        for i, a in enumerate(prints)
        for j, b in enumerate(prints)
        if i < j
        and np.count_nonzero(a.coarse[0] != b.coarse[0]) <= COARSE_LIMIT
        and np.count_nonzero(a.fine[0] != b.fine[0]) <= FINE_LIMIT
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_BLOCK", block)
        assert [(p.first, p.second, p.bits) for p in near_pairs(prints)] == expected


def test_a_pair_that_fits_in_two_turns_is_reported_once_at_its_nearest() -> None:
    first, second = _print(0, 1, []), _print(1, 1, [200, 210])
    second.coarse[3], second.fine[3] = first.coarse[0], first.fine[0]
    assert near_pairs([first, second]) == [NearPair(0, 1, 0, TURNS[3][0])]


def test_without_imagehash(photos: list[Pixels], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "imagehash", None)
    with pytest.raises(MissingHere, match="run pip install 'lesionlite\\[training\\]'"):
        fingerprint(photos[0])
