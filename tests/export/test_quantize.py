"""LiteRT's quantizer: what is left in float, and what calibration covers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
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


def both(graph: Graph) -> list[int]:
    """Scaling and head."""
    return [*quantize.scaling_of(graph), *quantize.head_of(graph)]


def static(float32: bytes, tensors: Sequence[NDArray[Any]], name: str = "image") -> bytes:
    """int8 with scaling and head in float."""
    return quantize.static(float32, both(read_graph(float32)), tensors, name)


def dynamic(float32: bytes) -> bytes:
    """int8 weights, scaling and head in float."""
    return quantize.dynamic(float32, both(read_graph(float32)))


@pytest.mark.parametrize(
    ("names", "left"),
    [
        ("CAST MUL ADD CONV_2D DEPTHWISE_CONV_2D MEAN FULLY_CONNECTED LOGISTIC", [0, 1, 2, 6, 7]),
        ("CONV_2D MEAN FULLY_CONNECTED", [2]),
        ("DEPTHWISE_CONV_2D FULLY_CONNECTED RELU FULLY_CONNECTED LOGISTIC", [1, 2, 3, 4]),
        # A gate between two convolutions is no head.
        ("MUL CONV_2D MEAN FULLY_CONNECTED MUL CONV_2D MEAN FULLY_CONNECTED", [0, 7]),
        # Features of several layers meet in front of the head, and each keeps its own step.
        ("CONV_2D MEAN CONCATENATION FULLY_CONNECTED LOGISTIC", [2, 3, 4]),
        ("CONV_2D CONCATENATION MEAN FULLY_CONNECTED", [3]),
        ("CONV_2D MEAN CONCATENATION LOGISTIC", []),
        ("CAST CONV_2D MEAN LOGISTIC", [0]),
        ("FULLY_CONNECTED LOGISTIC", []),
        ("", []),
    ],
)
def test_scaling_and_head(names: str, left: list[int]) -> None:
    graph = graph_of(names)
    assert both(graph) == left
    assert quantize.output_names(graph, left) == [f"t{i}" for i in left]


def test_concatenations_of_concatenations_belong_to_the_head() -> None:
    """In a graph's order they stand between the convolutions whose features they join."""
    chain = graph_of("CONV_2D MEAN CONV_2D MEAN CONCATENATION CONV_2D MEAN CONCATENATION")
    inputs = [(-1,), (0,), (0,), (2,), (1, 3), (2,), (5,), (4, 6)]
    operators = [replace(o, inputs=i) for o, i in zip(chain.operators, inputs, strict=True)]
    last = OperatorInfo("FULLY_CONNECTED", 1, (7, 8, 9), (10,), 0, None)
    graph = replace(chain, operators=(*operators, last))
    assert quantize.head_of(graph) == [4, 7, 8]
    # One that feeds a convolution is no part of it.
    operators[5] = replace(operators[5], inputs=(4,))
    operators[7] = replace(operators[7], inputs=(6,))
    assert quantize.head_of(replace(graph, operators=(*operators, last))) == [7, 8]


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
    made = static(float32, tiny_tensors)
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
    made = dynamic(float32)
    graph = read_graph(made)
    assert set(types(made).values()) == {("uint8", "float32"), ("float32", "float32")}
    weights = {o.name: graph.tensors[o.inputs[1]] for o in graph.operators if len(o.inputs) == 3}
    assert weights["CONV_2D"].dtype == weights["DEPTHWISE_CONV_2D"].dtype == "int8"
    assert len(weights["DEPTHWISE_CONV_2D"].scales) == 8
    assert weights["FULLY_CONNECTED"].dtype == "float32"
    assert len(made) < len(float32)


@pytest.mark.tensorflow
def test_values_of_nested_concatenations_are_rounded_once(
    tiny_model: KerasModel,
    network_maker: Callable[..., Any],
    tiny_tensors: Tensors,
    invoke: Callable[[bytes, NDArray[Any]], float],
) -> None:
    """Rounded again from one int8 to another, they would differ between builds of XNNPACK."""

    def body(x: Any) -> Any:
        import keras

        levels = []
        for number, gain in enumerate((2.0, 4.0, 8.0, 16.0)):
            x = keras.layers.Conv2D(4, 3, padding="same", name=f"conv{number}")(x)
            levels.append(x * gain)
        inner = keras.layers.Concatenate()(levels[:2])
        middle = keras.layers.Concatenate()([inner, levels[2]])
        return keras.layers.Concatenate()([middle, levels[3]])

    model = KerasModel("nested", network_maker(body=body), tiny_model.contract)
    float32 = convert.float32_tflite(model)
    made = quantize.static(float32, quantize.scaling_of(read_graph(float32)), tiny_tensors, "image")
    graph = read_graph(made)
    joined = [o for o in graph.operators if o.name == "CONCATENATION"]
    assert len(joined) == 3
    steps = {graph.tensors[i].scales for o in joined for i in (*o.inputs, *o.outputs)}
    assert len(steps) == 1
    between = [o for o in graph.operators if o.name == "QUANTIZE"]
    assert [graph.tensors[o.inputs[0]].dtype for o in between] == ["float32"]
    wanted = [invoke(float32, tensor) for tensor in tiny_tensors]
    assert [invoke(made, tensor) for tensor in tiny_tensors] == pytest.approx(wanted, abs=0.1)


