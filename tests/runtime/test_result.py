"""What a run says about a photo: the design's keys, one line, no diagnosis."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lesionlite_runtime.codec import json_line
from lesionlite_runtime.errors import LesionliteError, MissingHere, UnusableInput
from lesionlite_runtime.result import (
    LABELS_RESULT_SCHEMA,
    RESEARCH_NOTE,
    Failure,
    LabelsResult,
    Result,
)

KEYS = [
    "schema", "file", "sha256", "score", "threshold", "decision", "findings", "model", "backend",
    "decode_ms", "invoke_ms",
]  # fmt: skip
RESULT = Result(
    file="photo.jpg",
    sha256="ab" * 32,
    score=0.123456789,
    threshold=0.25,
    decision="no_referral",
    findings=(),
    model="0123456789ab",
    backend="litert",
    decode_ms=1.23456,
    invoke_ms=2,
)

LABELS_RESULT = LabelsResult(
    file="photo.jpg",
    sha256="ab" * 32,
    scores={"nevus": 0.25, "melanoma": 0.625, "keratosis": 0.1, "scar": 0.25},
    decision="melanoma",
    findings=(),
    model="0123456789ab",
    backend="litert",
    decode_ms=1.23456,
    invoke_ms=2,
)


def test_a_result_has_the_keys_of_its_schema_in_order() -> None:
    value = RESULT.to_json()
    assert list(value) == KEYS
    assert value["schema"] == "lesionlite.result/1"
    assert value["score"] == 0.123456789  # in full: it is compared to the threshold
    assert (value["decode_ms"], value["invoke_ms"]) == (1.235, 2)
    assert value["findings"] == []
    assert json.loads(json_line(value)) == value


def test_a_failure_has_an_error_and_no_score() -> None:
    error = UnusableInput("it is damaged", "take it again", "photo.jpg")
    value = Failure("photo.jpg", error, "0123456789ab", "litert").to_json()
    assert value == {
        "schema": "lesionlite.result/1",
        "file": "photo.jpg",
        "error": {"code": "unusable_input", "message": "photo.jpg: it is damaged; take it again"},
        "model": "0123456789ab",
        "backend": "litert",
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LesionliteError("x"), "bug"),
        (UnusableInput("x"), "unusable_input"),
        (MissingHere("x"), "missing_here"),
    ],
)
def test_an_error_s_code_names_its_class(error: LesionliteError, code: str) -> None:
    assert Failure("a", error, "m", "b").to_json()["error"]["code"] == code


def test_the_text_gives_score_threshold_decision_model_and_backend() -> None:
    assert RESULT.to_text() == (
        "photo.jpg: score 0.1235, threshold 0.2500: no referral at this threshold"
        " · model 0123456789ab · litert"
    )
    refer = replace(RESULT, decision="refer", score=0.5)
    assert "score 0.5000, threshold 0.2500: refer · model" in refer.to_text()


def test_an_unproved_model_shows_in_text_and_json() -> None:
    unproved = replace(RESULT, findings=("unproved_model",))
    assert unproved.to_text().endswith(" · litert · this model is unproved")
    assert unproved.to_json()["findings"] == ["unproved_model"]


def test_a_site_s_threshold_shows_in_text_and_json() -> None:
    site = replace(RESULT, findings=("site_threshold",))
    assert site.to_text().endswith(" · litert · this threshold was set at the site")
    assert site.to_json()["findings"] == ["site_threshold"]
    both = replace(RESULT, findings=("unproved_model", "site_threshold"))
    assert both.to_text().endswith(
        " · litert · this model is unproved · this threshold was set at the site"
    )


def test_a_result_of_several_labels_has_the_keys_of_its_schema_in_order() -> None:
    value = LABELS_RESULT.to_json()
    assert list(value) == [
        "schema", "file", "sha256", "scores", "decision", "findings", "model", "backend",
        "decode_ms", "invoke_ms",
    ]  # fmt: skip
    assert value["schema"] == "lesionlite.labels_result/1"
    assert list(value["scores"].items()) == [
        ("nevus", 0.25), ("melanoma", 0.625), ("keratosis", 0.1), ("scar", 0.25),
    ]  # fmt: skip
    assert (value["decode_ms"], value["invoke_ms"]) == (1.235, 2)
    assert json.loads(json_line(value)) == value
    assert replace(LABELS_RESULT, decision=None).to_json()["decision"] is None


def test_a_text_of_several_labels_gives_the_decision_and_the_three_highest_scores() -> None:
    assert LABELS_RESULT.to_text() == (
        "photo.jpg: melanoma (melanoma 0.6250, nevus 0.2500, scar 0.2500)"
        " · model 0123456789ab · litert"
    )
    none = replace(LABELS_RESULT, decision=None, findings=("unproved_model",))
    assert none.to_text().startswith("photo.jpg: no label (melanoma 0.6250, ")
    assert none.to_text().endswith(" · litert · this model is unproved")
    low = replace(LABELS_RESULT, decision="keratosis")  # its threshold alone was reached
    assert low.to_text().startswith("photo.jpg: keratosis (melanoma 0.6250, ")


def test_hostile_labels_and_names_stay_on_the_line() -> None:
    hostile = "\x1b[31mred\nblue\u202e"
    result = replace(LABELS_RESULT, scores={hostile: 1.0}, decision=hostile, file=hostile)
    assert result.to_text().isprintable()
    assert json_line(result.to_json()).isascii()


def test_a_failure_keeps_the_schema_of_the_results_around_it() -> None:
    failure = Failure("a", UnusableInput("x"), "m", "b", LABELS_RESULT_SCHEMA)
    assert failure.to_json()["schema"] == "lesionlite.labels_result/1"


@pytest.mark.parametrize("decision", ["refer", "no_referral"])
def test_nothing_is_said_that_sounds_like_a_diagnosis(decision: str) -> None:
    text = replace(RESULT, decision=decision).to_text().lower()
    for word in (
        "%",
        "melanoma",
        "cancer",
        "disease",
        "malignant",
        "benign",
        "healthy",
        "positive",
    ):
        assert word not in text
    assert "no medical device" in RESEARCH_NOTE


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("two\nlines.jpg", "two\\nlines.jpg"),
        ("\x1b[31mred.jpg", "\\x1b[31mred.jpg"),
        ("caf\udce9.jpg", "caf\\udce9.jpg"),
        ("right\u202eto left.jpg", "right\\u202eto left.jpg"),
        ("plain é 皮肤.jpg", "plain é 皮肤.jpg"),
    ],
)
def test_a_name_stays_on_its_line(name: str, shown: str) -> None:
    text = replace(RESULT, file=name).to_text()
    assert text.startswith(f"{shown}: score")
    assert text.isprintable()
    line = json_line(replace(RESULT, file=name).to_json())
    assert line.isascii()
    assert json.loads(line)["file"] == name
    assert str(UnusableInput("it is damaged", file=name)) == f"{shown}: it is damaged"
