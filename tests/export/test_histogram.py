"""Histograms that widen as values come in, and the ranges chosen by them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from lesionlite_export.histogram import (
    HALF,
    Histogram,
    least_squares_range,
    percentile_range,
    squared_error,
)

Values = NDArray[np.float32]
finite = st.floats(-(2.0**100), 2.0**100, width=32)
batches = st.lists(arrays(np.float32, st.integers(1, 30), elements=finite), min_size=1, max_size=6)


def histogram_of(*batches: Values) -> Histogram:
    histogram = Histogram()
    for batch in batches:
        histogram.add(batch)
    return histogram


@given(batches=batches)
def test_every_value_is_counted_in_its_bin(batches: list[Values]) -> None:
    histogram = histogram_of(*batches)
    values = np.concatenate(batches).astype(np.float64)
    assert (histogram.low, histogram.high) == (values.min(), values.max())
    assert histogram.zeros == int(np.sum(values == 0))
    assert histogram.counts.sum() + histogram.zeros == len(values)
    if histogram.exponent is None:
        assert not values.any()
        return
    width = 2.0**histogram.exponent
    for number in np.flatnonzero(histogram.counts):
        low = (number - HALF) * width
        inside = (values >= low) & (values < low + width) & (values != 0)
        assert histogram.counts[number] == inside.sum()


@given(batches=batches, seed=st.integers(0, 99))
def test_the_order_does_not_matter(batches: list[Values], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(batches))
    first, second = histogram_of(*batches), histogram_of(*(batches[i] for i in order))
    assert (first.low, first.high, first.zeros) == (second.low, second.high, second.zeros)
    assert first.exponent == second.exponent
    assert np.array_equal(first.counts, second.counts)


@given(batches=batches)
def test_the_grid_is_as_fine_as_the_largest_value_allows(batches: list[Values]) -> None:
    histogram = histogram_of(*batches)
    largest = max(abs(histogram.low), abs(histogram.high))
    if largest:
        assert histogram.exponent is not None
        assert largest / HALF <= 2.0**histogram.exponent <= 2 * largest / HALF * (1 + 1e-6)


@given(arrays(np.float32, st.integers(1, 200), elements=finite), st.floats(0, 1))
def test_a_quantile_is_right_to_within_a_bin(values: Values, share: float) -> None:
    histogram = histogram_of(values)
    exact = np.sort(values)[max(0, int(np.ceil(share * len(values) - 1e-9)) - 1)]
    width = 0.0 if histogram.exponent is None else 2.0**histogram.exponent
    assert abs(histogram.quantile(share) - float(exact)) <= width


def test_percentiles_cut_off_the_tails() -> None:
    values = np.concatenate([np.linspace(-1, 3, 99_801), [50.0] * 100, [-40.0] * 99])
    histogram = histogram_of(values.astype(np.float32))
    low, high = percentile_range(histogram, 99.9)
    assert (low, high) == pytest.approx((-1, 3), abs=0.02)
    assert percentile_range(histogram, 99.99) == pytest.approx((-40, 50), abs=0.02)


@pytest.mark.parametrize("ends", [(2.0, 5.0), (-5.0, -2.0), (-1.0, 1.0)])
def test_a_range_holds_zero(ends: tuple[float, float]) -> None:
    histogram = histogram_of(np.linspace(*ends, 1000).astype(np.float32))
    for low, high in (percentile_range(histogram, 99.9), least_squares_range(histogram)):
        assert low <= 0 <= high
        assert low < high


def test_a_tensor_of_nearly_all_zeros_keeps_its_range() -> None:
    values = np.zeros(100_000, np.float32)
    values[:3] = 4
    assert percentile_range(histogram_of(values), 99.9) == (0, 4)


def test_all_zeros_have_an_empty_range() -> None:
    histogram = histogram_of(np.zeros(5, np.float32))
    assert percentile_range(histogram, 99.9) == least_squares_range(histogram) == (0, 0)


def int8_error(values: NDArray[np.float64], low: float, high: float) -> float:
    """What `squared_error` is to be, written down the slow way."""
    scale = (high - low) / 255
    grid = (np.arange(256) - round(-low / scale)) * scale
    errors = [min((value - step) ** 2 for step in grid) for value in values]
    return float(np.mean(errors))


@given(
    arrays(np.float64, st.integers(1, 12), elements=st.floats(-8, 8)),
    st.floats(-4, 0),
    st.floats(0.5, 4),
)
def test_the_error_is_that_of_the_nearest_step(
    values: NDArray[np.float64], low: float, high: float
) -> None:
    counts = np.ones(len(values), np.int64)
    assert squared_error(values, counts, low, high) == pytest.approx(int8_error(values, low, high))


def test_a_lone_outlier_is_cut_off_where_that_costs_less() -> None:
    generator = np.random.default_rng(0)
    values = np.abs(generator.normal(0, 1, 1_000_000)).astype(np.float32)
    values[0] = 20
    histogram = histogram_of(values)
    low, high = least_squares_range(histogram)
    assert low == 0
    assert 4 < high < 16
    points, counts = histogram.points()
    best = squared_error(points, counts, low, high)
    assert best < 0.8 * squared_error(points, counts, 0, 20)
    for other in np.linspace(1, 20, 200):
        assert best <= squared_error(points, counts, 0, other) * 1.03  # the search's step


def test_evenly_spread_values_are_not_cut_off() -> None:
    histogram = histogram_of(np.linspace(-3, 6, 100_000, dtype=np.float32))
    assert least_squares_range(histogram) == pytest.approx((-3, 6), rel=0.011)
