"""The AUC on degraded copies as a picture: one interval a degradation."""

from __future__ import annotations

import numpy as np

from lesionlite_export.pictures.style import BLUE, GREY, ORANGE, png
from lesionlite_training.evaluation.plots import heading
from lesionlite_training.evaluation.result import Evaluation
from lesionlite_training.evaluation.robustness import Robustness

_ROW_INCHES = 0.3


def robustness_plot(evaluation: Evaluation, robustness: Robustness) -> bytes:
    """A PNG: the AUC of each degradation with its interval, and its drop with the paired one."""
    from matplotlib.figure import Figure

    rows = robustness.rows
    figure = Figure(figsize=(10.5, 1.8 + _ROW_INCHES * len(rows)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(rows))
    areas = [row.figures.auc for row in rows]
    drops = [row.figures.auc_difference for row in rows]
    for axes, found, color in ((left, areas, BLUE), (right, drops, ORANGE)):
        known = [(place, one) for place, one in zip(places, found, strict=True) if one is not None]
        axes.errorbar(
            [one.value for _, one in known],
            [place for place, _ in known],
            xerr=[
                [one.value - one.low for _, one in known],
                [one.high - one.value for _, one in known],
            ],
            fmt="o",
            color=color,
            capsize=3,
            lw=1.5,
        )
    if robustness.undegraded.auc is not None:
        left.axvline(robustness.undegraded.auc.value, color=GREY, ls=":", label="undegraded")
        left.legend(loc="lower left", frameon=False, fontsize=9)
    right.axvline(0, color=GREY, ls=":")
    left.set_yticks(places, [f"{row.name}, {row.level}" for row in rows])
    left.invert_yaxis()
    left.set_xlabel("AUC, with 95 % interval")
    right.set_xlabel("difference from the photos, paired")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
    figure.suptitle(heading(evaluation, "Degraded copies"), fontsize=11)
    return png(figure)
