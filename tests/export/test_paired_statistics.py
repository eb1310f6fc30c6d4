"""Paired figures, against other people's programs, published examples and definitions anew."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binom, binomtest
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from lesionlite_export.paired_statistics import (
    Mask,
    mcnemar,
    rank_correlation,
    share_difference,
)
from lesionlite_export.statistics import Clusters, effective_n

Z = 1.959963984540054
counts = st.integers(0, 40)


def pairs(both: int, lost: int, gained: int, neither: int) -> tuple[Mask, Mask]:
    """Two masks with so many images of each kind."""
    before = [True] * (both + lost) + [False] * (gained + neither)
    after = [True] * both + [False] * lost + [True] * gained + [False] * neither
    return np.array(before, bool), np.array(after, bool)


@given(counts, counts, counts, counts)
def test_mcnemar_is_that_of_statsmodels_and_a_binomial_test(
    both: int, lost: int, gained: int, neither: int
) -> None:
    found = mcnemar(*pairs(both, lost, gained, neither))
    assert (found.lost, found.gained) == (lost, gained)
    if lost + gained:
        table = [[both, lost], [gained, neither]]
        assert found.p == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue)
        assert found.p == pytest.approx(binomtest(lost, lost + gained).pvalue)
    else:
        assert found.p == 1


def test_mcnemar_as_published() -> None:
    """Fagerland, Lydersen and Laake 2013, BMC Medical Research Methodology 13:91, table 2."""
    assert mcnemar(*pairs(1, 1, 7, 12)).p == pytest.approx(0.0703, abs=5e-5)


@st.composite
def in_clusters(draw: st.DrawFn) -> tuple[Mask, Mask, Clusters]:
    """Masks of up to 24 images in up to 8 clusters."""
    n = draw(st.integers(1, 24))
    flags = st.lists(st.booleans(), min_size=n, max_size=n)
    numbers = draw(st.lists(st.integers(0, 7), min_size=n, max_size=n))
    before, after = (np.array(draw(flags), bool) for _ in range(2))
    return before, after, np.array(numbers, np.int64)


@settings(max_examples=200)
@given(in_clusters())
def test_in_clusters_every_way_to_turn_them_round_is_counted(
    data: tuple[Mask, Mask, Clusters],
) -> None:
    before, after, clusters = data
    changes = after.astype(int) - before.astype(int)
    balances = [int(changes[clusters == c].sum()) for c in np.unique(clusters)]
    sums = [
        abs(sum(sign * balance for sign, balance in zip(signs, balances, strict=True)))
        for signs in product((-1, 1), repeat=len(balances))
    ]
    wanted = sum(total >= abs(changes.sum()) for total in sums) / len(sums)
    assert mcnemar(before, after, clusters).p == pytest.approx(wanted)
    alone = np.random.default_rng(0).permutation(len(before)) * 3
    assert mcnemar(before, after, alone).p == pytest.approx(mcnemar(before, after).p)


def test_twelve_flips_of_one_patient_prove_less_than_twelve_of_twelve() -> None:
    before, after = pairs(0, 12, 0, 88)
    one_patient = np.r_[np.zeros(12, np.int64), np.arange(1, 89)]
    assert mcnemar(before, after).p == pytest.approx(2**-11)
    assert mcnemar(before, after, one_patient).p == 1
    assert mcnemar(before, after, one_patient).lost == 12


def test_many_flips_are_counted_in_time() -> None:
    generator = np.random.default_rng(0)
    before, after = generator.random((2, 10_000)) < 0.5
    clusters = generator.integers(0, 3000, 10_000)
    assert 0 <= mcnemar(before, after, clusters).p <= 1


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        # Airway reactivity before and after transplantation; after less before is 6 of 21.
        ((1, 1, 7, 12), 0.026, 0.517),
        ((1, 7, 1, 12), -0.517, -0.026),
    ],
)
def test_tangos_interval_as_published(
    table: tuple[int, int, int, int], low: float, high: float
) -> None:
    """Fagerland, Lydersen and Laake 2014, Statistics in Medicine 33:2850, table V."""
    found = share_difference(*pairs(*table))
    assert (round(found.low, 3), round(found.high, 3)) == (low, high)


def slow_score(gained: int, lost: int, n: int, difference: float) -> float:
    """The score test of a difference, its share of losses found by a search for the likeliest."""

    def unlikely(losing: float) -> float:
        cells = np.array([losing + difference, losing, 1 - 2 * losing - difference])
        if (cells <= 0).any():
            return np.inf
        return -float(np.sum(np.array([gained, lost, n - gained - lost]) * np.log(cells)))

    least, most = max(0.0, -difference), (1 - difference) / 2
    found = minimize_scalar(unlikely, bounds=(least, most), options={"xatol": 1e-12})
    variance = n * (2 * found.x + difference - difference**2)
    return float((gained - lost - n * difference) / np.sqrt(variance))


@settings(max_examples=60)
@given(st.integers(5, 60), st.data())
def test_tangos_interval_ends_where_the_score_test_refuses(n: int, data: st.DataObject) -> None:
    gained = data.draw(st.integers(0, n - 1))
    lost = data.draw(st.integers(0, n - 1 - gained))
    found = share_difference(*pairs(0, lost, gained, n - gained - lost))
    assert found.value == pytest.approx((gained - lost) / n)
    for end, quantile in ((found.low, Z), (found.high, -Z)):
        if 1e-3 < abs(end) < 1 - 1e-3:
            assert slow_score(gained, lost, n, end) == pytest.approx(quantile, abs=2e-3)


@pytest.mark.parametrize("n", [1, 30, 148])
def test_no_change_at_all_still_allows_some(n: int) -> None:
    """Tango's closed form; the exact bound of a share of 0 of n is much the same."""
    found = share_difference(*pairs(n, 0, 0, 0))
    wanted = Z**2 / (n + Z**2)
    assert (found.value, found.low, found.high) == (
        0.0,
        pytest.approx(-wanted),
        pytest.approx(wanted),
    )


