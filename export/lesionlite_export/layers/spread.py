"""How the values of an activation lie in the range of levels that the file has for it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.layers.numbers import LEVELS, Reals, range_of
from lesionlite_runtime.graph import TensorInfo

_BINS = 256


@dataclass
class Spread:
    """Counts over the values of one quantized activation; nothing grows with their number.

    Attributes:
        tensor: the activation in the file.
        n: values seen.
        low: the least of them.
        high: the greatest.
        below: how many lie more than half a step below the range.
        above: how many lie as far above.
        levels: int64 ``[256]``, how often each level (of int16: each 256 levels) is the nearest.
    """

    tensor: TensorInfo
    n: int = 0
    low: float = np.inf
    high: float = -np.inf
    below: int = 0
    above: int = 0
    levels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BINS, np.int64))

    def add(self, values: Reals, stored: NDArray[np.generic]) -> None:
        """Take in the right ``values``, and the levels that they become."""
        ends = range_of(self.tensor)
        assert ends is not None
        half = self.tensor.scales[0] / 2
        self.n += values.size
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        self.below += int(np.count_nonzero(values < ends[0] - half))
        self.above += int(np.count_nonzero(values > ends[1] + half))
        least, most = LEVELS[self.tensor.dtype]
        places = (stored.astype(np.int64).ravel() - least) * _BINS // (most - least + 1)
        self.levels += np.bincount(places, minlength=_BINS)

    @property
    def clipped(self) -> float:
        """Share of the values that the range cuts off."""
        return (self.below + self.above) / self.n if self.n else 0.0

    @property
    def width(self) -> float:
        """Width of the range."""
        ends = range_of(self.tensor)
        assert ends is not None
        return ends[1] - ends[0]

    def central_levels(self, share: float = 0.999) -> int:
        """Of 256 levels, how many the central ``share`` of the values take."""
        cumulative = np.cumsum(self.levels) / max(1, self.n)
        beyond = (1 - share) / 2
        first = int(np.searchsorted(cumulative, beyond, side="right"))
        last = int(np.searchsorted(cumulative, 1 - beyond, side="left"))
        return min(last, _BINS - 1) - first + 1

    @property
    def reach(self) -> float:
        """Width of what the values take, as a share of the range."""
        return (self.high - self.low) / self.width if self.n else 0.0
