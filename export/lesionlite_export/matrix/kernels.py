"""Who computes what in a row: XNNPACK, the built-in kernels, or the reference ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lesionlite_export.accelerator_probe import Node, left_outside
from lesionlite_export.matrix.rows import Row

XNNPACK = "xnnpack"
BUILTIN = "builtin"
REFERENCE = "reference"
MIXED = "mixed"
KERNELS = (XNNPACK, BUILTIN, REFERENCE, MIXED)
_CONVERSIONS = frozenset({"CAST", "QUANTIZE", "DEQUANTIZE"})
_DELEGATE = "DELEGATE"

NodeList = Sequence[tuple[str, Sequence[int], Sequence[int]]]


@dataclass(frozen=True)
class Kernels:
    """What an interpreter runs a file with, by its own list of nodes.

    Attributes:
        name: ``xnnpack`` where the delegate takes everything but conversions of types, ``builtin``
            or ``reference`` where there is no delegate, else ``mixed``.
        partitions: the number of pieces of the graph that the delegate takes.
        left: the operators that it leaves, by name, with their count.
    """

    name: str
    partitions: int
    left: Mapping[str, int]


def kernels_of(asked: str, nodes: NodeList) -> Kernels:
    """The kernels of an interpreter that was asked for ``asked`` (see `Variant`)."""
    listed = [Node(name, frozenset(ins), frozenset(outs)) for name, ins, outs in nodes]
    partitions = sum(node.name == _DELEGATE for node in listed)
    left = dict(sorted(left_outside(listed).items()))
    if not partitions:
        name = REFERENCE if asked == "reference" else BUILTIN
    elif set(left) <= _CONVERSIONS:
        name = XNNPACK
    else:
        name = MIXED
    return Kernels(name, partitions, left)


def kind_of_pair(a: tuple[Row, Kernels | None], b: tuple[Row, Kernels | None]) -> str:
    """Which tolerance two rows are held to: a name of `tolerances.WORDS`.

    Where an interpreter does not tell its kernels, they are taken for others.
    """
    (row_a, kernels_a), (row_b, kernels_b) = a, b
    if kernels_a is None or kernels_a != kernels_b:
        return "kernels"
    if row_a.variant != row_b.variant:
        return "builds"
    family = kernels_a.name if kernels_a.name in (XNNPACK, REFERENCE) else BUILTIN
    return f"threads_{family}"
