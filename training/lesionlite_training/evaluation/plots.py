"""Curves, matrix, diagram and histogram of an evaluation, each as the bytes of a PNG."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from lesionlite_export.pictures.style import BLUE, GREY, ORANGE, png
from lesionlite_export.rendering import interval_text
from lesionlite_export.statistics import Scores, share
from lesionlite_runtime.contract_fields import Interval
from lesionlite_runtime.errors import printable
from lesionlite_training.calibration import BINS
from lesionlite_training.evaluation.resampling import SENSITIVITY_FLOOR, score_bins
from lesionlite_training.evaluation.result import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Corner = Literal["lower right", "upper right", "upper left"]
_FINE_BINS = 40


def roc(evaluation: Evaluation) -> bytes:
    """The ROC curve, with the operating point and the area above 80 % sensitivity."""
    from sklearn.metrics import roc_curve

    sample, figures = evaluation.sample, evaluation.figures
    false_rates, sensitivities, _ = roc_curve(sample.labels, sample.scores, drop_intermediate=False)
    figure, axes = _square()
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls=":", label="at random")
    axes.plot(
        false_rates, sensitivities, color=BLUE, lw=2, label=f"AUC {interval_text(figures.auc)}"
    )
    axes.fill_between(
        false_rates,
        SENSITIVITY_FLOOR,
        np.maximum(sensitivities, SENSITIVITY_FLOOR),
        color=BLUE,
        alpha=0.15,
        lw=0,
        label=f"above {100 * SENSITIVITY_FLOOR:g} % sensitivity "
        f"{interval_text(figures.partial_auc)}, at most {1 - SENSITIVITY_FLOOR:.1f}",
    )
    sensitivity, specificity = figures.operating.sensitivity, figures.operating.specificity
    _operating_point(axes, evaluation, _less(specificity), sensitivity)
    axes.set_xlabel("1 − specificity (share of label 0 that is referred)")
    axes.set_ylabel("sensitivity (share of label 1 that is referred)")
    return _finished(figure, axes, evaluation, "ROC curve", "lower right")


def precision_recall(evaluation: Evaluation) -> bytes:
    """The precision-recall curve in steps, with the operating point."""
    from sklearn.metrics import precision_recall_curve

    sample, figures = evaluation.sample, evaluation.figures
    precisions, recalls, _ = precision_recall_curve(sample.labels, sample.scores)
    figure, axes = _square()
    prevalence = figures.positives / figures.n
    axes.axhline(
        prevalence, color=GREY, lw=1, ls=":", label=f"at random ({prevalence:.3f}: the set's share)"
    )
    axes.plot(
        recalls,
        precisions,
        color=BLUE,
        lw=2,
        drawstyle="steps-post",
        label=f"average precision {interval_text(figures.average_precision)}",
    )
    referred = sample.scores >= evaluation.threshold
    if referred.any():
        clusters = None if sample.clusters is None else sample.clusters[referred]
        precision = share(sample.labels[referred] == 1, clusters)
        _operating_point(axes, evaluation, figures.operating.sensitivity, precision)
    axes.set_xlabel("recall (sensitivity)")
    axes.set_ylabel("precision (share of label 1 in those referred)")
    return _finished(figure, axes, evaluation, "Precision and recall", "upper right")


def confusion_matrix(evaluation: Evaluation) -> bytes:
    """Counts of decisions by label, shaded by their share of the label."""
    counts = evaluation.figures.operating
    rows = np.array(
        [
            [counts.true_positives, counts.false_negatives],
            [counts.false_positives, counts.true_negatives],
        ]
    )
    shares = rows / rows.sum(1, keepdims=True)
    figure, axes = _axes(5.6, 4.6)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(rows):
        part = float(shares[row, column])
        axes.text(
            column,
            row,
            f"{count}\n{100 * part:.1f} % of the row",
            ha="center",
            va="center",
            fontsize=13,
            color="white" if part > 0.65 else "black",
        )
    axes.set_xticks([0, 1], ["refer", "no referral"])
    axes.set_yticks([0, 1], ["label 1", "label 0"])
    axes.tick_params(length=0)
    axes.set_xlabel(f"decision at the threshold {evaluation.threshold:.4f}")
    return _finished(figure, axes, evaluation, "Decisions by label", None)


def reliability(evaluation: Evaluation) -> bytes:
    """The share of positives in each bin of scores, with the images of each bin."""
    sample, figures = evaluation.sample, evaluation.figures
    bins = score_bins(sample.scores)
    figure, (axes, below) = _stacked(3.0)
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls=":", label="a score that is a probability")
    used = np.unique(bins)
    means = np.array([sample.scores[bins == place].mean() for place in used])
    found = [
        share(
            sample.labels[bins == place] == 1,
            None if sample.clusters is None else sample.clusters[bins == place],
        )
        for place in used
    ]
    values = np.array([interval.value for interval in found])
    axes.errorbar(
        means,
        values,
        yerr=[
            values - [interval.low for interval in found],
            [interval.high for interval in found] - values,
        ],
        fmt="o-",
        color=BLUE,
        lw=1.5,
        capsize=3,
        label=f"calibration error {interval_text(figures.calibration_error)}\n"
        f"Brier score {interval_text(figures.brier)}",
    )
    axes.set_ylabel("share of label 1, with 95 % interval")
    edges = np.linspace(0, 1, BINS + 1)
    below.hist(sample.scores, bins=edges.tolist(), color=BLUE, alpha=0.6)
    below.set_ylabel("images")
    below.set_xlabel(f"score ({BINS} bins of equal width)")
    axes.set_ylim(-0.02, 1.02)
    return _finished(figure, axes, evaluation, "Reliability of the scores", "upper left")


def score_histogram(evaluation: Evaluation) -> bytes:
    """Scores of both labels, one above the other, with the threshold."""
    from matplotlib.ticker import MaxNLocator

    sample = evaluation.sample
    figure, panels = _stacked(1.0)
    edges = np.linspace(0, 1, _FINE_BINS + 1)
    for axes, label, color in zip(panels, (1, 0), (ORANGE, BLUE), strict=True):
        scores: Scores = sample.scores[sample.labels == label]
        axes.hist(scores, bins=edges.tolist(), color=color, alpha=0.8)
        referred = int(np.sum(scores >= evaluation.threshold))
        axes.axvline(
            evaluation.threshold,
            color="black",
            lw=1.5,
            ls="--",
            label=f"threshold {evaluation.threshold:.4f}: {referred} of {len(scores)} referred",
        )
        axes.set_ylabel(f"images of label {label}")
        axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
        axes.legend(loc="upper right", frameon=False, fontsize=9)
    panels[1].set_xlabel(f"score ({_FINE_BINS} bins of equal width)")
    return _finished(figure, panels[0], evaluation, "Scores by label", None)


PLOTS: Mapping[str, Callable[[Evaluation], bytes]] = {
    "roc.png": roc,
    "precision_recall.png": precision_recall,
    "confusion_matrix.png": confusion_matrix,
    "reliability.png": reliability,
    "score_histogram.png": score_histogram,
}


def heading(evaluation: Evaluation, title: str) -> str:
    """``title``, with the model (or the file of scores) and the images behind it."""
    figures, subject = evaluation.figures, printable(evaluation.subject).replace("$", r"\$")
    return f"{title}\n{subject}, n = {figures.n}, {figures.positives} of them label 1"


def _operating_point(axes: Axes, evaluation: Evaluation, x: Interval, y: Interval) -> None:
    axes.errorbar(
        [x.value],
        [y.value],
        xerr=[[x.value - x.low], [x.high - x.value]],
        yerr=[[y.value - y.low], [y.high - y.value]],
        fmt="o",
        color=ORANGE,
        ms=8,
        lw=1.5,
        capsize=3,
        label=f"threshold {evaluation.threshold:.4f}, with 95 % intervals",
    )


def _less(interval: Interval) -> Interval:
    """One less the interval."""
    return Interval(1 - interval.value, 1 - interval.high, 1 - interval.low)


def _square() -> tuple[Figure, Axes]:
    figure, axes = _axes(6.4, 6.4)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    return figure, axes


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    # Without pyplot: no window, and no state that a caller's own figures share.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _stacked(ratio: float) -> tuple[Figure, tuple[Axes, Axes]]:
    """Two axes over one scale from 0 to 1, the upper one ``ratio`` times as high."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 6.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[ratio, 1.0])
    upper.set_xlim(-0.02, 1.02)
    return figure, (upper, lower)


def _finished(
    figure: Figure, axes: Axes, evaluation: Evaluation, title: str, legend: Corner | None
) -> bytes:
    axes.set_title(heading(evaluation, title), fontsize=11)
    for one in figure.axes:
        one.spines[["top", "right"]].set_visible(False)
    if legend is not None:
        axes.legend(loc=legend, frameon=False, fontsize=9)
    return png(figure)
