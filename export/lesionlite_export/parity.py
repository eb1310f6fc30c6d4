"""Two models on identical pixels: what quantization did to scores and decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.statistics import (
    Clusters,
    Operating,
    auc,
    auc_difference,
    interval_json,
    operating_point,
    share,
)
from lesionlite_runtime.contract_fields import Interval, Parity, RegressionParity
from lesionlite_runtime.errors import UnusableInput

VERIFY_SCHEMA = "lesionlite.verify/1"
Scores = NDArray[np.float64]
Mask = NDArray[np.bool_]
FLIPS = ("newly_missed", "newly_found", "newly_referred", "newly_spared")
"""What a flip does: to an image labelled 1 the first two, to one labelled 0 the others."""


@dataclass(frozen=True)
class ModelFigures:
    """One model's AUC (None where only one label is there) and operating point on the images."""

    auc: Interval | None
    operating: Operating

    def to_json(self) -> dict[str, Any]:
        """AUC, sensitivity and specificity with their intervals, and the counts.

        What no image can say is null.
        """
        area = None if self.auc is None else interval_json(self.auc)
        counts = self.operating
        body = {"auc": area, **counts.to_json()}
        if not counts.true_positives + counts.false_negatives:
            body["sensitivity"] = None
        if not counts.true_negatives + counts.false_positives:
            body["specificity"] = None
        return body


