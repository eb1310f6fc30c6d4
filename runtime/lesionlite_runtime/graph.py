"""What a ``.tflite`` FlatBuffer holds, read without an interpreter: tensors, operators, signatures.

Field numbers are those of TFLite's public schema (schema.fbs, version 3).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from lesionlite_runtime.flatbuffer import Malformed, Table, root_table, verify
from lesionlite_runtime.operators import (
    BITS_OF_TYPE,
    OPERATOR_NAMES,
    OPTIONAL_INPUTS,
    TENSOR_TYPES,
    ZERO_POINTS,
)
from lesionlite_runtime.schema import OPTIONS, TABLES

SCHEMA_VERSION = 3
SIGNATURE_KEY = "serving_default"
MAX_TENSOR_BYTES = 1 << 28
MAX_RANK = 8
SCALES = (1e-30, 1e30)


@dataclass(frozen=True)
class TensorInfo:
    """A tensor: its shape (with -1 for a dynamic side), type, quantization and constant bytes.

    ``scales`` and ``zero_points`` are empty for a tensor that is not quantized, of length 1 per
    tensor and longer per channel. A constant's values stand in ``constant_bytes`` bytes of the file
    from ``constant_offset`` on; both are 0 for a tensor computed at run time.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    constant_offset: int
    constant_bytes: int

    @property
    def is_constant(self) -> bool:
        """Whether the file holds the tensor's values."""
        return self.constant_bytes > 0


@dataclass(frozen=True)
class OperatorInfo:
    """An operator: its builtin name, version, and the numbers of its tensors (-1 for none).

    ``options`` is the table of the operator's own settings, such as strides; ``options_type`` its
    number in the schema's union of settings, 0 where there are none.
    """

    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options_type: int
    options: Table | None


@dataclass(frozen=True)
class Graph:
    """The one subgraph of a model, and its signature's names for inputs and outputs."""

    tensors: tuple[TensorInfo, ...]
    operators: tuple[OperatorInfo, ...]
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]

    def operator_counts(self) -> dict[str, int]:
        """How often each operator occurs, by name."""
        return dict(sorted(Counter(operator.name for operator in self.operators).items()))


def read_graph(flatbuffer: bytes, *, unsigned: bool = False) -> Graph:
    """The graph in ``flatbuffer``; every offset, index and length in it is checked.

    Args:
        flatbuffer: its bytes.
        unsigned: take a model without a signature as well; its inputs and outputs then have the
            names of their tensors.

    Raises:
        Malformed: when the bytes are no well-formed TFLite model with one subgraph and one
            signature, or constants do not have the size that shape and type ask for.
    """
    verify(flatbuffer, "Model", TABLES, OPTIONS)
    model = root_table(flatbuffer)
    version = model.scalar(0, "<I")
    if version != SCHEMA_VERSION:
        raise Malformed(f"the schema version is {version}, not {SCHEMA_VERSION}")
    subgraphs = model.tables(2)
    if len(subgraphs) != 1:
        raise Malformed(f"there are {len(subgraphs)} subgraphs where one is expected")
    buffers = [_buffer(buffer, len(flatbuffer)) for buffer in model.tables(4)]
    _check_metadata(model, len(buffers))
    codes = [_operator_code(code) for code in model.tables(1)]
    (subgraph,) = subgraphs
    tensors = tuple(_tensor(table, buffers) for table in subgraph.tables(0))
    operators = tuple(_operator(table, codes, len(tensors)) for table in subgraph.tables(3))
    sides = subgraph.numbers(1, "i"), subgraph.numbers(2, "i")
    for index in (*sides[0], *sides[1]):
        _check_index(index, len(tensors))
    if unsigned and not model.tables(7):
        inputs, outputs = ({tensors[index].name: index for index in side} for side in sides)
    else:
        inputs, outputs = _signature(model, *sides)
    return Graph(tensors, operators, inputs, outputs)


def _buffer(buffer: Table, file_bytes: int) -> tuple[int, int]:
    """(Position, size) of a buffer's bytes in the file."""
    offset, size = buffer.scalar(1, "<Q"), buffer.scalar(2, "<Q")
    if offset > 1:  # 0 and 1 mean that the data lies inside the table
        if offset + size > file_bytes:
            raise Malformed("a buffer reaches beyond the file")
        return offset, size
    return buffer.vector(0, 1)


def _check_metadata(model: Table, n_buffers: int) -> None:
    numbers = [*model.numbers(5, "i"), *(entry.scalar(1, "<I") for entry in model.tables(6))]
    if not all(0 <= number < n_buffers for number in numbers):
        raise Malformed("a metadata entry has no buffer")


