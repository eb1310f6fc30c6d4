"""Figures of fixed arrays with answers worked out by hand, as the challenges define them."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlite_export.sample import Sample
from lesionlite_export.statistics import Labels, Scores
from lesionlite_training.evaluation.figures import (
    measure,
    partial_auc,
    specificity_where,
)

# Sorted by score: 0.9 and 0.8 of label 1, 0.7 of label 0, 0.5 of 1, 0.45 of 0, 0.4 of 1, 0.3 of 0,
# 0.2 of 1, 0.1 and 0.05 of 0.
LABELS = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
SCORES = np.array([0.9, 0.8, 0.5, 0.4, 0.2, 0.7, 0.45, 0.3, 0.1, 0.05])
SAMPLE = Sample(LABELS, SCORES)


def test_the_figures_of_the_challenge_of_2017() -> None:
    """Its scorer takes a score above 0.5 for positive; here a score of the threshold is, too."""
    found = measure(SAMPLE, float(np.nextafter(0.5, 1)), 0.1)
    assert found.operating.to_json()["confusion"] == {
        "true_positives": 2,
        "false_negatives": 3,
        "true_negatives": 4,
        "false_positives": 1,
    }
    assert found.accuracy.value == 0.6
    assert found.operating.sensitivity.value == 0.4
    assert found.operating.specificity.value == 0.8
    assert found.auc is not None
    assert found.auc.value == pytest.approx((5 + 5 + 4 + 3 + 2) / 25)
    assert found.average_precision is not None
    wanted = (1 / 1 + 2 / 2 + 3 / 4 + 4 / 6 + 5 / 8) / 5
    assert found.average_precision.value == pytest.approx(wanted)
    at = {wanted: interval and interval.value for wanted, interval in found.specificities.items()}
    assert at == {0.82: 0.4, 0.89: 0.4, 0.95: 0.4}
    with_equal = measure(SAMPLE, 0.5, 0.1)
    assert with_equal.operating.true_positives == 3
    assert with_equal.accuracy.value == 0.7
    assert with_equal.auc == found.auc


def test_the_other_figures() -> None:
    found = measure(SAMPLE, 0.5, 0.1)
    assert found.balanced_accuracy is not None
    assert found.balanced_accuracy.value == pytest.approx((3 / 5 + 4 / 5) / 2)
    assert found.always_benign == 0.5
    assert found.brier.value == pytest.approx(
        (0.1**2 + 0.2**2 + 0.5**2 + 0.6**2 + 0.8**2) / 10
        + (0.7**2 + 0.45**2 + 0.3**2 + 0.1**2 + 0.05**2) / 10
    )
    # 0.4 and 0.45 share a bin, with one image of label 1; each other score has its own.
    wanted = 0.05 + 0.1 + 0.8 + 0.3 + abs(1 - 0.85) + 0.5 + 0.7 + 0.2 + 0.1
    assert found.calibration_error.value == pytest.approx(wanted / 10)


def test_the_calibration_error_weights_bins_by_their_images() -> None:
    sample = Sample(np.array([0, 0, 0, 1, 1]), np.array([0.0, 0.02, 0.07, 0.09, 1.0]))
    found = measure(sample, 0.5, 0.1).calibration_error.value
    assert found == pytest.approx(4 / 5 * abs(1 / 4 - 0.18 / 4))


def test_the_partial_auc_of_the_challenge_of_2024() -> None:
    """By hand: from a false rate of 0.6 on the sensitivity is 1, which is 0.2 above the line."""
    assert partial_auc(SAMPLE) == pytest.approx(0.4 * 0.2)
    assert partial_auc(Sample(LABELS, LABELS * 1.0)) == pytest.approx(0.2)
    assert partial_auc(Sample(LABELS, np.full(10, 0.3))) == pytest.approx(0.02)
    assert partial_auc(Sample(LABELS, 1.0 - LABELS)) == pytest.approx(0.0)


def test_a_partial_auc_whose_curve_crosses_the_line_on_a_slope() -> None:
    """Two levels: 2 of 4 cases and 1 of 4 controls above, the others below, all tied.

    The curve is (0, 0), (0.25, 0.5), (1, 1); it crosses 0.8 at 0.7, and a triangle is left.
    """
    sample = Sample(np.array([1, 1, 1, 1, 0, 0, 0, 0]), np.array([9, 9, 1, 1, 9, 1, 1, 1]) / 10)
    assert partial_auc(sample) == pytest.approx(0.3 * 0.2 / 2)


def test_specificity_is_where_the_sensitivity_is_first_reached() -> None:
    """20 cases, and a control after each 2 of them: 17, 18 and 19 cases give 85, 90 and 95 %."""
    labels, scores = [], []
    for place in range(20):
        labels += [1] if place % 2 == 0 else [1, 0]
        scores += [1 - place / 25] if place % 2 == 0 else [1 - place / 25, 0.99 - place / 25]
    sample = Sample(np.array(labels), np.array(scores))
    assert [specificity_where(sample, s) for s in (0.82, 0.89, 0.95)] == pytest.approx(
        [0.2, 0.2, 0.1]
    )
    assert specificity_where(sample, 0.9) == pytest.approx(0.2)
    assert specificity_where(sample, 0.901) == pytest.approx(0.1)


def test_specificity_is_looked_for_on_straight_stretches_too() -> None:
    """Five levels with a case and a control each make a straight line of five stretches."""
    sample = Sample(np.tile([1, 0], 5), np.repeat([0.9, 0.7, 0.5, 0.3, 0.1], 2))
    assert specificity_where(sample, 0.6) == pytest.approx(0.4)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=2, max_size=30))
def test_the_partial_auc_is_an_integral(rows: list[tuple[int, int]]) -> None:
    """The area between the empirical curve and the line, by many thin strips."""
    labels = np.array([0, 1, *(label for label, _ in rows)])
    scores = np.array([3, 3, *(score for _, score in rows)]) / 6
    points = [(0.0, 0.0)]
    for level in sorted(set(scores.tolist()), reverse=True):
        referred = scores >= level
        points.append((float(referred[labels == 0].mean()), float(referred[labels == 1].mean())))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        heights = np.linspace(y0, y1, 4001)
        area += (x1 - x0) * float(np.mean(np.maximum(0, (heights[1:] + heights[:-1]) / 2 - 0.8)))
    assert partial_auc(Sample(labels, scores)) == pytest.approx(area, abs=1e-6)


@pytest.mark.parametrize("label", [0, 1])
def test_what_one_label_cannot_say_is_null(label: int) -> None:
    body = measure(Sample(np.full(6, label), np.linspace(0, 1, 6)), 0.5, 0.1).to_json()
    nulls = {name for name, value in body.items() if value is None}
    other = "specificity" if label else "sensitivity"
    assert nulls == {
        "auc",
        "average_precision",
        "partial_auc",
        "balanced_accuracy",
        "ppv",
        "npv",
        other,
    }
    assert set(body["specificity_at_sensitivity"].values()) == {None}
    assert body["accuracy"]["value"] == 0.5
    json.dumps(body, allow_nan=False)


def test_one_image_has_figures_that_say_nothing() -> None:
    found = measure(Sample(np.array([1]), np.array([0.4])), 0.5, 0.1)
    assert (found.brier.low, found.brier.high) == (0.0, 1.0)
    assert (found.accuracy.low, found.accuracy.value) == (0.0, 0.0)


def clustered_copies(labels: Labels, scores: Scores, copies: int) -> Sample:
    return Sample(
        np.repeat(labels, copies),
        np.repeat(scores, copies),
        np.repeat(np.arange(len(labels)), copies),
    )


def test_every_interval_takes_account_of_clusters() -> None:
    """Copies of an image in its cluster leave each interval; as images of their own they do not."""
    generator = np.random.default_rng(2)
    labels = (generator.random(90) < 0.4).astype(np.int64)
    scores = np.round(np.clip(generator.normal(0.3 + 0.3 * labels, 0.25), 0, 1), 2)
    once = measure(Sample(labels, scores), 0.4, 0.1).to_json()
    many = clustered_copies(labels, scores, 3)
    together = measure(many, 0.4, 0.1).to_json()
    apart = measure(Sample(many.labels, many.scores), 0.4, 0.1).to_json()
    compared = [name for name, value in once.items() if isinstance(value, dict) and "low" in value]
    assert len(compared) == 11
    for name in compared:
        assert together[name] == pytest.approx(once[name], abs=1e-7), name
        assert apart[name]["high"] - apart[name]["low"] < 0.8 * (
            once[name]["high"] - once[name]["low"]
        ), name
