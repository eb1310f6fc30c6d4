"""The operators of a file and those of the float32 network that it was made from, in pairs.

Quantizers keep the order of operators. They put type changes between them (QUANTIZE, DEQUANTIZE),
and some take the scaling of pixels away. So operators are paired in order, by name and shapes, and
the pairs stand only if they are wired alike in both graphs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.graph import Graph, OperatorInfo
from lesionlite_runtime.operators import WITH_WEIGHTS

TYPE_CHANGES = frozenset({"QUANTIZE", "DEQUANTIZE"})
_CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})
_SCALING = frozenset({"CAST", "MUL", "ADD", "SUB", "DIV"})


@dataclass(frozen=True)
class Feed:
    """An input of an operator that is computed: its place, and its tensor in both graphs."""

    slot: int
    tensor: int
    reference: int


@dataclass(frozen=True)
class Constant:
    """An input of an operator that stands in the file: its place, and its tensor in both graphs.

    ``tensor`` is the one that holds the values, in front of a DEQUANTIZE that may widen them.
    """

    slot: int
    tensor: int
    reference: int


@dataclass(frozen=True)
class Pair:
    """An operator of the file, by number, and its counterpart.

    Attributes:
        operator: its number in the file's graph.
        reference: the number of its counterpart; None for an operator that changes the type alone.
        output: number of its output tensor.
        output_reference: number of the float32 tensor that the output stands for.
        feeds: its inputs that are computed.
        constants: its inputs that are float32 constants in the reference: weights, a bias.
    """

    operator: int
    reference: int | None
    output: int
    output_reference: int
    feeds: tuple[Feed, ...]
    constants: tuple[Constant, ...]


def pair_graphs(reference: Graph, graph: Graph, file: str | None = None) -> tuple[Pair, ...]:
    """The operators of ``graph`` with their counterparts, in the file's order.

    Left out are operators on constants alone, and those that move pixels in front of a scaling that
    the file has taken into its input.

    Args:
        reference: the float32 network.
        graph: of the file that was made from it.
        file: the name of that file.

    Raises:
        UnusableInput: when the two are not the same operators, wired alike.
    """
    try:
        return tuple(_pairs(reference, graph))
    except _Unpaired as fault:
        raise UnusableInput(
            f"its operators cannot be paired with those of the float network ({fault})",
            "compare it with the .keras, or the float32 .tflite, that it was made from",
            file,
        ) from fault


class _Unpaired(ValueError):
    """What differs between the two graphs."""


def _pairs(reference: Graph, graph: Graph) -> list[Pair]:
    fixed, fixed_reference = _fixed(graph), _fixed(reference)
    # By tensor of the file, the float32 tensor that it stands for.
    stands_for = dict(zip(graph.inputs.values(), reference.inputs.values(), strict=False))
    pairs: list[Pair] = []
    for number, counterpart, lacking in _aligned(reference, graph):
        for lack in lacking:
            _take_into_input(reference.operators[lack], stands_for, pairs)
        operator = graph.operators[number]
        if counterpart is None:
            (source,) = operator.inputs
            outputs = [stands_for[source]]
            feeds: tuple[Feed, ...] = (Feed(0, source, stands_for[source]),)
            constants: tuple[Constant, ...] = ()
        else:
            other = reference.operators[counterpart]
            outputs = list(other.outputs)
            slots = list(zip(operator.inputs, other.inputs, strict=False))
            feeds = tuple(
                Feed(slot, tensor, wanted)
                for slot, (tensor, wanted) in enumerate(slots)
                if tensor != -1 and tensor not in fixed
            )
            constants = tuple(
                Constant(slot, fixed[tensor], wanted)
                for slot, (tensor, wanted) in enumerate(slots)
                if tensor in fixed and _same_numbers(reference, graph, wanted, fixed[tensor])
            )
            computed = [s for s, i in enumerate(other.inputs) if i not in {-1, *fixed_reference}]
            if [f.slot for f in feeds] != computed or any(
                stands_for.get(f.tensor) != f.reference for f in feeds
            ):
                raise _Unpaired(f"{_told(graph, number)} has other inputs there")
        stands_for.update(zip(operator.outputs, outputs, strict=False))
        pairs.append(Pair(number, counterpart, operator.outputs[0], outputs[0], feeds, constants))
    return pairs


def _take_into_input(scaling: OperatorInfo, stands_for: dict[int, int], pairs: list[Pair]) -> None:
    """Let the file's tensors stand for what ``scaling``, which the file lacks, makes of theirs."""
    (after,) = scaling.outputs
    moved = {tensor for tensor, before in stands_for.items() if before in scaling.inputs}
    stands_for.update(dict.fromkeys(moved, after))
    if scaling.name != "CAST":  # what lies further in front is pixels there, and scaled ones here
        pairs[:] = [
            replace(
                pair,
                output_reference=after,
                feeds=tuple(replace(feed, reference=after) for feed in pair.feeds),
            )
            for pair in pairs
            if pair.reference is None and pair.output in moved
        ]


