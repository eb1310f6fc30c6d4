"""All that follows from two models' scores of the same images, computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlite_export.counted import Counted, cluster_words, counted, power_sentence
from lesionlite_export.flip_groups import (
    GroupFlips,
    WorstGroup,
    flips_by_group,
    groups_json,
    worst_groups,
    worst_json,
)
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.paired_statistics import (
    Difference,
    McNemar,
    mcnemar,
    rank_correlation,
    share_difference,
)
from lesionlite_export.parity import Mask, ModelFigures, ScoreParity
from lesionlite_export.score_bands import MARGIN_EDGES, SCORE_EDGES, Band, bands
from lesionlite_export.score_levels import ScoreLevels

KINDS = ("flips", "newly_missed", "newly_referred")
WORDS = {
    "flips": "flips",
    "newly_missed": "newly missed",
    "newly_referred": "newly referred",
}
POPULATIONS = {
    "flips": "images",
    "newly_missed": "images labelled 1",
    "newly_referred": "images labelled 0",
}


@dataclass(frozen=True)
class ScoreFigures:
    """What two score vectors say of each other; a difference is that of the file less reference.

    Attributes:
        counts: by kind, the flips of all images, the newly missed of those labelled 1, and the
            newly referred of those labelled 0.
        power: by kind, what its count leaves possible, a sentence each; None of no image.
        tests: McNemar's, of ``decisions`` (referrals lost and gained), ``sensitivity`` (the same
            among images labelled 1) and ``specificity`` (right decisions lost and gained among
            those labelled 0); None of no image.
        keras: AUC and operating point of the reference.
        tflite: of the file.
        auc_difference: None where all images have one label.
        sensitivity_difference: None without an image labelled 1.
        specificity_difference: None without one labelled 0.
        rank_correlation: Spearman's; None where a model gives all images one score.
        bands: agreement by the reference's score.
        margins: agreement by its distance from the threshold.
        groups: flips by class and group, by column of the manifest.
        levels: the scores that the file can give, where they are few.
        within_one_level: flips of images that both models put within one of these levels of their
            threshold; None where there are no levels.
    """

    counts: Mapping[str, Counted]
    power: Mapping[str, str | None]
    tests: Mapping[str, McNemar | None]
    keras: ModelFigures
    tflite: ModelFigures
    auc_difference: Difference | None
    sensitivity_difference: Difference | None
    specificity_difference: Difference | None
    rank_correlation: float | None
    bands: tuple[Band, ...]
    margins: tuple[Band, ...]
    groups: Mapping[str, tuple[GroupFlips, ...]]
    levels: ScoreLevels | None
    within_one_level: int | None

    @property
    def worst(self) -> dict[str, WorstGroup | None]:
        """By kind, the group that fares worst, see `worst_groups`."""
        return worst_groups(self.groups, KINDS)

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON, but for those that `ScoreParity.to_json` has."""
        rates = {f"{kind}_rate": self.counts[kind] for kind in KINDS[1:]}
        return {
            **{name: one.to_json() if one.of else None for name, one in rates.items()},
            "power": dict(self.power),
            "mcnemar": {
                name: None if test is None else test.to_json() for name, test in self.tests.items()
            },
            "sensitivity_difference": _json(self.sensitivity_difference),
            "specificity_difference": _json(self.specificity_difference),
            "rank_correlation": self.rank_correlation,
            "bands": [band.to_json() for band in self.bands],
            "margins": [band.to_json() for band in self.margins],
            "groups": groups_json(self.groups),
            "worst_group": worst_json(self.worst),
            "levels": None
            if self.levels is None
            else {**self.levels.to_json(), "flips_within_one": self.within_one_level},
        }


def score_figures(
    parity: ScoreParity,
    images: Sequence[LabelledImage],
    clusters_are: str | None = None,
    levels: ScoreLevels | None = None,
) -> ScoreFigures:
    """The figures of ``parity``.

    Args:
        parity: the scores, of one image at least.
        images: the same images, with what the manifest says of them.
        clusters_are: what their clusters are, in the plural: ``patients``.
        levels: see `score_levels`.
    """
    positive, clusters = parity.labels == 1, parity.clusters
    kinds = {
        "flips": (parity.flipped, np.ones(parity.n, bool)),
        "newly_missed": (parity.newly_missed, positive),
        "newly_referred": (parity.newly_referred, ~positive),
    }
    counts = {kind: counted(hits, among, clusters) for kind, (hits, among) in kinds.items()}
    before, after = parity.refers_keras, parity.refers_tflite
    difference = parity.auc_difference()
    return ScoreFigures(
        counts=counts,
        power={
            kind: power_sentence(
                found,
                WORDS[kind],
                POPULATIONS[kind] + cluster_words(kinds[kind][1], clusters, clusters_are),
            )
            if found.of
            else None
            for kind, found in counts.items()
        },
        tests={
            "decisions": mcnemar(before, after, clusters),
            "sensitivity": _tested(parity, before, after, positive),
            "specificity": _tested(parity, ~before, ~after, ~positive),
        },
        keras=parity.figures_keras(),
        tflite=parity.figures_tflite(),
        auc_difference=None if difference is None else Difference(*difference),
        sensitivity_difference=_differing(parity, before, after, positive),
        specificity_difference=_differing(parity, ~before, ~after, ~positive),
        rank_correlation=rank_correlation(parity.score_keras, parity.score_tflite),
        bands=bands(parity.score_keras, SCORE_EDGES, parity.errors, parity.flipped, clusters),
        margins=bands(
            np.abs(parity.score_keras - parity.threshold_keras),
            MARGIN_EDGES,
            parity.errors,
            parity.flipped,
            clusters,
        ),
        groups=flips_by_group(images, kinds, clusters),
        levels=levels,
        within_one_level=None if levels is None else _within(parity, levels.step),
    )


def _tested(parity: ScoreParity, before: Mask, after: Mask, among: Mask) -> McNemar | None:
    if not among.any():
        return None
    clusters = None if parity.clusters is None else parity.clusters[among]
    return mcnemar(before[among], after[among], clusters)


def _differing(parity: ScoreParity, before: Mask, after: Mask, among: Mask) -> Difference | None:
    if not among.any():
        return None
    clusters = None if parity.clusters is None else parity.clusters[among]
    return share_difference(before[among], after[among], clusters)


def _within(parity: ScoreParity, step: float) -> int:
    """How many flips are of images that both models put within ``step`` of their threshold."""
    farthest = np.maximum(
        np.abs(parity.score_keras - parity.threshold_keras),
        np.abs(parity.score_tflite - parity.threshold),
    )
    return int((parity.flipped & (farthest <= step)).sum())


def _json(found: Difference | None) -> dict[str, float] | None:
    return None if found is None else found.to_json()
