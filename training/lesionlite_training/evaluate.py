"""How well a model tells labelled photos apart, with intervals."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lesionlite_export.manifest import LabelledImage, Manifest
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.representative import Unusable
from lesionlite_export.scoring import score_images
from lesionlite_export.statistics import Scores
from lesionlite_runtime.classifier import check_threshold
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.errors import UsageError
from lesionlite_training.evaluation.figures import Figures, measure
from lesionlite_training.evaluation.groups import (
    ClassFigures,
    Subgroup,
    by_class,
    by_column,
    too_few_warnings,
)
from lesionlite_training.evaluation.origin import (
    CONTRACT,
    OPTION,
    THIS_DATA,
    TRAINING,
    ThresholdOrigin,
    seen_images,
)
from lesionlite_training.evaluation.predictive import DEFAULT_PREVALENCE, check_prevalence
from lesionlite_training.evaluation.sample import Clustering, Sample, cluster
from lesionlite_training.threshold import choose_threshold, parse_rule

EVALUATION_SCHEMA = "lesionlite.evaluation/1"


@dataclass(frozen=True)
class Evaluation:
    """Figures of one model on one set.

    Attributes:
        model: id of the model.
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
    """

    model: str
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

    @property
    def sample(self) -> Sample:
        """Labels, scores and clusters of the images."""
        labels = np.array([image.label for image in self.images], np.int64)
        return Sample(labels, self.scores, self.clusters.of_image)

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.evaluation/1`` (docs/evaluation.md)."""
        return {
            "schema": EVALUATION_SCHEMA,
            "model": self.model,
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
            "warnings": list(self.warnings),
            "unusable": [
                {"file": str(u.image.path), "message": str(u.error)} for u in self.unusable
            ],
        }


def evaluate_model(
    model: str | os.PathLike[str],
    manifest: Manifest,
    *,
    threshold: float | None = None,
    rule: str | None = None,
    prevalence: float = DEFAULT_PREVALENCE,
    yes_optimistic: bool = False,
    report: Reporter | None = None,
) -> Evaluation:
    """Figures of ``model`` on ``manifest``, at its contract's threshold or another.

    Args:
        model: path of a ``.keras`` or a ``.tflite``.
        manifest: the images.
        threshold: score from which on to refer, 0 to 1; the contract's by default.
        rule: chooses the threshold on these very scores instead, see `parse_rule`.
        prevalence: share of positives that PPV and NPV are stated for.
        yes_optimistic: give figures that are known to flatter the model: at a threshold chosen on
            these images, or on the images that the model was trained or calibrated on.
        report: who is told of the progress.

    Raises:
        UnusableInput: when the model is refused, the manifest, or what can be read of it, has one
            label only, or a lesion has two patients.
        UsageError: for an unknown rule, a threshold or prevalence out of range, both a threshold
            and a rule, or flattering figures without ``yes_optimistic``.
    """
    report = report or Silent()
    _check_threshold_choice(threshold, rule, yes_optimistic)
    check_prevalence(prevalence)
    manifest.needs_both_labels()
    cluster(manifest.images)  # refused now, not after the scoring
    scored = _score(model, manifest, report)
    if scored.seen is not None and not yes_optimistic:
        raise UsageError(
            f"the model has seen these very images in its {scored.seen}, so figures on them "
            "flatter it",
            "evaluate it on others, or pass --yes-optimistic",
            manifest.source,
        )
    clusters = cluster(scored.images)
    labels = np.array([image.label for image in scored.images], np.int64)
    sample = Sample(labels, scored.scores, clusters.of_image)
    at, origin = _threshold(scored, sample, threshold, rule)
    with report.phase("Computing intervals"):
        figures = measure(sample, at, prevalence)
        subgroups = by_column(scored.images, sample, at, prevalence)
    return Evaluation(
        model=scored.contract.model_id,
        source=manifest.source,
        threshold=at,
        origin=origin,
        seen=scored.seen,
        figures=figures,
        classes=by_class(scored.images, sample, at),
        subgroups=subgroups,
        clusters=clusters,
        warnings=tuple(_warnings(scored, origin, subgroups)),
        unusable=scored.unusable,
        images=scored.images,
        scores=scored.scores,
    )


@dataclass(frozen=True)
class _Scored:
    """What figures need of the images, without their pixels."""

    contract: ClassifierContract
    images: tuple[LabelledImage, ...]
    scores: Scores
    unusable: tuple[Unusable, ...]
    seen: str | None
    copies: int


def _score(model: str | os.PathLike[str], manifest: Manifest, report: Reporter) -> _Scored:
    contract, prepared, scores = score_images(model, manifest, report)
    images = tuple(p.image for p in prepared.images)
    Manifest(manifest.source, images).needs_both_labels()
    copies = len(images) - len({p.sha256 for p in prepared.images})
    seen = seen_images(contract, prepared.images)
    return _Scored(contract, images, scores, prepared.unusable, seen, copies)


def _check_threshold_choice(
    threshold: float | None, rule: str | None, yes_optimistic: bool
) -> None:
    if threshold is not None:
        check_threshold(threshold)
    if rule is None:
        return
    if threshold is not None:
        raise UsageError("--threshold and --at both give a threshold", "pass one of them")
    parse_rule(rule)
    if not yes_optimistic:
        raise UsageError(
            "a threshold chosen on the images that are evaluated flatters the model",
            "choose it at training (lesionlite train --at), or pass --yes-optimistic",
        )


def _threshold(
    scored: _Scored, sample: Sample, threshold: float | None, rule: str | None
) -> tuple[float, ThresholdOrigin]:
    if rule is not None:
        chosen = choose_threshold(sample.labels, sample.scores, rule)
        return chosen.value, ThresholdOrigin(THIS_DATA, rule, True)
    if threshold is not None:
        return threshold, ThresholdOrigin(OPTION, None, False)
    own = scored.contract.threshold
    return own.value, ThresholdOrigin(CONTRACT, own.rule, scored.seen == TRAINING)


def _warnings(
    scored: _Scored, origin: ThresholdOrigin, subgroups: Mapping[str, Sequence[Subgroup]]
) -> Iterator[str]:
    if origin.kind == THIS_DATA:
        yield (
            f"the threshold was chosen on these images ({origin.rule}): what is said at it is "
            "optimistic"
        )
    if scored.seen is not None:
        yield f"the model has seen these images in its {scored.seen}: every figure is optimistic"
    if scored.copies:
        yield f"{scored.copies} images have the pixels of another one, and each counts"
    yield from too_few_warnings(subgroups)
