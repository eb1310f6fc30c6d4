"""An open batch in a ``.tflite`` is fixed in place; nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest

from lesionlite_runtime.door import checked_graph
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.fixed_batch import with_fixed_batch
from lesionlite_runtime.flatbuffer import Malformed


def opened(tiny: Any, *sides: int) -> bytes:
    """The tiny model with an open batch, and open ``sides`` in its input as well."""
    spec = tiny.spec()
    tensors = spec["subgraphs"][0]["tensors"]
    for tensor in tensors:
        if tensor["shape"][0] == 1 and len(tensor["shape"]) > 1:
            tensor["shape_signature"] = [-1, *tensor["shape"][1:]]
    for side in sides:
        tensors[0]["shape_signature"][side] = -1
    return bytes(tiny.flatbuffer(spec))


def test_an_open_batch_becomes_one(tiny_classifier: Any) -> None:
    flatbuffer = opened(tiny_classifier)
    with pytest.raises(UnusableInput, match="a tensor's shape is not fixed"):
        checked_graph(flatbuffer, "m.tflite")
    fixed = with_fixed_batch(flatbuffer)
    assert len(fixed) == len(flatbuffer)
    graph = checked_graph(fixed, "m.tflite")
    assert all(-1 not in tensor.shape for tensor in graph.tensors)
    changed = sum(a != b for a, b in zip(flatbuffer, fixed, strict=True))
    assert changed == 4 * sum(
        tensor.shape[0] == 1 and len(tensor.shape) > 1 for tensor in graph.tensors
    )


def test_a_fixed_batch_stays_byte_for_byte(tiny_classifier: Any) -> None:
    flatbuffer = tiny_classifier.flatbuffer()
    assert with_fixed_batch(flatbuffer) == flatbuffer


def test_open_sides_stay_open(tiny_classifier: Any) -> None:
    fixed = with_fixed_batch(opened(tiny_classifier, 1))
    with pytest.raises(UnusableInput, match="a tensor's shape is not fixed"):
        checked_graph(fixed, "m.tflite")


def test_damaged_bytes_are_malformed() -> None:
    with pytest.raises(Malformed):
        with_fixed_batch(b"\xff" * 64)
