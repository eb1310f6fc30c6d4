"""Figures and intervals, against definitions written out anew and other people's programs."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from lesionlite_export.statistics import (
    Clusters,
    Labels,
    Scores,
    auc,
    auc_difference,
    effective_n,
    operating_point,
    proportion,
    share,
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


def test_equal_areas_by_other_orders_do_not_differ_by_rounding() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        labels = np.r_[np.ones(7, np.int64), np.zeros(31, np.int64)]
        scores = generator.permutation(38) / 38
        cases, controls = generator.permutation(7), 7 + generator.permutation(31)
        mixed = scores[np.r_[cases, controls]]
        assert auc_difference(labels, mixed, scores)[0] == 0.0


def test_a_model_does_not_differ_from_itself() -> None:
    labels, scores = np.array([1, 1, 0, 0, 0]), np.array([0.9, 0.2, 0.3, 0.3, 0.1])
    assert auc_difference(labels, scores, scores) == (0.0, 0.0, 0.0)


# The worked example of Obuchowski's method: 65 arteries of 36 patients, each seen by two readers
# (patient, diseased or not, what each reader gave).
ARTERIES = [
    (1, 1, 87, 87), (1, 1, 79, 83), (2, 1, 88, 94), (2, 1, 95, 93), (3, 1, 100, 100),
    (3, 1, 68, 79), (4, 1, 65, 61), (4, 1, 89, 91), (5, 1, 97, 97), (5, 1, 100, 100),
    (6, 1, 100, 99), (6, 1, 89, 88), (7, 1, 77, 77), (8, 1, 94, 89), (8, 0, 45, 44),
    (9, 1, 89, 92), (9, 0, -11, -17), (10, 1, 95, 91), (10, 0, 30, 14), (11, 1, 95, 95),
    (11, 0, 10, -122), (12, 1, 100, 100), (12, 0, 19, -3), (13, 1, 75, 75), (14, 0, 70, 73),
    (14, 1, 70, 81), (15, 0, 26, 27), (15, 1, 86, 93), (16, 0, 0, 8), (16, 1, 65, 70),
    (17, 0, 6, 23), (17, 1, 100, 100), (18, 0, 76, 79), (18, 1, 96, 95), (19, 0, 44, 55),
    (19, 1, 100, 100), (20, 0, 73, 67), (20, 1, 97, 94), (21, 1, 85, 86), (22, 0, 58, 60),
    (22, 1, 100, 99), (23, 0, -2, -2), (23, 1, 100, 100), (24, 0, -3, -14), (24, 0, 0, -11),
    (25, 0, 47, -3), (25, 0, -94, -90), (26, 0, -16, 17), (26, 0, 75, 85), (27, 0, 5, -22),
    (27, 0, -1, -14), (28, 0, -6, -52), (29, 0, 37, 38), (29, 0, 47, 35), (30, 0, 42, 40),
    (30, 0, 4, 6), (31, 0, 55, 23), (31, 0, 55, 45), (32, 0, 4, -87), (32, 0, -13, -65),
    (33, 0, 49, 24), (33, 0, 35, 9), (34, 0, 53, 66), (35, 0, 2, -15), (36, 0, -48, -78),
]  # fmt: skip


@st.composite
def clustered(draw: st.DrawFn) -> tuple[Labels, Scores, Clusters]:
    """As `labelled`, in clusters of any size."""
    labels, scores, _ = draw(labelled(least=2))
    numbers = st.lists(st.integers(0, 12), min_size=len(labels), max_size=len(labels))
    return labels, scores, np.array(draw(numbers), np.int64)


def slow_obuchowski(labels: Labels, scores: Scores, clusters: Clusters) -> float:
    """Obuchowski's variance by the sums of her paper, cluster by cluster."""
    v10, v01 = slow_components(labels, scores)
    area, m, n = sum(v10) / len(v10), len(v10), len(v01)
    of_cases, of_controls = clusters[labels == 1].tolist(), clusters[labels == 0].tolist()
    names = set(clusters.tolist())
    x = {c: sum(v - area for v, at in zip(v10, of_cases, strict=True) if at == c) for c in names}
    y = {c: sum(v - area for v, at in zip(v01, of_controls, strict=True) if at == c) for c in names}
    i10, i01, i = len(set(of_cases)), len(set(of_controls)), len(names)
    s10 = i10 / ((i10 - 1) * m) * sum(x[c] ** 2 for c in names)
    s01 = i01 / ((i01 - 1) * n) * sum(y[c] ** 2 for c in names)
    s11 = i / (i - 1) * sum(x[c] * y[c] for c in names)
    return s10 / m + s01 / n + 2 * s11 / (m * n)


