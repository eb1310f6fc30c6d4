"""The layers as text for people: a table in graph order, and the layers that stand out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lesionlite_export.layers.effect import Change
from lesionlite_export.layers.result import Layer, LayerReport, NamedCause, NamedLayer
from lesionlite_runtime.errors import printable

if TYPE_CHECKING:
    from rich.table import Table

DAMAGED = "DAMAGED"
_WIDE = 120
COLUMNS = ("", "operator", "layer", "SNR dB", "cosine", "max error", "given dB", "added dB", "")


def print_layers(report: LayerReport) -> None:
    """Print table and findings to stdout, as plain text where it is no terminal."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, highlight=False, width=None if terminal else _WIDE)
    for line in head_lines(report):
        console.print(line, markup=False, soft_wrap=True)
    console.print(_table(report))
    for line in finding_lines(report):
        console.print(line, markup=False, soft_wrap=True)


def head_lines(report: LayerReport) -> Iterator[str]:
    """What was compared, and with what."""
    inputs, reference = report.inputs, report.reference
    what = "points of the range" if inputs.sha256 is None else "images"
    yield f"layers     {inputs.n} of {inputs.of} {what} (seed {inputs.seed}), in {report.kernels}"
    if reference.keras_difference is not None:
        yield (
            f"{'':<10} against the float32 form of {printable(reference.file)}, whose outputs are "
            f"Keras' within {reference.keras_difference:.1g}"
        )
    else:
        yield f"{'':<10} against {printable(reference.file)}"


def _table(report: LayerReport) -> Table:
    from rich.table import Table
    from rich.text import Text

    named = {n.layer.operator: n for n in report.named}
    table = Table()
    for i, column in enumerate(COLUMNS):
        table.add_column(
            column, justify="right" if i in (0, 3, 4, 5, 6, 7) else "left", overflow="fold"
        )
    for layer in report.layers:
        mark, style = mark_of(named.get(layer.operator))
        table.add_row(*(Text(cell, style) for cell in (*layer_cells(layer), mark)))
    return table


def layer_cells(layer: Layer) -> tuple[str, ...]:
    """What stands in the `COLUMNS` but the last."""
    return (
        str(layer.operator),
        layer.name,
        layer.layer,
        _decibels(layer.snr_db),
        f"{layer.cosine:.5f}",
        f"{layer.max_error:.3g}",
        _decibels(layer.input_snr_db),
        _decibels(layer.added_snr_db),
    )


def _decibels(level: float | None) -> str:
    return "exact" if level is None else f"{level:.1f}"


def finding_lines(report: LayerReport) -> Iterator[str]:
    """Where the error starts, and the named layers with their causes."""
    start = report.starts_at
    if start is None:
        yield "starts at  no layer: none that adds over 1 % of error adds as much as it is given"
    for named in report.named:
        word = "starts at" if named is start else "most" if named.most else "then"
        yield f"{word:<10} {_title(named)}"
        for item in named.causes:
            yield f"{'':<12} {_cause(item)}"
        if named.change is not None:
            yield f"{'':<12} all of its error alone changes the score {_by(named.change)}"


def _cause(named: NamedCause) -> str:
    damage = "DAMAGED: " if named.cause.damage else ""
    felt = "" if named.change is None else f" [changes the score {_by(named.change)}]"
    return f"{damage}{printable(named.cause.text)}{felt}"


def _by(change: Change) -> str:
    return f"by {change.mean:.4f}, at most {change.max:.4f}"


def mark_of(named: NamedLayer | None) -> tuple[str, str]:
    """What a row is marked with, and its style."""
    if named is None:
        return "", ""
    if named.damage:
        return DAMAGED, "bold red"
    return " ".join(["jump"] * named.jump + ["most"] * named.most), "yellow"


def _title(named: NamedLayer) -> str:
    layer = named.layer
    return (
        f"{printable(layer.layer)} ({layer.name}, operator {layer.operator}): "
        f"given {_decibels(layer.input_snr_db)}, adds {_decibels(layer.added_snr_db)} dB"
    )
