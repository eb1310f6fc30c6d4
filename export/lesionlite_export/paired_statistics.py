"""Two decisions, or two scores, of the same images: how much they differ, and what chance could do.

Images of one patient or lesion are no independent ones: where ``clusters`` says which belong
together, intervals and p-values take account of it. Intervals are two-sided 95 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.statistics import CONFIDENCE, Clusters, Scores, effective_n

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Difference:
    """A difference of two AUCs or shares with its 95 % interval, all within -1 to 1."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """The fields as JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class McNemar:
    """How many images lost and gained a property, and the p-value of their balance.

    ``p`` is the probability, two-sided, of a balance as uneven as this or more, if losing were as
    likely as gaining.
    """

    lost: int
    gained: int
    p: float

    def to_json(self) -> dict[str, float]:
        """The fields as JSON."""
        return {"lost": self.lost, "gained": self.gained, "p": self.p}


def mcnemar(before: Mask, after: Mask, clusters: Clusters | None = None) -> McNemar:
    """McNemar's exact test (McNemar 1947, Psychometrika 12:153) of masks ``[n]``.

    If neither side were more likely, each change could as well have gone the other way: the p-value
    is the share of all ways to turn changes round whose balance is as uneven. In clusters, whole
    clusters are turned round, as in a randomization test of groups (Gail et al. 1996, Statistics in
    Medicine 15:1069). Where every cluster is one image this is the exact binomial test.
    """
    changes = after.astype(np.int64) - before.astype(np.int64)
    balances = changes
    if clusters is not None:
        _, places = np.unique(clusters, return_inverse=True)
        balances = np.rint(np.bincount(places, changes)).astype(np.int64)
    p = _turned_round(np.abs(balances[balances != 0]), abs(int(changes.sum())))
    return McNemar(int(np.sum(changes < 0)), int(np.sum(changes > 0)), p)


def share_difference(before: Mask, after: Mask, clusters: Clusters | None = None) -> Difference:
    """The share of true ``after`` less that of true ``before``, masks ``[n]`` of the same images.

    The interval is Tango's score interval (Tango 1998, Statistics in Medicine 17:891), which keeps
    its level with few changes and has a width where there is none. In clusters it is that of as
    many independent images as say the same of the mean change, see `effective_n`. Of no image at
    all it is -1 to 1.
    """
    n = len(before)
    if n == 0:
        return Difference(0.0, -1.0, 1.0)
    changes = after.astype(np.int64) - before.astype(np.int64)
    gained, lost = float(np.sum(changes > 0)), float(np.sum(changes < 0))
    value = (gained - lost) / n
    effective = float(n) if clusters is None else effective_n(changes, clusters)
    gained, lost = gained * effective / n, lost * effective / n
    low, high = -_tango_high(lost, gained, effective), _tango_high(gained, lost, effective)
    return Difference(value, min(low, value), max(high, value))


def rank_correlation(first: Scores, second: Scores) -> float | None:
    """Spearman's correlation; None where one of the two is the same for all images."""
    from scipy.stats import spearmanr

    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(spearmanr(first, second).statistic)


def _turned_round(sizes: NDArray[np.int64], balance: int) -> float:
    """The probability that ``sizes``, each with a sign of its own, sum to ``balance`` or beyond."""
    from scipy.stats import binom

    probabilities = np.ones(1)
    for size, count in zip(*np.unique(sizes, return_counts=True), strict=True):
        of_size = np.zeros(2 * size * count + 1)
        of_size[:: 2 * size] = binom.pmf(np.arange(count + 1), count, 0.5)
        probabilities = np.convolve(probabilities, of_size)
    largest = len(probabilities) // 2
    sums = np.abs(np.arange(-largest, largest + 1))
    return min(1.0, float(probabilities[sums >= balance].sum()))


def _tango_high(gained: float, lost: float, n: float) -> float:
    """The upper end of Tango's interval for ``(gained - lost) / n``; counts may be no integers."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    z = float(norm.ppf(0.5 + CONFIDENCE / 2))
    value = (gained - lost) / n
    if gained + lost == 0:
        return z**2 / (n + z**2)
    if value >= 1:
        return 1.0

    def beyond(difference: float) -> float:
        """Over 0 while the score test at ``difference`` does not refuse it."""
        linear = (2 * n - gained + lost) * difference - gained - lost
        rest = 8 * n * lost * difference * (1 - difference)
        losing = (np.sqrt(max(0.0, linear**2 + rest)) - linear) / (4 * n)  # most likely share
        variance = n * (2 * losing + difference * (1 - difference))
        return float(gained - lost - n * difference + z * np.sqrt(max(0.0, variance)))

    # Where all images lost it, the test's variance is 0 at the value itself.
    return float(brentq(beyond, max(value, -1 + 1e-12), 1.0, xtol=1e-12))
