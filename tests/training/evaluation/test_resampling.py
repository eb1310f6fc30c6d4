"""Many weightings at once, against scikit-learn on images written out one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    roc_auc_score,
    roc_curve,
)

from lesionlite_export.sample import Sample
from lesionlite_export.statistics import Labels, Scores
from lesionlite_training.evaluation.figures import partial_auc
from lesionlite_training.evaluation.resampling import (
    LARGEST,
    MEASURES,
    NEED_BOTH_LABELS,
    Weighted,
    intervals,
    specificity_at,
)

THRESHOLD = 0.45


def by_scikit_learn(labels: Labels, scores: Scores) -> dict[str, float]:
    """The measures of an unweighted sample of both labels, by other people's code."""
    false_rates, rates, _ = roc_curve(labels, scores, drop_intermediate=False)
    part = roc_auc_score(1 - labels, -scores, max_fpr=0.2)
    gaps = [
        abs((scores - labels)[in_bin].mean()) * in_bin.mean()
        for low in range(10)
        if (in_bin := np.floor(scores * 10).clip(max=9) == low).any()
    ]
    return {
        "average_precision": average_precision_score(labels, scores),
        "partial_auc": 0.02 + (2 * part - 1) * 0.18,
        "balanced_accuracy": balanced_accuracy_score(labels, scores >= THRESHOLD),
        "brier": brier_score_loss(labels, scores),
        "expected_calibration_error": sum(gaps),
        **{
            specificity_at(s): 1 - false_rates[np.flatnonzero(rates >= s)[0]]
            for s in (0.82, 0.89, 0.95)
        },
    }


@st.composite
def weighted(draw: st.DrawFn) -> tuple[Labels, Scores, Labels]:
    """Both labels, scores with ties, and how often each image counts; both labels count."""
    n = draw(st.integers(2, 25))
    whole = st.integers(0, 9)
    labels = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    labels[:2] = 0, 1
    scores = np.array(draw(st.lists(whole, min_size=n, max_size=n))) / 9
    weights = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    weights[:2] += 1
    return labels, scores, weights


@settings(max_examples=100)
@given(weighted())
def test_a_weight_counts_an_image_that_often(data: tuple[Labels, Scores, Labels]) -> None:
    labels, scores, weights = data
    rows = np.stack([weights, np.ones_like(weights)]).astype(np.float64)
    found = Weighted(Sample(labels, scores), THRESHOLD).measures(rows)
    assert set(found) == set(MEASURES)
    for row, times in enumerate((weights, np.ones_like(weights))):
        wanted = by_scikit_learn(np.repeat(labels, times), np.repeat(scores, times))
        for name, value in wanted.items():
            assert found[name][row] == pytest.approx(value, abs=1e-9), name


@pytest.mark.parametrize("label", [0, 1])
def test_one_label_alone_has_no_curve(label: int) -> None:
    sample = Sample(np.array([0, 1, 0, 1]), np.array([0.1, 0.6, 0.4, 0.2]))
    weights = np.where(sample.labels == label, 1.0, 0.0)[np.newaxis]
    found = Weighted(sample, THRESHOLD).measures(weights)
    assert all(np.isnan(found[name]).all() for name in NEED_BOTH_LABELS)
    assert np.isfinite(found["brier"]).all()


def drawn(n: int, seed: int = 0) -> Sample:
    generator = np.random.default_rng(seed)
    labels = (generator.random(n) < 0.3).astype(np.int64)
    scores = np.round(np.clip(generator.normal(0.35 + 0.2 * labels, 0.2), 0, 1), 2)
    return Sample(labels, scores)


def values(sample: Sample) -> dict[str, float]:
    ones = np.ones((1, len(sample.labels)))
    measures = Weighted(sample, THRESHOLD).measures(ones)
    return {name: float(found[0]) for name, found in measures.items()}


