"""Running sums against NumPy on all values at once; integers and what they stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlite_export.layers.numbers import as_reals, as_stored, range_of
from lesionlite_export.layers.spread import Spread
from lesionlite_export.layers.tally import Tally, decibels
from lesionlite_runtime.graph import TensorInfo


def activation(scale: float = 0.1, zero: int = -10, dtype: str = "int8") -> TensorInfo:
    return TensorInfo("t", (1, 5), dtype, (scale,), (zero,), 0, 0)


@given(st.integers(0, 99), st.integers(1, 5))
def test_a_tally_over_parts_is_that_over_all(seed: int, parts: int) -> None:
    generator = np.random.default_rng(seed)
    reference = generator.normal(size=(parts, 7)).astype(np.float32)
    values = reference + generator.normal(scale=0.1, size=(parts, 7)).astype(np.float32)
    tally = Tally()
    for value, right in zip(values, reference, strict=True):
        tally.add(value, right)
    a, r = values.astype(np.float64).ravel(), reference.astype(np.float64).ravel()
    snr = 10 * np.log10((r @ r) / ((a - r) @ (a - r)))
    assert tally.snr_db == pytest.approx(snr, abs=1e-3)
    assert tally.cosine == pytest.approx(a @ r / np.linalg.norm(a) / np.linalg.norm(r), abs=1e-5)
    assert tally.max_error == pytest.approx(np.abs(a - r).max(), rel=1e-5)
    assert tally.n == a.size


def test_equal_values_have_no_noise_and_noise_alone_has_no_signal() -> None:
    ones, zeros = np.ones(3, np.float32), np.zeros(3, np.float32)
    same, lost, still = Tally(), Tally(), Tally()
    same.add(ones, ones)
    lost.add(ones, zeros)
    still.add(zeros, zeros)
    assert (same.snr_db, same.cosine, same.max_error) == (None, 1.0, 0.0)
    assert (lost.ratio, lost.snr_db, lost.cosine) == (math.inf, -200.0, 0.0)
    assert (still.snr_db, still.cosine) == (None, 1.0)


@pytest.mark.parametrize(("ratio", "level"), [(0.01, 20.0), (1.0, 0.0), (100.0, -20.0)])
def test_decibels(ratio: float, level: float) -> None:
    assert decibels(ratio) == pytest.approx(level)


@given(
    st.sampled_from(["int8", "uint8", "int16"]),
    st.floats(1e-4, 10),
    st.integers(0, 255),
    st.integers(0, 9),
)
def test_reals_come_back_within_half_a_step(dtype: str, scale: float, zero: int, seed: int) -> None:
    zero = {"int8": zero - 128, "uint8": zero, "int16": 0}[dtype]
    tensor = activation(scale, zero, dtype)
    low, high = range_of(tensor) or (0.0, 0.0)
    reals = np.random.default_rng(seed).uniform(low, high, 50).astype(np.float32)
    stored = as_stored(reals, tensor)
    assert stored.dtype == dtype
    back = as_reals(stored, tensor)
    assert np.abs(back - reals).max() <= 0.51 * scale + 1e-5 * (high - low)
    np.testing.assert_array_equal(as_stored(back, tensor), stored)


def test_reals_beyond_the_range_are_cut_off() -> None:
    tensor = activation()
    stored = as_stored(np.array([-1e6, 1e6], np.float32), tensor)
    assert stored.tolist() == [-128, 127]
    assert as_reals(stored, tensor) == pytest.approx(range_of(tensor))


def test_floats_stay_as_they_are() -> None:
    tensor = TensorInfo("t", (1, 2), "float32", (), (), 0, 0)
    reals = np.array([0.1, -7e9], np.float32)
    assert range_of(tensor) is None
    np.testing.assert_array_equal(as_reals(as_stored(reals, tensor), tensor), reals)


def test_a_spread_counts_what_the_range_cuts_off() -> None:
    tensor = activation()  # -11.8 to 13.7
    spread = Spread(tensor)
    for values in ([-20.0, -11.84, 0.0, 13.74], [13.8, 30.0, 5.0, 5.0]):
        reals = np.array(values, np.float32)
        spread.add(reals, as_stored(reals, tensor))
    assert (spread.n, spread.below, spread.above) == (8, 1, 2)
    assert spread.clipped == 3 / 8
    assert (spread.low, spread.high) == (-20.0, 30.0)
    assert spread.reach == pytest.approx(50 / 25.5)


@given(st.integers(0, 200), st.integers(0, 99))
def test_central_levels_are_those_of_all_but_a_thousandth(width: int, seed: int) -> None:
    tensor = activation(1.0, 0)
    generator = np.random.default_rng(seed)
    reals = generator.integers(-100, -100 + width + 1, 20_000).astype(np.float32)
    reals[:5] = (-120, -110, 120, 110, 115)
    spread = Spread(tensor)
    spread.add(reals, as_stored(reals, tensor))
    low, high = np.quantile(reals, [0.0005, 0.9995], method="inverted_cdf")
    assert spread.central_levels() == pytest.approx(high - low + 1, abs=1)
