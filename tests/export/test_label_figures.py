"""All figures of the decisions of two models of several labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from lesionlite_export.label_figures import label_figures
from lesionlite_export.labels_parity import LabelScoreParity, label_score_parity
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.paired_statistics import mcnemar, share_difference

LABELS = ("nevus", "melanoma", "keratosis")
TRUE = [0, 1, 2, 1, 0]
KERAS = [0, 1, 2, 0, 1]  # the last two are wrong
FILE = [1, 2, 2, 1, 2]  # two newly wrong, one newly right, one from wrong to wrong


def parity_of(clusters: list[int] | None = None) -> LabelScoreParity:
    def scores(decided: list[int]) -> np.ndarray:
        return np.eye(3)[decided] * 0.6 + 0.1

    files = [f"{i}.jpg" for i in range(5)]
    numbers = None if clusters is None else np.array(clusters)
    return label_score_parity(files, LABELS, TRUE, scores(KERAS), scores(FILE), None, numbers)


def images() -> list[LabelledImage]:
    return [LabelledImage(Path(f"{i}.jpg"), label, LABELS[label]) for i, label in enumerate(TRUE)]


def test_flips_are_newly_wrong_newly_right_or_neither() -> None:
    parity = parity_of()
    assert parity.flipped.tolist() == [True, True, False, True, True]
    assert parity.newly_wrong.tolist() == [True, True, False, False, False]
    assert parity.newly_right.tolist() == [False, False, False, True, False]
    flips = parity.to_json()["flips"]
    assert (flips["count"], flips["newly_wrong"], flips["newly_right"]) == (4, 2, 1)


def test_the_figures_by_hand() -> None:
    found = label_figures(parity_of(), images())
    assert {kind: (c.count, c.of) for kind, c in found.counts.items()} == {
        "flips": (4, 5),
        "newly_wrong": (2, 5),
    }
    right = np.array([[1, 1, 1, 0, 0], [0, 0, 1, 1, 0]], bool)
    assert found.accuracy_difference == share_difference(*right)
    assert found.test == mcnemar(*right)
    assert (found.test.lost, found.test.gained) == (2, 1)
    assert [(g.name, g.counts["flips"].count, g.n) for g in found.groups["class"]] == [
        ("keratosis", 0, 1),
        ("melanoma", 2, 2),
        ("nevus", 2, 2),
    ]
    worst = found.worst["newly_wrong"]
    assert worst is not None
    assert worst.name == "melanoma"
    assert found.power["flips"].startswith("4 flips in 5 images is compatible")
    body = found.to_json()
    assert json.loads(json.dumps(body, allow_nan=False)) == body


def test_clusters_are_kept() -> None:
    clusters = [0, 0, 1, 1, 1]
    found = label_figures(parity_of(clusters), images(), "lesions")
    right = np.array([[1, 1, 1, 0, 0], [0, 0, 1, 1, 0]], bool)
    assert found.accuracy_difference == share_difference(*right, np.array(clusters))
    loose = label_figures(parity_of(), images()).counts["newly_wrong"]
    assert found.counts["newly_wrong"].rate.high > loose.rate.high
    assert found.test == mcnemar(*right, np.array(clusters))
    assert "in 5 images of 2 lesions" in found.power["newly_wrong"]
