"""The picture of degraded copies shows their figures."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from lesionlite_export.sample import Sample
from lesionlite_training.evaluation.degradations import DEGRADATIONS
from lesionlite_training.evaluation.paired import compare
from lesionlite_training.evaluation.result import Evaluation
from lesionlite_training.evaluation.robustness import DegradedFigures, Robustness
from lesionlite_training.evaluation.robustness_plot import robustness_plot


@pytest.fixture
def robustness(evaluation: Evaluation) -> Robustness:
    """A row for each degradation, each with scores of its own."""
    sample, rng = evaluation.sample, np.random.default_rng(1)

    def figures() -> Any:
        scores = np.clip(sample.scores + rng.normal(0, 0.1, len(sample.scores)), 0, 1)
        return compare(sample, scores, evaluation.threshold)

    rows = tuple(DegradedFigures(one.name, one.level, figures()) for one in DEGRADATIONS)
    return Robustness(compare(sample, sample.scores, evaluation.threshold), rows)


def test_each_row_has_its_area_and_its_drop(
    evaluation: Evaluation, robustness: Robustness, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(
        "lesionlite_training.evaluation.robustness_plot.png",
        lambda figure: figures.append(figure) or b"",
    )
    robustness_plot(evaluation, robustness)
    left, right = figures[0].axes
    for axes, name in ((left, "auc"), (right, "auc_difference")):
        values = [getattr(row.figures, name) for row in robustness.rows]
        (points,) = [line for line in axes.lines if len(line.get_xdata()) == len(values)][:1]
        assert list(points.get_xdata()) == [value.value for value in values]
        (bars,) = axes.collections[:1]
        ends = [sorted(segment[:, 0]) for segment in bars.get_segments()]
        assert np.allclose(ends, [(value.low, value.high) for value in values])
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names == [f"{one.name}, {one.level}" for one in DEGRADATIONS]
    text = "\n".join(found.get_text() for found in figures[0].findobj(mpl.text.Text))
    assert f"model {evaluation.model}, n = 40, 16 of them label 1" in text


def test_it_is_a_png_that_is_the_same_each_time(
    evaluation: Evaluation, robustness: Robustness
) -> None:
    data = robustness_plot(evaluation, robustness)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.format == "PNG"
    assert robustness_plot(evaluation, robustness) == data


def test_one_label_leaves_the_axes_empty(evaluation: Evaluation) -> None:
    alone = compare(Sample(np.ones(3, np.int64), np.ones(3)), np.ones(3), 0.5)
    rows = (DegradedFigures("a", "b", alone),)
    assert robustness_plot(evaluation, Robustness(alone, rows)).startswith(b"\x89PNG")