def _aligned(reference: Graph, graph: Graph) -> Iterator[tuple[int, int | None, list[int]]]:
    """Each computing operator of the file, its counterpart, and what the file lacks before it."""
    left = deque(_computing(reference))
    names = [operator.name for operator in reference.operators]
    first = next((i for i, name in enumerate(names) if name in _CONVOLUTIONS), 0)
    for number in _computing(graph):
        name = graph.operators[number].name
        if name in TYPE_CHANGES or (name == "CAST" and (not left or names[left[0]] != "CAST")):
            yield number, None, []
            continue
        lacking = []
        while left and not _alike(reference, left[0], graph, number):
            if left[0] >= first or names[left[0]] not in _SCALING:
                raise _Unpaired(f"{_told(graph, number)} is {_told(reference, left[0])} there")
            lacking.append(left.popleft())
        if not left:
            raise _Unpaired(f"{_told(graph, number)} is not there")
        yield number, left.popleft(), lacking
    if left:
        raise _Unpaired(f"{_told(reference, left[0])} there is not in it")


def _computing(graph: Graph) -> list[int]:
    """Numbers of the operators that do not run on constants alone."""
    fixed = _fixed(graph)
    return [i for i, o in enumerate(graph.operators) if not set(o.outputs) <= fixed.keys()]


def _fixed(graph: Graph) -> dict[int, int]:
    """By tensor that is the same for every input, the constant that it is or is made from."""
    found = {i: i for i, t in enumerate(graph.tensors) if t.is_constant or 0 in t.shape}
    for operator in graph.operators:
        inputs = [i for i in operator.inputs if i != -1]
        if all(i in found for i in inputs):
            found.update(dict.fromkeys(operator.outputs, found[inputs[0]]))
    return found


def _alike(reference: Graph, left: int, graph: Graph, right: int) -> bool:
    return _form(reference, reference.operators[left]) == _form(graph, graph.operators[right])


def _form(graph: Graph, operator: OperatorInfo) -> tuple[object, ...]:
    """What quantizing leaves as it is: name, shapes of the output and of the weights."""
    weights = operator.inputs[1] if operator.name in WITH_WEIGHTS else None
    shape = None if weights is None else graph.tensors[weights].shape
    return operator.name, graph.tensors[operator.outputs[0]].shape, shape


def _same_numbers(reference: Graph, graph: Graph, wanted: int, constant: int) -> bool:
    """Whether both tensors hold numbers of one float32 constant, in whatever type."""
    exact, stored = reference.tensors[wanted], graph.tensors[constant]
    return exact.is_constant and exact.dtype == "float32" and exact.shape == stored.shape


def _told(graph: Graph, number: int) -> str:
    operator = graph.operators[number]
    shape = list(graph.tensors[operator.outputs[0]].shape)
    return f"operator {number}, {operator.name} to {shape},"