def slow_paired_obuchowski(
    labels: Labels, first: Scores, second: Scores, clusters: Clusters
) -> float:
    """The variance of a difference of two areas by the variances and the covariance of her paper.

    The covariance has the sums of products of both readers in place of the squares.
    """

    def sums(scores: Scores) -> tuple[dict[int, float], dict[int, float]]:
        v10, v01 = slow_components(labels, scores)
        area = sum(v10) / len(v10)
        of_cases, of_controls = clusters[labels == 1].tolist(), clusters[labels == 0].tolist()
        names = set(clusters.tolist())
        return (
            {
                c: sum(v - area for v, at in zip(v10, of_cases, strict=True) if at == c)
                for c in names
            },
            {
                c: sum(v - area for v, at in zip(v01, of_controls, strict=True) if at == c)
                for c in names
            },
        )

    def covariance(left: Scores, right: Scores) -> float:
        (x, y), (u, v) = sums(left), sums(right)
        m, n = int((labels == 1).sum()), int((labels == 0).sum())
        i10 = len(set(clusters[labels == 1].tolist()))
        i01 = len(set(clusters[labels == 0].tolist()))
        i = len(x)
        s10 = i10 / ((i10 - 1) * m) * sum(x[c] * u[c] for c in x)
        s01 = i01 / ((i01 - 1) * n) * sum(y[c] * v[c] for c in x)
        s11 = i / (i - 1) * sum(x[c] * v[c] + u[c] * y[c] for c in x)
        return s10 / m + s01 / n + s11 / (m * n)

    return covariance(first, first) + covariance(second, second) - 2 * covariance(first, second)


@pytest.mark.parametrize(("reader", "area", "error"), [(0, 0.9837, 0.0108), (1, 0.9852, 0.0097)])
def test_a_clustered_auc_as_published(reader: int, area: float, error: float) -> None:
    """Areas and standard errors of the example of Obuchowski 1997 (Biometrics 53:567)."""
    table = np.array(ARTERIES)
    found = auc(table[:, 1], table[:, 2 + reader].astype(np.float64), table[:, 0])
    assert found.value == pytest.approx(area, abs=5e-5)
    assert (found.value - found.low) / Z == pytest.approx(error, abs=5e-5)
    assert found.high == 1.0
    alone = auc(table[:, 1], table[:, 2 + reader].astype(np.float64))
    assert (alone.value - alone.low) / Z != pytest.approx(error, abs=5e-5)


@settings(deadline=None, max_examples=200)
@given(clustered())
def test_a_clustered_interval_is_obuchowskis_by_the_definition(
    data: tuple[Labels, Scores, Clusters],
) -> None:
    labels, scores, clusters = data
    found = auc(labels, scores, clusters)
    few = min(len(np.unique(clusters[labels == label])) for label in (0, 1)) < 2
    variance = 0.25 if few else max(0.0, slow_obuchowski(labels, scores, clusters))
    assert found.value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert found.low == pytest.approx(max(0.0, found.value - Z * variance**0.5), abs=1e-6)
    assert found.high == pytest.approx(min(1.0, found.value + Z * variance**0.5), abs=1e-6)


