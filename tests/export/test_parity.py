"""Two models' scores on the same images: figures on numbers whose answers are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lesionlite_export.gate import judge
from lesionlite_export.parity import ScoreParity, ValueParity, score_parity
from lesionlite_export.rendering import interval_text, parity_lines
from lesionlite_export.statistics import auc, auc_difference, operating_point, proportion
from lesionlite_runtime.errors import UnusableInput

#         label keras tflite
IMAGES = {
    "p_kept": (1, 0.90, 0.88),
    "p_missed": (1, 0.60, 0.49),
    "p_edge": (1, 0.50, 0.50),
    "p_found": (1, 0.30, 0.55),
    "n_kept": (0, 0.10, 0.12),
    "n_referred": (0, 0.49, 0.51),
    "n_spared": (0, 0.70, 0.40),
    "n_high": (0, 0.80, 0.80),
}


@pytest.fixture
def parity() -> ScoreParity:
    labels, keras, tflite = zip(*IMAGES.values(), strict=True)
    return score_parity(list(IMAGES), labels, keras, tflite, 0.5)


def test_flips_by_kind(parity: ScoreParity) -> None:
    def named(mask: np.ndarray) -> list[str]:
        return [file for file, chosen in zip(parity.files, mask, strict=True) if chosen]

    assert named(parity.flipped) == ["p_missed", "p_found", "n_referred", "n_spared"]
    assert named(parity.newly_missed) == ["p_missed"]
    assert named(parity.newly_found) == ["p_found"]
    assert named(parity.newly_referred) == ["n_referred"]
    assert named(parity.newly_spared) == ["n_spared"]


def test_a_reference_may_decide_by_another_threshold(parity: ScoreParity) -> None:
    labels, keras, tflite = zip(*IMAGES.values(), strict=True)
    other = score_parity(list(IMAGES), labels, keras, tflite, 0.5, reference_threshold=0.75)
    assert [f for f, x in zip(other.files, other.flipped, strict=True) if x] == [
        "p_edge",
        "p_found",
        "n_referred",
    ]
    assert other.figures_keras().operating == operating_point(
        parity.labels, parity.score_keras, 0.75
    )
    assert other.figures_tflite() == parity.figures_tflite()


def test_clusters_reach_every_interval(parity: ScoreParity) -> None:
    labels, keras, tflite = zip(*(3 * list(IMAGES.values())), strict=True)
    clusters = np.tile(np.arange(8), 3)
    tied = score_parity(["f"] * 24, labels, keras, tflite, 0.5, clusters=clusters)
    once, three = parity.to_json(), tied.to_json()
    assert three["flips"]["low"] == pytest.approx(once["flips"]["low"])
    for side in ("keras", "tflite"):
        for name in ("auc", "sensitivity", "specificity"):
            assert three[side][name] == pytest.approx(once[side][name])
    assert three["auc_difference"] == pytest.approx(once["auc_difference"])


def test_measures(parity: ScoreParity) -> None:
    errors = [0.02, 0.11, 0.0, 0.25, 0.02, 0.02, 0.30, 0.0]
    measures = parity.measures()
    assert measures["flip_rate"] == 0.5
    assert measures["newly_missed_rate"] == 0.25
    assert measures["mean_score_error"] == pytest.approx(sum(errors) / 8)
    assert measures["max_score_error"] == pytest.approx(0.30)
    # Keras wins 4 + 2 + 2 + 1 of 16 pairs, the file 4 + 2 + 2 + 3.
    assert measures["auc_difference"] == pytest.approx(11 / 16 - 9 / 16)


def test_the_json_has_the_keys_of_the_schema_and_no_other(parity: ScoreParity) -> None:
    body = {**parity.to_json(), **judge(parity, {}).to_json()}
    assert json.loads(json.dumps(body, allow_nan=False)) == body
    assert set(body) == {
        "schema",
        "n",
        "positives",
        "threshold",
        "passed",
        "flips",
        "score_error",
        "keras",
        "tflite",
        "auc_difference",
        "limits",
        "would_pass",
    }
    assert body["schema"] == "lesionlite.verify/1"
    assert (body["n"], body["positives"], body["threshold"]) == (8, 4, 0.5)
    assert body["passed"] is False
    rate = proportion(4, 8)
    assert body["flips"] == {
        "count": 4,
        "rate": 0.5,
        "low": rate.low,
        "high": rate.high,
        "newly_missed": 1,
        "newly_found": 1,
        "newly_referred": 1,
        "newly_spared": 1,
        "files": ["p_missed", "p_found", "n_referred", "n_spared"],
    }
    assert body["score_error"] == {
        "max": pytest.approx(0.30),
        "mean": pytest.approx(0.09),
        "p99": pytest.approx(0.30 - 0.07 * 0.05),  # 99 % of the way from rank 1 to rank 8
        "bias": pytest.approx((-0.02 - 0.11 + 0.25 + 0.02 + 0.02 - 0.30) / 8),
    }
    for name in ("keras", "tflite"):
        assert set(body[name]) == {"auc", "sensitivity", "specificity", "confusion"}
        assert set(body[name]["auc"]) == {"value", "low", "high"}
    assert body["keras"]["sensitivity"]["value"] == 0.75
    assert body["keras"]["specificity"]["value"] == 0.5
    assert body["tflite"]["confusion"] == {
        "true_positives": 3,
        "false_negatives": 1,
        "true_negatives": 2,
        "false_positives": 2,
    }
    value, low, high = auc_difference(parity.labels, parity.score_tflite, parity.score_keras)
    assert body["auc_difference"] == {"value": value, "low": low, "high": high}
    assert value == pytest.approx(2 / 16)


def test_figures_are_each_models_own(parity: ScoreParity) -> None:
    pairs = (
        (parity.figures_keras(), parity.score_keras),
        (parity.figures_tflite(), parity.score_tflite),
    )
    for figures, scores in pairs:
        assert figures.auc == auc(parity.labels, scores)
        assert figures.operating == operating_point(parity.labels, scores, 0.5)


def test_the_99th_percentile_passes_over_the_one_worst_of_many() -> None:
    tflite = np.full(301, 0.51)
    tflite[:2] = 0.9
    parity = score_parity(["f"] * 301, [0, 1] * 150 + [1], [0.5] * 301, tflite.tolist(), 0.2)
    assert parity.to_json()["score_error"]["p99"] == pytest.approx(0.01)


def test_what_goes_into_the_contract(parity: ScoreParity) -> None:
    kept = parity.for_contract({"flip_rate": 0.05, "auc_difference": None})
    assert (kept.n, kept.positives, kept.flips, kept.newly_missed) == (8, 4, 4, 1)
    assert kept.auc_difference == pytest.approx(2 / 16)
    assert kept.mean_score_error == pytest.approx(0.09)
    assert kept.max_score_error == pytest.approx(0.30)
    assert kept.limits == {"flip_rate": 0.05, "auc_difference": None}


def test_a_file_that_is_worse_has_a_negative_difference() -> None:
    parity = score_parity(["a", "b"], [1, 0], [0.9, 0.1], [0.1, 0.9], 0.5)
    assert parity.auc_difference() == (-1.0, -1.0, pytest.approx(0.96, abs=1e-4))
    assert parity.measures()["auc_difference"] == 1.0


def test_one_label_has_no_auc_and_says_so() -> None:
    parity = score_parity(["a", "b"], [0, 0], [0.9, 0.1], [0.8, 0.1], 0.5)
    body = parity.to_json()
    assert body["auc_difference"] is None
    assert body["keras"]["auc"] is body["keras"]["sensitivity"] is None
    assert body["keras"]["specificity"]["value"] == 0.5
    assert parity.measures()["auc_difference"] is None
    assert parity.measures()["newly_missed_rate"] is None
    assert parity.for_contract({}).auc_difference is None
    text = "\n".join(parity_lines(parity, judge(parity, {})))
    assert "AUC not defined (one label only)" in text
    assert "difference AUC" not in text
    for name in ("newly_missed_rate", "auc_difference"):
        assert f"limit      {name}: not defined on these images" in text
    cases = score_parity(["a", "b"], [1, 1], [0.9, 0.1], [0.8, 0.1], 0.5)
    assert cases.measures()["newly_missed_rate"] == 0.0


def test_columns_are_a_row_an_image(parity: ScoreParity) -> None:
    columns = parity.columns()
    assert list(columns) == [
        "filepath",
        "label",
        "score_keras",
        "score_tflite",
        "error",
        "flipped",
    ]
    assert columns["error"].tolist() == parity.errors.tolist()
    assert columns["flipped"].tolist() == [0, 1, 0, 1, 0, 1, 1, 0]


@pytest.mark.parametrize(
    ("keras", "tflite", "words"),
    [
        ([0.1, float("nan")], [0.1, 0.2], "b.jpg: the Keras model gives no number"),
        ([0.1, 0.2], [float("inf"), 0.2], "a.jpg: the TFLite file gives no number"),
    ],
)
def test_scores_that_are_no_numbers(keras: list[float], tflite: list[float], words: str) -> None:
    with pytest.raises(UnusableInput, match=words):
        score_parity(["a.jpg", "b.jpg"], [0, 1], keras, tflite, 0.5)


def test_no_image() -> None:
    with pytest.raises(UnusableInput, match="there is no image to compare the models on"):
        score_parity([], [], [], [], 0.5)


@pytest.fixture
def values() -> ValueParity:
    x = np.array([-2.0, 0.0, 1.0, 3.0])
    return ValueParity(x, np.array([-8.0, 0.0, 1.0, 4.0]), np.array([-8.4, 0.2, 1.0, 4.0]))


def test_errors_of_a_regression(values: ValueParity) -> None:
    assert values.measures() == {
        "max_absolute_error": pytest.approx(0.4),
        "mean_absolute_error": pytest.approx(0.15),
        "max_relative_error": pytest.approx(0.05),
        "mean_relative_error": pytest.approx(0.15 / 8),
    }
    assert values.to_json() == {
        "schema": "lesionlite.verify/1",
        "n": 4,
        "range": [-2.0, 3.0],
        "value_error": values.measures(),
    }
    assert list(values.columns()) == ["x", "y_keras", "y_tflite"]
    kept = values.for_contract({"max_relative_error": 0.1})
    assert (kept.n, kept.max_absolute_error) == (4, pytest.approx(0.4))
    assert kept.limits == {"max_relative_error": 0.1}


def test_a_regression_that_is_zero_everywhere_has_absolute_errors() -> None:
    zero = np.zeros(3)
    measures = ValueParity(np.arange(3.0), zero, zero + 0.1).measures()
    assert measures["max_relative_error"] == pytest.approx(0.1)


def test_the_comparison_in_words(parity: ScoreParity, values: ValueParity) -> None:
    lines = list(parity_lines(parity, judge(parity, {"auc_difference": None})))
    assert lines[0] == "images     8, 4 of them labelled 1"
    assert lines[2] == (
        "decisions  4 of 8 flipped, 50.0 % (95 % interval 15.7 to 84.3 %): "
        "1 newly missed, 1 newly found, 1 newly referred, 1 newly spared"
    )
    assert f"{'':<10} p_missed: Keras 0.6000, file 0.4900" in lines
    assert "scores     mean error 0.0900, 99 % up to 0.2965, largest 0.3000, bias -0.0175" in lines
    assert "limit      flip_rate 0.5: OVER 0.05" in lines
    assert "limit      auc_difference: not gated" in lines
    assert lines[-1] == "proof      FAILED"

    within = list(parity_lines(values, judge(values, {"max_relative_error": 0.1})))
    assert within[0] == "values     4 points from -2 to 3"
    assert "limit      max_relative_error 0.05: within 0.1" in within
    assert within[-1] == "proof      passed"


def test_an_interval_in_words() -> None:
    assert interval_text(proportion(15, 148)) == "0.101 (0.058 to 0.162)"
