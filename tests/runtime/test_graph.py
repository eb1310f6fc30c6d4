"""What a model's bytes hold: read without an interpreter, every number in them checked."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from lesionlite_runtime.container import split_members
from lesionlite_runtime.flatbuffer import Malformed
from lesionlite_runtime.graph import Graph, read_graph

QUANTIZED = {"scale": [0.5], "zero_point": [3]}


@pytest.fixture(scope="module")
def shipped_graph(shipped_model: Path) -> Graph:
    """The graph of the shipped model."""
    return read_graph(split_members(shipped_model.read_bytes())[0])


def refused(tiny: Any, spec: Any) -> str:
    """The words that the FlatBuffer of ``spec`` is refused with."""
    with pytest.raises(Malformed) as caught:
        read_graph(tiny.flatbuffer(spec))
    return str(caught.value)


def test_the_shipped_model_s_operators_are_counted(shipped_graph: Graph) -> None:
    assert shipped_graph.operator_counts() == {
        "ADD": 10,
        "CAST": 1,
        "CONCATENATION": 9,
        "CONV_2D": 33,
        "DEPTHWISE_CONV_2D": 16,
        "DEQUANTIZE": 23,
        "FULLY_CONNECTED": 2,
        "SOFTMAX": 1,
        "MEAN": 23,
        "STRIDED_SLICE": 11,
        "MUL": 1,
        "QUANTIZE": 1,
    }


def test_the_shipped_model_s_tensors_are_those_of_its_contract(shipped_graph: Graph) -> None:
    (image,) = shipped_graph.inputs.items()
    (score,) = shipped_graph.outputs.items()
    assert (image[0], score[0]) == ("image", "score")
    given, made = shipped_graph.tensors[image[1]], shipped_graph.tensors[score[1]]
    assert (given.shape, given.dtype, given.scales) == ((1, 224, 224, 3), "uint8", ())
    assert (made.shape, made.dtype, made.scales) == ((1, 1), "float32", ())
    assert not given.is_constant


def test_the_shipped_model_s_weights_are_per_channel(shipped_graph: Graph) -> None:
    for operator in shipped_graph.operators:
        if operator.name == "CONV_2D":
            weights, bias = (shipped_graph.tensors[i] for i in operator.inputs[1:])
            channels = weights.shape[0]
            assert (weights.dtype, bias.dtype, bias.shape) == ("int8", "int32", (channels,))
            assert len(weights.scales) == len(weights.zero_points) == channels
            assert weights.constant_bytes == channels * weights.shape[1] ** 2 * weights.shape[3]


def test_a_tiny_model_is_read_as_it_was_written(tiny_classifier: Any) -> None:
    data = tiny_classifier.flatbuffer()
    graph = read_graph(data)
    assert (dict(graph.inputs), dict(graph.outputs)) == ({"image": 0}, {"score": 7})
    names = [operator.name for operator in graph.operators]
    assert names == ["CAST", "MEAN", "FULLY_CONNECTED", "LOGISTIC"]
    connected = graph.operators[2]
    assert (connected.inputs, connected.outputs, connected.version) == ((3, 4, 5), (6,), 1)
    assert connected.options_type == 8
    assert connected.options is not None
    assert graph.operators[3].options is None
    weights = graph.tensors[4]
    assert (weights.name, weights.shape, weights.dtype) == ("weights", (1, 3), "float32")
    values = struct.unpack_from("<3f", data, weights.constant_offset)
    assert values == pytest.approx((0.02, -0.01, -0.01))


def test_a_buffer_behind_the_tables_is_read(tiny_classifier: Any) -> None:
    spec = tiny_classifier.spec()
    spec["buffers"][2] = {"offset": 2, "size": 12}
    placed = len(tiny_classifier.flatbuffer(spec))
    spec["buffers"][2]["offset"] = placed
    weights = struct.pack("<3f", 1, 2, 3)
    assert (
        read_graph(tiny_classifier.flatbuffer(spec) + weights).tensors[4].constant_offset == placed
    )
    with pytest.raises(Malformed, match="a buffer reaches beyond the file"):
        read_graph(tiny_classifier.flatbuffer(spec) + weights[:-1])


def test_quantization_and_dynamic_shapes_are_read(tiny_classifier: Any) -> None:
    spec = tiny_classifier.spec()
    tensors = spec["subgraphs"][0]["tensors"]
    tensors[0] |= {"quantization": QUANTIZED, "shape_signature": [-1, 8, 6, 3]}
    image = read_graph(tiny_classifier.flatbuffer(spec)).tensors[0]
    assert (image.scales, image.zero_points, image.shape) == ((0.5,), (3,), (-1, 8, 6, 3))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": 2}, "the schema version is 2, not 3"),
        ({"subgraphs": []}, "there are 0 subgraphs"),
        ({"operator_codes": []}, "an operator has no operator code"),
        ({"operator_codes": [{"code": 210}] * 4}, "there is no builtin operator 210"),
        ({"operator_codes": [{"code": -1, "old_code": -1}] * 4}, "no builtin operator -1"),
        ({"buffers": [{}]}, "a tensor has no buffer"),
        ({"signatures": []}, "there is no signature 'serving_default'"),
        ({"external_buffer_groups": [{}]}, "Model has the field 8"),
        ({"metadata": [{"buffer": 4}]}, "a metadata entry has no buffer"),
    ],
)
def test_a_model_that_cannot_be_is_malformed(
    tiny_classifier: Any, changes: dict[str, Any], words: str
) -> None:
    assert words in refused(tiny_classifier, {**tiny_classifier.spec(), **changes})


def test_a_second_subgraph_or_signature_is_refused(tiny_classifier: Any) -> None:
    spec = tiny_classifier.spec()
    two = {**spec, "subgraphs": spec["subgraphs"] * 2}
    assert "there are 2 subgraphs where one is expected" in refused(tiny_classifier, two)
    two = {**spec, "signatures": [*spec["signatures"], {**spec["signatures"][0], "key": "other"}]}
    assert "or another beside it" in refused(tiny_classifier, two)


@pytest.mark.parametrize(
    ("number", "changes", "words"),
    [
        (0, {"type": 5}, "does not run tensors of type 5"),
        (0, {"type": 13}, "does not run tensors of type 13"),
        (0, {"type": 127}, "does not run tensors of type 127"),
        (0, {"type": -1}, "does not run tensors of type -1"),
        (0, {"shape": [-1, 8, 6, 3]}, "a negative side"),
        (0, {"shape": [1] * 9}, "too many sides"),
        (0, {"shape_signature": [1, 8, 6]}, "two shapes contradict"),
        (0, {"shape_signature": [1, 8, 6, 4]}, "two shapes contradict"),
        (1, {"shape": [1, 2**14, 2**14, 3]}, "a tensor has more than"),
        (4, {"shape": [1, 4]}, "a constant's size does not fit its shape"),
        (4, {"type": 1}, "a constant's size does not fit its shape"),
        (4, {"buffer": 99}, "a tensor has no buffer"),
        (0, {"buffer": 2}, "a constant's size does not fit its shape"),
        (0, {"is_variable": 1}, "a variable that outlives a run"),
        (0, {"sparsity": {"first": 1}}, "Tensor has the field 6"),
        (0, {"external_buffer": 1}, "Tensor has the field 10"),
        (0, {"quantization": {"scale": [1.0]}}, "scales and zero points of different number"),
        (0, {"quantization": {"scale": [0.0], "zero_point": [0]}}, "scale is out of range"),
        (0, {"quantization": {"scale": [-1.0], "zero_point": [0]}}, "scale is out of range"),
        (0, {"quantization": {"scale": [1e-40], "zero_point": [0]}}, "scale is out of range"),
        (0, {"quantization": {"scale": [float("nan")], "zero_point": [0]}}, "scale is out of"),
        (0, {"quantization": {"scale": [float("inf")], "zero_point": [0]}}, "scale is out of"),
        (0, {"quantization": {"scale": [1.0], "zero_point": [256]}}, "zero point is out of range"),
        (0, {"quantization": {"scale": [1.0], "zero_point": [-1]}}, "zero point is out of range"),
        (1, {"quantization": {"scale": [1.0], "zero_point": [1]}}, "zero point is out of range"),
        (0, {"quantization": {"scale": [1.0, 2.0], "zero_point": [0, 0]}}, "one scale a channel"),
        (
            0,
            {"quantization": {"scale": [1.0] * 3, "zero_point": [0] * 3, "dimension": 4}},
            "one scale a channel",
        ),
        (0, {"quantization": {**QUANTIZED, "details_type": 1}}, ""),
    ],
)
def test_a_tensor_that_cannot_be_is_malformed(
    tiny_classifier: Any, number: int, changes: dict[str, Any], words: str
) -> None:
    spec = tiny_classifier.spec()
    spec["subgraphs"][0]["tensors"][number] |= changes
    if words:
        assert words in refused(tiny_classifier, spec)
    else:
        read_graph(tiny_classifier.flatbuffer(spec))


@pytest.mark.parametrize(
    ("number", "changes", "words"),
    [
        (0, {"code": 4}, "an operator has no operator code"),
        (0, {"inputs": [8]}, "a tensor's number is out of range"),
        (0, {"inputs": [-2]}, "a tensor's number is out of range"),
        (0, {"inputs": [-1]}, "a tensor's number is out of range"),
        (1, {"inputs": [1, -1]}, "a tensor's number is out of range"),
        (2, {"inputs": [3, -1, 5]}, "a tensor's number is out of range"),
        (2, {"inputs": [3, 4, -1]}, ""),
        (0, {"outputs": [-1]}, "a tensor's number is out of range"),
        (0, {"outputs": [2**31 - 1]}, "a tensor's number is out of range"),
        (0, {"outputs": []}, "an operator has no output"),
        (0, {"intermediates": [0]}, "or intermediate tensors"),
    ],
)
def test_an_operator_that_cannot_be_is_malformed(
    tiny_classifier: Any, number: int, changes: dict[str, Any], words: str
) -> None:
    spec = tiny_classifier.spec()
    spec["subgraphs"][0]["operators"][number] |= changes
    if words:
        assert words in refused(tiny_classifier, spec)
    else:
        read_graph(tiny_classifier.flatbuffer(spec))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"key": "other"}, "there is no signature 'serving_default'"),
        ({"subgraph": 1}, "there is no signature 'serving_default'"),
        ({"inputs": []}, "does not name the graph's inputs and outputs"),
        ({"outputs": []}, "does not name the graph's inputs and outputs"),
        ({"inputs": [{"name": "image", "tensor": 1}]}, "does not name the graph's"),
        ({"outputs": [{"name": "score", "tensor": 99}]}, "does not name the graph's"),
        ({"inputs": [{"name": "image", "tensor": 0}] * 2}, "does not name the graph's"),
    ],
)
def test_a_signature_that_does_not_fit_is_malformed(
    tiny_classifier: Any, changes: dict[str, Any], words: str
) -> None:
    spec = tiny_classifier.spec()
    spec["signatures"][0] |= changes
    assert words in refused(tiny_classifier, spec)


@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_a_graph_s_side_out_of_range_is_malformed(tiny_classifier: Any, side: str) -> None:
    spec = tiny_classifier.spec()
    spec["subgraphs"][0][side] = [8]
    assert "a tensor's number is out of range" in refused(tiny_classifier, spec)
