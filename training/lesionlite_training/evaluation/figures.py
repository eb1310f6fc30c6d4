"""All figures of one sample, each with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlite_export.sample import Sample
from lesionlite_export.statistics import Operating, auc, interval_json, operating_point, share
from lesionlite_runtime.contract_fields import Interval
from lesionlite_training.calibration import agreement
from lesionlite_training.evaluation.predictive import PredictiveValues, predictive_values
from lesionlite_training.evaluation.resampling import (
    SENSITIVITIES,
    SENSITIVITY_FLOOR,
    intervals,
    specificity_at,
)


@dataclass(frozen=True)
class Figures:
    """Figures of n images; what cannot be said where all have one label is None.

    Attributes:
        n: images.
        positives: those labelled 1.
        auc: area under the ROC curve.
        average_precision: as scikit-learn's, the mean precision over the recalls that are reached.
        partial_auc: area between the ROC curve and the line of 80 % sensitivity, 0 to 0.2, as in
            the challenge of 2024. Scores at random have 0.02.
        operating: sensitivity, specificity and counts at the threshold.
        balanced_accuracy: mean of sensitivity and specificity.
        accuracy: share of right decisions.
        always_benign: the accuracy of never referring.
        specificities: specificity at the highest threshold that reaches each of `SENSITIVITIES`, as
            in the challenge of 2017.
        predictive: PPV and NPV at a stated prevalence.
        brier: mean squared difference of score and label.
        calibration_error: mean difference of mean score and share of positives over ten bins of
            equal width, each bin weighted by its images (Naeini et al. 2015, AAAI 29:2901).
    """

    n: int
    positives: int
    auc: Interval | None
    average_precision: Interval | None
    partial_auc: Interval | None
    operating: Operating
    balanced_accuracy: Interval | None
    accuracy: Interval
    always_benign: float
    specificities: Mapping[float, Interval | None]
    predictive: PredictiveValues
    brier: Interval
    calibration_error: Interval

    def to_json(self) -> dict[str, Any]:
        """The figures as JSON; null for what cannot be said."""
        operating = self.operating.to_json()
        if not self.positives:
            operating["sensitivity"] = None
        if self.positives == self.n:
            operating["specificity"] = None
        return {
            "n": self.n,
            "positives": self.positives,
            "auc": _json(self.auc),
            "average_precision": _json(self.average_precision),
            "partial_auc": _json(self.partial_auc),
            **operating,
            "balanced_accuracy": _json(self.balanced_accuracy),
            "accuracy": _json(self.accuracy),
            "always_benign_accuracy": self.always_benign,
            "specificity_at_sensitivity": {
                f"{wanted:g}": _json(found) for wanted, found in self.specificities.items()
            },
            "ppv": _json(self.predictive.ppv),
            "npv": _json(self.predictive.npv),
            "brier": _json(self.brier),
            "expected_calibration_error": _json(self.calibration_error),
        }


def measure(sample: Sample, threshold: float, prevalence: float) -> Figures:
    """All figures of ``sample``, which holds one image at least, at a threshold from 0 to 1.

    Raises:
        UsageError: for a prevalence that is none.
    """
    labels, scores, clusters = sample.labels, sample.scores, sample.clusters
    positives = int(np.sum(labels == 1))
    both = 0 < positives < len(labels)
    found: Mapping[str, Interval | None] = intervals(sample, threshold, _values(sample, threshold))
    return Figures(
        n=len(labels),
        positives=positives,
        auc=auc(labels, scores, clusters) if both else None,
        average_precision=found.get("average_precision"),
        partial_auc=found.get("partial_auc"),
        operating=operating_point(labels, scores, threshold, clusters),
        balanced_accuracy=found.get("balanced_accuracy"),
        accuracy=share((scores >= threshold) == (labels == 1), clusters),
        always_benign=1 - positives / len(labels),
        specificities={wanted: found.get(specificity_at(wanted)) for wanted in SENSITIVITIES},
        predictive=predictive_values(sample, threshold, prevalence),
        brier=_known(found["brier"]),
        calibration_error=_known(found["expected_calibration_error"]),
    )


def _values(sample: Sample, threshold: float) -> dict[str, float]:
    """The measures of `resampling` on the sample as it is; without those that need both labels."""
    from sklearn.metrics import average_precision_score, balanced_accuracy_score

    labels, scores = sample.labels, sample.scores
    agree = agreement(labels, scores)
    values = {"brier": agree.brier, "expected_calibration_error": agree.ece}
    if len(np.unique(labels)) < 2:
        return values
    return values | {
        "average_precision": float(average_precision_score(labels, scores)),
        "balanced_accuracy": float(balanced_accuracy_score(labels, scores >= threshold)),
        "partial_auc": partial_auc(sample),
        **{specificity_at(s): specificity_where(sample, s) for s in SENSITIVITIES},
    }


def partial_auc(sample: Sample) -> float:
    """See `Figures`: with labels and scores turned round it is a partial AUC below a false rate.

    scikit-learn stretches that to 0.5 for scores at random and 1 for perfect ones (McClish 1989,
    Medical Decision Making 9:190), which is undone.
    """
    from sklearn.metrics import roc_auc_score

    most = 1 - SENSITIVITY_FLOOR
    stretched = float(roc_auc_score(1 - sample.labels, -sample.scores, max_fpr=most))
    at_random = most**2 / 2
    return at_random + (2 * stretched - 1) * (most - at_random)


def specificity_where(sample: Sample, sensitivity: float) -> float:
    """Specificity at the highest threshold with ``sensitivity`` or more."""
    from sklearn.metrics import roc_curve

    false_rates, sensitivities, _ = roc_curve(sample.labels, sample.scores, drop_intermediate=False)
    return float(1 - false_rates[np.argmax(sensitivities >= sensitivity)])


def _known(interval: Interval | None) -> Interval:
    assert interval is not None
    return interval


def _json(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else interval_json(interval)
