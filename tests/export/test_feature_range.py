"""Proof images whose features leave the range that calibration saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export import convert, feature_range
from lesionlite_export.feature_range import (
    FeatureRanges,
    compare_features,
    last_features,
    share_outside,
)
from lesionlite_export.keras_model import KerasModel, load_keras
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.graph import read_graph

Tensors = list[NDArray[np.uint8]]


@pytest.fixture(scope="module")
def float32(tiny_model: KerasModel) -> bytes:
    """The tiny classifier in float32."""
    return convert.float32_tflite(tiny_model)


def test_chance_is_what_new_images_of_the_same_kind_do() -> None:
    """The least and the greatest of n + 1 alike are the new one's with 2 / (n + 1)."""
    generator = np.random.default_rng(0)
    for n in (5, 40, 200):
        seen, new = generator.normal(size=(n, 4000)), generator.normal(size=(60, 4000))
        ranges = FeatureRanges(n, seen.min(0), seen.max(0))
        assert share_outside(ranges, new.astype(np.float32)) == pytest.approx(
            ranges.chance, rel=0.1
        )


def test_share_outside_counts_both_ends() -> None:
    ranges = FeatureRanges(2, np.array([0, 0], np.float32), np.array([1, 2], np.float32))
    features = np.array([[-1, 1], [0, 2], [2, 3], [0.5, -0.1]], np.float32)
    assert share_outside(ranges, features) == 4 / 8


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
    share = float(warning.partition(" %")[0])
    assert share > 100 * 2 / 21
    assert "images of the same kind leave it by 9.5 % at most" in warning
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
