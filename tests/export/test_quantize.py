"""LiteRT's quantizer: what is left in float, and what calibration covers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export import convert, quantize
from lesionlite_export.keras_model import KerasModel, load_keras
from lesionlite_runtime.graph import Graph, OperatorInfo, TensorInfo, read_graph

Tensors = list[NDArray[np.uint8]]


def graph_of(names: str) -> Graph:
    """A graph of the operators ``names``, one behind the other; tensor i is operator i's output."""
    operators = tuple(
        OperatorInfo(name, 1, (i - 1,), (i,), 0, None) for i, name in enumerate(names.split())
    )
    tensors = tuple(
        TensorInfo(f"t{i}", (1,), "float32", (), (), 0, 0) for i in range(len(operators))
    )
    return Graph(tensors, operators, {}, {})


@pytest.mark.parametrize(
    ("names", "left"),
    [
        ("CAST MUL ADD CONV_2D DEPTHWISE_CONV_2D MEAN FULLY_CONNECTED LOGISTIC", [0, 1, 2, 6, 7]),
        ("CONV_2D MEAN FULLY_CONNECTED", [2]),
        ("DEPTHWISE_CONV_2D FULLY_CONNECTED RELU FULLY_CONNECTED LOGISTIC", [1, 2, 3, 4]),
        # A gate between two convolutions is no head.
        ("MUL CONV_2D MEAN FULLY_CONNECTED MUL CONV_2D MEAN FULLY_CONNECTED", [0, 7]),
        ("CAST CONV_2D MEAN LOGISTIC", [0]),
        ("FULLY_CONNECTED LOGISTIC", []),
        ("", []),
    ],
)
def test_scaling_and_head(names: str, left: list[int]) -> None:
    graph = graph_of(names)
    assert quantize.scaling_and_head(graph) == left
    assert quantize.output_names(graph, left) == [f"t{i}" for i in left]


@pytest.fixture(scope="module")
def float32(tiny_model: KerasModel) -> bytes:
    """The tiny classifier in float32."""
    return convert.float32_tflite(tiny_model)


def types(flatbuffer: bytes) -> dict[str, tuple[str, str]]:
    """Each operator's (input, output) types."""
    graph = read_graph(flatbuffer)
    return {
        o.name: (graph.tensors[o.inputs[0]].dtype, graph.tensors[o.outputs[0]].dtype)
        for o in graph.operators
    }


@pytest.mark.tensorflow
def test_a_static_file_has_its_scaling_and_head_in_float(
    float32: bytes, tiny_tensors: Tensors
) -> None:
    made = quantize.static_int8(float32, tiny_tensors, "image")
    graph = read_graph(made)
    found = types(made)
    assert found["CAST"] == ("uint8", "float32")
    for name in ("MUL", "ADD", "FULLY_CONNECTED", "LOGISTIC"):
        assert found[name] == ("float32", "float32")
    for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "MEAN"):
        assert found[name] == ("int8", "int8")
    for side, dtype in ((graph.inputs, "uint8"), (graph.outputs, "float32")):
        (index,) = side.values()
        assert graph.tensors[index].dtype == dtype
        assert graph.tensors[index].scales == ()
    assert list(graph.inputs) == ["image"]
    assert list(graph.outputs) == ["score"]


@pytest.mark.tensorflow
def test_a_dynamic_file_has_int8_weights_and_a_float_head(float32: bytes) -> None:
    made = quantize.dynamic(float32)
    graph = read_graph(made)
    assert set(types(made).values()) == {("uint8", "float32"), ("float32", "float32")}
    weights = {o.name: graph.tensors[o.inputs[1]] for o in graph.operators if len(o.inputs) == 3}
    assert weights["CONV_2D"].dtype == weights["DEPTHWISE_CONV_2D"].dtype == "int8"
    assert len(weights["DEPTHWISE_CONV_2D"].scales) == 8
    assert weights["FULLY_CONNECTED"].dtype == "float32"
    assert len(made) < len(float32)


@pytest.mark.tensorflow
def test_calibration_covers_the_extremes_of_every_sample(
    float32: bytes, tiny_tensors: Tensors
) -> None:
    """A moving average, the quantizer's own way, would forget the one black and white image."""

    def scale_of_pixels(tensors: Tensors) -> tuple[float, int]:
        graph = read_graph(quantize.static_int8(float32, tensors, "image"))
        (quantizing,) = (o for o in graph.operators if o.name == "QUANTIZE")
        tensor = graph.tensors[quantizing.outputs[0]]
        return tensor.scales[0], tensor.zero_points[0]

    grey = [np.clip(tensor, 100, 150) for tensor in tiny_tensors]
    extreme = grey[0].copy()
    extreme[0, 0, :2] = [[0], [255]]
    assert scale_of_pixels([*grey, extreme, *grey]) == (1 / 128, -1)
    assert scale_of_pixels([extreme, *grey]) == (1 / 128, -1)
    assert scale_of_pixels(grey)[0] < 1 / 256


@pytest.mark.tensorflow
def test_the_same_bytes_twice(float32: bytes, tiny_tensors: Tensors) -> None:
    assert quantize.dynamic(float32) == quantize.dynamic(float32)
    first, second = (quantize.static_int8(float32, tiny_tensors, "image") for _ in range(2))
    assert first == second


@pytest.mark.tensorflow
def test_scores_stay_near_those_of_float32(
    float32: bytes, tiny_tensors: Tensors, invoke: Callable[[bytes, NDArray[Any]], float]
) -> None:
    wanted = [invoke(float32, tensor) for tensor in tiny_tensors]
    assert max(wanted) - min(wanted) > 0.3
    for made in (quantize.dynamic(float32), quantize.static_int8(float32, tiny_tensors, "image")):
        assert [invoke(made, tensor) for tensor in tiny_tensors] == pytest.approx(wanted, abs=0.1)


@pytest.mark.tensorflow
def test_a_regression_is_quantized_whole(line_path: Any) -> None:
    line = load_keras(line_path)
    float32 = convert.float32_tflite(line)
    made = quantize.static_int8(float32, convert.probe_inputs(line, 50), "x")
    assert types(made)["FULLY_CONNECTED"] == ("int8", "int8")
    assert types(made)["QUANTIZE"] == ("float32", "int8")
    assert types(made)["DEQUANTIZE"] == ("int8", "float32")
