"""What a well-formed graph must keep besides, or interpreters crash on it.

Each check here stands for crashes of LiteRT or tflite-runtime that damaged models brought about:
reads of tensors that were never written, divisions by a stride of 0, weights of a type that the
kernel does not expect, fixed-point factors out of range.
"""

from __future__ import annotations

import math
import struct

from lesionlite_runtime.flatbuffer import Malformed
from lesionlite_runtime.graph import Graph, OperatorInfo, TensorInfo
from lesionlite_runtime.operators import (
    ALIKE,
    ALONG_AXES,
    INPUT_COUNTS,
    MOVING,
    MULTIPLYING,
    OUTPUT_COUNTS,
    RETYPING,
    SIZED_BY_VALUES,
    STEPS,
    TYPES_OF_WEIGHTS,
    WITH_WEIGHTS,
)

MAX_STEP = 1 << 16
MAX_RESCALING = float(1 << 18)
MAX_PRODUCT_RESCALING = 256.0
SMALL_INTEGERS = frozenset({"int8", "uint8", "int16"})


def check_sound(graph: Graph, flatbuffer: bytes) -> None:
    """Refuse a graph, read from ``flatbuffer``, that an interpreter could crash on.

    Raises:
        Malformed: when one of the checks fails.
    """
    for operator in graph.operators:
        _check_counts(operator)
    _check_flow(graph)
    for operator in graph.operators:
        _check_steps(operator)
        _check_types(operator, graph.tensors)
        _check_scales(operator, graph.tensors)
        _check_axes(operator, graph.tensors, flatbuffer)
        _check_growth(operator, graph.tensors, flatbuffer)


def _check_counts(operator: OperatorInfo) -> None:
    """Refuse an unknown operator, and one with too few or too many inputs or outputs."""
    name, outputs = operator.name, len(operator.outputs)
    if name not in INPUT_COUNTS:
        raise Malformed(f"lesionlite does not run the operator {name}")
    least, most = INPUT_COUNTS[name]
    expected = 1
    if name in OUTPUT_COUNTS:
        expected_type, number = OUTPUT_COUNTS[name]
        options = operator.options
        if options is None or operator.options_type != expected_type:
            raise Malformed(f"an operator {name} lacks its settings")
        expected = options.scalar(number, "<i")
    if not least <= len(operator.inputs) <= most or outputs != expected:
        raise Malformed(f"an operator {name} has {len(operator.inputs)} inputs, {outputs} outputs")


def _check_flow(graph: Graph) -> None:
    """Refuse operators that read what nothing has written yet, or write what is there already."""
    if any(-1 in tensor.shape for tensor in graph.tensors):
        raise Malformed("a tensor's shape is not fixed")
    inputs, outputs = graph.inputs.values(), graph.outputs.values()
    known = {i for i, t in enumerate(graph.tensors) if t.is_constant or 0 in t.shape}
    written = [*inputs, *(index for operator in graph.operators for index in operator.outputs)]
    if len({*written, *known}) < len(written) + len(known):
        raise Malformed("a tensor is written twice")
    known.update(inputs)
    for operator in graph.operators:
        if not known.issuperset(index for index in operator.inputs if index != -1):
            raise Malformed("an operator reads a tensor that nothing has written")
        known.update(operator.outputs)
    if not set(written[len(inputs) :]).issuperset(outputs):
        raise Malformed("an output of the graph is not computed")


def _check_steps(operator: OperatorInfo) -> None:
    """Refuse strides, dilations and windows of 0 or less: interpreters divide by them."""
    name, options = operator.name, operator.options
    if name not in STEPS:
        return
    expected, steps = STEPS[name]
    if options is None or operator.options_type != expected:
        raise Malformed(f"an operator {name} lacks its settings")
    for number, default in steps.items():
        if not 0 < options.scalar(number, "<i", default) <= MAX_STEP:
            raise Malformed(f"an operator {name} has a step or window out of range")


