"""How well a model tells labelled photos apart, with intervals."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlite_export.manifest import Manifest
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.representative import Unusable
from lesionlite_export.scoring import score_images
from lesionlite_export.statistics import Operating, auc, interval_json, operating_point, proportion
from lesionlite_runtime.contract_fields import Interval

EVALUATION_SCHEMA = "lesionlite.evaluation/1"


@dataclass(frozen=True)
class Evaluation:
    """Figures of one model on one set; ``always_benign`` is the accuracy of never referring."""

    model: str
    n: int
    positives: int
    threshold: float
    auc: Interval
    operating: Operating
    accuracy: Interval
    always_benign: float
    unusable: tuple[Unusable, ...]

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.evaluation/1``."""
        return {
            "schema": EVALUATION_SCHEMA,
            "model": self.model,
            "n": self.n,
            "positives": self.positives,
            "threshold": self.threshold,
            "auc": interval_json(self.auc),
            **self.operating.to_json(),
            "accuracy": interval_json(self.accuracy),
            "always_benign_accuracy": self.always_benign,
            "unusable": [
                {"file": str(u.image.path), "message": str(u.error)} for u in self.unusable
            ],
        }


def evaluate_model(
    model: str | os.PathLike[str],
    manifest: Manifest,
    *,
    threshold: float | None = None,
    report: Reporter | None = None,
) -> Evaluation:
    """Figures of ``model`` on ``manifest``, at its contract's threshold or another.

    Raises:
        UnusableInput: when the model is refused, or the manifest has one label only.
    """
    manifest.needs_both_labels()
    contract, prepared, scores = score_images(model, manifest, report or Silent())
    usable = Manifest(manifest.source, tuple(p.image for p in prepared.images)).needs_both_labels()
    labels = np.array([image.label for image in usable.images], np.int64)
    at = contract.threshold.value if threshold is None else threshold
    operating = operating_point(labels, scores, at)
    right = operating.true_positives + operating.true_negatives
    return Evaluation(
        model=contract.model_id,
        n=len(labels),
        positives=usable.positives,
        threshold=at,
        auc=auc(labels, scores),
        operating=operating,
        accuracy=proportion(right, len(labels)),
        always_benign=1 - usable.positives / len(labels),
        unusable=prepared.unusable,
    )
