"""A classifier of several labels: which label is decided for, and when none is."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lesionlite_runtime import Classifier, Failure, LabelClassifier, LabelsResult
from lesionlite_runtime.contract_fields import LabelThresholds
from lesionlite_runtime.door import open_model
from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError
from lesionlite_runtime.interpreter import BACKENDS, installed_backends
from lesionlite_runtime.label_classifier import decide, open_classifier

LABELS = ("red", "green", "blue")
Write = Callable[..., Path]


@pytest.fixture
def write(tiny_labels: Any, tmp_path: Path) -> Write:
    """Writes the tiny classifier of three labels with changes to its contract."""

    def to_file(**changes: Any) -> Path:
        path = tmp_path / "changed.tflite"
        path.write_bytes(tiny_labels.file(body={**tiny_labels.body(), **changes}))
        return path

    return to_file


def png(*color: int) -> bytes:
    """A photo of one colour."""
    stream = io.BytesIO()
    Image.new("RGB", (60, 80), color).save(stream, "PNG")
    return stream.getvalue()


def needed(**values: float) -> dict[str, Any]:
    """A contract's thresholds of the labels."""
    return {"threshold": {"values": values, "rule": "by hand"}}


def decided(scores: list[list[float]], **values: float) -> list[int]:
    """The decisions for rows of scores."""
    thresholds = LabelThresholds(values, "by hand") if values else None
    return decide(np.array(scores), LABELS, thresholds).tolist()


def test_the_highest_score_decides() -> None:
    scores = [[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.1, 0.3, 0.2], [0.0, 0.0, 1e-9]]
    assert decided(scores) == [0, 2, 1, 2]
    assert decide(np.zeros((0, 3)), LABELS, None).tolist() == []


def test_of_equal_scores_the_first_label_wins() -> None:
    assert decided([[0.5, 0.5, 0.5], [0.1, 0.4, 0.4]]) == [0, 1]
    assert decided([[0.5, 0.5, 0.5], [0.1, 0.4, 0.4]], red=0.6, green=0.4, blue=0.4) == [1, 1]


@pytest.mark.parametrize(
    ("scores", "decision"),
    [
        ([0.6, 0.3, 0.1], 0),
        ([0.5, 0.3, 0.2], 0),  # a score at its threshold reaches it
        ([0.499, 0.301, 0.2], 2),  # the highest score does not, the next one neither
        ([0.4, 0.45, 0.1], -1),
        ([0.9, 0.95, 0.2], 1),  # of those that reach theirs the highest
        ([0.0, 0.0, 0.0], -1),
    ],
)
def test_each_label_needs_its_own_threshold(scores: list[float], decision: int) -> None:
    assert decided([scores], red=0.5, green=0.9, blue=0.2) == [decision]


@given(
    scores=st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=5),
    values=st.lists(st.floats(0, 1), min_size=3, max_size=3),
)
def test_what_is_decided_reaches_its_threshold_and_nothing_higher_does(
    scores: list[list[float]], values: list[float]
) -> None:
    decisions = decided(scores, **dict(zip(LABELS, values, strict=True)))
    for row, decision in zip(scores, decisions, strict=True):
        reached = [i for i in range(3) if row[i] >= values[i]]
        assert decision == max(reached, key=lambda i: (row[i], -i), default=-1)
    assert decided(scores) == decided(scores, red=0, green=0, blue=0)


def test_a_photo_gets_its_scores_and_its_label(labels_file: Path) -> None:
    classifier = LabelClassifier(labels_file)
    result = classifier.classify(png(51, 204, 102), file="camera")
    assert isinstance(result, LabelsResult)
    assert (result.file, result.decision, result.findings) == ("camera", "green", ())
    assert result.scores == pytest.approx({"red": 0.2, "green": 0.8, "blue": 0.4}, abs=1e-6)
    assert list(result.scores) == ["red", "green", "blue"]
    assert result.model == classifier.model_id == open_model(labels_file).contract.model_id
    assert result.backend == classifier.backend == installed_backends()[0]
    scores = classifier.scores(classifier.tensor(np.full((40, 40, 3), (51, 204, 102), np.uint8)))
    assert scores.tolist() == list(result.scores.values())