@dataclass(frozen=True)
class ScoreParity:
    """Keras and TFLite scores of the same images, and what follows from them.

    Attributes:
        files: names of the images.
        labels: int64 ``[n]``, 1 for the label that the score is of.
        score_keras: float64 ``[n]``, 0 to 1.
        score_tflite: float64 ``[n]``, 0 to 1.
        threshold: ``score >= threshold`` decides, for both models.
        reference_threshold: another one that the reference decides by; None for the same.
        clusters: int64 ``[n]``, which images belong together; None where each stands for itself.
    """

    files: tuple[str, ...]
    labels: NDArray[np.int64]
    score_keras: Scores
    score_tflite: Scores
    threshold: float
    reference_threshold: float | None = None
    clusters: Clusters | None = None

    @property
    def n(self) -> int:
        """Number of images."""
        return len(self.files)

    @property
    def positives(self) -> int:
        """Number of images labelled 1."""
        return int(self.labels.sum())

    @property
    def threshold_keras(self) -> float:
        """The threshold that the reference decides by."""
        return self.threshold if self.reference_threshold is None else self.reference_threshold

    @property
    def refers_keras(self) -> Mask:
        """Which images the reference refers."""
        return np.asarray(self.score_keras >= self.threshold_keras)

    @property
    def refers_tflite(self) -> Mask:
        """Which images the file refers."""
        return np.asarray(self.score_tflite >= self.threshold)

    @property
    def flipped(self) -> Mask:
        """Which images get another decision from the file than from the Keras model."""
        return np.not_equal(self.refers_keras, self.refers_tflite)

    @property
    def newly_missed(self) -> Mask:
        """Images labelled 1 that the Keras model refers and the file does not."""
        return np.asarray(self.flipped & ~self.refers_tflite & (self.labels == 1))

    @property
    def newly_found(self) -> Mask:
        """Images labelled 1 that the file refers and the Keras model does not."""
        return np.asarray(self.flipped & self.refers_tflite & (self.labels == 1))

    @property
    def newly_referred(self) -> Mask:
        """Images labelled 0 that the file refers and the Keras model does not."""
        return np.asarray(self.flipped & self.refers_tflite & (self.labels == 0))

    @property
    def newly_spared(self) -> Mask:
        """Images labelled 0 that the Keras model refers and the file does not."""
        return np.asarray(self.flipped & ~self.refers_tflite & (self.labels == 0))

    @property
    def errors(self) -> Scores:
        """``score_tflite - score_keras``, float64 ``[n]``."""
        return self.score_tflite - self.score_keras

    @property
    def both_labels(self) -> bool:
        """Whether an AUC is defined."""
        return 0 < self.positives < self.n

    def figures_keras(self) -> ModelFigures:
        """AUC and operating point of the reference."""
        return self._figures(self.score_keras, self.threshold_keras)

    def figures_tflite(self) -> ModelFigures:
        """AUC and operating point of the file."""
        return self._figures(self.score_tflite, self.threshold)

    def _figures(self, scores: Scores, threshold: float) -> ModelFigures:
        area = auc(self.labels, scores, self.clusters) if self.both_labels else None
        at = operating_point(self.labels, scores, threshold, self.clusters)
        return ModelFigures(area, at)

    def auc_difference(self) -> tuple[float, float, float] | None:
        """AUC of the file less that of Keras: (value, low, high); None with one label only."""
        if not self.both_labels:
            return None
        return auc_difference(self.labels, self.score_tflite, self.score_keras, self.clusters)

    def measures(self) -> dict[str, float | None]:
        """The figures that limits are set on, by the limit's name."""
        difference = self.auc_difference()
        absolute = np.abs(self.errors)
        return {
            "flip_rate": float(self.flipped.mean()),
            "newly_missed_rate": int(self.newly_missed.sum()) / self.positives
            if self.positives
            else None,
            "auc_difference": None if difference is None else abs(difference[0]),
            "mean_score_error": float(absolute.mean()),
            "max_score_error": float(absolute.max()),
        }

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.verify/1``, limits and verdict left out."""
        rate = share(self.flipped, self.clusters)
        absolute = np.abs(self.errors)
        difference = self.auc_difference()
        return {
            "schema": VERIFY_SCHEMA,
            "n": self.n,
            "positives": self.positives,
            "threshold": self.threshold,
            "flips": {
                "count": int(self.flipped.sum()),
                "rate": rate.value,
                "low": rate.low,
                "high": rate.high,
                **{kind: int(getattr(self, kind).sum()) for kind in FLIPS},
                "files": [f for f, flip in zip(self.files, self.flipped, strict=True) if flip],
            },
            "score_error": {
                "max": float(absolute.max()),
                "mean": float(absolute.mean()),
                "p99": float(np.percentile(absolute, 99)),
                "bias": float(self.errors.mean()),
            },
            "keras": self.figures_keras().to_json(),
            "tflite": self.figures_tflite().to_json(),
            "auc_difference": None
            if difference is None
            else dict(zip(("value", "low", "high"), difference, strict=True)),
        }

    def columns(self) -> dict[str, Any]:
        """A column a name, a row an image."""
        return {
            "filepath": list(self.files),
            "label": self.labels,
            "score_keras": self.score_keras,
            "score_tflite": self.score_tflite,
            "error": self.errors,
            "flipped": self.flipped.astype(int),
        }

    def for_contract(self, limits: dict[str, float | None], reference: str | None = None) -> Parity:
        """What of this goes into the contract of the file."""
        measures = self.measures()
        difference = self.auc_difference()
        return Parity(
            n=self.n,
            positives=self.positives,
            flips=int(self.flipped.sum()),
            newly_missed=int(self.newly_missed.sum()),
            auc_difference=None if difference is None else difference[0],
            mean_score_error=measures["mean_score_error"] or 0.0,
            max_score_error=measures["max_score_error"] or 0.0,
            limits=limits,
            reference=reference,
        )


@dataclass(frozen=True)
class ValueParity:
    """A regression's Keras and TFLite values on a grid over its range.

    Relative errors are fractions of the largest ``|y|`` of the Keras model on the grid: near a
    zero of y a fraction of y itself says nothing.
    """

    x: Scores
    y_keras: Scores
    y_tflite: Scores

    def measures(self) -> dict[str, float | None]:
        """The figures that limits are set on, by the limit's name."""
        absolute = np.abs(self.y_tflite - self.y_keras)
        scale = float(np.abs(self.y_keras).max()) or 1.0
        return {
            "max_absolute_error": float(absolute.max()),
            "mean_absolute_error": float(absolute.mean()),
            "max_relative_error": float(absolute.max()) / scale,
            "mean_relative_error": float(absolute.mean()) / scale,
        }

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.verify/1`` for a regression, verdict left out."""
        return {
            "schema": VERIFY_SCHEMA,
            "n": len(self.x),
            "range": [float(self.x[0]), float(self.x[-1])],
            "value_error": self.measures(),
        }

    def columns(self) -> dict[str, Any]:
        """A column a name, a row a point."""
        return {"x": self.x, "y_keras": self.y_keras, "y_tflite": self.y_tflite}

    def for_contract(
        self, limits: dict[str, float | None], reference: str | None = None
    ) -> RegressionParity:
        """What of this goes into the contract of the file."""
        values = {name: value or 0.0 for name, value in self.measures().items()}
        return RegressionParity(n=len(self.x), limits=limits, reference=reference, **values)


def score_parity(
    files: Sequence[str],
    labels: Sequence[int],
    score_keras: Sequence[float],
    score_tflite: Sequence[float],
    threshold: float,
    reference_threshold: float | None = None,
    clusters: Clusters | None = None,
) -> ScoreParity:
    """A `ScoreParity` of plain sequences.

    Raises:
        UnusableInput: when there is no image, or a score is no number.
    """
    keras, tflite = np.array(score_keras, np.float64), np.array(score_tflite, np.float64)
    if not len(files):
        raise UnusableInput("there is no image to compare the models on", "list one at least")
    for name, scores in (("Keras model", keras), ("TFLite file", tflite)):
        if not np.isfinite(scores).all():
            first = files[int(np.argmin(np.isfinite(scores)))]
            raise UnusableInput(f"the {name} gives no number", "check the model", first)
    return ScoreParity(
        tuple(files),
        np.array(labels, np.int64),
        keras,
        tflite,
        threshold,
        reference_threshold,
        clusters,
    )
