"""Both networks on the same inputs, operator by operator: what is off, and what each one adds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.layers.apart import PARTS, Apart
from lesionlite_export.layers.constants import StoredConstants
from lesionlite_export.layers.interpreter import KeptGraph
from lesionlite_export.layers.network import Network
from lesionlite_export.layers.numbers import Reals, as_reals, as_stored, is_quantized
from lesionlite_export.layers.pairing import Feed, Pair
from lesionlite_export.layers.spread import Spread
from lesionlite_export.layers.tally import Tally
from lesionlite_runtime.errors import UnusableInput, printable
from lesionlite_runtime.graph import Graph


@dataclass
class Measured:
    """Sums for one operator over all inputs.

    Attributes:
        pair: the operator.
        constants: what it has in the file for weights and bias.
        whole: its output in the file's own run, against the float32 network's.
        added: its output on the right input, against the right output for that.
        parts: by part (see `PARTS`), the noise in ``added`` that this part alone makes.
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
        self.input = Tally()
        self.outputs: list[NDArray[np.float64]] = []
        self._entry = _entry(network, pairs)
        self._right_run = KeptGraph(reference.flatbuffer, reference.input_name, reference.file)
        self._own_run = KeptGraph(network.flatbuffer, network.input_name, network.file)
        self._apart = Apart(reference, network, pairs, constants)

    def add(self, value: NDArray[Any]) -> None:
        """Run both networks on one input, and take in what they make of it.

        Raises:
            UnusableInput: when one of them makes a NaN or an infinity of it.
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
        self._apart.run(right.__getitem__)
        whole: dict[int, float] = {}
        if self._entry is not None:
            tensor = self._network.graph.tensors[self._entry.tensor]
            self.input.add(as_reals(fed, tensor), right[self._entry.reference])
            whole[self._entry.tensor] = self.input.ratio
        for row in self.rows:
            self._add_row(row, right[row.pair.output_reference])
            row.carried = max((whole.get(f.tensor, 0.0) for f in row.pair.feeds), default=0.0)
            whole[row.pair.output] = row.whole.ratio

    def _add_row(self, row: Measured, wanted: Reals) -> None:
        pair, tensor = row.pair, self._network.graph.tensors[row.pair.output]
        own_run = as_reals(self._own_run.value(pair.output), tensor)
        _check_finite({pair.output: own_run}, self._network.graph, "its", self._network.file)
        row.whole.add(own_run, wanted)
        error = self._apart.error(pair)
        row.added.add(error.made, error.wanted)
        for part, values in error.parts.items():
            row.parts[part] += float(np.dot(values.ravel(), values.ravel()))
        if row.spread is not None:
            row.spread.add(wanted, as_stored(wanted, tensor))


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
