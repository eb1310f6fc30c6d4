"""Metrics of a binary classifier, each with its two-sided 95 % interval.

Labels are 1 for the label that the score is of, 0 for the other; ``score >= threshold`` decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_runtime.contract_fields import Interval

CONFIDENCE = 0.95
Scores = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Operating:
    """Sensitivity and specificity at a threshold, with the counts that they come from."""

    sensitivity: Interval
    specificity: Interval
    true_positives: int
    false_negatives: int
    true_negatives: int
    false_positives: int

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON."""
        return {
            "sensitivity": interval_json(self.sensitivity),
            "specificity": interval_json(self.specificity),
            "confusion": {
                "true_positives": self.true_positives,
                "false_negatives": self.false_negatives,
                "true_negatives": self.true_negatives,
                "false_positives": self.false_positives,
            },
        }


def interval_json(interval: Interval) -> dict[str, float]:
    """``{"value", "low", "high"}``."""
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def proportion(count: int, n: int) -> Interval:
    """``count / n`` with the exact (Clopper-Pearson) interval; value 0 and 0 to 1 for n = 0."""
    from scipy.stats import binomtest

    if n == 0:
        return Interval(0.0, 0.0, 1.0)
    exact = binomtest(count, n).proportion_ci(CONFIDENCE, method="exact")
    return Interval(count / n, float(exact.low), float(exact.high))


def operating_point(labels: Labels, scores: Scores, threshold: float) -> Operating:
    """Sensitivity and specificity of ``scores >= threshold``."""
    referred = scores >= threshold
    positive = labels == 1
    tp, fn = int(np.sum(referred & positive)), int(np.sum(~referred & positive))
    fp, tn = int(np.sum(referred & ~positive)), int(np.sum(~referred & ~positive))
    return Operating(proportion(tp, tp + fn), proportion(tn, tn + fp), tp, fn, tn, fp)


def auc(labels: Labels, scores: Scores) -> Interval:
    """Area under the ROC curve, ties counted half, with DeLong's interval (cut off at 0 and 1).

    DeLong, DeLong and Clarke-Pearson 1988 (Biometrics 44:837), by the mid-ranks of Sun and Xu 2014.
    """
    value, cases, controls = _components(labels, scores)
    variance = _variance(cases, controls)
    half = _quantile() * float(np.sqrt(variance))
    return Interval(value, max(0.0, value - half), min(1.0, value + half))


def auc_difference(labels: Labels, scores: Scores, reference: Scores) -> tuple[float, float, float]:
    """AUC of ``scores`` less that of ``reference``, paired by DeLong: (value, low, high).

    The interval is cut off at -1 and 1.
    """
    value, cases, controls = _components(labels, scores)
    value_ref, cases_ref, controls_ref = _components(labels, reference)
    difference = value - value_ref
    variance = _variance(cases - cases_ref, controls - controls_ref, largest=1.0)
    half = _quantile() * float(np.sqrt(variance))
    return difference, max(-1.0, difference - half), min(1.0, difference + half)


def _components(labels: Labels, scores: Scores) -> tuple[float, Scores, Scores]:
    """The AUC and its structural components per case and per control."""
    from scipy.stats import rankdata

    positive = labels == 1
    cases, controls = scores[positive], scores[~positive]
    m, n = len(cases), len(controls)
    joint = rankdata(np.concatenate([cases, controls]))
    v10 = (joint[:m] - rankdata(cases)) / n
    v01 = 1.0 - (joint[m:] - rankdata(controls)) / m
    return float(v10.mean()), v10, v01


def _variance(cases: Scores, controls: Scores, largest: float = 0.25) -> float:
    """The variance by DeLong; ``largest``, the most it can be, where one image says nothing."""
    if len(cases) < 2 or len(controls) < 2:
        return largest
    return float(cases.var(ddof=1) / len(cases) + controls.var(ddof=1) / len(controls))


def _quantile() -> float:
    from scipy.stats import norm

    return float(norm.ppf(0.5 + CONFIDENCE / 2))
