"""What the error of one layer alone does to the score, the rest of the network being exact."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.layers.forced import ForcedGraph, with_fed_tensor
from lesionlite_export.layers.interpreter import KeptGraph, load_interpreter
from lesionlite_export.layers.measure import Network
from lesionlite_export.layers.numbers import Reals, as_reals, as_stored
from lesionlite_export.layers.pairing import Pair


@dataclass(frozen=True)
class Effect:
    """Absolute change of the float32 network's output, over inputs: mean and largest."""

    mean: float
    max: float


def effect_of(
    reference: Network, network: Network, pair: Pair, values: Iterable[NDArray[Any]]
) -> Effect:
    """Put the error that one operator adds into the float32 network, and see what becomes of it.

    Args:
        reference: the float32 network.
        network: the file's.
        pair: the operator.
        values: the inputs.

    Returns:
        Of the output that changes most, where there are several.
    """
    right = KeptGraph(reference.flatbuffer, reference.input_name, reference.file)
    own = _Alone(reference, network, pair)
    (output,) = reference.graph.outputs.values()
    behind = None
    if pair.output_reference != output:
        behind = _Behind(reference, pair.output_reference)
    changes = []
    for value in values:
        fed = reference.feed(value)
        right.run(fed)
        error = own.error(right)
        if behind is not None:
            moved = right.value(pair.output_reference) + error
            error = behind.output(fed, moved) - right.value(output)
        changes.append(float(np.abs(error).max()))
    return Effect(float(np.mean(changes)), float(np.max(changes)))


class _Alone:
    """One operator and its counterpart, on the float32 network's inputs."""

    def __init__(self, reference: Network, network: Network, pair: Pair) -> None:
        self._pair, self._tensors = pair, network.graph.tensors
        self._types = reference.graph.tensors
        slots = {(pair.operator, feed.slot) for feed in pair.feeds}
        self._own = ForcedGraph(network.flatbuffer, slots, file=network.file)
        self._right = None
        if pair.reference is not None:
            slots = {(pair.reference, feed.slot) for feed in pair.feeds}
            self._right = ForcedGraph(reference.flatbuffer, slots, file=reference.file)

    def error(self, run: KeptGraph) -> Reals:
        """What it adds after ``run`` has run on an input."""
        pair = self._pair
        reals: dict[int, Reals] = {}
        for feed in pair.feeds:
            tensor = self._tensors[feed.tensor]
            stored = as_stored(run.value(feed.reference).astype(np.float32), tensor)
            reals[feed.slot] = as_reals(stored, tensor)
            self._own.feed((pair.operator, feed.slot), stored)
        self._own.run()
        made = as_reals(self._own.output(pair.operator), self._tensors[pair.output])
        if self._right is None or pair.reference is None:
            return made - reals[0]
        for feed in pair.feeds:
            given = reals[feed.slot].astype(self._types[feed.reference].dtype)
            self._right.feed((pair.reference, feed.slot), given)
        self._right.run()
        return made - self._right.output(pair.reference).astype(np.float32)


class _Behind:
    """The float32 network with one of its tensors fed."""

    def __init__(self, reference: Network, tensor: int) -> None:
        fed = with_fed_tensor(reference.flatbuffer, tensor)
        self._interpreter = load_interpreter(fed, reference.file)
        self._inputs = [d["index"] for d in self._interpreter.get_input_details()]
        (self._output,) = (d["index"] for d in self._interpreter.get_output_details())

    def output(self, value: NDArray[Any], tensor: Reals) -> Reals:
        """The network's output for an input, with ``tensor`` in place of what it makes there."""
        for place, given in zip(self._inputs, (value, tensor), strict=True):
            self._interpreter.set_tensor(place, given)
        self._interpreter.invoke()
        output: Reals = self._interpreter.get_tensor(self._output)
        return output
