"""The scores of both models against each other, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.labels_parity import LABEL_FLIPS, LabelScoreParity
from lesionlite_export.parity import FLIPS, ScoreParity
from lesionlite_export.pictures.style import BLUE, FAINT, GREY, ORANGE, PALETTE, panels, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

Mask = NDArray[np.bool_]
FLIP_MARKS = {
    "newly_missed": ("s", ORANGE),
    "newly_found": ("D", "#009E73"),
    "newly_referred": ("^", "black"),
    "newly_spared": ("v", "#56B4E9"),
    "newly_wrong": ("s", ORANGE),
    "newly_right": ("D", "#009E73"),
    "flipped": ("o", "black"),
}
"""By kind of flip, the shape and colour of the frame around it."""
_LEAST_REACH = 0.05
_PER_ROW = 3


def score_scatter(
    parity: ScoreParity, classes: Sequence[str] = (), reference: str = "Keras"
) -> Figure:
    """Each image's score by the file over its score by the reference.

    The thresholds of both sides form a cross; in the two shaded fields the decisions differ. On the
    left all scores, on the right those around the cross.

    Args:
        parity: the scores.
        classes: name of the class of each image; empty where nothing says it.
        reference: what the reference is called.
    """
    figure, (whole, near) = panels(2, 11.0, 5.6)
    groups = class_groups(parity.labels, classes)
    for axes in (whole, near):
        cross(axes, parity.threshold_keras, parity.threshold)
        for i, (name, mask) in enumerate(groups):
            axes.scatter(
                parity.score_keras[mask],
                parity.score_tflite[mask],
                s=16,
                alpha=0.65,
                lw=0,
                color=PALETTE[i] if i < len(PALETTE) else GREY,
                label=f"{name} ({mask.sum()})",
            )
        for kind in FLIPS:
            _mark(axes, parity.score_keras, parity.score_tflite, getattr(parity, kind), kind)
        axes.set_xlabel(f"score by {plain(reference)}")
        axes.set_aspect("equal")
    whole.set_ylabel("score by the file")
    whole.set_xlim(-0.02, 1.02)
    whole.set_ylim(-0.02, 1.02)
    whole.set_title(f"All {parity.n} images", fontsize=11)
    middle, reach = _around(parity)
    near.set_xlim(middle[0] - reach, middle[0] + reach)
    near.set_ylim(middle[1] - reach, middle[1] + reach)
    near.set_title("Around the threshold", fontsize=11)
    handles, names = whole.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def label_scatters(parity: LabelScoreParity, reference: str = "Keras") -> Figure:
    """As `score_scatter`, for several labels: a panel for each, with its threshold if it has one.

    Images of the label are apart from the others by colour; flips are of the image's decision.
    """
    count = len(parity.label_names)
    columns = min(count, _PER_ROW)
    rows = -(-count // columns)
    figure, all_axes = panels(columns, 3.7 * columns, 3.8 * rows + 0.5, rows)
    for i, name in enumerate(parity.label_names):
        axes = all_axes[i]
        threshold = None if parity.thresholds is None else parity.thresholds.values[name]
        cross(axes, threshold if parity.decided is None else None, threshold)
        theirs, ours = parity.scores_keras[:, i], parity.scores_tflite[:, i]
        own = parity.labels == i
        for mask, color, words in (
            (~own, GREY, "images of other labels"),
            (own, BLUE, "images of the label"),
        ):
            axes.scatter(theirs[mask], ours[mask], s=14, alpha=0.65, lw=0, color=color, label=words)
        for kind, mask in label_flips(parity).items():
            _mark(axes, theirs, ours, mask, kind)
        axes.set_title(f"{plain(name, 28)} ({own.sum()})", fontsize=10)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_aspect("equal")
        axes.set_xlabel(f"score by {plain(reference)}")
        if i % columns == 0:
            axes.set_ylabel("score by the file")
    for axes in all_axes[count:]:
        axes.axis("off")
    handles, names = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def label_flips(parity: LabelScoreParity) -> dict[str, Mask]:
    """Which images flipped, by kind; from one wrong label to another is ``flipped`` alone."""
    kinds = {kind: np.asarray(getattr(parity, kind)) for kind in LABEL_FLIPS}
    told = np.logical_or.reduce(list(kinds.values()))
    return {**kinds, "flipped": np.asarray(parity.flipped & ~told)}


def class_groups(labels: NDArray[np.int64], classes: Sequence[str]) -> list[tuple[str, Mask]]:
    """The images by class, those labelled 1 first; by label where no class is known.

    Of more classes than there are colours, the smallest become one group.
    """
    names = np.array([plain(name, 28) for name in classes] or [""] * len(labels), object)
    groups: list[tuple[str, Mask]] = []
    for label in (1, 0):
        of_label = labels == label
        for name in sorted(set(names[of_label])):
            mask = np.asarray(of_label & (names == name))
            groups.append((f"{name}, label {label}" if name else f"label {label}", mask))
    if len(groups) <= len(PALETTE):
        return groups
    largest = sorted(groups, key=lambda group: -int(group[1].sum()))[: len(PALETTE)]
    kept = [group for group in groups if any(group is one for one in largest)]
    others = ~np.logical_or.reduce([mask for _, mask in kept])
    return [*kept, (f"{len(groups) - len(kept)} other classes", others)]


def cross(axes: Axes, x: float | None, y: float | None) -> None:
    """The line of equal scores, both thresholds, and a shade where decisions differ."""
    axes.axline((0, 0), slope=1, color=GREY, lw=0.8, ls=":")
    if x is None or y is None:
        return
    for left, bottom, width, height in ((-1.0, y, x + 1, 3.0), (x, -1.0, 3.0, y + 1)):
        axes.add_patch(_rectangle(left, bottom, width, height))
    words = f"threshold {y:.4f}" if x == y else f"thresholds {x:.4f} (reference), {y:.4f} (file)"
    axes.axvline(x, color="black", lw=1, ls="--", label=words)
    axes.axhline(y, color="black", lw=1, ls="--")


def _rectangle(left: float, bottom: float, width: float, height: float) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((left, bottom), width, height, color=FAINT, alpha=0.45, lw=0, zorder=0)


def _mark(
    axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], flipped: Mask, kind: str
) -> None:
    if not flipped.any():
        return
    marker, color = FLIP_MARKS[kind]
    axes.scatter(
        x[flipped],
        y[flipped],
        s=70,
        marker=marker,
        facecolors="none",
        edgecolors=color,
        lw=1.3,
        label=f"{kind.replace('_', ' ')} ({flipped.sum()})",
    )


def _around(parity: ScoreParity) -> tuple[tuple[float, float], float]:
    """The cross, and how far from it the nearer panel reaches: to every flip."""
    middle = parity.threshold_keras, parity.threshold
    away = np.maximum(
        np.abs(parity.score_keras - middle[0]), np.abs(parity.score_tflite - middle[1])
    )[parity.flipped]
    return middle, max(_LEAST_REACH, 1.15 * float(away.max(initial=0.0)))
