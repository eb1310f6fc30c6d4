"""Two models of several labels, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export.gate import judge
from lesionlite_export.labels_parity import label_score_parity
from lesionlite_runtime.contract_fields import LabelThresholds
from lesionlite_runtime.errors import UnusableInput

LABELS = ("nevus", "melanoma", "keratosis")
KERAS = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.4, 0.35, 0.25]])
FILE = np.array([[0.6, 0.3, 0.1], [0.2, 0.38, 0.42], [0.1, 0.1, 0.8], [0.41, 0.33, 0.26]])
FILES = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


def test_figures_by_hand() -> None:
    parity = label_score_parity(FILES, LABELS, [0, 1, 2, 1], KERAS, FILE, None)
    assert parity.decisions_keras.tolist() == [0, 1, 2, 0]
    assert parity.decisions_tflite.tolist() == [0, 2, 2, 0]
    measures = parity.measures()
    assert measures["flip_rate"] == 0.25
    assert measures["accuracy_difference"] == pytest.approx(0.25)
    assert measures["max_score_error"] == pytest.approx(0.12)
    assert measures["mean_score_error"] == pytest.approx((0 + 0.12 + 0 + 0.02) / 4)
    body = parity.to_json()
    assert body["flips"]["files"] == ["b.jpg"]
    assert body["keras"]["accuracy"]["value"] == 0.75
    assert body["tflite"]["accuracy"]["value"] == 0.5
    kept = parity.for_contract({"flip_rate": 0.3})
    assert (kept.n, kept.flips, kept.accuracy_difference) == (4, 1, pytest.approx(-0.25))
    assert not judge(parity, {})
    assert judge(parity, {"flip_rate": 0.3, "accuracy_difference": 0.3, "mean_score_error": 0.1})


def test_thresholds_decide_where_the_contract_has_them() -> None:
    thresholds = LabelThresholds({"nevus": 0.5, "melanoma": 0.3, "keratosis": 0.5}, "by hand")
    parity = label_score_parity(FILES, LABELS, [0, 1, 2, 1], KERAS, FILE, thresholds)
    assert parity.decisions_keras.tolist() == [0, 1, 2, 1]
    assert parity.decisions_tflite.tolist() == [0, 1, 2, 1]
    assert parity.measures()["flip_rate"] == 0


def test_a_reference_with_a_rule_of_its_own_decides_by_it() -> None:
    decided = np.array([0, 1, -1, 0])
    parity = label_score_parity(FILES, LABELS, [0, 1, 2, 1], KERAS, KERAS, None, None, decided)
    assert parity.decisions_keras.tolist() == [0, 1, -1, 0]
    assert parity.flipped.tolist() == [False, False, True, False]
    assert parity.newly_right.tolist() == [False, False, True, False]


@pytest.mark.parametrize("n", [50, 100, 150, 200, 250, 300, 1000])
def test_a_difference_of_the_limit_itself_is_within_it(n: int) -> None:
    """Whatever the two accuracies, whose difference rounds to either side of it."""
    names, scores = [f"{i}.jpg" for i in range(n)], np.zeros((n, 3))
    lost = n // 50
    for right in range(lost, n + 1, 7):
        keras, file = (np.where(np.arange(n) < count, 0, 1) for count in (right, right - lost))
        labels = [0] * n
        parity = label_score_parity(
            names, LABELS, labels, scores, one_hot(file), None, None, np.asarray(keras, np.int64)
        )
        assert parity.measures()["accuracy_difference"] == 0.02


def one_hot(decided: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.eye(3)[decided]


def test_columns_name_both_scores_of_every_label() -> None:
    parity = label_score_parity(FILES, LABELS, [0, 1, 2, 1], KERAS, FILE, None)
    columns = parity.columns()
    assert columns["label"] == ["nevus", "melanoma", "keratosis", "melanoma"]
    assert columns["score_tflite_melanoma"].tolist() == FILE[:, 1].tolist()
    assert columns["flipped"].tolist() == [0, 1, 0, 0]


def test_no_number_and_no_image_are_refused() -> None:
    broken = FILE.copy()
    broken[2, 1] = np.nan
    with pytest.raises(UnusableInput, match=r"c.jpg: the TFLite file gives no number"):
        label_score_parity(FILES, LABELS, [0, 1, 2, 1], KERAS, broken, None)
    with pytest.raises(UnusableInput, match="there is no image"):
        label_score_parity([], LABELS, [], KERAS[:0], FILE[:0], None)
