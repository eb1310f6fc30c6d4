"""The error that each operator adds by itself, and what makes it.

An operator's own error is measured on the right input: the float32 network's, in the file's type.
What it should make of that is the float32 operator's output for what the input then stands for. So
the rounding of an input counts where it is made, and not again where it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lesionlite_export.layers.constants import BIAS, StoredConstants
from lesionlite_export.layers.forced import ForcedGraph, Slot
from lesionlite_export.layers.network import Network
from lesionlite_export.layers.numbers import Reals, as_reals, as_stored
from lesionlite_export.layers.pairing import Feed, Pair

PARTS = ("weights", "bias", "constants", "range", "arithmetic")
"""What makes an operator's own error: its weights, its bias, both together (a corrected bias takes
back some of what the weights lose), the range and levels of its output, and the kernel's integers.
"""
TERMS = ("constants", "range", "arithmetic")
"""Those of the parts that add up to the whole."""


@dataclass(frozen=True)
class OwnError:
    """What an operator makes of the right input.

    Attributes:
        made: its output.
        wanted: the right one.
        parts: by part, the error that this part makes; `TERMS` add up to ``made - wanted``.
    """

    made: Reals
    wanted: Reals
    parts: Mapping[str, Reals]


class Apart:
    """Operators of a file and their counterparts, each on the right input.

    Args:
        reference: the float32 network.
        network: the file's.
        pairs: the operators.
        constants: what each of ``pairs`` has in the file for weights and bias.

    Raises:
        UnusableInput: when an interpreter refuses one of the two.
    """

    def __init__(
        self,
        reference: Network,
        network: Network,
        pairs: Sequence[Pair],
        constants: Sequence[StoredConstants],
    ) -> None:
        self._pairs, self._tensors = pairs, network.graph.tensors
        slots = {(pair.operator, feed.slot) for pair in pairs for feed in pair.feeds}
        self._own = ForcedGraph(network.flatbuffer, slots, file=network.file)
        self._right = _FloatGraphs(reference, pairs, constants)
        self._fed: dict[int, Reals] = {}

    def run(self, right: Callable[[int], Reals]) -> None:
        """Run all operators; ``right`` gives the float32 network's tensor of a number."""
        for pair in self._pairs:
            for feed in pair.feeds:
                tensor = self._tensors[feed.tensor]
                stored = as_stored(right(feed.reference), tensor)
                reals = as_reals(stored, tensor)
                self._own.feed((pair.operator, feed.slot), stored)
                if pair.reference is None:
                    self._fed[pair.operator] = reals
                else:
                    self._right.feed(pair.reference, feed, reals)
        self._own.run()
        self._right.run()

    def error(self, pair: Pair) -> OwnError:
        """What one of them made in the last run."""
        tensor = self._tensors[pair.output]
        made = as_reals(self._own.output(pair.operator), tensor)
        if pair.reference is None:
            wanted = by_weights = by_all = self._fed[pair.operator]
        else:
            wanted, by_weights, by_all = self._right.outputs(pair.reference)
        in_range = as_reals(as_stored(by_all, tensor), tensor)
        parts = {
            "weights": by_weights - wanted,
            "bias": by_all - by_weights,
            "constants": by_all - wanted,
            "range": in_range - by_all,
            "arithmetic": made - in_range,
        }
        return OwnError(made, wanted, parts)


class _FloatGraphs:
    """The float32 operators: as they are, with the file's weights, and with its bias besides."""

    def __init__(
        self, reference: Network, pairs: Sequence[Pair], constants: Sequence[StoredConstants]
    ) -> None:
        self._types = [tensor.dtype for tensor in reference.graph.tensors]
        slots: set[Slot] = set()
        weights: dict[Slot, Reals] = {}
        bias: dict[Slot, Reals] = {}
        for pair, held in zip(pairs, constants, strict=True):
            if pair.reference is None:
                continue
            slots |= {(pair.reference, feed.slot) for feed in pair.feeds}
            weights |= {(pair.reference, slot): v for slot, v in held.operands.items()}
            if held.bias_reals is not None:
                bias[pair.reference, BIAS] = held.bias_reals
        concerned = {operator for operator, _ in (*weights, *bias)}
        held_slots = {slot for slot in slots if slot[0] in concerned}
        self._graphs = [
            ForcedGraph(reference.flatbuffer, fed, given, reference.file)
            for fed, given in ((slots, {}), (held_slots, weights), (held_slots, weights | bias))
            if fed
        ]

    def feed(self, operator: int, feed: Feed, value: Reals) -> None:
        """Put ``value`` where ``operator`` reads it."""
        given = value.astype(self._types[feed.reference])
        for graph in self._graphs:
            if operator in graph.operators:
                graph.feed((operator, feed.slot), given)

    def run(self) -> None:
        """Run all on what they were fed."""
        for graph in self._graphs:
            graph.run()

    def outputs(self, operator: int) -> tuple[Reals, Reals, Reals]:
        """What it makes as it is, with the file's weights, and with its bias besides."""
        own, *others = (
            graph.output(operator).astype(np.float32)
            for graph in self._graphs
            if operator in graph.operators
        )
        by_weights, by_all = others or (own, own)
        return own, by_weights, by_all
