"""A verification in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lesionlite_export.comparability import Side
from lesionlite_export.gate import judge
from lesionlite_export.label_figures import label_figures
from lesionlite_export.labels_parity import label_score_parity
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.parity import ValueParity, score_parity
from lesionlite_export.sample import cluster
from lesionlite_export.score_figures import score_figures
from lesionlite_export.score_levels import ScoreLevels
from lesionlite_export.seen import SeenImages
from lesionlite_export.verification_rendering import verification_lines
from lesionlite_export.verification_result import ProofSet, Verification

REFERENCE = Side("keras", "m.keras", "1" * 12, "1" * 64, None, 0.5)
CANDIDATE = Side("tflite", "m.tflite", "a" * 12, "1" * 64, "int8-full", 0.5)
NOTHING: dict[str, tuple[str, ...]] = {"training": (), "calibration": ()}
LISTED = {"training": (), "calibration": ("x/m.representative.csv",)}
IMAGES = tuple(
    LabelledImage(Path(f"{i}.jpg"), int(i < 30), "melanoma" if i < 30 else "nevus", {})
    for i in range(148)
)


def result_of(flips: int = 0, images: tuple[LabelledImage, ...] = IMAGES) -> Verification:
    """148 images, of whose nevi the first ``flips`` are newly referred."""
    keras = np.array([0.8] * 30 + [0.2] * 118)
    tflite = keras + 0.01
    tflite[30 : 30 + flips] = 0.9
    clusters = cluster(images)
    parity = score_parity(
        [str(image.path) for image in images],
        [image.label for image in images],
        keras.tolist(),
        tflite.tolist(),
        0.5,
        clusters=clusters.of_image,
    )
    figures = score_figures(parity, images, clusters.plural, ScoreLevels(256, 1 / 256, 0.5))
    proof = ProofSet(
        "v.csv", clusters, SeenImages(LISTED, NOTHING), {}, images, ("0" * 64,) * 148, (None,) * 148
    )
    return Verification(REFERENCE, CANDIDATE, "litert", parity, figures, judge(parity, {}), proof)


def lines_of(result: Verification) -> list[str]:
    return list(verification_lines(result))


def test_both_sides_and_their_origin_come_first_and_the_verdict_last() -> None:
    lines = lines_of(result_of())
    assert lines[:4] == [
        "reference  m.keras, Keras network 111111111111",
        "file       m.tflite, model aaaaaaaaaaaa, recipe int8-full, in litert",
        "origin     both are of one network",
        "images     148, 30 of them labelled 1",
    ]
    assert lines[-1] == "proof      passed"
    assert "power      0 flips in 148 images is compatible with a rate up to 2.5 %" in lines
    assert "limit      flip_rate 0: within 0.05" in lines


def test_figures_in_words() -> None:
    lines = lines_of(result_of(flips=2))
    assert "difference sensitivity +0.0000 (95 % interval -0.1135 to +0.1135)" in lines
    assert "difference specificity -0.0169 (95 % interval -0.0597 to +0.0151)" in lines
    assert "McNemar    referrals: 0 lost, 2 gained, p = 0.5" in lines
    assert (
        "worst      newly referred: class nevus, 2 of 118, 1.7 % (95 % interval 0.2 to 6.0 %)"
        in (lines)
    )
    assert f"{'':<10} class nevus: 2 of 118 flipped, 2 of 118 newly referred" in lines
    assert "score      0.2 to 0.3: 118 images, 2 flipped, mean error 0.0217, bias +0.0217" in lines
    assert (
        "levels     the score has 256, 0.00391 apart: 0.50000 is the threshold in effect; 0 flips "
        "lie within one level, and count"
    ) in lines
    assert "seen       nothing says which images it was trained on; --training does" in lines
    assert "seen       no image is among those of the calibration (m.representative.csv)" in lines


@pytest.mark.parametrize(
    ("side", "line"),
    [
        ({"network_sha256": "2" * 64}, "ANOTHER NETWORK: this compares two models, not a model"),
        ({"kind": "tflite", "model": "a" * 12}, "the same file"),
        (
            {"kind": "recorded", "network_sha256": None},
            "not known: the recorded scores do not say which network they are of",
        ),
    ],
)
def test_the_origin_in_words(side: dict[str, str], line: str) -> None:
    other = replace(result_of(), reference=replace(REFERENCE, **side))
    lines = lines_of(other)
    assert lines[2].startswith(f"origin     {line}")
    reference = "Keras" if other.reference.kind == "keras" else "reference"
    assert any(text.startswith(f"{reference:<10} AUC ") for text in lines)


def test_patients_are_named() -> None:
    facts = [{"patient_id": f"P{i // 2}"} for i in range(148)]
    images = tuple(replace(i, facts=f) for i, f in zip(IMAGES, facts, strict=True))
    lines = lines_of(result_of(images=images))
    assert (
        "clusters   74 patients: images of one are no independent ones, and the intervals say so"
    ) in lines
    assert any("0 flips in 148 images of 74 patients is compatible" in line for line in lines)


def test_a_failed_proof_and_missing_scores_are_told() -> None:
    result = result_of(flips=20)
    failed = replace(result, unscored=2, verdict=judge(result.parity, {}, 2))
    lines = lines_of(failed)
    assert "limit      flip_rate 0.1351: OVER 0.05" in lines
    assert "limit      no score for 2 images by the file: OVER 0" in lines
    assert lines[-1] == "proof      FAILED"


def test_images_that_were_seen_are_shouted() -> None:
    result = result_of()
    assert result.proof_set is not None
    files = {"training": ("a.jpg",), "calibration": ()}
    seen = SeenImages({"training": ("m.keras",), "calibration": ()}, files, True)
    lines = lines_of(replace(result, proof_set=replace(result.proof_set, seen=seen)))
    assert "seen       1 images ARE AMONG THOSE OF THE TRAINING" in lines


def test_only_the_first_flips_are_listed() -> None:
    lines = lines_of(result_of(flips=33))
    assert sum(": Keras 0.2000, file 0.9000" in line for line in lines) == 20
    assert f"{'':<10} and 13 more" in lines


def test_several_labels_and_a_regression() -> None:
    scores = np.tile([0.6, 0.3, 0.1], (148, 1))
    labels = [image.label for image in IMAGES]
    parity = label_score_parity(
        [str(i) for i in labels], ("a", "b", "c"), labels, scores, scores, None
    )
    result = result_of()
    figures = label_figures(parity, IMAGES)
    several = replace(result, parity=parity, figures=figures, verdict=judge(parity, {}))
    lines = lines_of(several)
    assert "difference accuracy +0.0000 (95 % interval -0.0253 to +0.0253)" in lines
    assert "McNemar    right decisions: 0 lost, 0 gained, p = 1" in lines

    x = np.linspace(0, 1, 5)
    values = ValueParity(x, x, x)
    line = replace(result, parity=values, figures=None, proof_set=None, verdict=judge(values, {}))
    shown = lines_of(line)
    assert shown[3] == "values     5 points from 0 to 1"
    assert shown[-1] == "proof      passed"