@settings(deadline=None, max_examples=200)
@given(clustered(), st.randoms(use_true_random=False))
def test_a_clustered_difference_is_obuchowskis_by_the_definition(
    data: tuple[Labels, Scores, Clusters], shuffler: Random
) -> None:
    labels, scores, clusters = data
    reference = np.array(shuffler.sample(scores.tolist(), len(scores)))
    value, low, high = auc_difference(labels, scores, reference, clusters)
    few = min(len(np.unique(clusters[labels == label])) for label in (0, 1)) < 2
    variance = 1.0
    if not few:
        variance = max(0.0, slow_paired_obuchowski(labels, scores, reference, clusters))
    wanted = roc_auc_score(labels, scores) - roc_auc_score(labels, reference)
    assert value == pytest.approx(wanted, abs=1e-12)
    assert low == pytest.approx(max(-1.0, wanted - Z * variance**0.5), abs=1e-6)
    assert high == pytest.approx(min(1.0, wanted + Z * variance**0.5), abs=1e-6)


def test_a_clustered_difference_is_as_wide_as_a_resampling_of_clusters_says() -> None:
    """A bootstrap of whole patients, written here alone, on the areas of scikit-learn."""
    generator = np.random.default_rng(5)
    sizes = generator.integers(1, 5, 120)
    clusters = np.repeat(np.arange(120), sizes)
    n = len(clusters)
    labels = (generator.random(n) < np.repeat(generator.beta(1, 2, 120), sizes)).astype(np.int64)
    shared = np.repeat(generator.normal(0, 0.1, 120), sizes)
    reference = np.clip(generator.normal(0.4 + 0.15 * labels, 0.2), 0, 1)
    scores = np.clip(reference + shared + generator.normal(0, 0.03, n), 0, 1)
    members = [np.flatnonzero(clusters == number) for number in range(120)]
    drawn = []
    for _ in range(600):
        rows = np.concatenate([members[i] for i in generator.integers(120, size=120)])
        pair = [roc_auc_score(labels[rows], side[rows]) for side in (scores, reference)]
        drawn.append(pair[0] - pair[1])
    _, low, high = auc_difference(labels, scores, reference, clusters)
    assert (high - low) / (2 * Z) == pytest.approx(np.std(drawn), rel=0.1)
    _, loose_low, loose_high = auc_difference(labels, scores, reference)
    assert high - low > 1.2 * (loose_high - loose_low)


@settings(deadline=None)
@given(labelled(least=2))
def test_clusters_of_one_image_change_nothing(data: tuple[Labels, Scores, Scores]) -> None:
    labels, scores, reference = data
    alone = np.random.default_rng(0).permutation(len(labels)) * 7
    found, wanted = auc(labels, scores, alone), auc(labels, scores)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-7)
    pair = auc_difference(labels, scores, reference, alone)
    assert pair == pytest.approx(auc_difference(labels, scores, reference), abs=1e-7)
    hits = scores >= 0.5
    one, other = share(hits, alone), proportion(int(hits.sum()), len(hits))
    if 0 < one.value < 1:
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-7)


@pytest.mark.parametrize("copies", [2, 5])
def test_copies_of_an_image_in_its_cluster_say_nothing_new(copies: int) -> None:
    generator = np.random.default_rng(3)
    labels = (generator.random(120) < 0.3).astype(np.int64)
    scores = np.round(np.clip(generator.normal(0.3 + 0.2 * labels, 0.2), 0, 1), 2)
    clusters = np.repeat(np.arange(120), copies)
    many_labels, many_scores = np.repeat(labels, copies), np.repeat(scores, copies)
    once = auc(labels, scores)
    together = auc(many_labels, many_scores, clusters)
    apart = auc(many_labels, many_scores)
    assert (together.low, together.high) == pytest.approx((once.low, once.high), abs=1e-9)
    narrower = (apart.high - apart.low) / (once.high - once.low)
    assert narrower == pytest.approx(copies**-0.5, rel=0.03)
    for name in ("sensitivity", "specificity"):
        one = getattr(operating_point(labels, scores, 0.3), name)
        many = getattr(operating_point(many_labels, many_scores, 0.3, clusters), name)
        loose = getattr(operating_point(many_labels, many_scores, 0.3), name)
        assert (many.low, many.high) == pytest.approx((one.low, one.high), abs=1e-9)
        assert loose.high - loose.low < 0.85 * (one.high - one.low)


