"""An evaluation: the figures of one set of scored images, and what to know of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.progress import Reporter
from lesionlite_export.representative import Unusable
from lesionlite_export.sample import Clustering, Sample, cluster
from lesionlite_export.statistics import Scores
from lesionlite_training.evaluation.figures import Figures, measure
from lesionlite_training.evaluation.groups import (
    ClassFigures,
    Subgroup,
    by_class,
    by_column,
    too_few_warnings,
)
from lesionlite_training.evaluation.origin import ThresholdOrigin
from lesionlite_training.evaluation.originals import Originals
from lesionlite_training.evaluation.robustness import Robustness

EVALUATION_SCHEMA = "lesionlite.evaluation/1"


@dataclass(frozen=True)
class Evaluation:
    """Figures of one model, or of scores from a file, on one set.

    Attributes:
        model: id of the model; None where the scores came from a file.
        score_file: name of that file, without its folder; None where a model gave the scores.
        source: file or folder that lists the images.
        threshold: score from which on to refer.
        origin: where the threshold comes from.
        seen: ``training`` or ``calibration`` where the images are the very set that the model was
            trained or calibrated on, else None.
        figures: of all images, at the threshold.
        classes: of each class.
        subgroups: of each group, by column of the manifest.
        clusters: which images belong together.
        warnings: what to know before the figures are believed, a sentence each.
        unusable: images that are not among the figures, and why.
        images: those that are.
        scores: their scores, float64 ``[n]``.
        robustness: the same on degraded copies; None where nobody asked.
        originals: the same on photos of another resolution; None where nobody asked.
    """

    model: str | None
    score_file: str | None
    source: str
    threshold: float
    origin: ThresholdOrigin
    seen: str | None
    figures: Figures
    classes: tuple[ClassFigures, ...]
    subgroups: Mapping[str, tuple[Subgroup, ...]]
    clusters: Clustering
    warnings: tuple[str, ...]
    unusable: tuple[Unusable, ...]
    images: tuple[LabelledImage, ...] = field(repr=False)
    scores: Scores = field(repr=False, compare=False)
    robustness: Robustness | None = None
    originals: Originals | None = None

    @property
    def sample(self) -> Sample:
        """Labels, scores and clusters of the images."""
        return _sample(self.images, self.scores, self.clusters)

    @property
    def subject(self) -> str:
        """What was measured, for people: ``model 0a7dab976493`` or ``scores of oof.csv``."""
        return f"model {self.model}" if self.model else f"scores of {self.score_file}"

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.evaluation/1`` (docs/evaluation.md)."""
        return {
            "schema": EVALUATION_SCHEMA,
            "model": self.model,
            "score_file": self.score_file,
            "threshold": self.threshold,
            "threshold_origin": self.origin.to_json(),
            "seen_images": self.seen,
            "clusters": self.clusters.to_json(),
            "prevalence": self.figures.predictive.prevalence,
            **self.figures.to_json(),
            "classes": [one.to_json() for one in self.classes],
            "subgroups": {
                column: [group.to_json() for group in groups]
                for column, groups in self.subgroups.items()
            },
            "robustness": None if self.robustness is None else self.robustness.to_json(),
            "originals": None if self.originals is None else self.originals.to_json(),
            "warnings": list(self.warnings),
            "unusable": [
                {"file": str(u.image.path), "message": str(u.error)} for u in self.unusable
            ],
        }


@dataclass(frozen=True)
class Scored:
    """Images with their scores, float64 ``[n]``, before anything is measured; see `Evaluation`."""

    model: str | None
    score_file: str | None
    source: str
    images: tuple[LabelledImage, ...]
    scores: Scores
    unusable: tuple[Unusable, ...] = ()
    seen: str | None = None

    @property
    def sample(self) -> Sample:
        """Labels, scores and clusters of the images.

        Raises:
            UnusableInput: when a lesion has two patients.
        """
        return _sample(self.images, self.scores, cluster(self.images))


def measure_scores(
    scored: Scored,
    threshold: float,
    origin: ThresholdOrigin,
    prevalence: float,
    warnings: Iterable[str],
    report: Reporter,
) -> Evaluation:
    """All figures of ``scored`` at ``threshold``.

    Args:
        scored: images of both labels.
        threshold: 0 to 1.
        origin: where it comes from.
        prevalence: share of positives that PPV and NPV are stated for.
        warnings: what the caller knows; those on small groups come behind them.
        report: who is told of the progress.

    Raises:
        UnusableInput: when a lesion has two patients.
    """
    sample = scored.sample
    with report.phase("Computing intervals"):
        figures = measure(sample, threshold, prevalence)
        subgroups = by_column(scored.images, sample, threshold, prevalence)
    return Evaluation(
        model=scored.model,
        score_file=scored.score_file,
        source=scored.source,
        threshold=threshold,
        origin=origin,
        seen=scored.seen,
        figures=figures,
        classes=by_class(scored.images, sample, threshold),
        subgroups=subgroups,
        clusters=cluster(scored.images),
        warnings=(*warnings, *too_few_warnings(subgroups)),
        unusable=scored.unusable,
        images=scored.images,
        scores=scored.scores,
    )


def _sample(images: Iterable[LabelledImage], scores: Scores, clusters: Clustering) -> Sample:
    labels = np.array([image.label for image in images], np.int64)
    return Sample(labels, scores, clusters.of_image)
