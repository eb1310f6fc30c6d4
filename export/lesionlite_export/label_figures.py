"""All that follows from the scores of several labels that two models give the same images."""

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
from lesionlite_export.labels_parity import LabelScoreParity
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.paired_statistics import Difference, McNemar, mcnemar, share_difference

KINDS = ("flips", "newly_wrong")
WORDS = {"flips": "flips", "newly_wrong": "newly wrong"}


@dataclass(frozen=True)
class LabelFigures:
    """What the decisions of two models say of each other.

    Attributes:
        counts: by kind, the flips and the newly wrong of all images.
        power: by kind, what its count leaves possible, a sentence each.
        test: McNemar's, of right decisions lost and gained.
        accuracy_difference: of the file less that of the reference.
        groups: flips by class and group, by column of the manifest.
    """

    counts: Mapping[str, Counted]
    power: Mapping[str, str]
    test: McNemar
    accuracy_difference: Difference
    groups: Mapping[str, tuple[GroupFlips, ...]]

    @property
    def worst(self) -> dict[str, WorstGroup | None]:
        """By kind, the group that fares worst, see `worst_groups`."""
        return worst_groups(self.groups, KINDS)

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON, but for those that `LabelScoreParity.to_json` has."""
        return {
            "newly_wrong_rate": self.counts["newly_wrong"].to_json(),
            "power": dict(self.power),
            "mcnemar": {"accuracy": self.test.to_json()},
            "accuracy_difference": self.accuracy_difference.to_json(),
            "groups": groups_json(self.groups),
            "worst_group": worst_json(self.worst),
        }


def label_figures(
    parity: LabelScoreParity,
    images: Sequence[LabelledImage],
    clusters_are: str | None = None,
) -> LabelFigures:
    """The figures of ``parity``; see `lesionlite_export.score_figures.score_figures`."""
    everywhere = np.ones(parity.n, bool)
    kinds = {
        "flips": (parity.flipped, everywhere),
        "newly_wrong": (parity.newly_wrong, everywhere),
    }
    counts = {kind: counted(hits, among, parity.clusters) for kind, (hits, among) in kinds.items()}
    before, after = parity.right_keras, parity.right_tflite
    words = cluster_words(everywhere, parity.clusters, clusters_are)
    return LabelFigures(
        counts=counts,
        power={
            kind: power_sentence(found, WORDS[kind], f"images{words}")
            for kind, found in counts.items()
        },
        test=mcnemar(before, after, parity.clusters),
        accuracy_difference=share_difference(before, after, parity.clusters),
        groups=flips_by_group(images, kinds, parity.clusters),
    )
