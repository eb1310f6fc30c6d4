"""Operators of a file and of the float network in pairs, or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export.convert import float32_tflite
from lesionlite_export.keras_model import KerasModel
from lesionlite_export.layers.pairing import Pair, pair_graphs
from lesionlite_export.make import Form, make
from lesionlite_export.recipe import load_recipe
from lesionlite_export.tflite_model import TfliteModel, load_tflite
from lesionlite_export.views import views_network
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.graph import Graph, OperatorInfo, TensorInfo, read_graph

pytestmark = pytest.mark.tensorflow
Tensors = list[NDArray[np.uint8]]
RECIPES = ("float16", "dynamic", "int8", "int8-plain", "int8-raw", "int8-full")
SCALING = ["CAST", "MUL", "ADD"]
TYPES = ["QUANTIZE", "DEQUANTIZE"]


def names(graph: Graph, pairs: tuple[Pair, ...]) -> list[str]:
    return [graph.operators[pair.operator].name for pair in pairs]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_operator_has_its_counterpart(
    recipe: str, deep_float32: TfliteModel, deep_files: dict[str, Path]
) -> None:
    reference, graph = deep_float32.opened.graph, load_tflite(deep_files[recipe]).opened.graph
    pairs = pair_graphs(reference, graph)
    counterparts = [pair.reference for pair in pairs if pair.reference is not None]
    lacks = SCALING if recipe in ("int8-raw", "int8-full") else []
    assert counterparts == list(range(len(lacks), len(reference.operators)))
    for pair in pairs:
        operator = graph.operators[pair.operator]
        assert operator.outputs[0] == pair.output
        exact = reference.tensors[pair.output_reference]
        assert exact.shape == graph.tensors[pair.output].shape
        if pair.reference is None:
            assert operator.name in TYPES
        else:
            assert reference.operators[pair.reference].name == operator.name
    weighted = [pair for pair in pairs if any(c.slot == 1 for c in pair.constants)]
    assert {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"} <= set(names(graph, tuple(weighted)))
    for pair in weighted:
        for constant in pair.constants:
            assert graph.tensors[constant.tensor].is_constant
            assert reference.tensors[constant.reference].dtype == "float32"


def test_the_input_of_a_file_without_scaling_stands_for_the_scaled_pixels(
    deep_float32: TfliteModel, deep_files: dict[str, Path]
) -> None:
    reference, graph = (
        deep_float32.opened.graph,
        load_tflite(deep_files["int8-raw"]).opened.graph,
    )
    pairs = pair_graphs(reference, graph)
    assert names(graph, pairs)[:2] == ["QUANTIZE", "CONV_2D"]
    scaled = reference.operators[2].outputs[0]
    assert pairs[0].output_reference == pairs[0].feeds[0].reference == scaled
    assert pairs[1].feeds[0].reference == scaled


@pytest.mark.parametrize("recipe", ["int8", "int8-raw"])
def test_views_are_paired(recipe: str, deep_model: KerasModel, tiny_tensors: Tensors) -> None:
    views = KerasModel("v", views_network(deep_model.network, 8), deep_model.contract)
    made = make(views, load_recipe(recipe), tiny_tensors)
    reference = make(views, load_recipe("float32"), tiny_tensors).flatbuffer
    graph = read_graph(made.flatbuffer)
    found = names(graph, pair_graphs(read_graph(reference), graph))
    # Where the scaling is in the input, what turns pixels holds other numbers than the reference.
    assert ("REVERSE_V2" in found) is (recipe == "int8")
    assert found[-2:] == ["RESHAPE", "MEAN"] or "MEAN" in found[-3:]
    assert "CONV_2D" in found


@pytest.mark.parametrize("recipe", ["int8", "int8-plain"])
def test_a_float_input_and_two_labels_are_paired(
    recipe: str, deep_model: KerasModel, tiny_tensors: Tensors
) -> None:
    form = Form(io="float32", two_labels=True)
    made = make(deep_model, load_recipe(recipe), tiny_tensors, form).flatbuffer
    two = make(deep_model, load_recipe("float32"), [], Form(two_labels=True)).flatbuffer
    graph = read_graph(made)
    found = names(graph, pair_graphs(read_graph(two), graph))
    assert "CAST" not in found
    assert "CONCATENATION" in found
    with pytest.raises(UnusableInput, match=r"operator \d+, SUB to \[1, 1\], is not there"):
        pair_graphs(read_graph(float32_tflite(deep_model)), graph)


def test_another_network_is_refused_in_one_sentence(
    deep_float32: TfliteModel,
    deep_files: dict[str, Path],
    deep_model: KerasModel,
    network_maker: Callable[..., Any],
) -> None:
    graph = load_tflite(deep_files["int8"]).opened.graph
    other = float32_tflite(KerasModel("other", network_maker(), deep_model.contract))
    with pytest.raises(UnusableInput) as caught:
        pair_graphs(read_graph(other), graph, "m.tflite")
    assert str(caught.value) == (
        "m.tflite: its operators cannot be paired with those of the float network (operator 6, "
        "CONV_2D to [1, 16, 16, 8], is operator 5, CONV_2D to [1, 16, 16, 16], there); compare it "
        "with the .keras, or the float32 .tflite, that it was made from"
    )
    longer = replace(
        deep_float32.opened.graph,
        operators=(*deep_float32.opened.graph.operators, deep_float32.opened.graph.operators[-1]),
    )
    with pytest.raises(UnusableInput, match=r"there is not in it\)"):
        pair_graphs(longer, graph)


def test_operators_wired_otherwise_are_refused() -> None:
    """Two branches that a quantizer exchanged would pair in order, and compare wrongly."""
    tensors = tuple(TensorInfo(f"t{i}", (1, 4), "float32", (), (), 0, 0) for i in range(4))

    def graph(sources: tuple[int, int]) -> Graph:
        operators = (
            OperatorInfo("RELU", 1, (0,), (1,), 0, None),
            OperatorInfo("RELU", 1, (sources[0],), (2,), 0, None),
            OperatorInfo("ADD", 1, (sources[1], 2), (3,), 0, None),
        )
        return Graph(tensors, operators, {"x": 0}, {"y": 3})

    assert len(pair_graphs(graph((0, 1)), graph((0, 1)))) == 3
    with pytest.raises(UnusableInput, match="has other inputs there"):
        pair_graphs(graph((0, 1)), graph((1, 0)))
