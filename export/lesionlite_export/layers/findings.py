"""Which layers to name.

*Damage*: the file contradicts itself or the float32 weights, which no quantizer brings about. A
*jump*: a layer that adds at least as much error as it is given. Behind the first jumps a layer may
add more than they and still be given more; so the layer that adds *most* is named besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lesionlite_export.layers.causes import (
    INPUT_SCALE,
    Cause,
    damage_of,
    likely_cause,
    main_part,
    notable,
    output_scale,
)
from lesionlite_export.layers.measure import Measured
from lesionlite_runtime.graph import Graph


@dataclass(frozen=True)
class Finding:
    """A layer that is named, by the number of its row.

    Attributes:
        row: its place among the rows.
        causes: damage first, then the likeliest cause of the jump.
        jump: whether it adds at least as much error as it is given.
        most: whether no other layer adds as much, for its signal.
        felt_at: the row in whose error ``output_scale`` is felt: that of a layer behind it, whose
            bias it misleads. Else its own.
    """

    row: int
    causes: tuple[Cause, ...]
    jump: bool
    most: bool
    felt_at: int

    @property
    def damage(self) -> bool:
        """Whether one of the causes is damage."""
        return any(cause.damage for cause in self.causes)


def findings(
    rows: Sequence[Measured], graph: Graph, input_ratio: float, method: str | None
) -> tuple[Finding, ...]:
    """The layers to name, in graph order.

    Args:
        rows: what was measured.
        graph: of the file.
        input_ratio: noise over signal of the network's input, as the file reads it.
        method: how the file's ranges were found, where its contract says.
    """
    misled = _misled(rows)
    largest = max((r.added.ratio for n, r in enumerate(rows) if n not in misled), default=0.0)
    found = []
    for number, row in enumerate(rows):
        causes = list(damage_of(row))
        felt_at = next((reader for reader, maker in misled.items() if maker == number), number)
        if felt_at != number:
            causes.insert(0, output_scale(_input_ratio(rows[felt_at])))
        reads_input = bool(set(graph.inputs.values()) & {f.tensor for f in row.pair.feeds})
        if reads_input and (notable(input_ratio) or number in misled):
            causes.append(INPUT_SCALE)
        own = number not in misled and notable(row.added.ratio)
        jump = own and row.added.ratio >= row.carried
        most = own and row.added.ratio == largest
        if jump or most:
            explained = {cause.part for cause in causes if cause.code != "output_scale"}
            if main_part(row) not in explained:
                causes.append(likely_cause(main_part(row), row, graph, method))
        if causes:
            found.append(Finding(number, tuple(causes), jump, most, felt_at))
    return tuple(found)


def _misled(rows: Sequence[Measured]) -> dict[int, int]:
    """By row whose bias was made for another input scale, the row that makes that input.

    Where the input is the network's own, it is the row itself.
    """
    makers = {row.pair.output: number for number, row in enumerate(rows)}
    found = {}
    for number, row in enumerate(rows):
        if row.constants.bias is not None and row.constants.bias.input_ratio is not None:
            source = next(feed.tensor for feed in row.pair.feeds if feed.slot == 0)
            found[number] = makers.get(source, number)
    return found


def _input_ratio(row: Measured) -> float:
    assert row.constants.bias is not None
    assert row.constants.bias.input_ratio is not None
    return row.constants.bias.input_ratio
