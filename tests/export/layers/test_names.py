"""Layers by the names of tensors, against Keras' own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lesionlite_export.convert import float32_tflite
from lesionlite_export.keras_model import KerasModel
from lesionlite_export.layers.names import layer_of, layers_of
from lesionlite_runtime.graph import Graph, OperatorInfo, TensorInfo, read_graph
from lesionlite_runtime.operators import WITH_WEIGHTS


def graph_of(*made: tuple[str, str]) -> Graph:
    """A chain of (operator, name of its output)."""
    tensors = tuple(TensorInfo(name, (1,), "float32", (), (), 0, 0) for _, name in made)
    operators = tuple(
        OperatorInfo(name, 1, (i - 1, i - 1) if i else (), (i,), 0, None)
        for i, (name, _) in enumerate(made)
    )
    return Graph(tensors, operators, {}, {})


@pytest.mark.parametrize(
    ("operator", "name", "layer", "layers"),
    [
        (
            "CONV_2D",
            "net_1/body_1/stem_relu6_1/Relu6;net_1/body_1/stem_bn_1/batchnorm/add_1;"
            "net_1/body_1/stem_1/convolution;net_1/body_1/stem_bn_1/batchnorm/sub1",
            "stem",
            ("stem", "stem_bn", "stem_relu6"),
        ),
        (
            "DEPTHWISE_CONV_2D",
            "net_1/bn_1/batchnorm/add_1;net_1/dw_1/depthwise",
            "dw",
            ("dw", "bn"),
        ),
        ("FULLY_CONNECTED", "net_1/score_1/MatMul;net_1/score_1/Add", "score", ("score",)),
        ("ADD", "net_1/block_1/add_2_1/Add", "add_2", ("add_2",)),
        ("CONV_2D", "body/conv2d_1/convolution", "conv2d_1", ("conv2d_1",)),
        ("MEAN", "nothing of Keras:0", "nothing of Keras:0", ()),
    ],
)
def test_a_name_tells_the_layer(
    operator: str, name: str, layer: str, layers: tuple[str, ...]
) -> None:
    graph = graph_of((operator, name))
    assert (layer_of(graph, 0), layers_of(graph, 0)) == (layer, layers)


def test_an_output_without_a_name_belongs_to_the_layer_in_front_of_it() -> None:
    graph = graph_of(
        ("FULLY_CONNECTED", "net_1/score_1/MatMul"), ("LOGISTIC", "StatefulPartitionedCall_1:0")
    )
    assert layer_of(graph, 1) == "score"
    assert layers_of(graph, 1) == ()


def test_control_characters_in_names_are_escaped() -> None:
    assert layer_of(graph_of(("ADD", "net_1/a\x1b[2J_1/Add")), 0) == "a\\x1b[2J"


def keras_layers(network: Any) -> Iterator[Any]:
    for layer in network.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from keras_layers(layer)


@pytest.mark.tensorflow
def test_every_operator_with_weights_has_a_layer_of_the_network(lesion_model: KerasModel) -> None:
    layers = {layer.name: type(layer).__name__ for layer in keras_layers(lesion_model.network)}
    graph = read_graph(float32_tflite(lesion_model))
    kinds = {
        "CONV_2D": "Conv2D",
        "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
        "FULLY_CONNECTED": "Dense",
    }
    found = []
    for number, operator in enumerate(graph.operators):
        if operator.name in WITH_WEIGHTS:
            found.append(layer_of(graph, number))
            assert layers[found[-1]] == kinds[operator.name]
            assert set(layers_of(graph, number)) <= layers.keys()
        elif operator.name in ("ADD", "MEAN", "SOFTMAX") and number > 2:
            assert layer_of(graph, number) in layers
    assert len(found) == sum(k in kinds.values() for k in layers.values())
    assert len(set(found)) == len(found)
    # The output has the signature's name alone: its operator's weights tell the layer.
    assert found[-2:] == ["classes", "score"]
