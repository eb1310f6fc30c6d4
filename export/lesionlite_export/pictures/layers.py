"""The error that each layer adds, in the order of the graph."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lesionlite_export.layers.causes import NOTABLE_DB
from lesionlite_export.layers.result import LayerReport, NamedLayer
from lesionlite_export.pictures.style import BLUE, GREY, ORANGE, panels, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DAMAGED = "#B00020"
_COLORS = {"damaged": DAMAGED, "named": ORANGE, "other": BLUE}
_WORDS = {"damaged": "damaged layers", "named": "named layers", "other": "other layers"}
_MOST_PERCENT = 1000.0


def layer_errors(report: LayerReport) -> Figure:
    """A bar for the error that each operator adds to the right input, a line for all up to it.

    Both are in percent of the signal's amplitude, from the signal-to-noise ratios in dB. Named
    layers stand out by colour and have their name above the bar; an operator without any error has
    no bar.
    """
    layers = report.layers
    figure, (axes,) = panels(1, max(8.0, 0.17 * len(layers) + 2), 5.6)
    named = {item.layer.operator: item for item in report.named}
    kinds = [kind_of(named.get(layer.operator)) for layer in layers]
    added = [amplitude(layer.added_snr_db) for layer in layers]
    drawn = [value for value in added if value is not None]
    floor = min([*drawn, 0.1]) / 3
    for kind, color in _COLORS.items():
        chosen = [
            (i, value) for i, value in enumerate(added) if kinds[i] == kind and value is not None
        ]
        if chosen:
            axes.bar(
                [i for i, _ in chosen],
                [value - floor for _, value in chosen],
                bottom=floor,
                color=color,
                width=0.8,
                label=f"added by {_WORDS[kind]}",
            )
    totals = [amplitude(layer.snr_db) for layer in layers]
    whole = [math.nan if total is None else total for total in totals]
    axes.plot(range(len(layers)), whole, color="black", lw=1, label="error of its output in all")
    notable = amplitude(NOTABLE_DB) or 0.0
    words = f"{notable:g} %: no jump below it"
    axes.axhline(notable, color=GREY, lw=1, ls=":", label=words)
    axes.set_yscale("log")
    top = max([*drawn, *(total for total in totals if total is not None), 1.0])
    axes.set_ylim(floor, top * 12)
    for i, layer in enumerate(layers):
        if layer.operator in named:
            axes.annotate(
                plain(layer.layer),
                (i, max(added[i] or floor, totals[i] or floor)),
                xytext=(0, 5),
                textcoords="offset points",
                rotation=90,
                ha="center",
                va="bottom",
                fontsize=8,
                color=_COLORS[kinds[i]],
            )
    axes.set_xlabel("operator, in the order of the graph")
    axes.set_ylabel("error, % of the signal")
    axes.set_xlim(-1, len(layers))
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def amplitude(level_db: float | None) -> float | None:
    """The error in percent of the signal's amplitude, 1000 at most; None where there is none."""
    if level_db is None:
        return None
    return min(_MOST_PERCENT, 100 * math.pow(10, -level_db / 20))


def kind_of(named: NamedLayer | None) -> str:
    """``damaged``, ``named`` or ``other``."""
    if named is None:
        return "other"
    return "damaged" if named.damage else "named"
