"""Plots show the figures of their evaluation, and the gallery the surest decisions."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import roc_auc_score

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.rendering import interval_text
from lesionlite_training.evaluation import plots
from lesionlite_training.evaluation.gallery import PER_ROW, gallery, gallery_rows
from lesionlite_training.evaluation.plots import PLOTS
from lesionlite_training.evaluation.result import Evaluation

from .conftest import THRESHOLD, Maker

ALL: dict[str, Callable[[Evaluation], bytes]] = {**PLOTS, "gallery.png": gallery}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that plots are drawn from."""
    figures: list[Figure] = []
    write = plots.png

    def keep(figure: Figure) -> bytes:
        figures.append(figure)
        return write(figure)

    monkeypatch.setattr(plots, "png", keep)
    return figures


def words(figure: Any) -> str:
    """All text on a figure."""
    found = figure.findobj(mpl.text.Text)
    return "\n".join(text.get_text() for text in found)


@pytest.mark.parametrize("name", ALL)
def test_a_plot_is_a_png_that_is_the_same_each_time(name: str, evaluation: Evaluation) -> None:
    data = ALL[name](evaluation)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.format == "PNG"
        assert min(image.size) > 500
    assert ALL[name](evaluation) == data


def test_no_state_of_pyplot_is_touched(evaluation: Evaluation) -> None:
    before = dict(mpl.rcParams)
    for plot in PLOTS.values():
        plot(evaluation)
    assert dict(mpl.rcParams) == before


def test_a_plot_of_scores_names_their_file(evaluation: Evaluation, drawn: list[Figure]) -> None:
    plots.roc(replace(evaluation, model=None, score_file="$oof$.csv"))
    assert "scores of \\$oof\\$.csv, n = 40" in words(drawn[0])


@pytest.mark.parametrize("name", PLOTS)
def test_every_plot_says_of_how_many_images_it_is(
    name: str, evaluation: Evaluation, drawn: list[Figure]
) -> None:
    PLOTS[name](evaluation)
    text = words(drawn[0])
    assert "n = 40, 16 of them label 1" in text
    assert evaluation.model in text
    assert "malignant" not in text


def test_the_roc_curve_is_of_the_scores(evaluation: Evaluation, drawn: list[Figure]) -> None:
    plots.roc(evaluation)
    (axes,) = drawn[0].axes
    curve = max(axes.lines, key=lambda line: len(line.get_xdata()))
    x, y = (np.asarray(values, float) for values in (curve.get_xdata(), curve.get_ydata()))
    area = float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))
    sample = evaluation.sample
    assert area == pytest.approx(roc_auc_score(sample.labels, sample.scores))
    at = evaluation.figures.operating
    points = [line.get_xydata()[0].tolist() for line in axes.lines if len(line.get_xdata()) == 1]
    assert [1 - at.specificity.value, at.sensitivity.value] in points
    assert interval_text(evaluation.figures.auc) in words(drawn[0])
    assert "sensitivity" in axes.get_ylabel()


def test_the_precision_at_the_threshold(evaluation: Evaluation, drawn: list[Figure]) -> None:
    plots.precision_recall(evaluation)
    (axes,) = drawn[0].axes
    at = evaluation.figures.operating
    precision = at.true_positives / (at.true_positives + at.false_positives)
    points = [line.get_xydata()[0].tolist() for line in axes.lines if len(line.get_xdata()) == 1]
    assert [at.sensitivity.value, precision] in points


def test_where_nobody_is_referred_there_is_no_precision(evaluation: Evaluation) -> None:
    assert plots.precision_recall(replace(evaluation, threshold=1.0)).startswith(b"\x89PNG")


def test_the_matrix_has_every_count(evaluation: Evaluation, drawn: list[Figure]) -> None:
    plots.confusion_matrix(evaluation)
    at = evaluation.figures.operating
    text = words(drawn[0])
    for count, total in (
        (at.true_positives, 16),
        (at.false_negatives, 16),
        (at.false_positives, 24),
        (at.true_negatives, 24),
    ):
        assert f"{count}\n{100 * count / total:.1f} % of the row" in text


def test_the_reliability_of_each_bin(evaluation: Evaluation, drawn: list[Figure]) -> None:
    plots.reliability(evaluation)
    upper, lower = drawn[0].axes
    sample = evaluation.sample
    line = max(upper.lines, key=lambda line: len(line.get_xdata()))
    points = np.asarray(line.get_xydata())
    first = sample.scores < 0.1
    assert points[0].tolist() == [sample.scores[first].mean(), sample.labels[first].mean()]
    assert sum(bar.get_height() for bar in lower.patches) == 40


def test_the_histogram_counts_each_label(evaluation: Evaluation, drawn: list[Figure]) -> None:
    plots.score_histogram(evaluation)
    upper, lower = drawn[0].axes
    assert sum(bar.get_height() for bar in upper.patches) == 16
    assert sum(bar.get_height() for bar in lower.patches) == 24
    assert f"{evaluation.figures.operating.true_positives} of 16 referred" in words(drawn[0])


def test_the_gallery_shows_the_surest_of_each_kind(evaluation: Evaluation) -> None:
    rows = gallery_rows(evaluation)
    at = evaluation.figures.operating
    assert [(row.label, row.referred, row.right, row.n) for row in rows] == [
        (1, True, True, at.true_positives),
        (1, False, False, at.false_negatives),
        (0, True, False, at.false_positives),
        (0, False, True, at.true_negatives),
    ]
    for row in rows:
        of_kind = [
            (image, score)
            for image, score in zip(evaluation.images, evaluation.scores, strict=True)
            if image.label == row.label and (score >= THRESHOLD) == row.referred
        ]
        of_kind.sort(key=lambda pair: -pair[1] if row.referred else pair[1])
        assert list(row.shown) == of_kind[:PER_ROW]


def test_the_gallery_says_refer_and_no_referral(
    evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(
        "lesionlite_training.evaluation.gallery.png", lambda figure: figures.append(figure) or b""
    )
    gallery(evaluation)
    text = words(figures[0])
    assert "label 1, decision: refer (right)" in text
    assert "label 1, decision: no referral (WRONG)" in text
    assert f"refer where the score is {THRESHOLD:.4f} or more" in text
    assert "seborrheic keratosis" in text
    shown = sum(len(row.shown) for row in gallery_rows(evaluation))
    assert len(figures[0].findobj(mpl.image.AxesImage)) == shown


def test_a_gallery_of_odd_images(make_evaluation: Maker, drawn_photos: list[Path]) -> None:
    """A class that looks like mathematics, an empty row, and a file that went away."""
    images = [
        LabelledImage(drawn_photos[0], 1, "$x$ and a name that is far too long to stand there"),
        LabelledImage(drawn_photos[1], 1, ""),
        LabelledImage(drawn_photos[2].with_name("gone.jpg"), 0, "nevus"),
    ]
    assert gallery(make_evaluation(images, [0.9, 0.8, 0.1])).startswith(b"\x89PNG")
