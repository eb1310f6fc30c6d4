"""From sums and findings to the rows and the named layers of a report."""

from __future__ import annotations

from collections.abc import Mapping

from lesionlite_export.layers.apart import PARTS
from lesionlite_export.layers.causes import Cause, likely_cause
from lesionlite_export.layers.effect import Change, Effect
from lesionlite_export.layers.findings import Finding
from lesionlite_export.layers.measure import Measured
from lesionlite_export.layers.names import layer_of, layers_of
from lesionlite_export.layers.numbers import range_of
from lesionlite_export.layers.result import Layer, NamedCause, NamedLayer, OutputRange
from lesionlite_export.layers.spread import Spread
from lesionlite_export.layers.tally import decibels
from lesionlite_runtime.graph import Graph


def layer_row(row: Measured, reference: Graph, graph: Graph) -> Layer:
    """One operator as a row; ``reference`` and ``graph`` are both graphs."""
    pair = row.pair
    tensor = graph.tensors[pair.output]
    counterpart = pair.reference
    if counterpart is None:  # a type change belongs to the layer whose tensor it changes
        makers = {o: i for i, other in enumerate(reference.operators) for o in other.outputs}
        counterpart = makers.get(pair.output_reference)
    return Layer(
        operator=pair.operator,
        name=graph.operators[pair.operator].name,
        layer="image" if counterpart is None else layer_of(reference, counterpart),
        layers=() if counterpart is None else layers_of(reference, counterpart),
        tensor=tensor.name,
        dtype=tensor.dtype,
        snr_db=row.whole.snr_db,
        cosine=row.whole.cosine,
        max_error=row.whole.max_error,
        input_snr_db=decibels(row.carried),
        added_snr_db=row.added.snr_db,
        added_max_error=row.added.max_error,
        parts_db={part: decibels(row.part_ratio(part)) for part in PARTS},
        range=None if row.spread is None else _range(row.spread),
    )


def named_layer(
    finding: Finding,
    layer: Layer,
    row: Measured,
    graph: Graph,
    method: str | None,
    effects: Mapping[int, Effect],
) -> NamedLayer:
    """A finding with what its causes do to the score.

    The part of an error that is largest need not be the one that reaches the score. Where another
    part changes it more, that one's cause is told as well.

    Args:
        finding: the layer, and the causes of damage or of most of its error.
        layer: its row.
        row: its sums.
        graph: of the file.
        method: how the file's ranges were found, where its contract says.
        effects: by row, what was measured of it.
    """
    own = effects.get(finding.row)
    causes = list(finding.causes)
    if own is not None and (finding.jump or finding.most):
        told = {cause.part for cause in causes if cause.code != "output_scale"}
        if own.most not in told and row.parts[own.most]:
            causes.append(likely_cause(own.most, row, graph, method))

    def change(cause: Cause) -> Change | None:
        felt = effects.get(finding.felt_at) if cause.code == "output_scale" else own
        return None if felt is None or cause.part is None else felt.parts[cause.part]

    return NamedLayer(
        layer,
        tuple(NamedCause(cause, change(cause)) for cause in causes),
        finding.jump,
        finding.most,
        None if own is None else own.error,
    )


def _range(spread: Spread) -> OutputRange:
    ends = range_of(spread.tensor)
    assert ends is not None
    return OutputRange(
        scale=spread.tensor.scales[0],
        zero_point=spread.tensor.zero_points[0],
        low=ends[0],
        high=ends[1],
        seen_low=spread.low,
        seen_high=spread.high,
        clipped=spread.clipped,
        levels=spread.central_levels(),
    )
