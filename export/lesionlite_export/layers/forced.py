"""Each operator of a graph on inputs of its own, all in one invoke.

In the graph itself an operator gets what those before it made, errors included. Here every
computed input becomes an input of the graph, so that each operator can be fed the right one and
shows the error that it adds by itself. It runs by the same kernels as in the graph itself: fed the
graph's own tensors, the outputs are those of the graph, bit for bit.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.layers.interpreter import load_interpreter
from lesionlite_export.model_object import drop_unused, model_bytes, read_model

Slot = tuple[int, int]
"""Number of an operator, and the place of one of its inputs."""


class ForcedGraph:
    """Operators of a ``.tflite``, each of which is fed apart from the others.

    Args:
        flatbuffer: the model.
        slots: the inputs that are fed; operators without one are left out.
        constants: float32 values in place of constants of the file.
        file: its name, for errors.

    Raises:
        UnusableInput: when the interpreter refuses the operators.
    """

    def __init__(
        self,
        flatbuffer: bytes,
        slots: Collection[Slot],
        constants: Mapping[Slot, NDArray[np.float32]] | None = None,
        file: str | None = None,
    ) -> None:
        ordered = sorted(slots)
        self.operators = tuple(sorted({operator for operator, _ in slots}))
        forced = _forced(flatbuffer, ordered, self.operators, constants or {})
        self._interpreter = load_interpreter(forced, file)
        details = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._inputs = {s: d["index"] for s, d in zip(ordered, details[0], strict=True)}
        self._outputs = {o: d["index"] for o, d in zip(self.operators, details[1], strict=True)}

    def feed(self, slot: Slot, value: NDArray[Any]) -> None:
        """Put ``value``, in the type of the model's own tensor, where the next run reads it."""
        self._interpreter.set_tensor(self._inputs[slot], value)

    def run(self) -> None:
        """Run every operator on what it was fed."""
        self._interpreter.invoke()

    def output(self, operator: int) -> NDArray[Any]:
        """A copy of the first output of ``operator`` after the last run."""
        value: NDArray[Any] = self._interpreter.get_tensor(self._outputs[operator])
        return value


def with_fed_tensor(flatbuffer: bytes, tensor: int) -> bytes:
    """The model with one input more, the last, which is read wherever ``tensor`` was."""
    model = read_model(flatbuffer)
    (graph,) = model.subgraphs
    fed = _added(graph, tensor)
    for operator in graph.operators:
        operator.inputs = [fed if int(i) == tensor else int(i) for i in operator.inputs]
    graph.inputs = [*(int(i) for i in graph.inputs), fed]
    model.signatureDefs = []
    return model_bytes(model)


def _forced(
    flatbuffer: bytes,
    slots: Collection[Slot],
    operators: Collection[int],
    constants: Mapping[Slot, NDArray[np.float32]],
) -> bytes:
    """The graph with ``slots`` as its inputs, and the outputs of ``operators`` as its outputs."""
    model = read_model(flatbuffer)
    (graph,) = model.subgraphs
    for operator in graph.operators:
        operator.inputs = [int(i) for i in operator.inputs]
    numbered = list(enumerate(graph.operators))
    graph.inputs = []
    for number, slot in slots:
        inputs = numbered[number][1].inputs
        inputs[slot] = _added(graph, inputs[slot])
        graph.inputs.append(inputs[slot])
    for (number, slot), value in constants.items():
        inputs = numbered[number][1].inputs
        inputs[slot] = _added_constant(model, graph, inputs[slot], value)
    graph.outputs = [int(numbered[number][1].outputs[0]) for number in operators]
    needed: set[int] = set()
    kept = []
    for number, operator in reversed(numbered):
        # Those that are not fed are needed for what they make of constants, such as float32 of
        # float16 weights.
        if number in operators or needed & {int(i) for i in operator.outputs}:
            needed.update(operator.inputs)
            kept.append(operator)
    graph.operators = kept[::-1]
    model.signatureDefs = []
    drop_unused(model)
    return model_bytes(model)


def _added(graph: Any, like: int) -> int:
    """The number of a new tensor of the form of ``like`` that nothing computes."""
    tensor = copy.copy(graph.tensors[like])
    tensor.name, tensor.buffer = b"fed", 0
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _added_constant(model: Any, graph: Any, like: int, value: NDArray[np.float32]) -> int:
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = np.frombuffer(value.astype("<f4").tobytes(), np.uint8)
    model.buffers.append(buffer)
    number = _added(graph, like)
    graph.tensors[number].buffer = len(model.buffers) - 1
    return number
