"""What a decision says where the positives are as frequent as one states: PPV and NPV."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.sample import Sample
from lesionlite_export.statistics import CONFIDENCE, effective_n
from lesionlite_runtime.contract_fields import Interval
from lesionlite_runtime.errors import UsageError

DEFAULT_PREVALENCE = 0.025
"""36 melanomas in 1,436 pigmented lesions of general practice that could not at once be called
benign: Walter et al. 2013, British Journal of General Practice 63:e345."""


@dataclass(frozen=True)
class PredictiveValues:
    """PPV and NPV at ``prevalence``; None where nothing, or everything, is referred."""

    prevalence: float
    ppv: Interval | None
    npv: Interval | None


def check_prevalence(prevalence: float) -> None:
    """Refuse a prevalence that is none.

    Raises:
        UsageError: unless it lies between 0 and 1, both excluded.
    """
    if not 0 < prevalence < 1:
        raise UsageError(f"the prevalence {prevalence} is out of range", "pass one between 0 and 1")


def predictive_values(sample: Sample, threshold: float, prevalence: float) -> PredictiveValues:
    """The share of positives in those referred, and of negatives in the others, at ``prevalence``.

    Values by Bayes' rule from sensitivity and specificity. The intervals are symmetric on the logit
    scale (Mercaldo, Lau and Zhou 2007, Statistics in Medicine 26:2170), with the variance of the
    clusters' contributions, which is theirs where a cluster is one image. Where a cell of the
    confusion matrix is empty they are those of counts adjusted as theirs are (a quantile's square
    halved added to each cell of independent images), and reach to the value itself.

    Raises:
        UsageError: see `check_prevalence`.
    """
    check_prevalence(prevalence)
    positive = sample.labels == 1
    referred = sample.scores >= threshold
    if not 0 < positive.sum() < len(positive):
        return PredictiveValues(prevalence, None, None)
    sensitivity = float(referred[positive].mean())
    specificity = float((~referred[~positive]).mean())
    if 0 < sensitivity < 1 and 0 < specificity < 1:
        spread = _spread(sample, referred, sensitivity, specificity)
        centre = sensitivity, specificity
    else:
        centre, spread = _adjusted(sample, referred)
    log_odds = np.log(prevalence / (1 - prevalence))
    ppv = _interval(
        _share(prevalence * sensitivity, (1 - prevalence) * (1 - specificity)),
        log_odds + np.log(centre[0] / (1 - centre[1])),
        spread[0],
    )
    npv = _interval(
        _share((1 - prevalence) * specificity, prevalence * (1 - sensitivity)),
        -log_odds + np.log(centre[1] / (1 - centre[0])),
        spread[1],
    )
    return PredictiveValues(prevalence, ppv, npv)


def _share(right: float, wrong: float) -> float | None:
    return right / (right + wrong) if right + wrong > 0 else None


def _interval(value: float | None, logit: float, spread: float) -> Interval | None:
    """The interval around ``logit`` on the scale of shares, widened to hold ``value``."""
    from scipy.special import expit

    if value is None:
        return None
    half = _quantile() * spread
    low, high = float(expit(logit - half)), float(expit(logit + half))
    return Interval(value, min(low, value), max(high, value))


def _spread(
    sample: Sample, referred: NDArray[np.bool_], sensitivity: float, specificity: float
) -> tuple[float, float]:
    """Standard errors of the logits of PPV and NPV.

    logit PPV is ln(sensitivity) - ln(1 - specificity) and a constant, logit NPV ln(specificity) -
    ln(1 - sensitivity) and a constant; a cluster contributes the derivatives of both, times what
    its images add to sensitivity and specificity beyond their means.
    """
    positive = sample.labels == 1
    hit = np.where(positive, referred - sensitivity, 0.0) / positive.sum()
    spared = np.where(positive, 0.0, ~referred - specificity) / (~positive).sum()
    places = np.arange(len(positive)) if sample.clusters is None else sample.clusters
    for_ppv = np.bincount(places, hit / sensitivity + spared / (1 - specificity))
    for_npv = np.bincount(places, spared / specificity + hit / (1 - sensitivity))
    return float(np.sqrt(np.sum(for_ppv**2))), float(np.sqrt(np.sum(for_npv**2)))


def _adjusted(
    sample: Sample, referred: NDArray[np.bool_]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Adjusted sensitivity and specificity, and the standard errors of the logits with them."""
    positive = sample.labels == 1
    added = _quantile() ** 2 / 2
    shares, sizes = [], []
    for hits, mask in ((referred, positive), (~referred, ~positive)):
        clusters = sample.where(mask).clusters
        n = float(mask.sum()) if clusters is None else effective_n(hits[mask], clusters)
        shares.append((hits[mask].mean() * n + added) / (n + 2 * added))
        sizes.append(n + 2 * added)
    (sensitivity, specificity), (cases, controls) = shares, sizes
    for_ppv = (1 - sensitivity) / sensitivity / cases + specificity / (1 - specificity) / controls
    for_npv = sensitivity / (1 - sensitivity) / cases + (1 - specificity) / specificity / controls
    return (sensitivity, specificity), (float(np.sqrt(for_ppv)), float(np.sqrt(for_npv)))


def _quantile() -> float:
    from scipy.stats import norm

    return float(norm.ppf(0.5 + CONFIDENCE / 2))
