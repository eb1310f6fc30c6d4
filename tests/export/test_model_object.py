"""FlatBuffers taken apart and written again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export import convert, quantize
from lesionlite_export.keras_model import KerasModel
from lesionlite_export.model_object import drop_unused, model_bytes, read_model
from lesionlite_runtime.graph import Graph, read_graph

pytestmark = pytest.mark.tensorflow
Invoke = Callable[[bytes, NDArray[Any]], float]


@pytest.fixture(scope="module")
def files(tiny_model: KerasModel, tiny_tensors: list[NDArray[np.uint8]]) -> dict[str, bytes]:
    """By the converter, whose constants lie within the tables, and by the quantizer, behind."""
    float32 = convert.float32_tflite(tiny_model)
    return {"converter": float32, "quantizer": quantize.static(float32, [], tiny_tensors, "image")}


def content(flatbuffer: bytes) -> tuple[Graph, list[bytes]]:
    """The graph without places in the file, and the constants' bytes."""
    graph = read_graph(flatbuffer)
    data = [
        flatbuffer[t.constant_offset : t.constant_offset + t.constant_bytes] for t in graph.tensors
    ]
    tensors = tuple(replace(t, constant_offset=0) for t in graph.tensors)
    operators = tuple(replace(o, options=None) for o in graph.operators)
    return replace(graph, tensors=tensors, operators=operators), data


@pytest.mark.parametrize("tool", ["converter", "quantizer"])
def test_what_is_written_again_is_the_same(files: dict[str, bytes], tool: str) -> None:
    written = model_bytes(read_model(files[tool]))
    assert content(written) == content(files[tool])
    assert model_bytes(read_model(written)) == written
    assert all(t.constant_offset % 16 == 0 for t in read_graph(written).tensors)


def test_constants_behind_the_root_table_come_along(float32_flatbuffer: bytes) -> None:
    """The generated reader alone would lose them without a word."""
    from ai_edge_litert import schema_py_generated as schema

    behind = quantize.float16(float32_flatbuffer)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(behind, 0))
    assert any(buffer.offset > 1 and buffer.data is None for buffer in model.buffers)
    written = model_bytes(read_model(behind))
    assert content(written) == content(behind)
    again = schema.ModelT.InitFromObj(schema.Model.GetRootAs(written, 0))
    assert all(buffer.offset == 0 for buffer in again.buffers)


def test_what_nothing_refers_to_is_dropped(
    files: dict[str, bytes], tiny_tensors: list[NDArray[np.uint8]], invoke: Invoke
) -> None:
    from ai_edge_litert import schema_py_generated as schema

    model = read_model(files["quantizer"])
    (graph,) = model.subgraphs
    before = len(graph.tensors), len(model.buffers), len(model.operatorCodes)
    for name in (b"first", b"last"):
        spare = schema.TensorT()
        spare.shape, spare.type, spare.name, spare.buffer = [4], 0, name, len(model.buffers)
        data = schema.BufferT()
        data.data = np.arange(16, dtype=np.uint8)
        model.buffers.append(data)
        graph.tensors.append(spare)
    model.operatorCodes.append(schema.OperatorCodeT())
    drop_unused(model)
    assert before == (len(graph.tensors), len(model.buffers), len(model.operatorCodes))
    again = model_bytes(model)
    assert content(again) == content(model_bytes(read_model(files["quantizer"])))
    assert invoke(again, tiny_tensors[0]) == invoke(files["quantizer"], tiny_tensors[0])
