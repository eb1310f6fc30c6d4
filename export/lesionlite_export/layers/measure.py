"""Both networks on the same inputs, operator by operator: what is off, and what each one adds.

An operator's own error is measured on the right input: the float32 network's, in the file's type.
What it should make of that is the float32 operator's output for what the input then stands for. So
the rounding of an input counts where it is made, and not again where it is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.layers.constants import BIAS, StoredConstants
from lesionlite_export.layers.forced import ForcedGraph
from lesionlite_export.layers.interpreter import KeptGraph
from lesionlite_export.layers.numbers import Reals, as_reals, as_stored, is_quantized
from lesionlite_export.layers.pairing import Feed, Pair
from lesionlite_export.layers.spread import Spread
from lesionlite_export.layers.tally import Tally
from lesionlite_runtime.errors import UnusableInput, printable
from lesionlite_runtime.graph import Graph

PARTS = ("weights", "bias", "constants", "range", "arithmetic")
"""What makes an operator's own error: its weights, its bias, both together (a corrected bias takes
back some of what the weights lose), the range and levels of its output, and the kernel's integers.
"""


@dataclass(frozen=True)
class Network:
    """A ``.tflite`` as it is run here.

    Attributes:
        flatbuffer: its bytes.
        graph: what is in them.
        input_name: the signature's name for its input.
        feed: makes an input of the set into the file's own input.
        file: its name, for errors.
    """

    flatbuffer: bytes
    graph: Graph
    input_name: str
    feed: Callable[[NDArray[Any]], NDArray[Any]]
    file: str


@dataclass
class Measured:
    """Sums for one operator over all inputs.

    Attributes:
        pair: the operator.
        constants: what it has in the file for weights and bias.
        whole: its output in the file's own run, against the float32 network's.
        added: its output on the right input, against the right output for that.
        parts: by part, the noise in ``added`` that this part alone makes.
        spread: how the float32 network's values lie in the output's range; None for a float output.
        carried: noise over signal of the worst of its inputs, in the file's own run.
    """

    pair: Pair
    constants: StoredConstants
    whole: Tally = field(default_factory=Tally)
    added: Tally = field(default_factory=Tally)
    parts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    spread: Spread | None = None
    carried: float = 0.0

    def part_ratio(self, part: str) -> float:
        """Noise over signal if ``part`` of the error were all of it."""
        noise = self.parts[part]
        if noise == 0:
            return 0.0
        return noise / self.added.signal if self.added.signal else math.inf


class Comparison:
    """Both networks, ready to run, and the sums so far.

    ``rows`` has the operators, ``input`` the file's input against the float32 network's, and
    ``outputs`` what the float32 network made of each input.

    Args:
        reference: the float32 network.
        network: the file's.
        pairs: their operators.
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
        self._reference, self._network = reference, network
        tensors = network.graph.tensors
        self.rows = tuple(
            Measured(
                pair,
                held,
                spread=Spread(tensors[pair.output]) if is_quantized(tensors[pair.output]) else None,
            )
            for pair, held in zip(pairs, constants, strict=True)
        )
        self._right_run = KeptGraph(reference.flatbuffer, reference.input_name, reference.file)
        self._own_run = KeptGraph(network.flatbuffer, network.input_name, network.file)
        slots = {(pair.operator, feed.slot) for pair in pairs for feed in pair.feeds}
        self._own = ForcedGraph(network.flatbuffer, slots, file=network.file)
        self._entry = _entry(network, pairs)
        self.input = Tally()
        self.outputs: list[NDArray[np.float64]] = []
        self._right = _FloatGraphs(reference, self.rows)

    def add(self, value: NDArray[Any]) -> None:
        """Run both networks on one input, and take in what they make of it.

        Raises:
            UnusableInput: when the float32 network makes a NaN or an infinity of it.
        """
        fed = self._network.feed(value)
        self._right_run.run(self._reference.feed(value))
        self._own_run.run(fed)
        right = {
            tensor: self._right_run.value(tensor).astype(np.float32)
            for row in self.rows
            for tensor in (row.pair.output_reference, *(f.reference for f in row.pair.feeds))
        }
        _check_finite(right, self._reference.graph, "the float network's", self._reference.file)
        (output,) = self._reference.graph.outputs.values()
        self.outputs.append(self._right_run.value(output).astype(np.float64).ravel())
        tensors = self._network.graph.tensors
        for row in self.rows:
            for feed in row.pair.feeds:
                tensor = tensors[feed.tensor]
                stored = as_stored(right[feed.reference], tensor)
                self._own.feed((row.pair.operator, feed.slot), stored)
                self._right.feed(row.pair, feed, as_reals(stored, tensor))
        self._own.run()
        self._right.run()
        whole: dict[int, float] = {}
        if self._entry is not None:
            entry = self._entry
            self.input.add(as_reals(fed, tensors[entry.tensor]), right[entry.reference])
            whole[entry.tensor] = self.input.ratio
        for row in self.rows:
            pair, tensor = row.pair, tensors[row.pair.output]
            own_run = as_reals(self._own_run.value(pair.output), tensor)
            _check_finite({pair.output: own_run}, self._network.graph, "its", self._network.file)
            row.whole.add(own_run, right[pair.output_reference])
            self._add_own(row, as_reals(self._own.output(pair.operator), tensor), right)
            row.carried = max((whole.get(f.tensor, 0.0) for f in pair.feeds), default=0.0)
            whole[pair.output] = row.whole.ratio
            if row.spread is not None:
                wanted = right[pair.output_reference]
                row.spread.add(wanted, as_stored(wanted, tensor))

    def _add_own(self, row: Measured, own: Reals, right: Mapping[int, Reals]) -> None:
        """The error that an operator adds, and how much of it each of its parts makes."""
        pair, tensor = row.pair, self._network.graph.tensors[row.pair.output]
        if pair.reference is None:
            (feed,) = pair.feeds
            fed = self._network.graph.tensors[feed.tensor]
            wanted = by_weights = by_all = as_reals(as_stored(right[feed.reference], fed), fed)
        else:
            wanted, by_weights, by_all = self._right.outputs(pair.reference)
        in_range = as_reals(as_stored(by_all, tensor), tensor)
        row.added.add(own, wanted)
        for part, value, before in (
            ("weights", by_weights, wanted),
            ("bias", by_all, by_weights),
            ("constants", by_all, wanted),
            ("range", in_range, by_all),
            ("arithmetic", own, in_range),
        ):
            errors = (value - before).ravel()
            row.parts[part] += float(np.dot(errors, errors))


