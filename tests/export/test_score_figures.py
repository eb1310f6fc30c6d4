"""All figures of two score vectors, on numbers whose answers are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from lesionlite_export.counted import counted
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.paired_statistics import Difference, mcnemar, share_difference
from lesionlite_export.parity import ScoreParity, score_parity
from lesionlite_export.score_figures import ScoreFigures, score_figures
from lesionlite_export.score_levels import ScoreLevels
from lesionlite_export.statistics import auc_difference

#         label class keras tflite
IMAGES = {
    "p_kept": (1, "melanoma", 0.90, 0.88),
    "p_missed": (1, "melanoma", 0.60, 0.49),
    "p_edge": (1, "melanoma", 0.50, 0.50),
    "p_found": (1, "carcinoma", 0.30, 0.55),
    "n_kept": (0, "nevus", 0.10, 0.12),
    "n_referred": (0, "nevus", 0.49, 0.51),
    "n_referred_too": (0, "nevus", 0.44, 0.62),
    "n_spared": (0, "keratosis", 0.70, 0.40),
    "n_high": (0, "keratosis", 0.80, 0.80),
}


def parity_of(clusters: list[int] | None = None) -> ScoreParity:
    labels, _, keras, tflite = zip(*IMAGES.values(), strict=True)
    numbers = None if clusters is None else np.array(clusters)
    return score_parity(list(IMAGES), labels, keras, tflite, 0.5, clusters=numbers)


def images() -> list[LabelledImage]:
    return [
        LabelledImage(Path(name), label, class_name, {})
        for name, (label, class_name, _, _) in IMAGES.items()
    ]


def figures_of(clusters: list[int] | None = None, **other: ScoreLevels) -> ScoreFigures:
    return score_figures(parity_of(clusters), images(), **other)


def test_the_flips_of_each_kind_and_those_they_could_befall() -> None:
    found = figures_of()
    assert {kind: (c.count, c.of) for kind, c in found.counts.items()} == {
        "flips": (5, 9),
        "newly_missed": (1, 4),
        "newly_referred": (2, 5),
    }
    assert found.power["newly_missed"] == (
        "1 newly missed in 4 images labelled 1 is compatible with a rate from 0.6 to 80.6 %"
    )


def test_sensitivity_and_specificity_are_paired() -> None:
    found, parity = figures_of(), parity_of()
    positive = parity.labels == 1
    before, after = parity.refers_keras, parity.refers_tflite
    assert found.sensitivity_difference == share_difference(before[positive], after[positive])
    assert found.sensitivity_difference is not None
    assert found.sensitivity_difference.value == 0  # one lost, one found
    assert found.specificity_difference == share_difference(~before[~positive], ~after[~positive])
    assert found.specificity_difference is not None
    assert found.specificity_difference.value == pytest.approx(-1 / 5)  # two referred, one spared
    assert found.auc_difference == Difference(
        *auc_difference(parity.labels, parity.score_tflite, parity.score_keras)
    )


def test_mcnemars_tests_tell_which_way_decisions_went() -> None:
    found, parity = figures_of(), parity_of()
    decisions, right = found.tests["decisions"], found.tests["specificity"]
    assert decisions is not None
    assert right is not None
    assert (decisions.lost, decisions.gained) == (2, 3)
    assert decisions == mcnemar(parity.refers_keras, parity.refers_tflite)
    assert (right.lost, right.gained) == (2, 1)
    sensitivity = found.tests["sensitivity"]
    assert sensitivity is not None
    assert (sensitivity.lost, sensitivity.gained, sensitivity.p) == (1, 1, 1.0)


def test_ranks_and_bands_and_groups() -> None:
    found, parity = figures_of(), parity_of()
    wanted = spearmanr(parity.score_keras, parity.score_tflite).statistic
    assert found.rank_correlation == pytest.approx(wanted)
    assert sum(band.flips.of for band in found.bands) == 9
    near = [band for band in found.margins if band.flips.of and band.high <= 0.05]
    assert sum(band.flips.of for band in near) == 2  # p_edge and n_referred
    assert [group.name for group in found.groups["class"]] == [
        "carcinoma",
        "keratosis",
        "melanoma",
        "nevus",
    ]
    worst = found.worst["newly_referred"]
    assert worst is not None
    assert (worst.name, worst.found.count, worst.found.of, worst.too_few) == ("nevus", 2, 3, True)
    missed = found.worst["newly_missed"]
    assert missed is not None
    assert (missed.name, missed.found.of) == ("melanoma", 3)


@pytest.mark.parametrize(
    ("step", "within"),
    [(0.004, 0), (0.0101, 1), (0.06, 1), (0.13, 3), (0.3, 5)],
)
def test_flips_within_one_level_of_the_threshold(step: float, within: int) -> None:
    """n_referred lies within 0.01 on both sides; n_referred_too and p_missed within 0.12."""
    found = figures_of(levels=ScoreLevels(256, step, 0.5))
    assert found.within_one_level == within
    assert found.to_json()["levels"] == {
        "count": 256,
        "step": step,
        "threshold": 0.5,
        "flips_within_one": within,
    }
    assert found.counts["flips"].count == 5  # they count all the same


def test_clusters_reach_every_interval_and_test() -> None:
    clusters = [0, 0, 0, 1, 1, 2, 2, 2, 3]
    found, plain = figures_of(clusters), figures_of()
    numbers, flipped = np.array(clusters), parity_of().flipped
    assert found.counts["flips"] == counted(flipped, np.ones(9, bool), numbers)
    for name in ("sensitivity", "specificity", "decisions"):
        test, loose = found.tests[name], plain.tests[name]
        assert test is not None
        assert loose is not None
        assert (test.lost, test.gained) == (loose.lost, loose.gained)
    positive = parity_of().labels == 1
    before, after = parity_of().refers_keras, parity_of().refers_tflite
    assert found.sensitivity_difference == share_difference(
        before[positive], after[positive], numbers[positive]
    )
    assert found.tests["decisions"] == mcnemar(before, after, numbers)
    assert found.groups != plain.groups
    assert found.bands != plain.bands


@pytest.mark.parametrize("label", [0, 1])
def test_one_label_leaves_out_what_it_cannot_say(label: int) -> None:
    files, scores = ["a", "b", "c"], [0.9, 0.2, 0.4]
    parity = score_parity(files, [label] * 3, scores, [0.8, 0.6, 0.4], 0.5)
    listed = [LabelledImage(Path(name), label, "", {}) for name in files]
    body = score_figures(parity, listed).to_json()
    kind, other = ("missed", "referred") if label else ("referred", "missed")
    assert body[f"newly_{kind}_rate"]["of"] == 3
    assert body[f"newly_{other}_rate"] is body["power"][f"newly_{other}"] is None
    names = ("sensitivity", "specificity")
    there, absent = names if label else names[::-1]
    assert body[f"{there}_difference"] is not None
    assert body[f"{absent}_difference"] is body["mcnemar"][absent] is None
    assert body["groups"] == {}
    assert set(body["worst_group"].values()) == {None}
    assert json.loads(json.dumps(body, allow_nan=False)) == body


def test_patients_stand_in_the_sentence() -> None:
    found = score_figures(parity_of([0, 0, 0, 1, 1, 2, 2, 2, 3]), images(), "patients")
    assert found.power["flips"] is not None
    assert found.power["flips"].startswith("5 flips in 9 images of 4 patients is compatible")
    assert found.power["newly_missed"] is not None
    assert "in 4 images labelled 1 of 2 patients is" in found.power["newly_missed"]
