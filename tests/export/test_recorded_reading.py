"""Recorded scores as they come: whole, torn, of another version, of two models at once."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlite_export.recorded import is_recorded
from lesionlite_export.recorded_reading import read_recorded
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.result import Failure, Result

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
MODEL = "0123456789ab"


def result(sha256: str, score: Any, **other: Any) -> dict[str, Any]:
    """What `lesionlite classify --json` writes of a photo."""
    made = Result("p.jpg", sha256, 0.5, 0.25, "refer", (), MODEL, "litert", 1.0, 2.0).to_json()
    return {**made, "score": score, **other}


def recorded(pixels: str | None, score: Any, **other: Any) -> dict[str, Any]:
    return {"schema": "lesionlite.recorded/1", "pixels_sha256": pixels, "score": score, **other}


def written(path: Path, *lines: dict[str, Any] | str) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scores.jsonl"


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("a.jsonl", True),
        ("a.JSONL", True),
        ("a.ndjson", True),
        ("a.json", True),
        ("a.keras", False),
        ("a.tflite", False),
        ("a.csv", False),
        ("a", False),
    ],
)
def test_a_name_says_what_a_file_is(name: str, is_one: bool) -> None:
    assert is_recorded(name) == is_one


def test_results_of_classify_are_read(path: Path) -> None:
    error = UnusableInput("this is no image", "save it anew", "x/bad.jpg")
    failure = Failure("x/bad.jpg", error, MODEL, "litert").to_json()
    found = read_recorded(written(path, result(A, 0.3), failure, "", result(B, 1)))
    assert (found.path, found.model, found.threshold) == (str(path), MODEL, 0.25)
    assert found.network_sha256 is found.score_of is None
    assert [(s.line, s.sha256, dict(s.scores)) for s in found.scores] == [
        (1, A, {"": 0.3}),
        (4, B, {"": 1.0}),
    ]
    assert found.failures == {"bad.jpg": "x/bad.jpg: this is no image; save it anew"}
    assert found.labels == found.faults == ()


def test_a_byte_order_mark_is_no_part_of_the_first_line(path: Path) -> None:
    path.write_bytes(codecs.BOM_UTF8 + written(path, result(A, 0.3), result(B, 1)).read_bytes())
    found = read_recorded(path)
    assert [score.sha256 for score in found.scores] == [A, B]
    assert found.faults == ()


def test_scores_of_anybody_need_a_digest_and_a_score_alone(path: Path) -> None:
    found = read_recorded(written(path, recorded(A, 0.5), recorded(B, 0, sha256=C)))
    assert (found.model, found.threshold, found.labels) == (None, None, ())
    assert [(s.pixels_sha256, s.sha256) for s in found.scores] == [(A, None), (B, C)]


def test_scores_of_several_labels(path: Path) -> None:
    line = {"schema": "lesionlite.labels_result/1", "sha256": A, "model": MODEL, "threshold": None}
    line["scores"] = {"nevus": 0.7, "melanoma": 0.2, "other": 0.1}
    line["decision"] = "nevus"
    del line["threshold"]
    found = read_recorded(written(path, line))
    assert found.labels == ("nevus", "melanoma", "other")
    assert found.scores[0].scores == line["scores"]
    assert found.scores[0].decision == "nevus"
    none = {**line, "sha256": B, "decision": None}
    silent = {**none, "sha256": C}
    del silent["decision"]
    found = read_recorded(written(path, line, none, silent, {**line, "decision": "wart"}))
    assert [score.decision for score in found.scores] == ["nevus", "", None]
    assert "line 4: its decision 'wart' is none of its labels" in str(found.faults[0])


TORN = json.dumps(result(B, 0.4))[:60]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (TORN, "line 2: it was cut off; "),
        ('{"schema": x}', "this is no valid JSON (Expecting value"),
        ("[1, 2]", "this is no JSON object"),
        ('{"schema": "lesionlite.recorded/1", "score": NaN}', "NaN is no JSON number"),
        (recorded(B, 1.5), "1.5 is no number from 0 to 1"),
        (recorded(B, -0.1), "-0.1 is no number from 0 to 1"),
        (recorded(B, "0.5"), "'0.5' is no number from 0 to 1"),
        (recorded(B, None), "None is no number from 0 to 1"),
        (recorded(B, True), "True is no number from 0 to 1"),
        (recorded(B, 0.5, threshold=2), "2 is no number from 0 to 1"),
        (recorded(B.upper(), 0.5), "pixels_sha256 is no digest"),
        (recorded(B, 0.5, model="x"), "model is no digest"),
        (recorded(B, 0.5, sha256=7), "sha256 is no digest"),
        ({"schema": "lesionlite.recorded/1", "score": 0.5}, "neither sha256 nor pixels_sha256"),
        (recorded(None, 0.5, sha256=None), "neither sha256 nor pixels_sha256"),
        (recorded(B, 0.5, scores=[1]), "its scores are no object of numbers by label"),
        (recorded(B, 0.5, scores={}), "its scores are no object of numbers by label"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_and_the_rest_goes_on(
    path: Path, line: dict[str, Any] | str, words: str
) -> None:
    found = read_recorded(written(path, recorded(A, 0.3), line, recorded(C, 0.4)))
    assert [s.pixels_sha256 for s in found.scores] == [A, C]
    (fault,) = found.faults
    assert str(fault).startswith(f"{path}: line 2: ")
    assert words in str(fault)
    assert str(fault).count("\n") == 0
    with pytest.raises(UnusableInput) as caught:
        read_recorded(written(path, line))
    assert words.removeprefix("line 2: ") in str(caught.value)


def test_a_last_line_without_its_end_is_a_torn_one(path: Path) -> None:
    whole = written(path, recorded(A, 0.3), recorded(B, 0.4)).read_bytes()
    path.write_bytes(whole[:-20])
    found = read_recorded(path)
    assert [s.line for s in found.scores] == [1]
    assert "line 2: it was cut off; " in str(found.faults[0])
    path.write_bytes(whole[:-1])  # the line itself is whole
    assert read_recorded(path).faults == ()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "the file is empty"),
        (["  "], "there is no score in it"),
        (
            [recorded(A, 0.1), {**recorded(B, 0.1), "schema": "lesionlite.recorded/2"}],
            "line 2 has the schema 'lesionlite.recorded/2'; this version reads lesionlite.recorded",
        ),
        ([{"score": 0.5}], "line 1 has the schema None"),
        (
            [result(A, 0.1), result(B, 0.1, model="b" * 12)],
            f"lines 1 and 2 differ in model ('{MODEL}', then '{'b' * 12}')",
        ),
        (
            [result(A, 0.1), result(B, 0.1, threshold=0.3)],
            "lines 1 and 2 differ in threshold (0.25, then 0.3)",
        ),
        (
            [recorded(A, 0.1), {**recorded(B, 0.1), "scores": {"a": 1}}],
            "lines 1 and 2 differ in labels ((), then ('a',))",
        ),
        (
            [recorded(A, 0.1, score_of="malignant"), recorded(B, 0.1, score_of="benign")],
            "lines 1 and 2 differ in score_of ('malignant', then 'benign')",
        ),
    ],
)
def test_a_file_that_is_no_one_models_record_is_refused(
    path: Path, lines: list[dict[str, Any] | str], words: str
) -> None:
    written(path, *lines) if lines else path.write_bytes(b"")
    with pytest.raises(UnusableInput) as caught:
        read_recorded(path)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_failure_of_another_model_is_refused_too(path: Path) -> None:
    error = UnusableInput("bad", "", "b.jpg")
    other = Failure("b.jpg", error, "b" * 12, "litert").to_json()
    with pytest.raises(UnusableInput, match="lines 1 and 2 differ in model"):
        read_recorded(written(path, result(A, 0.1), other))


@given(st.binary(max_size=200))
def test_no_bytes_are_a_bug(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(data)
    with pytest.raises(UnusableInput) as caught:
        read_recorded(path)
    assert str(caught.value).isprintable()
