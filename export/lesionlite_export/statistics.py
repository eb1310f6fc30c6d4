"""Metrics of a binary classifier, each with its two-sided 95 % interval.

Labels are 1 for the label that the score is of, 0 for the other; ``score >= threshold`` decides.
Images of one patient or lesion are no independent ones: where ``clusters`` says which belong
together, the intervals take account of it and the values are the same.
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
Clusters = NDArray[np.int64]
"""Number of the cluster that each image belongs to, ``[n]``."""


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


def share(hits: NDArray[np.bool_], clusters: Clusters | None = None) -> Interval:
    """The share of true ``hits`` with the exact interval; that of no image at all is 0 to 1.

    In clusters it is the exact interval of as many independent images as say the same (Korn and
    Graubard 1998, Survey Methodology 24:193), see `effective_n`: of one cluster that is one image.
    """
    count, n = int(hits.sum()), len(hits)
    if clusters is None or n == 0:
        return proportion(count, n)
    from scipy.stats import beta

    effective = effective_n(hits, clusters)
    hit, missed = count / n * effective, (1 - count / n) * effective
    tail = (1 - CONFIDENCE) / 2
    low = float(beta.ppf(tail, hit, missed + 1)) if count else 0.0
    high = float(beta.ppf(1 - tail, hit + 1, missed)) if count < n else 1.0
    return Interval(count / n, low, high)


def effective_n(values: NDArray[Any], clusters: Clusters) -> float:
    """How many independent images say as much of the mean of ``values`` as these in their clusters.

    The number of images over the design effect, the variance of the mean as a ratio estimator over
    that of independent images (Rao and Scott 1992, Biometrics 48:577); n at most. Of few clusters
    that variance is itself uncertain, and it is made larger by (t(m - 1) / t(n - 1))**2 for m
    clusters of n images, quantiles of Student's t with so many degrees of freedom (Korn and
    Graubard 1998, Survey Methodology 24:193). Clusters of one image give n, and equal images in
    each cluster m.

    That factor takes nothing away below m, what the clusters say if each counts once. And each
    counts once where all values but the commonest stand in one cluster, or there are none: nothing
    shows then how alike the images of a cluster are.
    """
    n, deviations = len(values), values - float(values.mean())
    _, places = np.unique(clusters, return_inverse=True)
    m = int(places.max()) + 1
    found, counts = np.unique(values, return_counts=True)
    uncommon = places[values != found[counts.argmax()]]
    if len(uncommon) == 0:
        return float(m)
    spread = float(np.sum(np.bincount(places, deviations) ** 2))
    plain = min(float(n), n * float(np.sum(deviations**2)) / spread) if spread > 0 else float(n)
    once = min(plain, float(m))
    if np.ptp(uncommon) == 0:
        return once
    # The two variances' own factors, m / (m - 1) and n / (n - 1), are the second quotient.
    return max(once, plain * _t_quotient(n, m) ** 2 * ((m - 1) / m) / ((n - 1) / n))


def _t_quotient(n: int, m: int) -> float:
    """The quantile of Student's t for n images over that for m clusters, 1 at most."""
    from scipy.stats import t

    upper = 0.5 + CONFIDENCE / 2
    return float(t.ppf(upper, n - 1)) / float(t.ppf(upper, m - 1))


def operating_point(
    labels: Labels, scores: Scores, threshold: float, clusters: Clusters | None = None
) -> Operating:
    """Sensitivity and specificity of ``scores >= threshold``."""
    referred = scores >= threshold
    positive = labels == 1
    tp, fn = int(np.sum(referred & positive)), int(np.sum(~referred & positive))
    fp, tn = int(np.sum(referred & ~positive)), int(np.sum(~referred & ~positive))
    of_cases = None if clusters is None else clusters[positive]
    of_controls = None if clusters is None else clusters[~positive]
    return Operating(
        share(referred[positive], of_cases),
        share(~referred[~positive], of_controls),
        tp,
        fn,
        tn,
        fp,
    )


def auc(labels: Labels, scores: Scores, clusters: Clusters | None = None) -> Interval:
    """Area under the ROC curve, ties counted half, with DeLong's interval (cut off at 0 and 1).

    DeLong, DeLong and Clarke-Pearson 1988 (Biometrics 44:837), by the mid-ranks of Sun and Xu 2014.
    In clusters the variance is that of Obuchowski 1997 (Biometrics 53:567), which is DeLong's where
    every cluster is one image.
    """
    value, cases, controls = _components(labels, scores)
    if clusters is None:
        variance = _variance(cases, controls)
    else:
        variance = _clustered_variance(value, cases, controls, labels, clusters)
    half = _quantile() * float(np.sqrt(variance))
    return Interval(value, max(0.0, value - half), min(1.0, value + half))


def auc_difference(
    labels: Labels, scores: Scores, reference: Scores, clusters: Clusters | None = None
) -> tuple[float, float, float]:
    """AUC of ``scores`` less that of ``reference``, paired by DeLong: (value, low, high).

    In clusters the variances and the covariance are those of Obuchowski 1997. The interval is cut
    off at -1 and 1.
    """
    value, cases, controls = _components(labels, scores)
    value_ref, cases_ref, controls_ref = _components(labels, reference)
    pairs = 2 * len(cases) * len(controls)  # an AUC is a whole number of half pairs
    difference = float(np.rint(value * pairs) - np.rint(value_ref * pairs)) / pairs
    cases, controls = cases - cases_ref, controls - controls_ref
    if clusters is None:
        variance = _variance(cases, controls, largest=1.0)
    else:
        variance = _clustered_variance(difference, cases, controls, labels, clusters, largest=1.0)
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


def _clustered_variance(
    value: float,
    cases: Scores,
    controls: Scores,
    labels: Labels,
    clusters: Clusters,
    largest: float = 0.25,
) -> float:
    """Obuchowski's variance of an AUC, or of a difference of two by that of their components.

    ``largest``, the most it can be, where one cluster says nothing.
    """
    _, places = np.unique(clusters, return_inverse=True)
    size = int(places.max()) + 1
    of_cases, of_controls = places[labels == 1], places[labels != 1]
    with_cases, with_controls = len(np.unique(of_cases)), len(np.unique(of_controls))
    if with_cases < 2 or with_controls < 2:
        return largest
    x = np.bincount(of_cases, cases - value, size)
    y = np.bincount(of_controls, controls - value, size)
    m, n = len(cases), len(controls)
    variance = (
        with_cases / (with_cases - 1) * np.sum(x**2) / m**2
        + with_controls / (with_controls - 1) * np.sum(y**2) / n**2
        + 2 * size / (size - 1) * np.sum(x * y) / (m * n)
    )
    return max(0.0, float(variance))


def _quantile() -> float:
    from scipy.stats import norm

    return float(norm.ppf(0.5 + CONFIDENCE / 2))
