"""A ``.tflite`` taken apart, for edits that keep its body as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.model_object import drop_unused, model_bytes, read_model
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.graph import SIGNATURE_KEY
from lesionlite_runtime.operators import OPERATOR_NAMES, TENSOR_TYPES

PIXELS = np.arange(256, dtype=np.float64)
MUL_OPTIONS, ADD_OPTIONS = 21, 11
SOFTMAX_OPTIONS, SUB_OPTIONS, STRIDED_SLICE_OPTIONS = 9, 28, 32
"""Numbers in the schema's union of settings."""
ANOTHER_RECIPE = "export with a recipe that keeps the pixel scaling in float"
_ELEMENTWISE: dict[str, Any] = {
    "MUL": np.multiply,
    "ADD": np.add,
    "SUB": np.subtract,
    "DIV": np.divide,
}


class GraphEdit:
    """A model with one input and one output: tensors by number, operators as objects."""

    def __init__(self, flatbuffer: bytes) -> None:
        self._model = read_model(flatbuffer)
        (self._graph,) = self._model.subgraphs
        if not self._model.signatureDefs:
            self._model.signatureDefs = [_signature(self._graph)]
        (self._signature,) = self._model.signatureDefs
        self.input = int(self._graph.inputs[0])
        self.output = int(self._graph.outputs[0])

    def to_bytes(self) -> bytes:
        """The model's bytes, without what nothing refers to."""
        drop_unused(self._model)
        return model_bytes(self._model)

    def name(self, operator: Any) -> str:
        return OPERATOR_NAMES[_builtin(self._model.operatorCodes[operator.opcodeIndex])]

    def tensor_name(self, tensor: int) -> str:
        return bytes(self._graph.tensors[tensor].name).decode()

    def dtype(self, tensor: int) -> str:
        return TENSOR_TYPES[int(self._graph.tensors[tensor].type)]

    def set_dtype(self, tensor: int, dtype: str) -> None:
        self._graph.tensors[tensor].type = TENSOR_TYPES.index(dtype)

    def quantization(self, tensor: int) -> tuple[float, int]:
        quantization = self._graph.tensors[tensor].quantization
        if quantization is None or quantization.scale is None or len(quantization.scale) != 1:
            raise UnusableInput("a tensor at its end is not quantized", ANOTHER_RECIPE)
        return float(quantization.scale[0]), int(quantization.zeroPoint[0])

    def set_quantization(self, tensor: int, scale: float, zero: int) -> None:
        from ai_edge_litert import schema_py_generated as schema

        quantization = schema.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = [np.float32(scale)], [zero]
        self._graph.tensors[tensor].quantization = quantization

    def cast(self) -> Any:
        """The operator that casts the uint8 pixels to float32."""
        casts = [
            operator
            for operator in self._graph.operators
            if self.name(operator) == "CAST"
            and self.dtype(int(operator.inputs[0])) == "uint8"
            and self.dtype(int(operator.outputs[0])) == "float32"
        ]
        if len(casts) != 1 or self.input not in self.upstream(int(casts[0].inputs[0])):
            raise UnusableInput(
                "the model does not cast its pixels to float32",
                "export from a model with uint8 pixels as its input",
            )
        return casts[0]

    def scaled_pixels(self, cast: Any) -> tuple[int, NDArray[np.float64], list[Any]]:
        """The tensor that the scaling ends in, its value for each pixel value, its operators."""
        tensor, values, chain = int(cast.outputs[0]), PIXELS, [cast]
        while True:
            operator = self.only_reader(tensor)
            if self.name(operator) not in _ELEMENTWISE:
                return tensor, values, chain
            values = self._after(operator, tensor, values)
            chain.append(operator)
            tensor = int(operator.outputs[0])

    def upstream(self, tensor: int) -> set[int]:
        """``tensor`` and those that it is computed from, constants left out."""
        found = {tensor}
        for operator in reversed(list(self._graph.operators)):
            if found & {int(i) for i in operator.outputs}:
                found |= {int(i) for i in operator.inputs if not self._is_constant(int(i))}
        return found

    def only_reader(self, tensor: int) -> Any:
        readers = [o for o in self._graph.operators if tensor in [int(i) for i in o.inputs]]
        if len(readers) != 1:
            raise UnusableInput(
                f"the scaled pixels go to {len(readers)} operators, not to one", ANOTHER_RECIPE
            )
        return readers[0]

    def writer(self, tensor: int) -> Any:
        return next(o for o in self._graph.operators if tensor in [int(i) for i in o.outputs])

    def remove(self, operator: Any) -> None:
        self._graph.operators.remove(operator)

    def remove_unread(self) -> None:
        """Take away operators whose results nothing reads."""
        read = {int(i) for i in self._graph.outputs}
        for operator in reversed(list(self._graph.operators)):
            if read & {int(i) for i in operator.outputs}:
                read |= {int(i) for i in operator.inputs}
            else:
                self.remove(operator)

    def state_reshapes(self) -> None:
        """Write the shape that a RESHAPE makes into the file, where it is computed.

        Converters let it be computed from the batch that they leave open. Here every shape is
        known.
        """
        for operator in self._graph.operators:
            if self.name(operator) == "RESHAPE" and len(operator.inputs) > 1:
                shape = self._graph.tensors[int(operator.outputs[0])].shape
                if not self._is_constant(int(operator.inputs[1])):
                    stated = self.new_constant("shape", np.array(shape, "<i4"))
                    operator.inputs = [int(operator.inputs[0]), stated]

    def replace_reads(self, old: int, new: int) -> None:
        for operator in self._graph.operators:
            operator.inputs = [new if int(i) == old else int(i) for i in operator.inputs]

    def put_in_front(self, *operators: Any) -> None:
        self._graph.operators[:0] = operators

    def put_behind(self, *operators: Any) -> None:
        self._graph.operators = [*self._graph.operators, *operators]

    def set_input(self, tensor: int) -> None:
        self._graph.inputs = [tensor]
        self._signature.inputs[0].tensorIndex = tensor
        self.input = tensor

    def set_output(self, tensor: int) -> None:
        self._graph.outputs = [tensor]
        self._signature.outputs[0].tensorIndex = tensor
        self.output = tensor

    def set_names(self, taken: str, given: str) -> None:
        """Name input and output in the signature."""
        self._signature.inputs[0].name = taken.encode()
        self._signature.outputs[0].name = given.encode()

    def new_tensor(
        self, like: int, name: str, dtype: str, shape: Sequence[int] | None = None
    ) -> int:
        """A tensor with the shape of ``like``, or with ``shape``; its number."""
        from ai_edge_litert import schema_py_generated as schema

        tensor = schema.TensorT()
        tensor.shape = list(self._graph.tensors[like].shape if shape is None else shape)
        tensor.type, tensor.name, tensor.buffer = TENSOR_TYPES.index(dtype), name.encode(), 0
        tensor.hasRank = True
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def new_constant(self, name: str, value: float | NDArray[Any]) -> int:
        """A float32 scalar, or a float32 or int32 array; its number."""
        from ai_edge_litert import schema_py_generated as schema

        array = np.asarray(value, "<i4" if np.asarray(value).dtype.kind == "i" else "<f4")
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        number = self.new_tensor(self.input, name, array.dtype.name, array.shape)
        self._graph.tensors[number].buffer = len(self._model.buffers) - 1
        return number

    def new_operator(self, name: str, inputs: list[int], output: int, options: int = 0) -> Any:
        from ai_edge_litert import schema_py_generated as schema

        operator = schema.OperatorT()
        operator.opcodeIndex = self.code(name, 1)
        operator.inputs, operator.outputs = inputs, [output]
        operator.builtinOptionsType = options
        if options:
            kinds = {
                MUL_OPTIONS: schema.MulOptionsT,
                ADD_OPTIONS: schema.AddOptionsT,
                SUB_OPTIONS: schema.SubOptionsT,
                SOFTMAX_OPTIONS: schema.SoftmaxOptionsT,
                STRIDED_SLICE_OPTIONS: schema.StridedSliceOptionsT,
            }
            operator.builtinOptions = kinds[options]()
            if options == SOFTMAX_OPTIONS:
                operator.builtinOptions.beta = 1.0
        return operator

    def code(self, name: str, version: int) -> int:
        """The number of the operator code, added if it is not there."""
        from ai_edge_litert import schema_py_generated as schema

        number, codes = OPERATOR_NAMES.index(name), self._model.operatorCodes
        for i, code in enumerate(codes):
            if _builtin(code) == number and code.version == version:
                return i
        code = schema.OperatorCodeT()
        code.deprecatedBuiltinCode, code.builtinCode = min(number, 127), number
        code.version = version
        codes.append(code)
        return len(codes) - 1

    def _after(
        self, operator: Any, tensor: int, values: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """``values`` of ``tensor`` after one elementwise operator."""
        name = self.name(operator)
        first, second = (int(i) for i in operator.inputs)
        constant = self._constant(second if first == tensor else first)
        if name in ("SUB", "DIV") and second == tensor:
            raise UnusableInput(f"the scaling of pixels has a turned {name}", ANOTHER_RECIPE)
        return np.asarray(_ELEMENTWISE[name](values, constant), np.float64)

    def _constant(self, tensor: int) -> float:
        if not self._is_constant(tensor) or self.dtype(tensor) != "float32":
            raise UnusableInput("the scaling of pixels is no constant", ANOTHER_RECIPE)
        data = self._model.buffers[self._graph.tensors[tensor].buffer].data
        numbers = np.unique(np.asarray(data, np.uint8).view("<f4"))
        if len(numbers) != 1:
            raise UnusableInput(
                "the scaling of pixels differs by channel, which one scale cannot say",
                ANOTHER_RECIPE,
            )
        return float(numbers[0])

    def _is_constant(self, tensor: int) -> bool:
        return self._model.buffers[self._graph.tensors[tensor].buffer].data is not None


def _signature(graph: Any) -> Any:
    """A signature for a graph without one."""
    from ai_edge_litert import schema_py_generated as schema

    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE_KEY.encode(), 0
    sides = []
    for tensors in (graph.inputs, graph.outputs):
        entries = []
        for tensor in tensors:
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = graph.tensors[int(tensor)].name, int(tensor)
            entries.append(entry)
        sides.append(entries)
    signature.inputs, signature.outputs = sides
    return signature


def _builtin(code: Any) -> int:
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))
