"""The layers as a section of a page."""

from __future__ import annotations

from lesionlite_export.layers.rendering import (
    COLUMNS,
    DAMAGED,
    finding_lines,
    head_lines,
    layer_cells,
    mark_of,
)
from lesionlite_export.layers.result import LayerReport
from lesionlite_export.report.parts import Section, Table, terms_of


def layer_section(report: LayerReport) -> Section:
    """What was compared, where the error starts, and the table."""
    named = {item.layer.operator: item for item in report.named}
    marks = [mark_of(named.get(layer.operator))[0] for layer in report.layers]
    rows = [(*layer_cells(layer), mark) for layer, mark in zip(report.layers, marks, strict=True)]
    table = Table(
        "Operators in the order of the graph",
        COLUMNS,
        rows,
        frozenset({0, 3, 4, 5, 6, 7}),
        marked=frozenset(i for i, mark in enumerate(marks) if mark == DAMAGED),
        noted=frozenset(i for i, mark in enumerate(marks) if mark and mark != DAMAGED),
    )
    return Section(
        "layers",
        "Layers",
        terms=[*terms_of((*head_lines(report), *finding_lines(report)))],
        sentences=[str(item.error) for item in report.unusable],
        tables=[table],
    )
