"""Agreement of two models by Bland and Altman: how far apart, and whether the score matters.

Bland and Altman 1986, Statistical methods for assessing agreement between two methods of clinical
measurement (Lancet 327:307).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.labels_parity import LabelScoreParity
from lesionlite_export.parity import ScoreParity
from lesionlite_export.pictures.style import BLUE, GREY, ORANGE, panels, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NORMAL_95 = 1.96
_PER_ROW = 3


@dataclass(frozen=True)
class Agreement:
    """Mean and difference of each pair of scores, and the limits of their agreement.

    Attributes:
        means: float64 ``[n]``, of both scores.
        differences: float64 ``[n]``, of file less reference.
        bias: mean of the differences.
        low: the bias less 1.96 standard deviations of the differences; None of one image.
        high: the bias and as much; likewise.
    """

    means: NDArray[np.float64]
    differences: NDArray[np.float64]
    bias: float
    low: float | None
    high: float | None

    @property
    def within(self) -> int:
        """Number of images whose difference lies within the limits."""
        if self.low is None or self.high is None:
            return len(self.differences)
        return int(((self.differences >= self.low) & (self.differences <= self.high)).sum())


def agreement_of(reference: NDArray[np.float64], file: NDArray[np.float64]) -> Agreement:
    """The agreement of the scores ``[n]`` of both sides."""
    differences = file - reference
    bias, low, high = float(differences.mean()), None, None
    if len(differences) > 1:
        reach = _NORMAL_95 * float(differences.std(ddof=1))
        low, high = bias - reach, bias + reach
    return Agreement((reference + file) / 2, differences, bias, low, high)


def bland_altman(parity: ScoreParity) -> Figure:
    """The difference of both scores of each image over their mean; flips stand out."""
    figure, (axes,) = panels(1, 8.0, 5.4)
    _draw(axes, agreement_of(parity.score_keras, parity.score_tflite), parity.flipped)
    axes.axvline(parity.threshold, color="black", lw=1, ls="--", label="threshold of the file")
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def label_agreements(parity: LabelScoreParity) -> Figure:
    """As `bland_altman`, for several labels: a panel for each."""
    count = len(parity.label_names)
    columns = min(count, _PER_ROW)
    rows = -(-count // columns)
    figure, all_axes = panels(columns, 3.9 * columns, 3.6 * rows + 0.4, rows)
    for i, name in enumerate(parity.label_names):
        agreement = agreement_of(parity.scores_keras[:, i], parity.scores_tflite[:, i])
        _draw(all_axes[i], agreement, parity.flipped)
        title = f"{plain(name, 28)}\n{bias_words(agreement)}"
        if agreement.low is not None:
            title = f"{title}\n{limit_words(agreement)}"
        all_axes[i].set_title(title, fontsize=9)
    for axes in all_axes[count:]:
        axes.axis("off")
    handles, names = all_axes[0].get_legend_handles_labels()
    dots = {name: one for one, name in zip(handles, names, strict=True) if name.endswith(")")}
    figure.legend(dots.values(), dots.keys(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def bias_words(agreement: Agreement) -> str:
    """``bias +0.0064``."""
    return f"bias {agreement.bias:+.4f}"


def limit_words(agreement: Agreement) -> str:
    """``95 % limits of agreement -0.0268 to +0.0396``; of one image there are none."""
    if agreement.low is None or agreement.high is None:
        return "no limits of agreement of one image"
    return f"95 % limits of agreement {agreement.low:+.4f} to {agreement.high:+.4f}"


def _draw(axes: Axes, agreement: Agreement, flipped: NDArray[np.bool_]) -> None:
    for mask, color, size, words in (
        (~flipped, BLUE, 16, "same decision"),
        (flipped, ORANGE, 40, "flipped"),
    ):
        if mask.any():
            axes.scatter(
                agreement.means[mask],
                agreement.differences[mask],
                s=size,
                alpha=0.65,
                lw=0,
                color=color,
                label=f"{words} ({mask.sum()})",
            )
    axes.axhline(0, color=GREY, lw=0.8, ls=":")
    axes.axhline(agreement.bias, color="black", lw=1.3, label=bias_words(agreement))
    if agreement.low is not None and agreement.high is not None:
        axes.axhline(agreement.low, color=GREY, lw=1.2, ls="-.", label=limit_words(agreement))
        axes.axhline(agreement.high, color=GREY, lw=1.2, ls="-.")
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("mean of both scores")
    axes.set_ylabel("difference (file less reference)")