def test_the_effective_n_is_that_of_a_resampling_of_clusters() -> None:
    """The variance p (1 - p) / n is that of a share drawn again cluster by cluster."""
    generator = np.random.default_rng(1)
    sizes = generator.integers(1, 6, 80)
    clusters = np.repeat(np.arange(80), sizes)
    hits = generator.random(len(clusters)) < np.repeat(generator.beta(2, 2, 80), sizes)
    sums = np.bincount(clusters, hits)
    drawn = generator.integers(80, size=(4000, 80))
    shares = sums[drawn].sum(1) / sizes[drawn].sum(1)
    wanted = hits.mean() * (1 - hits.mean()) / shares.var()
    assert effective_n(hits, clusters) == pytest.approx(wanted, rel=0.06)
    assert effective_n(hits, clusters) < 0.8 * len(hits)


def test_where_all_images_agree_each_cluster_counts_once() -> None:
    hits, clusters = np.ones(12, bool), np.repeat([4, 9, 11], 4)
    assert effective_n(hits, clusters) == 3
    wanted = proportion(3, 3)
    found = share(hits, clusters)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(wanted.low)
    assert share(~hits, clusters).high == pytest.approx(1 - wanted.low)


def test_clusters_that_balance_count_as_their_images_but_for_the_few_that_they_are() -> None:
    hits = np.array([True, False] * 6)
    factor = (student.ppf(0.975, 11) / student.ppf(0.975, 5)) ** 2
    wanted = 12 * factor * (5 / 6) * (12 / 11)
    assert effective_n(hits, np.repeat(np.arange(6), 2)) == pytest.approx(wanted)
    many = np.array([True, False] * 3000)
    assert effective_n(many, np.repeat(np.arange(3000), 2)) == pytest.approx(6000, rel=2e-3)


@pytest.mark.parametrize("count", [0, 1, 7, 15, 29, 30])
def test_images_of_one_cluster_are_one_image(count: int) -> None:
    hits, clusters = np.arange(30) < count, np.zeros(30, np.int64)
    assert effective_n(hits, clusters) == 1
    found, value = share(hits, clusters), count / 30
    low = beta.ppf(0.025, value, 2 - value) if count else 0.0
    high = beta.ppf(0.975, value + 1, 1 - value) if count < 30 else 1.0
    assert (found.low, found.high) == pytest.approx((low, high))


def test_one_hit_says_no_more_than_none() -> None:
    """Nothing shows how alike the images of a patient are, and the bound does not shrink."""
    clusters = np.repeat(np.arange(10), 15)
    for count in (1, 5, 15):
        hits = np.arange(150) < count
        assert effective_n(hits, clusters) <= 10
        assert share(hits, clusters).high > share(np.zeros(150, bool), clusters).high
    assert effective_n(np.arange(150) < 16, clusters) < 15


@pytest.mark.parametrize(("clusters", "images"), [(2, 30), (5, 30), (10, 15), (20, 10), (50, 3)])
@pytest.mark.parametrize(("alpha", "beta_"), [(0.2, 3.8), (0.5, 9.5), (1, 1)])
def test_a_share_of_few_clusters_holds_the_truth(
    clusters: int, images: int, alpha: float, beta_: float
) -> None:
    """Of 300 sets in which each cluster has a rate of its own, 95 % less three errors at least."""
    generator = np.random.default_rng(4)
    places, held = np.repeat(np.arange(clusters), images), 0
    for _ in range(300):
        rates = np.repeat(generator.beta(alpha, beta_, clusters), images)
        found = share(generator.random(len(places)) < rates, places)
        held += found.low <= alpha / (alpha + beta_) <= found.high
    assert held >= 300 * (0.95 - 3 * (0.95 * 0.05 / 300) ** 0.5)


def test_a_share_of_no_image_says_nothing() -> None:
    nothing = share(np.zeros(0, bool), np.zeros(0, np.int64))
    assert (nothing.low, nothing.high) == (0.0, 1.0)
