"""Operators on inputs of their own: the same kernels, the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export.layers.forced import ForcedGraph, with_fed_tensor
from lesionlite_export.layers.interpreter import KeptGraph, load_interpreter
from lesionlite_export.layers.pairing import pair_graphs
from lesionlite_export.tflite_model import TfliteModel, load_tflite
from lesionlite_runtime.errors import UnusableInput

pytestmark = pytest.mark.tensorflow
RECIPES = ("float16", "dynamic", "int8", "int8-plain", "int8-raw", "int8-full")


@pytest.mark.parametrize("recipe", RECIPES)
def test_fed_the_graphs_own_tensors_every_operator_gives_its_own_output(
    recipe: str,
    deep_float32: TfliteModel,
    deep_files: dict[str, Path],
    tiny_tensors: list[NDArray[np.uint8]],
) -> None:
    model = load_tflite(deep_files[recipe])
    pairs = pair_graphs(deep_float32.opened.graph, model.opened.graph)
    slots = {(pair.operator, feed.slot) for pair in pairs for feed in pair.feeds}
    kept = KeptGraph(model.flatbuffer, "image")
    forced = ForcedGraph(model.flatbuffer, slots)
    assert list(forced.operators) == [pair.operator for pair in pairs]
    for tensor in tiny_tensors[:3]:
        kept.run(tensor)
        for pair in pairs:
            for feed in pair.feeds:
                forced.feed((pair.operator, feed.slot), kept.value(feed.tensor))
        forced.run()
        for pair in pairs:
            made = forced.output(pair.operator)
            assert made.dtype == kept.value(pair.output).dtype
            np.testing.assert_array_equal(made, kept.value(pair.output))


def test_constants_are_exchanged_and_nothing_else(
    deep_float32: TfliteModel, tiny_tensors: list[NDArray[np.uint8]]
) -> None:
    graph = deep_float32.opened.graph
    number = next(i for i, o in enumerate(graph.operators) if o.name == "FULLY_CONNECTED")
    head = graph.operators[number]
    shape = graph.tensors[head.inputs[1]].shape
    forced = ForcedGraph(
        deep_float32.flatbuffer, {(number, 0)}, {(number, 1): np.zeros(shape, np.float32)}
    )
    assert forced.operators == (number,)
    kept = KeptGraph(deep_float32.flatbuffer, "image")
    kept.run(tiny_tensors[0])
    forced.feed((number, 0), kept.value(head.inputs[0]))
    forced.run()
    tensor = graph.tensors[head.inputs[2]]
    bias = np.frombuffer(deep_float32.flatbuffer, "<f4", 1, tensor.constant_offset)
    assert forced.output(number).ravel() == pytest.approx(bias)


def test_a_fed_tensor_takes_the_place_of_the_one_that_is_computed(
    deep_float32: TfliteModel, tiny_tensors: list[NDArray[np.uint8]]
) -> None:
    graph = deep_float32.opened.graph
    added = next(
        o.outputs[0]
        for o in graph.operators
        if o.name == "ADD" and "second" in name_of(graph.tensors[o.outputs[0]].name)
    )
    interpreter = load_interpreter(with_fed_tensor(deep_float32.flatbuffer, added), None)
    image, fed = (d["index"] for d in interpreter.get_input_details())
    (output,) = (d["index"] for d in interpreter.get_output_details())
    kept = KeptGraph(deep_float32.flatbuffer, "image")
    (score,) = graph.outputs.values()

    def run(pixels: NDArray[np.uint8], value: NDArray[np.float32]) -> float:
        interpreter.set_tensor(image, pixels)
        interpreter.set_tensor(fed, value)
        interpreter.invoke()
        return float(interpreter.get_tensor(output).item())

    scores = []
    for pixels in tiny_tensors[:2]:
        kept.run(pixels)
        scores.append((kept.value(added), kept.value(score).item()))
        assert run(pixels, scores[-1][0]) == scores[-1][1]
    assert run(tiny_tensors[0], scores[1][0]) == scores[1][1]


def name_of(tensor: str) -> str:
    return tensor.partition(";")[0]


def test_what_the_interpreter_refuses_is_told_in_one_sentence() -> None:
    with pytest.raises(UnusableInput, match=r"^m.tflite: LiteRT cannot run it layer by layer \("):
        load_interpreter(b"no model", "m.tflite")
