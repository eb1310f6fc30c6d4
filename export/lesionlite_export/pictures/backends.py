"""How far any two backends are apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lesionlite_export.matrix.pairs import KERAS
from lesionlite_export.matrix.result import Matrix
from lesionlite_export.pictures.style import FAINT, GREY, panels, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

BIT_EQUAL = "#009E73"
_SMALLEST = 1e-9
_INCHES = 0.62
_OF_A_SCORE = "largest difference of a score"


@dataclass(frozen=True)
class Cell:
    """A pair of rows.

    Attributes:
        state: ``apart``, ``equal`` (to the bit) or ``absent`` (one of them has no scores).
        difference: the largest of a score; 0 where there is none.
    """

    state: str
    difference: float = 0.0


def backend_cells(matrix: Matrix) -> tuple[tuple[str, ...], dict[tuple[int, int], Cell]]:
    """The names, the reference first, and a cell for each pair of places (later, earlier)."""
    names = (KERAS, *(row.name for row in matrix.rows))
    cells = {}
    for later in range(1, len(names)):
        for earlier in range(later):
            pair = matrix.pair(names[later], names[earlier])
            if pair is None:
                cells[later, earlier] = Cell("absent")
            else:
                state = "equal" if pair.bit_equal else "apart"
                cells[later, earlier] = Cell(state, pair.max_difference)
    return names, cells


def backend_heat_map(matrix: Matrix) -> Figure:
    """A square for each pair of rows: its largest difference by colour and number.

    Pairs that are equal to the bit are green and have ``=``, which no small difference has. A row
    without scores is grey, and its name says what became of it.
    """
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Rectangle

    names, cells = backend_cells(matrix)
    side = len(names)
    figure, (axes,) = panels(1, side * _INCHES + 3.6, side * _INCHES + 2.0)
    apart = [max(cell.difference, _SMALLEST) for cell in cells.values() if cell.state == "apart"]
    low, high = (min(apart), max(apart)) if apart else (1e-6, 1e-3)
    norm = LogNorm(10 ** math.floor(math.log10(low)), 10 ** (math.floor(math.log10(high)) + 1))
    colors = _color_map()
    for (later, earlier), cell in cells.items():
        shade = norm(max(cell.difference, _SMALLEST))
        face = {"equal": BIT_EQUAL, "absent": FAINT}.get(cell.state) or colors(float(shade))
        axes.add_patch(
            Rectangle(
                (earlier - 0.5, later - 0.5),
                1,
                1,
                facecolor=face,
                edgecolor="white",
                lw=1.5,
                hatch="///" if cell.state == "absent" else None,
            )
        )
        words = {"equal": "=", "absent": ""}.get(cell.state, _number(cell.difference))
        dark = cell.state == "equal" or (cell.state == "apart" and shade > 0.55)
        axes.text(
            earlier,
            later,
            words,
            ha="center",
            va="center",
            fontsize=12 if cell.state == "equal" else 7,
            color="white" if dark else "black",
        )
    _label(axes, matrix, names)
    if apart:
        from matplotlib.cm import ScalarMappable

        bar = figure.colorbar(ScalarMappable(norm, colors), ax=axes, shrink=0.6, pad=0.02)
        bar.set_label("largest difference of y" if matrix.subject.is_regression else _OF_A_SCORE)
    axes.set_title("green with =: equal to the bit", fontsize=10, loc="left")
    return figure


def _color_map() -> Colormap:
    from matplotlib import colormaps

    return colormaps["YlOrRd"]


def _label(axes: Axes, matrix: Matrix, names: tuple[str, ...]) -> None:
    side = len(names)
    reference = plain(matrix.subject.reference_name, 24)
    shown = [reference, *(plain(name, 28) for name in names[1:])]
    ran = {row.name: row.outcome.status for row in matrix.rows if not row.done}
    rows = [
        f"{words} ({ran[name].replace('_', ' ')})" if name in ran else words
        for name, words in zip(names, shown, strict=True)
    ]
    axes.set_xlim(-0.5, side - 0.5 - 1)
    axes.set_ylim(side - 0.5, 0.5)
    axes.set_aspect("equal")
    axes.set_xticks(range(side - 1), shown[:-1], rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(1, side), rows[1:], fontsize=8)
    for tick, name in zip(axes.get_yticklabels(), names[1:], strict=True):
        tick.set_color(GREY if name in ran else "black")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _number(value: float) -> str:
    """``2e-05`` or ``0.012``: two digits."""
    return f"{value:.1e}".replace("e-0", "e-") if 0 < value < 1e-3 else f"{value:.2g}"
