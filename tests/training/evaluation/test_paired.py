"""Two scores of the same images: each figure against one worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score

from lesionlite_export.paired_statistics import Difference
from lesionlite_export.sample import Sample
from lesionlite_export.statistics import auc, auc_difference, operating_point, proportion
from lesionlite_training.evaluation.paired import compare

LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
BEFORE = np.array([0.9, 0.8, 0.5, 0.2, 0.7, 0.5, 0.3, 0.2, 0.1, 0.0])
AFTER = np.array([0.9, 0.4, 0.6, 0.5, 0.7, 0.4, 0.6, 0.2, 0.1, 0.1])
THRESHOLD = 0.5
number = st.floats(0, 1).map(lambda x: round(x, 3))


def test_the_figures_worked_out_by_hand() -> None:
    """At 0.5: image 2 is newly missed, 4 newly found, 6 newly spared, 7 newly referred."""
    found = compare(Sample(LABELS, BEFORE), AFTER, THRESHOLD)
    assert (found.n, found.positives) == (10, 4)
    assert (found.flips, found.newly_missed, found.newly_referred) == (4, 1, 1)
    assert found.flip_rate == proportion(4, 10)
    assert found.operating == operating_point(LABELS, AFTER, THRESHOLD)
    assert found.sensitivity is not None
    assert found.specificity is not None
    assert (found.sensitivity.value, found.specificity.value) == (0.75, 4 / 6)
    # |-0.4|, 0.1, 0.3, |-0.1|, 0.3 and 0.1 over ten images
    assert found.mean_difference == pytest.approx(0.13)
    assert found.max_difference == pytest.approx(0.4)
    assert found.bias == pytest.approx(0.03)
    assert found.auc == auc(LABELS, AFTER)
    assert found.auc is not None
    assert found.auc.value == pytest.approx(roc_auc_score(LABELS, AFTER))
    assert found.auc_difference == Difference(*auc_difference(LABELS, AFTER, BEFORE))
    assert found.auc_difference is not None
    wanted = roc_auc_score(LABELS, AFTER) - roc_auc_score(LABELS, BEFORE)
    assert found.auc_difference.value == pytest.approx(wanted)
    # Spearman's with ties: Pearson's of the mid-ranks.
    ranks = [[10, 9, 6.5, 3.5, 8, 6.5, 5, 3.5, 2, 1], [10, 4.5, 7.5, 6, 9, 4.5, 7.5, 3, 1.5, 1.5]]
    assert found.rank_correlation == pytest.approx(np.corrcoef(ranks)[0, 1])


@given(arrays(np.float64, 12, elements=number), arrays(np.int64, 12, elements=st.integers(0, 1)))
def test_equal_scores_differ_in_nothing(scores: np.ndarray, labels: np.ndarray) -> None:
    found = compare(Sample(labels, scores), scores.copy(), 0.5)
    assert (found.flips, found.newly_missed, found.newly_referred) == (0, 0, 0)
    assert (found.mean_difference, found.max_difference, found.bias) == (0, 0, 0)
    if 1 < labels.sum() < 11:  # one image of a label says nothing of how much another would vary
        assert found.auc_difference == Difference(0, 0, 0)
    if np.ptp(scores):
        assert found.rank_correlation == pytest.approx(1)


@given(
    arrays(np.float64, 12, elements=number),
    arrays(np.float64, 12, elements=number),
    arrays(np.int64, 12, elements=st.integers(0, 1)),
)
def test_flips_are_missed_referred_found_or_spared(
    before: np.ndarray, after: np.ndarray, labels: np.ndarray
) -> None:
    there = compare(Sample(labels, before), after, 0.5)
    back = compare(Sample(labels, after), before, 0.5)
    assert there.flips == back.flips
    assert there.bias == pytest.approx(-back.bias)
    assert there.newly_missed + there.newly_referred + back.newly_missed + back.newly_referred == (
        there.flips
    )
    json.dumps(there.to_json(), allow_nan=False)


@pytest.mark.parametrize("label", [0, 1])
def test_one_label_has_no_auc_and_one_share(label: int) -> None:
    found = compare(Sample(np.full(10, label), BEFORE), AFTER, THRESHOLD)
    body = found.to_json()
    assert body["auc"] is body["auc_difference"] is None
    assert (body["sensitivity"] is None) == (label == 0)
    assert (body["specificity"] is None) == (label == 1)
    assert body["flips"]["count"] == 4


def test_scores_that_are_all_the_same_have_no_rank_correlation() -> None:
    assert compare(Sample(LABELS, BEFORE), np.full(10, 0.3), 0.5).rank_correlation is None


def test_json_names_every_figure() -> None:
    found = compare(Sample(LABELS, BEFORE), AFTER, THRESHOLD)
    body = found.to_json()
    assert body.items() >= found.changes_json().items()
    assert set(found.changes_json()) == {
        "n",
        "positives",
        "flips",
        "score_difference",
        "rank_correlation",
    }
    assert set(body) - set(found.changes_json()) == {
        "auc",
        "auc_difference",
        "sensitivity",
        "specificity",
        "confusion",
    }
    assert body["flips"]["newly_missed"] == 1
    assert body["score_difference"] == {
        "mean": found.mean_difference,
        "max": found.max_difference,
        "bias": found.bias,
    }


def test_copies_under_one_patient_make_no_interval_narrower() -> None:
    """Four copies of each image, said to be of one patient, say no more than one of them."""
    rng = np.random.default_rng(3)
    labels = np.arange(60) % 3 // 2
    before = np.clip(rng.normal(0.3 + 0.2 * labels, 0.2), 0, 1)
    after = np.clip(before + rng.normal(0, 0.1, 60), 0, 1)

    def copied(times: int, known: bool) -> tuple[float, float]:
        clusters = np.repeat(np.arange(60), times) if known else None
        sample = Sample(np.repeat(labels, times), np.repeat(before, times), clusters)
        found = compare(sample, np.repeat(after, times), 0.4)
        assert found.auc_difference is not None
        difference = found.auc_difference
        return difference.high - difference.low, found.flip_rate.high - found.flip_rate.low

    once, known, unknown = copied(1, False), copied(4, True), copied(4, False)
    assert known == pytest.approx(once, rel=0.15)
    assert unknown[0] < 0.6 * once[0]
    assert unknown[1] < 0.6 * once[1]