def _check_types(operator: OperatorInfo, tensors: tuple[TensorInfo, ...]) -> None:
    """Refuse types that do not go together, and small integers without a scale."""
    name = operator.name
    given = [tensors[index] for index in operator.inputs if index != -1]
    made = [tensors[index] for index in operator.outputs]
    types, results = [tensor.dtype for tensor in given], {tensor.dtype for tensor in made}
    fits = (
        (name in RETYPING or results == {types[0]})
        and (name not in ALIKE or len(set(types)) == 1)
        and (name not in WITH_WEIGHTS or types[1] in TYPES_OF_WEIGHTS.get(types[0], ()))
    )
    if not fits:
        types_made = ", ".join(sorted(results))
        raise Malformed(f"an operator {name} takes {', '.join(types)} to {types_made}")
    small = [tensor for tensor in (*given, *made) if tensor.dtype in SMALL_INTEGERS]
    if name not in MOVING and not all(tensor.scales for tensor in small):
        raise Malformed(f"a tensor of an operator {name} has no scale")


def _check_scales(operator: OperatorInfo, tensors: tuple[TensorInfo, ...]) -> None:
    """Refuse scales so far apart that no fixed-point factor leads from inputs to output."""
    made = tensors[operator.outputs[0]].scales
    given = [max(tensors[i].scales) for i in operator.inputs if i != -1 and tensors[i].scales]
    if not made or not given:
        return
    if operator.name in MULTIPLYING:
        fits = math.prod(given[:2]) <= MAX_PRODUCT_RESCALING * min(made)
    else:
        fits = max(given) <= MAX_RESCALING * min(made)
    if not fits:
        raise Malformed(f"the scales around an operator {operator.name} are too far apart")


def _check_axes(operator: OperatorInfo, tensors: tuple[TensorInfo, ...], flatbuffer: bytes) -> None:
    """Refuse an operator along axes that its input does not have, or twice along one."""
    if operator.name not in ALONG_AXES:
        return
    rank = len(tensors[operator.inputs[0]].shape)
    axes = _operand(operator, tensors, flatbuffer)
    distinct = {axis % rank for axis in axes if -rank <= axis < rank}
    least = rank if operator.name == "TRANSPOSE" else 0
    if not least <= len(distinct) == len(axes):
        raise Malformed(f"an operator {operator.name} runs along axes that its input does not have")


def _check_growth(
    operator: OperatorInfo, tensors: tuple[TensorInfo, ...], flatbuffer: bytes
) -> None:
    """Refuse an operator that would make more than the shape of its output says."""
    name = operator.name
    if name not in SIZED_BY_VALUES:
        return
    sizes = _operand(operator, tensors, flatbuffer)
    given, made = tensors[operator.inputs[0]].shape, tensors[operator.outputs[0]].shape
    if name.startswith("RESIZE"):
        sizes = (*given[:1], *sizes, *given[3:])
    elif name == "TILE":
        sizes = tuple(side * times for side, times in zip(given, sizes, strict=False))
    elif name in ("PAD", "PADV2", "MIRROR_PAD"):
        pairs = zip(given, sizes[::2], sizes[1::2], strict=False)
        sizes = tuple(side + max(before, 0) + max(after, 0) for side, before, after in pairs)
    if sizes != made:
        raise Malformed(f"an operator {name} makes another shape than its output's")


def _operand(
    operator: OperatorInfo, tensors: tuple[TensorInfo, ...], flatbuffer: bytes
) -> tuple[int, ...]:
    """The integers of the operator's second input, which must stand in the file."""
    operand = tensors[operator.inputs[1]]
    form = {"int32": "i", "int64": "q"}.get(operand.dtype)
    if form is None or not (operand.is_constant or 0 in operand.shape):
        raise Malformed(f"the second input of an operator {operator.name} is not in the file")
    count = operand.constant_bytes // struct.calcsize(f"<{form}")
    return struct.unpack_from(f"<{count}{form}", flatbuffer, operand.constant_offset)
