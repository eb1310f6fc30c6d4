"""The resizes: against TensorFlow, against each fixed point rewritten, on known examples."""

from __future__ import annotations

import hashlib
import math
import os
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lesionlite_runtime import Classifier
from lesionlite_runtime import pixels as room
from lesionlite_runtime import resize as resize_module
from lesionlite_runtime.container import append_members, split_members
from lesionlite_runtime.contract import CONTRACT_MEMBER, Contract, classifier_contract
from lesionlite_runtime.errors import UsageError

DOCS = Path(__file__).parents[2] / "docs" / "pixels.md"

# (height, width) -> (height, width): up, down, both, single rows and columns, odd shapes
SIZES = [
    ((1, 1), (1, 1)),
    ((1, 1), (7, 5)),
    ((5, 1), (3, 9)),
    ((1, 5), (9, 3)),
    ((2, 2), (1, 1)),
    ((5000, 3), (224, 224)),
    ((3, 5000), (224, 224)),
    ((64, 80), (64, 80)),
    ((64, 80), (64, 81)),
    ((64, 80), (63, 80)),
    ((300, 400), (224, 299)),
    ((767, 1022), (224, 224)),
    ((3, 4), (600, 455)),
    ((224, 224), (299, 299)),
    ((223, 225), (224, 224)),
]


