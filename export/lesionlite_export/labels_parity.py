"""Two models of several labels on identical pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.parity import VERIFY_SCHEMA, Mask
from lesionlite_export.statistics import Clusters, interval_json, share
from lesionlite_runtime.contract_fields import LabelsParity, LabelThresholds
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.label_classifier import decide

Table = NDArray[np.float64]
LABEL_FLIPS = ("newly_wrong", "newly_right")
"""What a flip does; one from a wrong label to another is neither."""


@dataclass(frozen=True)
class LabelScoreParity:
    """Scores of the same images by the reference and by the file, and what follows from them.

    Attributes:
        files: names of the images.
        label_names: in index order.
        labels: int64 ``[n]``, the index of each image's true label.
        scores_keras: float64 ``[n, labels]``, of the reference.
        scores_tflite: likewise, of the file.
        thresholds: what each label needs by the file; None for the highest score.
        clusters: int64 ``[n]``, which images belong together; None where each stands for itself.
        decided: int64 ``[n]``, what the reference decides by a rule of its own, -1 for none; None
            where it decides by ``thresholds`` as well.
    """

    files: tuple[str, ...]
    label_names: tuple[str, ...]
    labels: NDArray[np.int64]
    scores_keras: Table
    scores_tflite: Table
    thresholds: LabelThresholds | None
    clusters: Clusters | None = None
    decided: NDArray[np.int64] | None = None

    @property
    def n(self) -> int:
        """Number of images."""
        return len(self.files)

    @property
    def decisions_keras(self) -> NDArray[np.int64]:
        """The reference's decision for each image, -1 for none."""
        if self.decided is not None:
            return self.decided
        return decide(self.scores_keras, self.label_names, self.thresholds)

    @property
    def decisions_tflite(self) -> NDArray[np.int64]:
        """The file's."""
        return decide(self.scores_tflite, self.label_names, self.thresholds)

    @property
    def flipped(self) -> NDArray[np.bool_]:
        """Which images get another decision."""
        return np.not_equal(self.decisions_keras, self.decisions_tflite)

    @property
    def right_keras(self) -> Mask:
        """Which images the reference gives their label."""
        return np.asarray(self.decisions_keras == self.labels)

    @property
    def right_tflite(self) -> Mask:
        """Which images the file does."""
        return np.asarray(self.decisions_tflite == self.labels)

    @property
    def newly_wrong(self) -> Mask:
        """Images that the reference alone gives their label."""
        return np.asarray(self.right_keras & ~self.right_tflite)

    @property
    def newly_right(self) -> Mask:
        """Images that the file alone does."""
        return np.asarray(self.right_tflite & ~self.right_keras)

    @property
    def largest_errors(self) -> NDArray[np.float64]:
        """For each image, the largest absolute error among its labels."""
        return np.asarray(np.abs(self.scores_tflite - self.scores_keras).max(1))

    @property
    def accuracy_difference(self) -> float:
        """Accuracy of the file less that of the reference."""
        return (int(self.right_tflite.sum()) - int(self.right_keras.sum())) / self.n

    def measures(self) -> dict[str, float | None]:
        """The figures that limits are set on, by the limit's name."""
        return {
            "flip_rate": float(self.flipped.mean()),
            "accuracy_difference": abs(self.accuracy_difference),
            "mean_score_error": float(self.largest_errors.mean()),
            "max_score_error": float(self.largest_errors.max()),
        }

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.verify/1`` for several labels, verdict left out."""
        rate = share(self.flipped, self.clusters)
        keras, tflite = (
            interval_json(share(right, self.clusters))
            for right in (self.right_keras, self.right_tflite)
        )
        return {
            "schema": VERIFY_SCHEMA,
            "n": self.n,
            "labels": list(self.label_names),
            "flips": {
                "count": int(self.flipped.sum()),
                "rate": rate.value,
                "low": rate.low,
                "high": rate.high,
                **{kind: int(getattr(self, kind).sum()) for kind in LABEL_FLIPS},
                "files": [f for f, flip in zip(self.files, self.flipped, strict=True) if flip],
            },
            "score_error": {
                "max": float(self.largest_errors.max()),
                "mean": float(self.largest_errors.mean()),
                "p99": float(np.percentile(self.largest_errors, 99)),
            },
            "keras": {"accuracy": keras},
            "tflite": {"accuracy": tflite},
        }

    def columns(self) -> dict[str, Any]:
        """A column a name, a row an image."""
        found: dict[str, Any] = {
            "filepath": list(self.files),
            "label": [self.label_names[i] for i in self.labels],
        }
        for name, scores in (("keras", self.scores_keras), ("tflite", self.scores_tflite)):
            for i, label in enumerate(self.label_names):
                found[f"score_{name}_{label}"] = scores[:, i]
        return {**found, "flipped": self.flipped.astype(int)}

    def for_contract(
        self, limits: dict[str, float | None], reference: str | None = None
    ) -> LabelsParity:
        """What of this goes into the contract of the file."""
        return LabelsParity(
            n=self.n,
            flips=int(self.flipped.sum()),
            accuracy_difference=self.accuracy_difference,
            mean_score_error=float(self.largest_errors.mean()),
            max_score_error=float(self.largest_errors.max()),
            limits=limits,
            reference=reference,
        )


def label_score_parity(
    files: Sequence[str],
    label_names: Sequence[str],
    labels: Sequence[int],
    scores_keras: Table,
    scores_tflite: Table,
    thresholds: LabelThresholds | None,
    clusters: Clusters | None = None,
    decided: NDArray[np.int64] | None = None,
) -> LabelScoreParity:
    """A `LabelScoreParity` of plain sequences.

    Raises:
        UnusableInput: when there is no image, or a score is no number.
    """
    if not len(files):
        raise UnusableInput("there is no image to compare the models on", "list one at least")
    for name, scores in (("Keras model", scores_keras), ("TFLite file", scores_tflite)):
        finite = np.isfinite(scores).all(1)
        if not finite.all():
            first = files[int(np.argmin(finite))]
            raise UnusableInput(f"the {name} gives no number", "check the model", first)
    return LabelScoreParity(
        tuple(files),
        tuple(label_names),
        np.array(labels, np.int64),
        scores_keras,
        scores_tflite,
        thresholds,
        clusters,
        decided,
    )
