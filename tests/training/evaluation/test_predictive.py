"""PPV and NPV at a stated prevalence, against a published example and formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlite_export.sample import Sample
from lesionlite_runtime.contract_fields import Interval
from lesionlite_runtime.errors import UsageError
from lesionlite_training.evaluation.predictive import DEFAULT_PREVALENCE, predictive_values

Z = 1.959963984540054


def sample_of(tp: int, fn: int, tn: int, fp: int, copies: int = 1) -> Sample:
    """Images in the four cells; scores are 0.9 where referred, 0.1 else."""
    labels = np.repeat([1, 1, 0, 0], [tp, fn, tn, fp])
    scores = np.repeat([0.9, 0.1, 0.1, 0.9], [tp, fn, tn, fp])
    if copies == 1:
        return Sample(labels, scores)
    return Sample(
        np.repeat(labels, copies),
        np.repeat(scores, copies),
        np.repeat(np.arange(len(labels)), copies),
    )


def both(sample: Sample, prevalence: float) -> tuple[Interval, Interval]:
    found = predictive_values(sample, 0.5, prevalence)
    assert found.ppv is not None
    assert found.npv is not None
    return found.ppv, found.npv


def test_the_gene_signature_of_mercaldo_and_others() -> None:
    """31 of 34 cases and 12 of 44 controls positive, 7 % prevalence (van de Vijver et al. 2002).

    The values, and the interval of PPV on the plain scale (0.1217419 to 0.2803468), are what the R
    package CIfinder prints; the standard error on the logit scale is that one over p (1 - p).
    """
    ppv, npv = both(sample_of(31, 3, 32, 12), 0.07)
    assert ppv.value == pytest.approx(0.2010444, abs=5e-8)
    assert npv.value == pytest.approx(0.9909508, abs=5e-8)
    plain = (0.2803468 - 0.1217419) / 2
    half = plain / (ppv.value * (1 - ppv.value))
    logit = math.log(ppv.value / (1 - ppv.value))
    assert ppv.low == pytest.approx(1 / (1 + math.exp(half - logit)), abs=1e-6)
    assert ppv.high == pytest.approx(1 / (1 + math.exp(-half - logit)), abs=1e-6)


@given(st.tuples(*[st.integers(1, 60)] * 4), st.floats(0.001, 0.999))
def test_intervals_are_mercaldos_by_the_formula(
    counts: tuple[int, int, int, int], prevalence: float
) -> None:
    tp, fn, tn, fp = counts
    ppv, npv = both(sample_of(*counts), prevalence)
    se, sp, n1, n0 = tp / (tp + fn), tn / (tn + fp), tp + fn, tn + fp
    for found, odds, variance in (
        (
            ppv,
            prevalence * se / ((1 - prevalence) * (1 - sp)),
            (1 - se) / se / n1 + sp / (1 - sp) / n0,
        ),
        (
            npv,
            (1 - prevalence) * sp / (prevalence * (1 - se)),
            se / (1 - se) / n1 + (1 - sp) / sp / n0,
        ),
    ):
        half = Z * math.sqrt(variance)
        assert found.value == pytest.approx(odds / (1 + odds))
        assert found.low == pytest.approx(1 / (1 + math.exp(half) / odds))
        assert found.high == pytest.approx(1 / (1 + math.exp(-half) / odds))


def test_at_the_sets_own_share_they_are_those_of_the_table() -> None:
    ppv, npv = both(sample_of(20, 10, 60, 30), 30 / 120)
    assert ppv.value == pytest.approx(20 / 50)
    assert npv.value == pytest.approx(60 / 70)


def test_copies_in_their_cluster_say_nothing_new() -> None:
    once, many = (both(sample_of(20, 10, 60, 30, copies), 0.1) for copies in (1, 4))
    for one, other in zip(once, many, strict=True):
        assert (other.low, other.high) == pytest.approx((one.low, one.high))


def test_images_of_both_labels_in_one_cluster_are_tied() -> None:
    """To PPV a hit and a spared control both add, so together they add up; a false alarm takes."""
    alone = sample_of(20, 20, 20, 20)
    spared = Sample(alone.labels, alone.scores, np.r_[np.arange(40), np.arange(40)])
    alarmed = Sample(alone.labels, alone.scores, np.r_[np.arange(40), np.arange(40)[::-1]])
    widths = [ppv.high - ppv.low for ppv, _ in (both(s, 0.5) for s in (alone, spared, alarmed))]
    assert widths[1] > 1.3 * widths[0]
    assert widths[2] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("counts", [(12, 0, 5, 7), (5, 7, 12, 0), (12, 0, 12, 0), (1, 0, 1, 3)])
@pytest.mark.parametrize("copies", [1, 3])
def test_an_empty_cell_leaves_an_interval_of_some_width(
    counts: tuple[int, int, int, int], copies: int
) -> None:
    tp, fn, tn, fp = counts
    ppv, npv = both(sample_of(tp, fn, tn, fp, copies), 0.1)
    assert 0 < ppv.low <= ppv.value <= ppv.high <= 1
    assert 0 < npv.low <= npv.value <= npv.high <= 1
    assert npv.value == 1.0 if fn == 0 else npv.value < 1.0
    assert ppv.value == 1.0 if fp == 0 else ppv.value < 1.0
    assert ppv.high - ppv.low > 0.01
    assert npv.high - npv.low > 0.001


def test_no_decision_has_no_value() -> None:
    nobody = predictive_values(sample_of(0, 5, 8, 0), 0.5, 0.1)
    assert nobody.ppv is None
    assert nobody.npv is not None
    assert nobody.npv.value == pytest.approx(0.9)
    everyone = predictive_values(sample_of(5, 0, 0, 8), 0.5, 0.1)
    assert everyone.npv is None
    assert everyone.ppv is not None
    assert everyone.ppv.value == pytest.approx(0.1)
    one_label = predictive_values(sample_of(5, 3, 0, 0), 0.5, 0.1)
    assert (one_label.ppv, one_label.npv) == (None, None)


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, 2.5, math.nan, math.inf])
def test_a_prevalence_that_is_none(prevalence: float) -> None:
    with pytest.raises(UsageError, match="is out of range; pass one between 0 and 1"):
        predictive_values(sample_of(1, 1, 1, 1), 0.5, prevalence)


def test_the_default_is_that_of_its_source() -> None:
    assert pytest.approx(36 / 1436, abs=2e-4) == DEFAULT_PREVALENCE
