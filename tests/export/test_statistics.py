"""Figures and intervals, against definitions written out anew and other people's programs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta
from sklearn.metrics import roc_auc_score

from lesionlite_export.statistics import (
    Labels,
    Scores,
    auc,
    auc_difference,
    operating_point,
    proportion,
)

Z = 1.959963984540054


@st.composite
def labelled(draw: st.DrawFn, least: int = 1) -> tuple[Labels, Scores, Scores]:
    """Labels with ``least`` of both kinds, and two score vectors with many ties."""
    cases = draw(st.integers(least, 12))
    controls = draw(st.integers(least, 12))
    labels = np.array(draw(st.permutations([1] * cases + [0] * controls)), np.int64)
    scores = st.lists(st.integers(0, 9), min_size=len(labels), max_size=len(labels))
    first, second = (np.array(draw(scores), np.float64) / 9 for _ in range(2))
    return labels, first, second


def slow_components(labels: Labels, scores: Scores) -> tuple[list[float], list[float]]:
    """Placement values of cases and of controls, pair by pair."""
    cases, controls = scores[labels == 1].tolist(), scores[labels == 0].tolist()

    def wins(case: float, control: float) -> float:
        return 1.0 if case > control else 0.5 if case == control else 0.0

    return (
        [sum(wins(x, y) for y in controls) / len(controls) for x in cases],
        [sum(wins(x, y) for x in cases) / len(cases) for y in controls],
    )


def slow_covariance(left: list[float], right: list[float]) -> float:
    n = len(left)
    mean_left, mean_right = sum(left) / n, sum(right) / n
    products = [(a - mean_left) * (b - mean_right) for a, b in zip(left, right, strict=True)]
    return sum(products) / (n - 1)


def slow_delong(labels: Labels, first: Scores, second: Scores) -> float:
    """DeLong's covariance of two AUCs, by the definition."""
    parts = zip(slow_components(labels, first), slow_components(labels, second), strict=True)
    return sum(slow_covariance(a, b) / len(a) for a, b in parts)


@settings(deadline=None, max_examples=200)
@given(labelled())
def test_the_auc_is_that_of_scikit_learn(data: tuple[Labels, Scores, Scores]) -> None:
    labels, scores, _ = data
    assert auc(labels, scores).value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@settings(deadline=None, max_examples=200)
@given(labelled(least=2))
def test_the_interval_is_delongs_by_the_definition(data: tuple[Labels, Scores, Scores]) -> None:
    labels, scores, _ = data
    found = auc(labels, scores)
    half = Z * slow_delong(labels, scores, scores) ** 0.5
    assert found.low == pytest.approx(max(0.0, found.value - half), abs=1e-9)
    assert found.high == pytest.approx(min(1.0, found.value + half), abs=1e-9)


@settings(deadline=None, max_examples=200)
@given(labelled(least=2))
def test_the_difference_is_paired_by_the_definition(data: tuple[Labels, Scores, Scores]) -> None:
    labels, scores, reference = data
    value, low, high = auc_difference(labels, scores, reference)
    variance = (
        slow_delong(labels, scores, scores)
        + slow_delong(labels, reference, reference)
        - 2 * slow_delong(labels, scores, reference)
    )
    half = Z * max(0.0, variance) ** 0.5
    wanted = roc_auc_score(labels, scores) - roc_auc_score(labels, reference)
    assert value == pytest.approx(wanted, abs=1e-12)
    assert low == pytest.approx(max(-1.0, wanted - half), abs=1e-6)
    assert high == pytest.approx(min(1.0, wanted + half), abs=1e-6)


@settings(deadline=None)
@given(labelled(least=2))
def test_only_the_order_of_scores_counts(data: tuple[Labels, Scores, Scores]) -> None:
    labels, scores, _ = data
    found, cubed = auc(labels, scores), auc(labels, scores**3)
    assert (cubed.value, cubed.low, cubed.high) == (found.value, found.low, found.high)
    assert auc(labels, -scores).value == pytest.approx(1 - found.value, abs=1e-12)


def test_pairing_narrows_the_interval() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 200)
    scores = np.clip(generator.normal(0.4 + 0.2 * labels, 0.2), 0, 1)
    nearly = np.clip(scores + generator.normal(0, 0.01, 200), 0, 1)
    _, low, high = auc_difference(labels, nearly, scores)
    one = auc(labels, scores)
    assert high - low < 0.2 * (one.high - one.low)


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0, 0.1684),
        (1, 29, 0.0009, 0.1776),
    ],
)
def test_exact_intervals_as_published(count: int, n: int, low: float, high: float) -> None:
    """Newcombe 1998, Statistics in Medicine 17:857, table I, method 5 (Clopper-Pearson)."""
    found = proportion(count, n)
    assert found.value == count / n
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@settings(deadline=None)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_exact_intervals_are_beta_quantiles(data: tuple[int, int]) -> None:
    count, n = data
    found = proportion(count, n)
    low = 0.0 if count == 0 else beta.ppf(0.025, count, n - count + 1)
    high = 1.0 if count == n else beta.ppf(0.975, count + 1, n - count)
    assert found.low == pytest.approx(low, abs=1e-9)
    assert found.high == pytest.approx(high, abs=1e-9)


def test_a_proportion_of_nothing_says_nothing() -> None:
    assert (proportion(0, 0).low, proportion(0, 0).high) == (0.0, 1.0)


def test_the_operating_point_refers_at_the_threshold_itself() -> None:
    labels = np.array([1, 1, 1, 0, 0, 0, 0])
    scores = np.array([0.9, 0.5, 0.4, 0.5, 0.49, 0.1, 0.0])
    found = operating_point(labels, scores, 0.5)
    assert found.to_json()["confusion"] == {
        "true_positives": 2,
        "false_negatives": 1,
        "true_negatives": 3,
        "false_positives": 1,
    }
    assert found.sensitivity == proportion(2, 3)
    assert found.specificity == proportion(3, 4)


@pytest.mark.parametrize(
    ("scores", "value", "low", "high"),
    [
        ([0.5, 0.5, 0.5, 0.5], 0.5, 0.5, 0.5),  # all tied
        ([0.9, 0.8, 0.2, 0.1], 1.0, 1.0, 1.0),  # told apart: DeLong's variance is 0
        ([0.1, 0.2, 0.8, 0.9], 0.0, 0.0, 0.0),
    ],
)
def test_degenerate_scores(scores: list[float], value: float, low: float, high: float) -> None:
    found = auc(np.array([1, 1, 0, 0]), np.array(scores))
    assert (found.value, found.low, found.high) == (value, low, high)


def test_one_case_says_hardly_anything() -> None:
    labels, scores = np.array([1, 0, 0, 0]), np.array([0.9, 0.2, 0.3, 0.95])
    found = auc(labels, scores)
    assert found.value == pytest.approx(2 / 3)
    assert found.low == 0.0
    assert found.high == 1.0
    assert auc_difference(labels, scores, scores) == (0.0, -1.0, 1.0)


def test_a_model_does_not_differ_from_itself() -> None:
    labels, scores = np.array([1, 1, 0, 0, 0]), np.array([0.9, 0.2, 0.3, 0.3, 0.1])
    assert auc_difference(labels, scores, scores) == (0.0, 0.0, 0.0)