def _operator_code(code: Table) -> tuple[str, int]:
    number = max(code.scalar(0, "<b"), code.scalar(3, "<i"))
    if not 0 <= number < len(OPERATOR_NAMES):
        raise Malformed(f"there is no builtin operator {number}")
    return OPERATOR_NAMES[number], code.scalar(2, "<i", 1)


def _operator(table: Table, codes: list[tuple[str, int]], n_tensors: int) -> OperatorInfo:
    code = table.scalar(0, "<I")
    if code >= len(codes):
        raise Malformed("an operator has no operator code")
    name, version = codes[code]
    inputs, outputs = table.numbers(1, "i"), table.numbers(2, "i")
    for place, index in enumerate(inputs):
        if index != -1 or place not in OPTIONAL_INPUTS.get(name, ()):
            _check_index(index, n_tensors)
    for index in outputs:
        _check_index(index, n_tensors)
    if not outputs or table.numbers(8, "i"):
        raise Malformed("an operator has no output, or intermediate tensors")
    return OperatorInfo(name, version, inputs, outputs, table.scalar(3, "<B"), table.table(4))


def _tensor(table: Table, buffers: list[tuple[int, int]]) -> TensorInfo:
    number = table.scalar(1, "<b")
    if not 0 <= number < len(TENSOR_TYPES) or TENSOR_TYPES[number] not in BITS_OF_TYPE:
        raise Malformed(f"lesionlite does not run tensors of type {number}")
    if table.scalar(5, "<B"):
        raise Malformed("a tensor is a variable that outlives a run")
    dtype = TENSOR_TYPES[number]
    shape, signature = table.numbers(0, "i"), table.numbers(7, "i")
    if len(shape) > MAX_RANK or min(shape, default=1) < 0:
        raise Malformed("a tensor has a negative side, or too many sides")
    if signature and not (
        len(signature) == len(shape)
        and all(given in (-1, side) for given, side in zip(signature, shape, strict=True))
    ):
        raise Malformed("a tensor's two shapes contradict each other")
    n_bytes = -(-math.prod(shape) * BITS_OF_TYPE[dtype] // 8)
    if n_bytes > MAX_TENSOR_BYTES:
        raise Malformed(f"a tensor has more than {MAX_TENSOR_BYTES:,} bytes")
    buffer = table.scalar(2, "<I")
    if buffer >= len(buffers):
        raise Malformed("a tensor has no buffer")
    offset, size = buffers[buffer]
    if size and size != n_bytes:
        raise Malformed("a constant's size does not fit its shape")
    scales, zeros = _quantization(table.table(4), shape, dtype)
    return TensorInfo(table.text(3), signature or shape, dtype, scales, zeros, offset, size)


def _quantization(
    table: Table | None, shape: tuple[int, ...], dtype: str
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    if table is None:
        return (), ()
    scales, zeros = table.floats(2), table.numbers(3, "q")
    if len(scales) != len(zeros):
        raise Malformed("a tensor has scales and zero points of different number")
    if not all(SCALES[0] <= scale <= SCALES[1] for scale in scales):  # NaN fails, too
        raise Malformed("a tensor's scale is out of range")
    low, high = ZERO_POINTS.get(dtype, (0, 0))
    if not all(low <= zero <= high for zero in zeros):
        raise Malformed("a tensor's zero point is out of range")
    if len(scales) > 1:
        dimension = table.scalar(6, "<i")
        if not 0 <= dimension < len(shape) or shape[dimension] != len(scales):
            raise Malformed("a tensor does not have one scale a channel")
    return scales, zeros


def _signature(
    model: Table, inputs: tuple[int, ...], outputs: tuple[int, ...]
) -> tuple[dict[str, int], dict[str, int]]:
    signatures = model.tables(7)
    if (
        len(signatures) != 1
        or signatures[0].text(2) != SIGNATURE_KEY
        or signatures[0].scalar(4, "<I") != 0
    ):
        raise Malformed(f"there is no signature {SIGNATURE_KEY!r}, or another beside it")
    sides = []
    for number, indices in ((0, inputs), (1, outputs)):
        names = signatures[0].tables(number)
        named = {entry.text(0): entry.scalar(1, "<I") for entry in names}
        if len(named) < len(names) or sorted(named.values()) != sorted(indices):
            raise Malformed("the signature does not name the graph's inputs and outputs")
        sides.append(named)
    return sides[0], sides[1]


def _check_index(index: int, n_tensors: int) -> None:
    if not 0 <= index < n_tensors:
        raise Malformed("a tensor's number is out of range")