def test_thresholds_come_from_the_contract(write: Write) -> None:
    classifier = LabelClassifier(write(**needed(red=0.5, green=0.9, blue=0.2)))
    assert classifier.classify(png(51, 204, 102)).decision == "blue"
    assert classifier.classify(png(51, 204, 5)).decision is None
    assert classifier.classify(png(51, 230, 255)).decision == "blue"
    assert classifier.classify(png(255, 0, 0)).decision == "red"


def test_a_score_at_its_threshold_reaches_it(write: Write) -> None:
    score = LabelClassifier(write()).classify(png(51, 0, 0)).scores["red"]
    for threshold, decision in ((score, "red"), (np.nextafter(score, 1), None)):
        path = write(**needed(red=float(threshold), green=1, blue=1))
        assert LabelClassifier(path).classify(png(51, 0, 0)).decision == decision


@pytest.mark.parametrize(("dtype", "zero"), [("uint8", 0), ("int8", -128)])
def test_a_model_of_integers_decides_by_what_they_stand_for(
    tiny_image_model: Any, tmp_path: Path, dtype: str, zero: int
) -> None:
    weights = [[1 / 256 if i == j else 0 for j in range(3)] for i in range(3)]
    levels = {"output_type": dtype, "output_levels": (1 / 256, zero)}
    values = {"red": 0.5, "green": 0.25, "blue": 1.0}
    path = tmp_path / "integers.tflite"
    path.write_bytes(
        tiny_image_model(weights, end=None, labels=LABELS, threshold=values, **levels).file()
    )
    classifier = LabelClassifier(path)
    result = classifier.classify(png(127, 64, 255))
    assert result.scores == {"red": 127 / 256, "green": 0.25, "blue": 255 / 256}
    assert result.decision == "green"
    assert classifier.classify(png(128, 63, 255)).decision == "red"
    assert classifier.classify(png(127, 63, 255)).decision is None


def test_a_model_without_a_proof_says_so(write: Write) -> None:
    assert LabelClassifier(write(parity=None)).classify(png(0, 0, 0)).findings == (
        "unproved_model",
    )


def test_a_bad_photo_is_a_failure_of_the_same_schema(labels_file: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.jpg"
    good.write_bytes(png(1, 2, 3))
    bad.write_text("no photo")
    outcomes = list(LabelClassifier(labels_file).classify_many([good, bad, good]))
    assert [type(outcome) for outcome in outcomes] == [LabelsResult, Failure, LabelsResult]
    shown = outcomes[1].to_json()
    assert shown["schema"] == outcomes[0].to_json()["schema"] == "lesionlite.labels_result/1"
    assert shown["error"]["message"].startswith(f"{bad}: ")
    assert not {"scores", "decision"} & set(shown)
    with pytest.raises(UnusableInput, match="camera: "):
        LabelClassifier(labels_file).classify(png(1, 2, 3)[:40], file="camera")


def test_other_models_are_refused(
    classifier_file: Path, regression_file: Path, labels_file: Path
) -> None:
    for path, task in ((classifier_file, "binary_classification"), (regression_file, "regression")):
        words = f"this is a model for {task}, not of several labels; use Classifier or Regressor"
        with pytest.raises(UnusableInput, match=words):
            LabelClassifier(path)
    with pytest.raises(UnusableInput, match="not an image classifier of two labels"):
        Classifier(labels_file)


def test_backend_and_threads_are_those_that_are_named(labels_file: Path) -> None:
    for name in installed_backends():
        assert LabelClassifier(labels_file, backend=name, threads=2).backend == name
    for name in set(BACKENDS) - set(installed_backends()):
        with pytest.raises(MissingHere):
            LabelClassifier(labels_file, backend=name)
    with pytest.raises(UsageError, match="0 threads are too few"):
        LabelClassifier(labels_file, threads=0)


def test_a_file_is_opened_as_what_it_is(
    labels_file: Path, classifier_file: Path, regression_file: Path
) -> None:
    assert isinstance(open_classifier(labels_file), LabelClassifier)
    two = open_classifier(classifier_file, threshold=0.25)
    assert isinstance(two, Classifier)
    assert two.threshold == 0.25
    shipped = open_classifier()
    assert isinstance(shipped, Classifier)
    assert shipped.model_id == Classifier().model_id
    with pytest.raises(UnusableInput, match="a model for regression, not an image classifier"):
        open_classifier(regression_file)
    with pytest.raises(UsageError, match="takes no threshold; leave out --threshold"):
        open_classifier(labels_file, threshold=0.5)