@pytest.mark.parametrize(
    ("name", "statistic"),
    [
        ("average_precision", average_precision_score),
        ("partial_auc", lambda labels, scores: partial_auc(Sample(labels, scores))),
        ("brier", lambda labels, scores: np.mean((scores - labels) ** 2)),
    ],
)
def test_percentiles_are_those_of_scipys_bootstrap(
    name: str, statistic: Callable[[Labels, Scores], float]
) -> None:
    sample = drawn(150)
    found = intervals(sample, THRESHOLD, values(sample))[name]
    wanted = bootstrap(
        (sample.labels, sample.scores),
        statistic,
        paired=True,
        vectorized=False,
        n_resamples=1000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = wanted.high - wanted.low
    assert found.low == pytest.approx(wanted.low, abs=0.12 * width)
    assert found.high == pytest.approx(wanted.high, abs=0.12 * width)


def test_the_same_sample_has_the_same_intervals() -> None:
    sample = drawn(60)
    assert intervals(sample, 0.4, values(sample)) == intervals(sample, 0.4, values(sample))


@pytest.mark.parametrize("copies", [2, 4])
def test_copies_in_their_cluster_say_nothing_new(copies: int) -> None:
    sample = drawn(100)
    many = Sample(
        np.repeat(sample.labels, copies),
        np.repeat(sample.scores, copies),
        np.repeat(np.arange(100), copies),
    )
    loose = Sample(many.labels, many.scores)
    once, together, apart = (intervals(s, THRESHOLD, values(s)) for s in (sample, many, loose))
    for name in MEASURES:
        assert (together[name].low, together[name].high) == pytest.approx(
            (once[name].low, once[name].high), abs=1e-9
        )
        if not name.startswith("specificity"):  # a step function moves in jumps
            narrower = (apart[name].high - apart[name].low) / (once[name].high - once[name].low)
            assert narrower < 1.25 * copies**-0.5, name


def test_clusters_of_one_image_change_nothing() -> None:
    sample = drawn(80)
    alone = Sample(sample.labels, sample.scores, np.arange(80) * 3)
    assert intervals(alone, THRESHOLD, values(alone)) == intervals(
        sample, THRESHOLD, values(sample)
    )


def test_one_cluster_of_a_label_says_nothing_of_it() -> None:
    sample = Sample(
        np.array([1, 1, 0, 0, 0]), np.array([0.9, 0.8, 0.3, 0.5, 0.1]), np.array([0, 0, 1, 2, 3])
    )
    found = intervals(sample, THRESHOLD, values(sample))
    for name in NEED_BOTH_LABELS:
        assert (found[name].low, found[name].high) == (0.0, LARGEST.get(name, 1.0))
    assert found["brier"].high < 1.0


@settings(max_examples=25)
@given(weighted())
def test_an_interval_holds_its_value_and_what_can_be(data: tuple[Labels, Scores, Labels]) -> None:
    sample = Sample(data[0], data[1])
    for name, interval in intervals(sample, THRESHOLD, values(sample)).items():
        assert 0 <= interval.low <= interval.value + 1e-12, name
        assert interval.value <= interval.high + 1e-12, name
        assert interval.high <= LARGEST.get(name, 1.0) + 1e-12, name


@pytest.mark.parametrize("seed", [2, 9, 13])
@pytest.mark.parametrize("copies", [1, 4])
def test_the_calibration_error_of_true_probabilities_may_be_0(seed: int, copies: int) -> None:
    """Such sets as the basic bootstrap alone is wrong about, and copies of them by patient."""
    generator = np.random.default_rng(seed)
    scores = generator.beta(1, 4, 100)
    labels = (generator.random(100) < scores).astype(np.int64)
    sample = Sample(
        np.repeat(labels, copies), np.repeat(scores, copies), np.repeat(np.arange(100), copies)
    )
    found = intervals(sample, THRESHOLD, values(sample))["expected_calibration_error"]
    assert found.low == 0.0
    assert found.value > 0.05


def test_scores_that_are_no_probabilities_have_a_calibration_error() -> None:
    generator = np.random.default_rng(0)
    scores = generator.beta(1, 4, 400)
    labels = (generator.random(400) < scores).astype(np.int64)
    sample = Sample(labels, np.minimum(1.0, scores + 0.3))
    found = intervals(sample, THRESHOLD, values(sample))["expected_calibration_error"]
    assert 0.1 < found.low <= 0.3 <= found.high
