"""What the error of one layer alone does to the score, the rest of the network being exact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.layers.apart import TERMS, Apart
from lesionlite_export.layers.constants import StoredConstants
from lesionlite_export.layers.forced import with_fed_tensor
from lesionlite_export.layers.interpreter import KeptGraph, load_interpreter
from lesionlite_export.layers.network import Network
from lesionlite_export.layers.numbers import Reals
from lesionlite_export.layers.pairing import Pair


@dataclass(frozen=True)
class Change:
    """Absolute change of the float32 network's output, over inputs: mean and largest."""

    mean: float
    max: float


@dataclass(frozen=True)
class Effect:
    """What a layer's own error does to the output that it changes most.

    Attributes:
        error: all of it.
        parts: each of `TERMS` alone.
    """

    error: Change
    parts: Mapping[str, Change]

    @property
    def most(self) -> str:
        """The part that changes the output most."""
        return max(self.parts, key=lambda part: self.parts[part].mean)


def effect_of(
    reference: Network,
    network: Network,
    pair: Pair,
    constants: StoredConstants,
    values: Iterable[NDArray[Any]],
) -> Effect:
    """Put the error that one operator adds into the float32 network, and see what becomes of it.

    Args:
        reference: the float32 network.
        network: the file's.
        pair: the operator.
        constants: what it has in the file for weights and bias.
        values: the inputs.
    """
    right = KeptGraph(reference.flatbuffer, reference.input_name, reference.file)
    apart = Apart(reference, network, [pair], [constants])
    (output,) = reference.graph.outputs.values()
    behind = None
    if pair.output_reference != output:
        behind = _Behind(reference, pair.output_reference)
    changes = []
    for value in values:
        fed = reference.feed(value)
        right.run(fed)
        apart.run(lambda tensor: right.value(tensor).astype(np.float32))
        error = apart.error(pair)
        errors = [error.made - error.wanted, *(error.parts[part] for part in TERMS)]
        if behind is not None:
            before, score = right.value(pair.output_reference), right.value(output)
            errors = [behind.output(fed, before + moved) - score for moved in errors]
        changes.append([float(np.abs(change).max()) for change in errors])
    whole, *parts = (Change(float(np.mean(c)), max(c)) for c in zip(*changes, strict=True))
    return Effect(whole, dict(zip(TERMS, parts, strict=True)))


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