def levels(flatbuffer: bytes, operator: str) -> tuple[float, int]:
    """Scale and zero point of the output of the first ``operator``."""
    graph = read_graph(flatbuffer)
    tensor = graph.tensors[next(o for o in graph.operators if o.name == operator).outputs[0]]
    return tensor.scales[0], tensor.zero_points[0]


@pytest.mark.tensorflow
def test_calibration_covers_the_extremes_of_every_sample(
    float32: bytes, tiny_tensors: Tensors
) -> None:
    """A moving average, the quantizer's own way, would forget the one black and white image."""
    grey = [np.clip(tensor, 120, 130) for tensor in tiny_tensors]
    around = levels(static(float32, [*grey, tiny_tensors[0], *grey]), "MEAN")
    assert around == levels(static(float32, [tiny_tensors[0], *grey]), "MEAN")
    assert levels(static(float32, grey), "MEAN")[0] < around[0]


@pytest.mark.tensorflow
def test_every_pixel_value_has_its_level_whatever_the_samples_hold(
    float32: bytes, tiny_tensors: Tensors
) -> None:
    grey = [np.clip(tensor, 100, 150) for tensor in tiny_tensors]
    for tensors in (grey, tiny_tensors):
        assert levels(static(float32, tensors), "QUANTIZE") == (1 / 128, -1)


@pytest.mark.tensorflow
def test_the_same_bytes_twice(float32: bytes, tiny_tensors: Tensors) -> None:
    assert dynamic(float32) == dynamic(float32)
    first, second = (static(float32, tiny_tensors) for _ in range(2))
    assert first == second


@pytest.mark.tensorflow
def test_scores_stay_near_those_of_float32(
    float32: bytes, tiny_tensors: Tensors, invoke: Callable[[bytes, NDArray[Any]], float]
) -> None:
    wanted = [invoke(float32, tensor) for tensor in tiny_tensors]
    assert max(wanted) - min(wanted) > 0.3
    for made in (dynamic(float32), static(float32, tiny_tensors)):
        assert [invoke(made, tensor) for tensor in tiny_tensors] == pytest.approx(wanted, abs=0.1)


@pytest.mark.tensorflow
def test_a_regression_is_quantized_whole(line_path: Any) -> None:
    line = load_keras(line_path)
    float32 = convert.float32_tflite(line)
    made = static(float32, convert.probe_inputs(line, 50), "x")
    assert types(made)["FULLY_CONNECTED"] == ("int8", "int8")
    assert types(made)["QUANTIZE"] == ("float32", "int8")
    assert types(made)["DEQUANTIZE"] == ("int8", "float32")


@pytest.mark.tensorflow
def test_float16_halves_the_weights_and_keeps_the_scores(
    float32: bytes, tiny_tensors: Tensors, invoke: Callable[[bytes, NDArray[Any]], float]
) -> None:
    made = quantize.float16(float32)
    assert made == quantize.float16(float32)

    def weights(flatbuffer: bytes) -> int:
        graph = read_graph(flatbuffer)
        return sum(t.constant_bytes for t in graph.tensors if len(t.shape) in (2, 4))

    assert weights(made) == weights(float32) / 2
    wanted = [invoke(float32, tensor) for tensor in tiny_tensors]
    assert [invoke(made, tensor) for tensor in tiny_tensors] == pytest.approx(wanted, abs=0.01)


@pytest.mark.tensorflow
def test_sixteen_bits_are_for_linear_models(line_path: Any) -> None:
    line = load_keras(line_path)
    float32 = convert.float32_tflite(line)
    made = quantize.static(float32, [], convert.probe_inputs(line, 50), "x", bits=16)
    assert types(made)["FULLY_CONNECTED"] == ("int16", "int16")
