"""A histogram of float32 values whose grid widens as values come in, and ranges chosen by it.

Bins are powers of two wide and lie at multiples of their width, so that widening merges whole bins:
the counts are exact, whatever the order of the values, and memory does not grow.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

HALF = 4096
"""Bins on either side of zero."""

LEVELS = 255
"""Steps between the least and the greatest int8."""

_FACTORS = np.linspace(1.0, 0.2, 161)
_ROUNDS = 4
Values = NDArray[np.float64]


@dataclass
class Histogram:
    """Counts of values in ``2 * HALF`` bins, with the number of exact zeros apart.

    Attributes:
        low: the least value so far.
        high: the greatest.
        zeros: how many values were exactly 0.
        exponent: bins are ``2**exponent`` wide; None until a value other than 0 came.
        counts: int64 ``[2 * HALF]``, from the lowest bin up.
    """

    low: float = np.inf
    high: float = -np.inf
    zeros: int = 0
    exponent: int | None = None
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(2 * HALF, np.int64))

    def add_extremes(self, values: NDArray[np.float32]) -> tuple[float, float]:
        """Take in the least and the greatest of ``values``, one at least, and return them."""
        low, high = float(values.min()), float(values.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        return low, high

    def add(self, values: NDArray[np.float32]) -> None:
        """Count ``values``: finite, one at least, of any shape."""
        low, high = self.add_extremes(values)
        flat = values.ravel()
        zeros = flat.size - int(np.count_nonzero(flat))
        self.zeros += zeros
        if zeros == flat.size:
            return
        self._widen(low, high)
        assert self.exponent is not None
        # Scaling by a power of two is exact, so a value's bin does not hang on the order.
        scaled = np.multiply(flat, 2.0**-self.exponent, dtype=np.float64)
        bins = np.floor(scaled).astype(np.int64) + HALF
        self.counts += np.bincount(bins, minlength=2 * HALF)
        self.counts[HALF] -= zeros

    def _widen(self, low: float, high: float) -> None:
        """Make ``low`` and ``high`` fit into the grid."""
        needed = max(_exponent(low), _exponent(high))
        if self.exponent is None:
            self.exponent = needed
        while self.exponent < needed:
            merged = self.counts.reshape(-1, 2).sum(1)
            self.counts[:] = 0
            self.counts[HALF // 2 : HALF // 2 + HALF] = merged
            self.exponent += 1

    def points(self) -> tuple[Values, NDArray[np.int64]]:
        """Values that stand for those counted, ascending, and how many each stands for.

        Each is the middle of its bin, cut off at `low` and `high`; zeros stand for themselves.
        """
        if self.exponent is None:
            return np.zeros(1), np.array([self.zeros])
        middles = np.ldexp(np.arange(-HALF, HALF) + 0.5, self.exponent)
        values = np.insert(np.clip(middles, self.low, self.high), HALF, 0.0)
        counts = np.insert(self.counts, HALF, self.zeros)
        return values[counts > 0], counts[counts > 0]

    def quantile(self, share: float) -> float:
        """The value that ``share`` (0 to 1) of the values do not exceed, to within a bin."""
        values, counts = self.points()
        # A share such as 0.999 is no exact number: a whole count must not miss it by a rounding.
        reached = np.cumsum(counts) >= share * counts.sum() * (1 - 1e-12)
        return float(values[int(np.argmax(reached))])


def _exponent(value: float) -> int:
    """The least exponent with which ``value`` lies inside the grid."""
    if value == 0:
        return -1022
    steps = np.ceil(np.log2(abs(value))) - np.log2(HALF)
    exponent = int(steps)
    while not -HALF <= np.floor(np.ldexp(value, -exponent)) < HALF:
        exponent += 1
    return exponent


def percentile_range(histogram: Histogram, percent: float) -> tuple[float, float]:
    """The range from the ``100 - percent`` th to the ``percent`` th percentile, with 0 in it.

    Where nearly all values are 0 that is no range at all: then it is the whole range.
    """
    low, high = histogram.quantile(1 - percent / 100), histogram.quantile(percent / 100)
    if low >= 0 >= high:
        low, high = histogram.low, histogram.high
    return min(low, 0.0), max(high, 0.0)


def least_squares_range(histogram: Histogram) -> tuple[float, float]:
    """The range in which int8 has the least mean squared error on the values counted.

    Each end is sought among shares of its extreme, the other held, in turns until neither moves.
    The error is that of the values themselves: clipped at the ends, rounded to the nearest of the
    256 steps in between. Of equal errors the widest range wins.
    """
    values, counts = histogram.points()
    ends = [min(histogram.low, 0.0), max(histogram.high, 0.0)]
    for _ in range(_ROUNDS):
        before = list(ends)
        for side, extreme in ((1, max(histogram.high, 0.0)), (0, min(histogram.low, 0.0))):
            if extreme == 0:
                continue
            candidates = extreme * _FACTORS
            tries = [(ends[0], c) if side else (c, ends[1]) for c in candidates]
            errors = [squared_error(values, counts, *ends_) for ends_ in tries]
            ends[side] = float(candidates[int(np.argmin(errors))])
        if ends == before:
            break
    return ends[0], ends[1]


def squared_error(values: Values, counts: NDArray[np.int64], low: float, high: float) -> float:
    """Mean squared error of int8 with the range ``low`` to ``high`` (0 in it) on ``values``.

    Scale and zero point are as in Jacob et al. 2018 (arXiv 1712.05877): 255 steps, the zero point
    rounded, so that 0 is exact.
    """
    scale = max(high - low, 1e-9) / LEVELS
    zero = np.rint(-low / scale)
    steps = np.clip(np.rint(values / scale) + zero, 0, LEVELS)
    errors = (steps - zero) * scale - values
    return float(np.sum(counts * errors**2) / counts.sum())
