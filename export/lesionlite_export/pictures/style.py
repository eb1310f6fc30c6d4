"""What the pictures share: colours, words that are safe to draw, figures, and their bytes.

Colours are those of Okabe and Ito, which colour-blind people tell apart.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from lesionlite_runtime.errors import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#767676"
PALETTE = (BLUE, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#8A6D00")
"""For classes, in order; what comes after them is `GREY`."""
FAINT = "#D9D9D9"
DPI = 150
_LONGEST = 40


def png(figure: Figure) -> bytes:
    """``figure`` as a PNG that is the same each time."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # A letter that the font lacks is drawn as an empty box, which says so.
        warnings.filterwarnings("ignore", r"Glyph \d+", UserWarning)
        figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()


def plain(text: str, longest: int = _LONGEST) -> str:
    """``text`` from outside as it may be drawn: on one line, short, and no formula.

    Of a longer one the end is kept as well, for that is where file names differ.
    """
    words = printable(text)
    if len(words) > longest:
        kept = longest - 1
        words = f"{words[: kept - kept // 2]}…{words[len(words) - kept // 2 :]}"
    return words.replace("$", r"\$")


def panels(columns: int, width: float, height: float, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of ``width`` x ``height`` inches with a grid of axes, row by row.

    It is made without pyplot: no window, and no state that a caller's own figures share.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = [one for row in grid for one in row]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def words_alone(words: str) -> Figure:
    """A picture of one sentence, where there is nothing to draw."""
    figure, (axes,) = panels(1, 6.4, 1.6)
    axes.axis("off")
    axes.text(0.5, 0.5, words, ha="center", va="center", fontsize=12, color=GREY)
    return figure
