"""Other inputs and outputs for a finished file: the scores stay what they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export import convert, quantize
from lesionlite_export.interface_edits import (
    scaled_pixel_range,
    with_cast_first,
    with_float_input,
    with_pixel_input,
    with_quantized_input,
    with_uint8_output,
)
from lesionlite_export.keras_model import KerasModel
from lesionlite_export.views import views_network
from lesionlite_runtime.door import checked_graph
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.graph import TensorInfo, read_graph

pytestmark = pytest.mark.tensorflow
Tensors = list[NDArray[np.uint8]]
Invoke = Callable[[bytes, NDArray[Any]], float]


@pytest.fixture(scope="module")
def float32(tiny_model: KerasModel) -> bytes:
    """The tiny classifier in float32."""
    return convert.float32_tflite(tiny_model)


def int8(float32: bytes, tensors: Tensors, *, head: bool = True) -> bytes:
    """It in int8, the scaling in float, and the head, too, if ``head``."""
    graph = read_graph(float32)
    left = [*quantize.scaling_of(graph), *(quantize.head_of(graph) if head else [])]
    return quantize.static(float32, left, tensors, "image")


def ends(flatbuffer: bytes) -> tuple[TensorInfo, TensorInfo]:
    """Input and output."""
    graph = read_graph(flatbuffer)
    (first,), (last,) = graph.inputs.values(), graph.outputs.values()
    return graph.tensors[first], graph.tensors[last]


def names(flatbuffer: bytes) -> list[str]:
    """The operators in order."""
    return [operator.name for operator in read_graph(flatbuffer).operators]


@pytest.mark.parametrize("quantized", [False, True])
def test_a_float_input_takes_the_pixels_as_numbers(
    float32: bytes, tiny_tensors: Tensors, invoke: Invoke, quantized: bool
) -> None:
    made = int8(float32, tiny_tensors) if quantized else float32
    edited = with_float_input(made)
    assert names(edited) == [name for name in names(made) if name != "CAST"]
    assert (ends(edited)[0].dtype, ends(edited)[0].shape) == ("float32", (1, 32, 32, 3))
    assert list(read_graph(edited).inputs) == ["image"]
    for tensor in tiny_tensors[:5]:
        assert invoke(edited, tensor.astype(np.float32)) == invoke(made, tensor)


def test_it_cannot_be_made_twice(float32: bytes) -> None:
    with pytest.raises(UnusableInput, match="does not cast its pixels to float32"):
        with_float_input(with_float_input(float32))


@pytest.mark.parametrize(("low", "high"), [(0.0, 255.0), (-1.0, 1.0)])
def test_pixels_in_front_of_a_float_input(
    float32: bytes, tiny_tensors: Tensors, invoke: Invoke, low: float, high: float
) -> None:
    plain = with_float_input(float32)
    edited = with_pixel_input(plain, low, high)
    assert names(edited)[:3] == ["CAST", "MUL", "ADD"]
    assert (ends(edited)[0].dtype, ends(edited)[0].shape) == ("uint8", (1, 32, 32, 3))
    assert list(read_graph(edited).inputs) == ["image"]
    for tensor in tiny_tensors[:5]:
        scaled = (low + tensor.astype(np.float64) * (high - low) / 255).astype(np.float32)
        assert invoke(edited, tensor) == pytest.approx(invoke(plain, scaled), abs=1e-6)


@pytest.mark.parametrize("extremes", [True, False])
def test_quantized_pixels_give_the_same_scores(
    float32: bytes, tiny_tensors: Tensors, invoke: Invoke, extremes: bool
) -> None:
    """Also where no image of the calibration held black or white."""
    tensors = tiny_tensors if extremes else [np.clip(t, 60, 190) for t in tiny_tensors]
    made = int8(float32, tensors)
    edited = with_quantized_input(made)
    assert names(edited)[:2] == ["QUANTIZE", "CONV_2D"]
    first = ends(edited)[0]
    assert (first.dtype, first.scales, first.zero_points) == ("uint8", (1 / 128,), (127,))
    for tensor in tiny_tensors:
        assert invoke(edited, tensor) == invoke(made, tensor)


def test_several_views_can_have_quantized_pixels_and_float_ones(
    tiny_model: KerasModel, tiny_tensors: Tensors, invoke: Invoke
) -> None:
    network = views_network(tiny_model.network, 8)
    float32 = convert.float32_tflite(KerasModel("m", network, tiny_model.contract))
    made = int8(float32, tiny_tensors[:4])
    raw, floats = with_quantized_input(made), with_float_input(made)
    for tensor in tiny_tensors[:5]:
        assert invoke(raw, tensor) == invoke(made, tensor)
        assert invoke(floats, tensor.astype(np.float32)) == invoke(made, tensor)


def test_the_cast_comes_first_where_views_are_made(
    tiny_model: KerasModel, float32: bytes, tiny_tensors: Tensors, invoke: Invoke
) -> None:
    """Views of uint8 pixels end in a CONCATENATION without scales, which is refused at the door."""
    network = views_network(tiny_model.network, 8)
    viewed = convert.float32_tflite(KerasModel("m", network, tiny_model.contract))
    with pytest.raises(UnusableInput, match="CONCATENATION has no scale"):
        checked_graph(viewed, "m")
    edited = with_cast_first(viewed)
    checked_graph(edited, "m")
    assert names(edited)[0] == "CAST"
    assert sorted(names(edited)) == sorted(names(viewed))
    for tensor in tiny_tensors[:5]:
        assert invoke(edited, tensor) == invoke(viewed, tensor)
    assert with_cast_first(float32) == float32


def test_an_integer_output_is_the_score_on_256_levels(
    float32: bytes, tiny_tensors: Tensors, invoke: Invoke
) -> None:
    made = int8(float32, tiny_tensors, head=False)
    edited = with_uint8_output(with_quantized_input(made))
    last = ends(edited)[1]
    assert (last.dtype, last.scales, last.zero_points) == ("uint8", (1 / 256,), (0,))
    assert "DEQUANTIZE" not in names(edited)
    for tensor in tiny_tensors:
        assert invoke(edited, tensor) / 256 == invoke(made, tensor)


def test_a_float_head_has_no_integer_score(float32: bytes, tiny_tensors: Tensors) -> None:
    with pytest.raises(UnusableInput, match="the score is not computed in int8"):
        with_uint8_output(int8(float32, tiny_tensors))


def test_the_range_of_scaled_pixels(float32: bytes) -> None:
    found = scaled_pixel_range(float32)
    assert found is not None
    assert found[1:] == (-127 / 128, 1.0)
    assert scaled_pixel_range(with_float_input(float32)) is None


def rescaled(network_maker: Callable[..., Any], contract: Any, scale: Any, offset: Any) -> bytes:
    """The tiny network behind another scaling."""
    import keras

    network = network_maker()
    image = keras.Input((32, 32, 3), dtype="uint8", name="image")
    x = keras.layers.Rescaling(scale, offset=offset, name="other")(image)
    for layer in network.layers[2:]:
        x = layer(x)
    return convert.float32_tflite(KerasModel("m", keras.Model(image, x), contract))


def test_a_zero_between_two_levels_is_half_a_step_off(
    network_maker: Callable[..., Any], tiny_model: KerasModel, tiny_tensors: Tensors, invoke: Invoke
) -> None:
    made = int8(rescaled(network_maker, tiny_model.contract, 1 / 127.5, -1.0), tiny_tensors)
    edited = with_quantized_input(made)
    first = ends(edited)[0]
    assert first.scales[0] == pytest.approx(1 / 127.5)
    assert first.zero_points[0] in (127, 128)
    for tensor in tiny_tensors:
        assert invoke(edited, tensor) == pytest.approx(invoke(made, tensor), abs=0.02)


def test_a_scaling_by_channel_cannot_be_the_input_s_scale(
    network_maker: Callable[..., Any], tiny_model: KerasModel, tiny_tensors: Tensors
) -> None:
    scale, offset = [1 / 58.4, 1 / 57.1, 1 / 57.4], [-2.1, -2.0, -1.8]
    made = int8(rescaled(network_maker, tiny_model.contract, scale, offset), tiny_tensors)
    with pytest.raises(UnusableInput, match="differs by channel, which one scale cannot say"):
        with_quantized_input(made)
