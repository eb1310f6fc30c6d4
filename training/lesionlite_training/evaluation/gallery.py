"""The photos that a model is most sure of, rightly and wrongly, as one picture."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.pictures.style import BLUE, GREY, ORANGE, png
from lesionlite_runtime.errors import UnusableInput, printable
from lesionlite_runtime.pixels import image_tensor
from lesionlite_training.evaluation.plots import heading
from lesionlite_training.evaluation.result import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PER_ROW = 6
_PIXELS = 224
_INCHES = 1.7
_NAME_LENGTH = 22


@dataclass(frozen=True)
class Row:
    """Photos of one label and one decision, the surest first, and how many there are in all."""

    label: int
    referred: bool
    n: int
    shown: tuple[tuple[LabelledImage, float], ...]

    @property
    def right(self) -> bool:
        """Whether the decision fits the label."""
        return self.referred == (self.label == 1)


def gallery_rows(evaluation: Evaluation) -> tuple[Row, ...]:
    """Each label and decision, with the `PER_ROW` photos furthest from the threshold.

    Referred ones go from the highest score down, others from the lowest up.
    """
    scores, labels = evaluation.scores, evaluation.sample.labels
    referred = scores >= evaluation.threshold
    rows = []
    for label, decision in product((1, 0), (True, False)):
        places = np.flatnonzero((labels == label) & (referred == decision))
        order = np.argsort(-scores[places] if decision else scores[places], kind="stable")
        shown = [(evaluation.images[i], float(scores[i])) for i in places[order][:PER_ROW]]
        rows.append(Row(label, decision, len(places), tuple(shown)))
    return tuple(rows)


def gallery(evaluation: Evaluation) -> bytes:
    """A PNG of `gallery_rows`, each photo as the network gets it: squeezed to a square."""
    from matplotlib.figure import Figure

    rows = gallery_rows(evaluation)
    figure = Figure(
        figsize=(PER_ROW * _INCHES, len(rows) * (_INCHES + 0.75) + 0.6), layout="constrained"
    )
    grid = figure.add_gridspec(len(rows), 1)
    for number, row in enumerate(rows):
        strip = figure.add_subfigure(grid[number, 0])
        decision = "refer" if row.referred else "no referral"
        kind = "right" if row.right else "WRONG"
        strip.suptitle(
            f"label {row.label}, decision: {decision} ({kind}); {len(row.shown)} of {row.n} shown",
            fontsize=10,
            x=0.01,
            ha="left",
            color=BLUE if row.right else ORANGE,
            fontweight="bold",
        )
        axes = strip.subplots(1, PER_ROW)
        for place, axis in enumerate(axes):
            axis.axis("off")
            if place < len(row.shown):
                _draw(axis, *row.shown[place])
    threshold = f"refer where the score is {evaluation.threshold:.4f} or more"
    figure.suptitle(f"{heading(evaluation, 'Surest decisions')}; {threshold}", fontsize=11)
    return png(figure)


def _draw(axis: Axes, image: LabelledImage, score: float) -> None:
    try:
        axis.imshow(image_tensor(image.path, _PIXELS, _PIXELS))
    except UnusableInput:  # it was there when it was scored
        axis.text(0.5, 0.5, "gone", ha="center", va="center", color=GREY)
    words = printable(image.class_name).replace("_", " ")
    words = words if len(words) <= _NAME_LENGTH else f"{words[: _NAME_LENGTH - 1]}…"
    axis.set_title(f"score {score:.3f}\n{words}".strip(), fontsize=8, parse_math=False)
