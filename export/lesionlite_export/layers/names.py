"""Keras layers by the names that the converter gives to tensors.

A tensor's name lists what was folded into its operator: ``net_1/body_1/stem_relu6_1/Relu6;net_1/
body_1/stem_conv_1/convolution``. Each part is a path of models, layer and operation. The ``_1``
that the converter's own scope adds to each name is taken off again.
"""

from __future__ import annotations

import re

from lesionlite_runtime.errors import printable
from lesionlite_runtime.graph import Graph
from lesionlite_runtime.operators import WITH_WEIGHTS

_NUMBERED = re.compile(r"_\d+\Z")
# Scopes of TensorFlow within a layer.
_INSIDE = frozenset({"batchnorm", "moments", "BiasAdd"})
_WITH_KERNEL = re.compile(r"(convolution|depthwise|separable|conv2d|matmul|einsum)", re.IGNORECASE)


def layer_of(graph: Graph, operator: int) -> str:
    """The Keras layer that an operator of the float32 network is, or mainly is.

    Of several layers in one operator it is the one with the kernel. An operator whose name and
    weights tell no layer belongs to the one in front of it; where no name does, the tensor's name
    stands for it.
    """
    made = graph.operators[operator]
    layers = _told(graph, operator)
    if layers:
        if made.name in WITH_WEIGHTS:
            for layer, operation in layers:
                if _WITH_KERNEL.match(operation):
                    return layer
        return layers[0][0]
    writers = {o: i for i, other in enumerate(graph.operators) for o in other.outputs}
    before = [writers[i] for i in made.inputs if i in writers]
    if before and _told(graph, before[0]):
        return layer_of(graph, before[0])
    return printable(graph.tensors[made.outputs[0]].name.partition(";")[0])


def layers_of(graph: Graph, operator: int) -> tuple[str, ...]:
    """All Keras layers that are one operator, that with the kernel first; none may be known."""
    parts = _told(graph, operator)
    kernels = [layer for layer, operation in parts if _WITH_KERNEL.match(operation)]
    return tuple(dict.fromkeys([*kernels, *(layer for layer, _ in reversed(parts))]))


def _told(graph: Graph, operator: int) -> list[tuple[str, str]]:
    """(Layer, operation) by the name of what an operator makes, or else of its weights.

    What a signature gives out has that signature's name and no other.
    """
    made = graph.operators[operator]
    weights = made.inputs[1:2] if made.name in WITH_WEIGHTS else ()
    return next(filter(None, (_parts(graph, i) for i in (made.outputs[0], *weights))), [])


def _parts(graph: Graph, tensor: int) -> list[tuple[str, str]]:
    """(Layer, operation) of each part of a tensor's name that tells a layer."""
    found = []
    for part in graph.tensors[tensor].name.split(";"):
        *scopes, operation = part.split("/")
        numbered = bool(scopes and _NUMBERED.search(scopes[0]))
        while scopes and scopes[-1] in _INSIDE:
            scopes.pop()
        if scopes:
            layer = _NUMBERED.sub("", scopes[-1]) if numbered else scopes[-1]
            found.append((printable(layer), operation))
    return found
