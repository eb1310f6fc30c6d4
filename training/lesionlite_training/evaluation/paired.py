"""Two scores of the same images: how much they differ, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlite_export.paired_statistics import Difference, rank_correlation
from lesionlite_export.sample import Sample
from lesionlite_export.statistics import (
    Operating,
    Scores,
    auc,
    auc_difference,
    interval_json,
    operating_point,
    share,
)
from lesionlite_runtime.contract_fields import Interval


@dataclass(frozen=True)
class PairedFigures:
    """Figures of scores beside reference scores of the same n images.

    Attributes:
        n: images.
        positives: those labelled 1.
        auc: of the scores; None where all images have one label.
        auc_difference: of the scores less that of the reference, paired; likewise.
        operating: sensitivity, specificity and counts of the scores at the threshold.
        flip_rate: share of images that get another decision than by the reference.
        flips: their number.
        newly_missed: those of them labelled 1 that the reference refers.
        newly_referred: those of them labelled 0 that it does not.
        mean_difference: mean of the absolute differences of the scores.
        max_difference: the largest of them.
        bias: mean of score less reference.
        rank_correlation: Spearman's of both scores; None where one of them is the same for all
            images.
    """

    n: int
    positives: int
    auc: Interval | None
    auc_difference: Difference | None
    operating: Operating
    flip_rate: Interval
    flips: int
    newly_missed: int
    newly_referred: int
    mean_difference: float
    max_difference: float
    bias: float
    rank_correlation: float | None

    @property
    def sensitivity(self) -> Interval | None:
        """None where no image is labelled 1."""
        return self.operating.sensitivity if self.positives else None

    @property
    def specificity(self) -> Interval | None:
        """None where no image is labelled 0."""
        return self.operating.specificity if self.positives < self.n else None

    def to_json(self) -> dict[str, Any]:
        """All figures as JSON; null for what cannot be said."""
        difference = self.auc_difference
        shares = {"sensitivity": self.sensitivity, "specificity": self.specificity}
        return {
            **self.changes_json(),
            "auc": None if self.auc is None else interval_json(self.auc),
            "auc_difference": None if difference is None else difference.to_json(),
            **self.operating.to_json(),
            **{name: None if one is None else interval_json(one) for name, one in shares.items()},
        }

    def changes_json(self) -> dict[str, Any]:
        """What of them says how the scores differ, and not how good they are."""
        return {
            "n": self.n,
            "positives": self.positives,
            "flips": {
                "count": self.flips,
                "rate": interval_json(self.flip_rate),
                "newly_missed": self.newly_missed,
                "newly_referred": self.newly_referred,
            },
            "score_difference": {
                "mean": self.mean_difference,
                "max": self.max_difference,
                "bias": self.bias,
            },
            "rank_correlation": self.rank_correlation,
        }


def compare(reference: Sample, scores: Scores, threshold: float) -> PairedFigures:
    """The figures of ``scores``, float64 ``[n]``, beside those of ``reference``, n over 0."""
    labels, clusters = reference.labels, reference.clusters
    positive = labels == 1
    before, after = reference.scores >= threshold, scores >= threshold
    flipped = before != after
    differences = scores - reference.scores
    both = 0 < positive.sum() < len(labels)
    return PairedFigures(
        n=len(labels),
        positives=int(positive.sum()),
        auc=auc(labels, scores, clusters) if both else None,
        auc_difference=Difference(*auc_difference(labels, scores, reference.scores, clusters))
        if both
        else None,
        operating=operating_point(labels, scores, threshold, clusters),
        flip_rate=share(flipped, clusters),
        flips=int(flipped.sum()),
        newly_missed=int((flipped & positive & before).sum()),
        newly_referred=int((flipped & ~positive & after).sum()),
        mean_difference=float(np.abs(differences).mean()),
        max_difference=float(np.abs(differences).max()),
        bias=float(differences.mean()),
        rank_correlation=rank_correlation(reference.scores, scores),
    )