def drawn(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Half noise, half gradients with edges: all that rounding could stumble over."""
    rng = np.random.default_rng([seed, height, width])
    y, x = np.mgrid[:height, :width]
    image = np.stack([x * 3, y * 5, x * y], axis=-1).astype(np.uint8)
    noise = rng.integers(0, 256, image.shape, dtype=np.uint8)
    return np.where((x // 8 + y // 8)[..., None] % 2 == 0, image, noise)


def example() -> NDArray[np.uint8]:
    """The tiny image of docs/pixels.md."""
    y, x, c = np.mgrid[:5, :7, :3]
    return ((37 * y + 11 * x * x + 97 * c + 5 * x * y * c) % 256).astype(np.uint8)


def pillow_coefficients(length: int, wanted: int) -> list[tuple[int, list[int]]]:
    """For each output position the first source position and the fixed-point weights."""
    scale = length / wanted
    filter_scale = max(scale, 1.0)
    rows = []
    for position in range(wanted):
        center = (position + 0.5) * scale
        first = max(int(center - filter_scale + 0.5), 0)
        last = min(int(center + filter_scale + 0.5), length)
        weights = [
            max(0.0, 1.0 - abs((index - center + 0.5) * (1.0 / filter_scale)))
            for index in range(first, last)
        ]
        total = 0.0
        for weight in weights:  # in this order: sum() of Python 3.12 compensates rounding
            total += weight
        rows.append((first, [math.floor(0.5 + w / total * (1 << 22)) for w in weights]))
    return rows


def pillow_pass(pixels: NDArray[np.uint8], wanted: int) -> NDArray[np.uint8]:
    """Resize the first axis; an axis that keeps its length is not touched."""
    if wanted == len(pixels):
        return pixels
    result = np.empty((wanted, *pixels.shape[1:]), np.uint8)
    for position, (first, weights) in enumerate(pillow_coefficients(len(pixels), wanted)):
        part = pixels[first : first + len(weights)].astype(np.int64)
        total = np.tensordot(np.array(weights, np.int64), part, axes=1) + (1 << 21)
        result[position] = np.clip(total >> 22, 0, 255)
    return result


def pillow_bilinear(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """docs/pixels.md, ``pillow-bilinear-v1``: across first, rounded to bytes, then down."""
    across = pillow_pass(pixels.swapaxes(0, 1), width).swapaxes(0, 1)
    return pillow_pass(across, height)


@pytest.mark.parametrize(("size", "wanted"), SIZES)
def test_pillow_bilinear_is_the_documented_fixed_point(
    size: tuple[int, int], wanted: tuple[int, int]
) -> None:
    pixels = drawn(*size)
    assert np.array_equal(room.resize(pixels, *wanted), pillow_bilinear(pixels, *wanted))


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(1, 90)] * 4), st.integers(0, 99))
def test_pillow_bilinear_is_the_documented_fixed_point_at_any_size(
    sizes: tuple[int, int, int, int], seed: int
) -> None:
    pixels = drawn(*sizes[:2], seed)
    assert np.array_equal(room.resize(pixels, *sizes[2:]), pillow_bilinear(pixels, *sizes[2:]))


def mediapipe_pass(length: int, wanted: int) -> list[tuple[int, int, int]]:
    """docs/pixels.md, ``mediapipe-bilinear-v1``: for each output position low, high and steps."""
    rows = []
    for position in range(wanted):
        place = round(Fraction(32 * position * length, wanted))  # a tie to the even one
        low = place // 32
        rows.append((min(low, length - 1), min(low + 1, length - 1), place % 32))
    return rows


def mediapipe_bilinear(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """docs/pixels.md, ``mediapipe-bilinear-v1``, position by position."""
    columns = mediapipe_pass(pixels.shape[1], width)
    result = np.empty((height, width, 3), np.uint8)
    for y, (top, bottom, down) in enumerate(mediapipe_pass(len(pixels), height)):
        for x, (left, right, across) in enumerate(columns):
            corners = pixels[[top, top, bottom, bottom], [left, right, left, right]].astype(int)
            upper = corners[0] * (32 - across) + corners[1] * across
            lower = corners[2] * (32 - across) + corners[3] * across
            result[y, x] = (upper * (32 - down) + lower * down + 512) >> 10
    return result


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(1, 90)] * 2), st.tuples(*[st.integers(1, 40)] * 2))
def test_mediapipe_bilinear_is_the_documented_fixed_point(
    size: tuple[int, int], wanted: tuple[int, int]
) -> None:
    pixels = drawn(*size)
    ours = room.resize(pixels, *wanted, "mediapipe-bilinear-v1")
    assert np.array_equal(ours, mediapipe_bilinear(pixels, *wanted))


@pytest.mark.parametrize(("length", "wanted"), [(1, 7), (3, 64), (3, 200), (101, 192), (3072, 256)])
def test_mediapipe_bilinear_along_one_axis(length: int, wanted: int) -> None:
    pixels = drawn(length, 1)
    ours = room.resize(pixels, wanted, 1, "mediapipe-bilinear-v1")
    assert np.array_equal(ours, mediapipe_bilinear(pixels, wanted, 1))
    turned = room.resize(pixels.swapaxes(0, 1), 1, wanted, "mediapipe-bilinear-v1")
    assert np.array_equal(turned, ours.swapaxes(0, 1))


def test_mediapipe_bilinear_aligns_the_first_corner_and_clamps_the_last() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[0, 0], pixels[3, 3] = 200, 100
    result = room.resize(pixels, 8, 8, "mediapipe-bilinear-v1")[..., 0]
    assert result[0, :3].tolist() == [200, 100, 0]
    assert result[6:, 6:].tolist() == [[100, 100], [100, 100]]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 255), st.tuples(*[st.integers(1, 300)] * 4))
def test_mediapipe_bilinear_keeps_a_flat_image_flat(
    value: int, sizes: tuple[int, int, int, int]
) -> None:
    pixels = np.full((*sizes[:2], 3), value, np.uint8)
    result = room.resize(pixels, *sizes[2:], "mediapipe-bilinear-v1")
    assert np.unique(result).tolist() == [value]


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.integers(1, 150)] * 2), st.integers(0, 99))
def test_mediapipe_bilinear_changes_nothing_at_the_same_size(
    size: tuple[int, int], seed: int
) -> None:
    pixels = drawn(*size, seed)
    assert np.array_equal(room.resize(pixels, *size, "mediapipe-bilinear-v1"), pixels)


def test_mediapipe_bilinear_takes_memory_for_its_result_alone() -> None:
    pixels = np.zeros((4000, 6000, 3), np.uint8)
    tracemalloc.start()
    try:
        room.resize(pixels, 224, 224, "mediapipe-bilinear-v1")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < pixels.nbytes / 10


@pytest.mark.tensorflow
def test_tf_bilinear_is_tensorflow_bit_for_bit() -> None:
    import tensorflow as tf

    rng = np.random.default_rng(5)
    more = [((a, b), (c, d)) for a, b, c, d in rng.integers(1, 500, (60, 4)).tolist()]
    for size, wanted in SIZES + more:
        pixels = drawn(*size)
        theirs = tf.cast(tf.image.resize(pixels, wanted, "bilinear"), tf.float32).numpy()
        ours = room.tf_bilinear_float32(pixels, *wanted)
        assert ours.dtype == np.float32
        assert np.array_equal(ours.view(np.uint32), theirs.view(np.uint32)), (size, wanted)
        rounded = tf.cast(tf.clip_by_value(tf.round(theirs), 0, 255), tf.uint8).numpy()
        assert np.array_equal(room.resize(pixels, *wanted, "tf-bilinear-v1"), rounded)


@pytest.mark.data
@pytest.mark.tensorflow
def test_tf_bilinear_is_tensorflow_on_photos() -> None:
    if "LESIONLITE_DATA" not in os.environ:
        pytest.skip("LESIONLITE_DATA is not set")
    import tensorflow as tf

    photos = sorted((Path(os.environ["LESIONLITE_DATA"]) / "fullres").rglob("*.jpg"))[::6]
    assert photos
    for photo in photos:
        pixels = room.decode(photo)
        theirs = tf.image.resize(pixels, (224, 224), "bilinear").numpy()
        assert np.array_equal(room.tf_bilinear_float32(pixels, 224, 224), theirs), photo.name


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.integers(1, 60)] * 4),
    st.sampled_from(room.RESIZE_METHODS),
    st.integers(0, 99),
)
def test_any_size_gives_the_shape_asked_for_within_the_range_of_the_source(
    sizes: tuple[int, int, int, int], method: str, seed: int
) -> None:
    pixels = drawn(*sizes[:2], seed)
    result = room.resize(pixels, *sizes[2:], method)
    assert result.shape == (*sizes[2:], 3)
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous
    assert pixels.min() <= result.min() <= result.max() <= pixels.max()


@pytest.mark.parametrize("method", room.RESIZE_METHODS)
def test_the_same_size_changes_nothing_and_shares_nothing(method: str) -> None:
    pixels = drawn(40, 31)
    result = room.resize(pixels, 40, 31, method)
    assert np.array_equal(result, pixels)
    assert not np.shares_memory(result, pixels)


@pytest.mark.parametrize("method", room.RESIZE_METHODS)
def test_a_flat_image_stays_flat(method: str) -> None:
    for value in (0, 1, 127, 254, 255):
        pixels = np.full((37, 53, 3), value, np.uint8)
        assert np.unique(room.resize(pixels, 224, 11, method)).tolist() == [value]


@pytest.mark.parametrize("method", room.RESIZE_METHODS)
def test_views_and_read_only_arrays_are_taken(method: str) -> None:
    pixels = drawn(40, 31)
    view = pixels[::-1, ::2]
    view.flags.writeable = False
    straight = room.resize(np.ascontiguousarray(view), 9, 12, method)
    assert np.array_equal(room.resize(view, np.int64(9), 12, method), straight)


@pytest.mark.parametrize("method", room.RESIZE_METHODS)
def test_every_method_can_stand_in_a_contract_and_is_then_used(
    method: str, shipped_model: Path, drawn_photos: list[Path], tmp_path: Path
) -> None:
    flatbuffer, members = split_members(shipped_model.read_bytes())
    contract = classifier_contract(Contract.from_bytes(members[CONTRACT_MEMBER]))
    changed = replace(contract, input=replace(contract.input, resize=method))
    path = tmp_path / "model.tflite"
    path.write_bytes(append_members(flatbuffer, {CONTRACT_MEMBER: changed.to_bytes()}))
    tensor = Classifier(path).tensor(drawn_photos[0].read_bytes())
    assert np.array_equal(tensor[0], room.resize(room.decode(drawn_photos[0]), 224, 224, method))


def test_tf_bilinear_rounds_half_to_even() -> None:
    pixels = np.array([[[0, 1, 2], [1, 2, 3]]], np.uint8)
    assert room.tf_bilinear_float32(pixels, 1, 1).ravel().tolist() == [0.5, 1.5, 2.5]
    assert room.resize(pixels, 1, 1, "tf-bilinear-v1").ravel().tolist() == [0, 2, 2]


def test_work_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = drawn(50, 70)
    whole = room.tf_bilinear_float32(pixels, 33, 20)
    aligned = room.resize(pixels, 33, 20, "mediapipe-bilinear-v1")
    for block in (40, 1):
        monkeypatch.setattr(resize_module, "_BLOCK", block)
        assert np.array_equal(room.tf_bilinear_float32(pixels, 33, 20), whole)
        assert np.array_equal(room.resize(pixels, 33, 20, "mediapipe-bilinear-v1"), aligned)


def test_the_examples_in_the_docs_are_what_comes_out() -> None:
    text = DOCS.read_text("utf-8")
    assert f"| source | 5 x 7 | `{room.pixels_sha256(example())}` |" in text
    for method in room.RESIZE_METHODS:
        for height, width in ((3, 4), (8, 9)):
            digest = room.pixels_sha256(room.resize(example(), height, width, method))
            assert f"| `{method}` | {height} x {width} | `{digest}` |" in text
        red = room.resize(example(), 3, 4, method)[..., 0].tolist()
        assert f"`{method}`: `{red}`" in text
    floats = room.tf_bilinear_float32(example(), 3, 4)
    assert f"`{hashlib.sha256(floats.astype('<f4').tobytes()).hexdigest()}`" in text


def test_an_unknown_method_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r"'bilinear-pillow'.*pillow-bilinear-v1") as caught:
        room.resize(drawn(4, 4), 2, 2, "bilinear-pillow")
    assert "\n" not in str(caught.value)
    with pytest.raises(
        UsageError, match="pillow-bilinear-v1 or tf-bilinear-v1 or mediapipe-bilinear-v1"
    ):
        room.resize(drawn(4, 4), 2, 2, "?")


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        [[[0, 0, 0]]],
        None,
    ],
)
@pytest.mark.parametrize("method", room.RESIZE_METHODS)
def test_anything_but_rgb_bytes_is_refused(pixels: object, method: str) -> None:
    with pytest.raises(UsageError, match="uint8 array"):
        room.resize(pixels, 2, 2, method)
    with pytest.raises(UsageError, match="uint8 array"):
        room.tf_bilinear_float32(pixels, 2, 2)


@pytest.mark.parametrize("size", [0, -1, 2.0, "2", True, None])
@pytest.mark.parametrize("method", room.RESIZE_METHODS)
def test_a_size_that_is_no_count_is_refused(size: object, method: str) -> None:
    with pytest.raises(UsageError, match="cannot be resized"):
        room.resize(drawn(4, 4), size, 2, method)
    with pytest.raises(UsageError, match="cannot be resized"):
        room.tf_bilinear_float32(drawn(4, 4), 2, size)
