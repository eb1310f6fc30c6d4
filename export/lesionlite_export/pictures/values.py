"""A regression's values by both models over its range, and how far apart they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lesionlite_export.parity import ValueParity
from lesionlite_export.pictures.style import BLUE, GREY, ORANGE, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def value_curves(
    parity: ValueParity, limit: float | None = None, reference: str = "Keras"
) -> Figure:
    """Both curves, and below them the error as a percentage of the largest ``|y|``.

    Args:
        parity: the values.
        limit: of the largest relative error, a fraction; None where it is not gated.
        reference: what the reference is called.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 6.0), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2.0, 1.0])
    above.plot(parity.x, parity.y_keras, color=GREY, lw=3, alpha=0.6, label=plain(reference))
    above.plot(parity.x, parity.y_tflite, color=BLUE, lw=1.2, label="file")
    above.set_ylabel("y")
    above.legend(frameon=False, fontsize=9)
    scale = float(np.abs(parity.y_keras).max()) or 1.0
    percent = 100 * (parity.y_tflite - parity.y_keras) / scale
    below.plot(parity.x, percent, color=BLUE, lw=1.2)
    below.axhline(0, color=GREY, lw=0.8, ls=":")
    if limit is not None:
        words = f"limit ±{100 * limit:g} %"
        below.axhline(100 * limit, color=ORANGE, lw=1, ls="--", label=words)
        below.axhline(-100 * limit, color=ORANGE, lw=1, ls="--")
        below.legend(frameon=False, fontsize=9)
    below.set_xlabel("x")
    below.set_ylabel("error, % of\nthe largest |y|")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    return figure
