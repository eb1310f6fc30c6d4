"""Which pictures there are of what was verified, with their names and what they show in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from lesionlite_export.comparability import KERAS
from lesionlite_export.labels_parity import LabelScoreParity
from lesionlite_export.layers.result import LayerReport
from lesionlite_export.matrix.result import Matrix
from lesionlite_export.parity import ScoreParity, ValueParity
from lesionlite_export.pictures.agreement import (
    agreement_of,
    bias_words,
    bland_altman,
    label_agreements,
    limit_words,
)
from lesionlite_export.pictures.backends import backend_cells, backend_heat_map
from lesionlite_export.pictures.flips import MOST, flips_gallery, flips_of
from lesionlite_export.pictures.layers import layer_errors
from lesionlite_export.pictures.scores import label_scatters, score_scatter
from lesionlite_export.pictures.style import png
from lesionlite_export.pictures.values import value_curves
from lesionlite_export.verification_result import Verification

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCORES, AGREEMENT, FLIPPED = "scores.png", "bland_altman.png", "flips.png"
VALUES, LAYERS, BACKENDS = "values.png", "layers.png", "backends.png"
VERIFY_NAMES = (SCORES, AGREEMENT, FLIPPED, VALUES)


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        name: of its file.
        title: in a few words.
        words: what it shows, for those who do not see it.
        figure: drawn, not yet rendered.
    """

    name: str
    title: str
    words: str
    figure: Figure

    @cached_property
    def png(self) -> bytes:
        """The PNG, the same each time."""
        return png(self.figure)


def verification_pictures(result: Verification) -> Iterator[Picture]:
    """The pictures of a verification: scores, agreement and flips, or the values of a regression.

    The photos that flipped are read again.
    """
    parity, reference = result.parity, reference_name(result)
    if isinstance(parity, ValueParity):
        limit = result.verdict.limits.get("max_relative_error")
        worst = result.verdict.would_pass["max_relative_error"]
        yield Picture(
            VALUES,
            "Values over the range",
            f"Values of {reference} and of the file over the range, and their difference: at most "
            f"{100 * worst:.3g} % of the largest |y|.",
            value_curves(parity, limit, reference),
        )
        return
    classes = _classes(result)
    flips = flips_of(parity, classes)
    if isinstance(parity, ScoreParity):
        yield _scores(parity, classes, reference, len(flips))
        agreement = agreement_of(parity.score_keras, parity.score_tflite)
        yield Picture(
            AGREEMENT,
            "Agreement (Bland and Altman)",
            f"Difference of both scores of each image over their mean: {bias_words(agreement)}, "
            f"{limit_words(agreement)}; {agreement.within} of {parity.n} images lie within.",
            bland_altman(parity),
        )
    else:
        yield from _label_pictures(parity, reference, len(flips))
    shown = min(len(flips), MOST)
    yield Picture(
        FLIPPED,
        "Images that flipped",
        f"Photos that flipped, {shown} of {len(flips)}, with what both models say of them."
        if flips
        else "No decision flipped.",
        flips_gallery(flips, reference),
    )


def layer_picture(report: LayerReport) -> Picture:
    """The error that each layer adds."""
    start = report.starts_at
    named = ", ".join(item.layer.layer for item in report.named)
    where = "no layer" if start is None else start.layer.layer
    return Picture(
        LAYERS,
        "Error by layer",
        f"A bar for the error that each of {len(report.layers)} operators adds, in the order of "
        f"the graph. The error starts at {where}; named: {named or 'none'}.",
        layer_errors(report),
    )


def matrix_picture(matrix: Matrix) -> Picture:
    """How far any two backends are apart."""
    names, cells = backend_cells(matrix)
    states = [cell.state for cell in cells.values()]
    largest = max((cell.difference for cell in cells.values()), default=0.0)
    return Picture(
        BACKENDS,
        "Backends against each other",
        f"Largest difference of each pair of {len(names)} rows, the reference among them: "
        f"{states.count('equal')} pairs are equal to the bit, {states.count('apart')} are apart, "
        f"at most by {largest:.3g}, and {states.count('absent')} lack scores.",
        backend_heat_map(matrix),
    )


def reference_name(result: Verification) -> str:
    """What the reference is called, as in the text."""
    return "Keras" if result.reference.kind == KERAS else "reference"


def _classes(result: Verification) -> tuple[str, ...]:
    if result.proof_set is None:
        return ()
    return tuple(image.class_name for image in result.proof_set.images)


def _scores(parity: ScoreParity, classes: tuple[str, ...], reference: str, flips: int) -> Picture:
    return Picture(
        SCORES,
        "Scores against each other",
        f"Score by the file over the score by {reference} of {parity.n} images, with the cross of "
        f"the thresholds. In the two shaded fields the decisions differ; images there: {flips}.",
        score_scatter(parity, classes, reference),
    )


def _label_pictures(parity: LabelScoreParity, reference: str, flips: int) -> Iterator[Picture]:
    count = len(parity.label_names)
    yield Picture(
        SCORES,
        "Scores against each other",
        f"For each of {count} labels, the score by the file over the score by {reference} of "
        f"{parity.n} images; flips: {flips}.",
        label_scatters(parity, reference),
    )
    yield Picture(
        AGREEMENT,
        "Agreement (Bland and Altman)",
        f"For each of {count} labels, the difference of both scores over their mean.",
        label_agreements(parity),
    )
