"""Running sums of how far values are from what they should be; nothing grows with their number."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float32]


@dataclass
class Tally:
    """Sums over values and their references, over as many images as come.

    Attributes:
        n: values seen.
        signal: sum of the squared references.
        noise: sum of the squared errors.
        power: sum of the squared values.
        product: sum of the references times the values.
        max_error: the largest absolute error.
    """

    n: int = 0
    signal: float = 0.0
    noise: float = 0.0
    power: float = 0.0
    product: float = 0.0
    max_error: float = 0.0

    def add(self, values: Reals, reference: Reals) -> None:
        """Take in ``values``, of the shape of ``reference``."""
        a, r = values.ravel(), reference.ravel()
        errors = a - r
        self.n += a.size
        self.signal += float(np.dot(r, r))
        self.noise += float(np.dot(errors, errors))
        self.power += float(np.dot(a, a))
        self.product += float(np.dot(r, a))
        self.max_error = max(self.max_error, float(np.abs(errors).max(initial=0.0)))

    @property
    def ratio(self) -> float:
        """Noise over signal: 0 where there is no error, infinite where there is no signal."""
        if self.noise == 0:
            return 0.0
        return self.noise / self.signal if self.signal else math.inf

    @property
    def snr_db(self) -> float | None:
        """``10 log10(signal / noise)`` in dB; None where there is no error."""
        return decibels(self.ratio)

    @property
    def cosine(self) -> float:
        """Cosine of the angle between all values and all references, -1 to 1; 1 for both zero."""
        length = math.sqrt(self.signal * self.power)
        if length == 0:
            return 1.0 if self.noise == 0 else 0.0
        return max(-1.0, min(1.0, self.product / length))


def decibels(ratio: float) -> float | None:
    """The signal-to-noise ratio in dB for a noise-to-signal ``ratio``; None for no noise.

    An infinite ratio, all noise, counts as -200 dB.
    """
    if ratio == 0:
        return None
    return max(-200.0, -10 * math.log10(ratio))