class _FloatGraphs:
    """The float32 operators on inputs of their own: as they are, and with the file's constants."""

    def __init__(self, reference: Network, rows: Iterable[Measured]) -> None:
        self._tensors = reference.graph.tensors
        held = {row.pair.reference: row for row in rows if row.pair.reference is not None}
        weights = {(n, s): v for n, row in held.items() for s, v in row.constants.operands.items()}
        bias = {
            (n, BIAS): row.constants.bias_reals
            for n, row in held.items()
            if row.constants.bias_reals is not None
        }
        slots = {(n, f.slot) for n, row in held.items() for f in row.pair.feeds}
        self._graphs = []
        for constants in ({}, weights, {**weights, **bias}):
            concerned = {n for n, _ in constants} if constants else held.keys()
            own = {slot for slot in slots if slot[0] in concerned}
            if own:
                self._graphs.append(
                    ForcedGraph(reference.flatbuffer, own, constants, reference.file)
                )

    def feed(self, pair: Pair, feed: Feed, value: Reals) -> None:
        """Put ``value`` where the counterpart of ``pair`` reads it."""
        if pair.reference is None:
            return
        given = value.astype(self._tensors[feed.reference].dtype)
        for graph in self._graphs:
            if pair.reference in graph.operators:
                graph.feed((pair.reference, feed.slot), given)

    def run(self) -> None:
        """Run all on what they were fed."""
        for graph in self._graphs:
            graph.run()

    def outputs(self, operator: int) -> tuple[Reals, Reals, Reals]:
        """What it makes with its own constants, the file's weights, and the file's bias besides."""
        own, *others = (
            graph.output(operator).astype(np.float32)
            for graph in self._graphs
            if operator in graph.operators
        )
        return (own, *(others or (own, own)))


def _entry(network: Network, pairs: Sequence[Pair]) -> Feed | None:
    """The file's input, and the float32 tensor that it stands for, if an operator reads it."""
    read = (feed for pair in pairs for feed in pair.feeds)
    own = network.graph.inputs[network.input_name]
    return next((feed for feed in read if feed.tensor == own), None)


def _check_finite(values: Mapping[int, Reals], graph: Graph, whose: str, file: str) -> None:
    for tensor, value in values.items():
        if not np.isfinite(value).all():
            name = printable(graph.tensors[tensor].name.partition(";")[0])
            raise UnusableInput(
                f"{whose} {name} is NaN or infinite on one of the inputs",
                "export or train the network anew, or leave that input out",
                file,
            )