def test_extremes() -> None:
    all_lost = share_difference(*pairs(0, 20, 0, 0))
    assert (all_lost.value, all_lost.low) == (-1.0, -1.0)
    assert -0.9 < all_lost.high < -0.6
    nothing = share_difference(*pairs(0, 0, 0, 0))
    assert (nothing.value, nothing.low, nothing.high) == (0.0, -1.0, 1.0)


@pytest.mark.parametrize(
    ("n", "losing", "gaining"), [(30, 0.15, 0.05), (60, 0.1, 0.05), (118, 0.02, 0.02)]
)
def test_tangos_interval_holds_what_it_promises(n: int, losing: float, gaining: float) -> None:
    """The exact probability that it holds the truth, over all counts that are not too rare."""
    held = 0.0
    for lost in range(int(binom.ppf(1 - 1e-4, n, losing)) + 1):
        gained_share = gaining / (1 - losing)
        for gained in range(int(binom.ppf(1 - 1e-4, n - lost, gained_share)) + 1):
            found = share_difference(*pairs(0, lost, gained, n - lost - gained))
            chance = binom.pmf(lost, n, losing) * binom.pmf(gained, n - lost, gained_share)
            held += chance * (found.low <= gaining - losing <= found.high)
    assert 0.94 < held < 0.97


@given(in_clusters())
def test_a_difference_in_clusters_of_one_image_is_the_plain_one(
    data: tuple[Mask, Mask, Clusters],
) -> None:
    before, after, _ = data
    alone = np.random.default_rng(0).permutation(len(before)) * 3
    found, wanted = share_difference(before, after, alone), share_difference(before, after)
    assert found.value == wanted.value
    if np.ptp(after.astype(int) - before):
        assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-9)
    swapped = share_difference(after, before, alone)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), abs=1e-9)


@pytest.mark.parametrize("copies", [2, 5])
def test_copies_in_a_cluster_say_nothing_new(copies: int) -> None:
    before, after = pairs(20, 5, 2, 33)
    clusters = np.repeat(np.arange(60), copies)
    many = [np.repeat(mask, copies) for mask in (before, after)]
    once = share_difference(before, after)
    together = share_difference(many[0], many[1], clusters)
    apart = share_difference(many[0], many[1])
    assert (together.low, together.high) == pytest.approx((once.low, once.high), abs=1e-9)
    assert apart.high - apart.low < 0.8 * (once.high - once.low)
    assert mcnemar(many[0], many[1], clusters).p == pytest.approx(mcnemar(before, after).p)


def test_the_effective_n_of_changes_is_that_of_a_resampling_of_clusters() -> None:
    generator = np.random.default_rng(1)
    sizes = generator.integers(1, 6, 80)
    clusters = np.repeat(np.arange(80), sizes)
    shared = np.repeat(generator.normal(0, 1, 80), sizes)
    changes = np.sign(np.round(shared + generator.normal(0, 0.5, len(clusters)))).astype(np.int64)
    sums = np.bincount(clusters, changes)
    drawn = generator.integers(80, size=(4000, 80))
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)
    assert effective_n(changes, clusters) == pytest.approx(changes.var() / means.var(), rel=0.06)
    assert effective_n(changes, clusters) < 0.6 * len(changes)


def test_rank_correlation() -> None:
    first = np.array([0.1, 0.4, 0.2, 0.9])
    assert rank_correlation(first, first**3) == pytest.approx(1)
    assert rank_correlation(first, -first) == pytest.approx(-1)
    assert rank_correlation(first, np.full(4, 0.5)) is None
