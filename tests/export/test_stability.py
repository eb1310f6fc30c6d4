"""How far scales move with the sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lesionlite_export.stability import (
    activation_scales,
    median_scales,
    moving_scales,
    scale_changes,
)
from lesionlite_runtime.container import split_members
from lesionlite_runtime.graph import read_graph

FILES = [
    {"a": 1.0, "b": 6.0, "c": 2.0},
    {"a": 1.2, "b": 6.0, "c": 2.0},
    {"a": 0.9, "b": 6.0, "c": 4},
]


def test_the_scales_of_the_shipped_file(shipped_model: Path) -> None:
    flatbuffer = split_members(shipped_model.read_bytes())[0]
    scales = activation_scales(flatbuffer)
    graph = read_graph(flatbuffer)
    made = {o.outputs[0] for o in graph.operators if graph.tensors[o.outputs[0]].dtype == "int8"}
    assert set(scales) == {graph.tensors[number].name for number in made}
    assert len(scales) == 93
    assert next(iter(scales.values())) > 0


def test_only_scales_that_differ_somewhere_move() -> None:
    assert moving_scales(FILES) == ["a", "c"]
    assert moving_scales(FILES[:2]) == ["a"]
    assert moving_scales(FILES[:1]) == []


def test_changes_are_relative_to_the_reference_and_have_no_sign() -> None:
    reference = median_scales(FILES, ["c", "a"])
    assert reference == {"c": 2.0, "a": 1.0}
    changes = scale_changes(FILES, reference)
    assert changes == pytest.approx(np.array([[0, 0], [0, 0.2], [1, 0.1]]))
