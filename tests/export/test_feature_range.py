"""Proof images whose features leave the range that calibration saw."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export import convert, feature_range
from lesionlite_export.feature_range import compare_features, last_features, shares_outside
from lesionlite_export.keras_model import KerasModel, load_keras
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.graph import read_graph

Tensors = list[NDArray[np.uint8]]


@pytest.fixture(scope="module")
def float32(tiny_model: KerasModel) -> bytes:
    """The tiny classifier in float32."""
    return convert.float32_tflite(tiny_model)


def normal(seed: int, *shape: int) -> NDArray[np.float32]:
    """Standard normal values, float32."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("n", [5, 40, 200])
def test_new_images_of_the_same_kind_leave_the_range_as_often_as_expected(n: int) -> None:
    """Any one of n is an extreme with 2 / n, and a new one beside them with 2 / (n + 1)."""
    shares = shares_outside(normal(0, n, 4000), normal(1, 60, 4000))
    assert shares.expected == pytest.approx(2 / n)
    assert shares.found == pytest.approx(2 / (n + 1), rel=0.1)


def test_shares_count_both_ends_and_no_extreme_that_images_share() -> None:
    representative = np.array([[0, 0, 5], [1, 0, 5], [2, 3, 5]], np.float32)
    proof = np.array([[-1, 1, 5], [0, 3, 5], [2, 4, 6], [0.5, -0.1, 4.9]], np.float32)
    shares = shares_outside(representative, proof)
    outside, new = np.array([1, 0, 2]) / 3, np.array([1, 0, 2, 2]) / 3
    assert shares.expected == pytest.approx(outside.mean())
    assert shares.found == pytest.approx(new.mean())
    error = np.hypot(outside.std(ddof=1) / np.sqrt(3), new.std(ddof=1) / 2)
    assert shares.standard_error == pytest.approx(error)
    assert shares.limit == pytest.approx(shares.expected + 3 * error)


@pytest.mark.parametrize(("first", "second"), [(16, 30), (200, 30), (200, 148)])
def test_images_with_features_that_go_together_are_no_alarm(first: int, second: int) -> None:
    """A few odd images have most of what lies outside: with 2 / (n + 1) as limit they were one."""
    alarms = above_chance = 0
    for seed in range(100):
        features = normal(seed, first + second, 5) @ normal(1000 + seed, 5, 300)
        shares = shares_outside(features[:first], features[first:])
        alarms += shares.found > shares.limit
        above_chance += shares.found > 2 / (first + 1)
    assert alarms <= 2
    assert above_chance > 20


def test_images_of_another_kind_are_one() -> None:
    features = normal(0, 348, 5) @ normal(1, 5, 300)
    shares = shares_outside(features[:200], 1.3 * features[200:])
    assert shares.found > shares.limit


@pytest.mark.tensorflow
def test_the_last_features_are_what_the_head_starts_from(float32: bytes, line_path: Path) -> None:
    graph = read_graph(float32)
    number = last_features(graph)
    assert number is not None
    assert graph.tensors[number].shape == (1, 16)
    line = convert.float32_tflite(load_keras(line_path))
    assert last_features(read_graph(line)) is None
    assert compare_features(line, [], [], "x") == []


@pytest.mark.tensorflow
def test_other_images_leave_the_range_and_alike_ones_do_not(
    float32: bytes, tiny_tensors: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_range, "MIN_FEATURES", 16)
    monkeypatch.setattr(feature_range, "MIN_IMAGES", 10)
    alike, other = tiny_tensors[1::2], [255 - tensor for tensor in tiny_tensors[1::2]]
    assert compare_features(float32, tiny_tensors, alike, "image") == []
    (warning,) = compare_features(float32, tiny_tensors, other, "image")
    found, limit = map(float, re.findall(r"(\d+\.\d) %", warning))
    assert found > limit > 100 * 2 / 21
    assert len(warning.splitlines()) == 1


@pytest.mark.tensorflow
def test_few_features_and_few_images_are_not_judged(
    float32: bytes, tiny_tensors: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They leave a range by chance alone: the tiny network has 16."""
    other = [255 - tensor for tensor in tiny_tensors]
    assert compare_features(float32, tiny_tensors, other, "image") == []
    monkeypatch.setattr(feature_range, "MIN_FEATURES", 16)
    assert compare_features(float32, tiny_tensors, other, "image") != []
    assert compare_features(float32, tiny_tensors, other[:15], "image") == []


@pytest.mark.tensorflow
def test_no_image_is_refused(float32: bytes, tiny_tensors: Tensors) -> None:
    with pytest.raises(UnusableInput, match="there is no image to compare"):
        compare_features(float32, tiny_tensors, [], "image")
