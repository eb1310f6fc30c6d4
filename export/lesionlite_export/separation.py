"""How well scores tell labels apart: an AUC for two labels, the accuracy for more; paired tests."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.statistics import auc, auc_difference

Scores = NDArray[np.float64]
Labels = NDArray[np.int64]
WARNED, REFUSED = (0.05, 2.6), (0.1, 3.3)
"""Least difference in AUC or accuracy, and how many standard errors it must be.

With four other scalings 2.6 standard errors come about by chance in 2 % of cases, 3.3 in 0.2 %."""
_OF_INTERVAL = 2 * 1.959964  # standard errors in an interval of 95 %


@dataclass(frozen=True)
class Separation:
    """Scores ``[n]`` of two labels, or ``[n, labels]``, and the labels of the images."""

    scores: Scores
    labels: Labels

    @property
    def of_two(self) -> bool:
        """Whether there are two labels."""
        return self.scores.ndim == 1

    @property
    def right(self) -> NDArray[np.bool_]:
        """Of several labels: whether the highest score is that of the image's label."""
        return np.asarray(self.scores.argmax(1) == self.labels, np.bool_)

    @property
    def value(self) -> float:
        """AUC of two labels, accuracy of more; one label alone has an AUC of 0.5."""
        if not self.of_two:
            return float(self.right.mean())
        if len(set(self.labels.tolist())) < 2:
            return 0.5
        return auc(self.labels, self.scores).value

    @property
    def significant(self) -> bool:
        """Whether the labels are told apart at all, by more than chance allows."""
        if self.of_two:
            return _beats(self.value - 0.5, self._error_of_auc(), REFUSED)
        share = float(np.bincount(self.labels).max()) / len(self.labels)
        error = math.sqrt(share * (1 - share) / len(self.labels))
        return _beats(self.value - share, error, REFUSED)

    def against(self, other: Separation) -> str | None:
        """``refused`` or ``warned`` where this one is better than ``other`` beyond chance."""
        difference = self.value - other.value
        error = self._error_against(other)
        for limits, word in ((REFUSED, "refused"), (WARNED, "warned")):
            if _beats(difference, error, limits):
                return word
        return None

    def better_order(self) -> tuple[int, ...] | None:
        """The order of labels that fits the images clearly better than the one that there is.

        Of two labels that is the other one. Of more it is the one with the most images right
        (https://en.wikipedia.org/wiki/Assignment_problem); it must beat the given one by twice the
        difference that is refused, since it was chosen among many.
        """
        if self.of_two:
            return (1, 0) if _beats(0.5 - self.value, self._error_of_auc(), REFUSED) else None
        from scipy.optimize import linear_sum_assignment

        n = self.scores.shape[1]
        decided = self.scores.argmax(1)
        table = np.zeros((n, n), np.int64)
        np.add.at(table, (decided, self.labels), 1)
        _, order = linear_sum_assignment(table, maximize=True)
        fitting = np.equal(order[decided], self.labels)
        difference = float(fitting.mean() - self.right.mean())
        limits = (2 * REFUSED[0], REFUSED[1])
        if not _beats(difference, _error_of_pairs(fitting, self.right), limits):
            return None
        return tuple(int(i) for i in order)

    def in_words(self) -> str:
        """The value, for people."""
        return f"{'AUC' if self.of_two else 'accuracy'} {self.value:.2f}"

    def _error_of_auc(self) -> float:
        if len(set(self.labels.tolist())) < 2:
            return math.inf
        interval = auc(self.labels, self.scores)
        return max(interval.high - interval.low, 0.0) / _OF_INTERVAL

    def _error_against(self, other: Separation) -> float:
        if not self.of_two:
            return _error_of_pairs(self.right, other.right)
        if len(set(self.labels.tolist())) < 2:
            return math.inf
        _, low, high = auc_difference(self.labels, self.scores, other.scores)
        return (high - low) / _OF_INTERVAL


def separation_of(scores: Scores, labels: Labels) -> Separation:
    """`Separation` of arrays."""
    return Separation(np.asarray(scores, np.float64), np.asarray(labels, np.int64))


def _error_of_pairs(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """The standard error of the difference of two shares on the same images (McNemar)."""
    return math.sqrt(float(np.count_nonzero(first != second))) / len(first)


def _beats(difference: float, error: float, limits: tuple[float, float]) -> bool:
    least, errors = limits
    return difference >= least and difference >= errors * error
