"""The gate: which limits there are, when they hold, and what it says when they do not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlite_export.gate import (
    CLASSIFIER_LIMITS,
    LIMIT_NAMES,
    LIMITS_OF,
    REGRESSION_LIMITS,
    WORDS,
    check_limits,
    judge,
    parse_limits,
    round_up,
)
from lesionlite_export.labels_parity import LabelScoreParity, label_score_parity
from lesionlite_export.parity import ScoreParity, ValueParity, score_parity
from lesionlite_runtime.contract import CLASSIFICATION, LABELS, REGRESSION
from lesionlite_runtime.errors import UsageError


def scores(flips: int = 0, n: int = 100, shift: float = 0.0) -> ScoreParity:
    """``n`` images, half of them labelled 1, of which the first ``flips`` are newly missed."""
    keras = [0.8] * (n // 2) + [0.2] * (n - n // 2)
    tflite = [score + shift for score in keras]
    tflite[:flips] = [0.1] * flips
    labels = [1] * (n // 2) + [0] * (n - n // 2)
    return score_parity([f"{i}.jpg" for i in range(n)], labels, keras, tflite, 0.5)


def label_scores() -> LabelScoreParity:
    """Four images of three labels, two models."""
    keras = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.4, 0.35, 0.25]])
    names, files = ("a", "b", "c"), [f"{i}.jpg" for i in range(4)]
    return label_score_parity(files, names, [0, 1, 2, 0], keras, keras[:, ::-1], None)


def values(error: float) -> ValueParity:
    x = np.linspace(0, 10, 11)
    return ValueParity(x, x, x + error)


def test_limits_of_either_kind_have_words() -> None:
    assert set(LIMIT_NAMES) == set(WORDS)
    kinds = (scores(), values(0), label_scores())
    assert {name for kind in kinds for name in kind.measures()} == set(WORDS)


def test_parsing() -> None:
    assert parse_limits([]) == {}
    assert parse_limits(["flip_rate=0.1"]) == {"flip_rate": 0.1}
    assert parse_limits(["flip_rate=0, auc_difference=none", "max_score_error=1e-3"]) == {
        "flip_rate": 0.0,
        "auc_difference": None,
        "max_score_error": 0.001,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("flip_rat=0.1", "there is no limit 'flip_rat'; pass flip_rate"),
        ("newly_missed=0.1", "there is no limit 'newly_missed'; pass newly_missed_rate"),
        ("zzz=1", "there is no limit 'zzz'; pass flip_rate or newly_missed_rate or"),
        ("", "there is no limit ''"),
        ("flip_rate=0.1,", "there is no limit ''"),
        ("0.1", "there is no limit '0.1'"),
        ("flip_rate", "the limit 'flip_rate' has no number; pass flip_rate=0.01, say"),
        ("flip_rate=", "has no number"),
        ("flip_rate=5%", "has no number"),
        ("flip_rate=-0.1", "has no number"),
        ("flip_rate=nan", "has no number"),
        # An infinite limit could not be written into the contract; `none` says the same.
        ("flip_rate=inf", "has no number"),
        ("flip_rate=None", "has no number"),
        ("flip_rate=0.1=0.2", "has no number"),
    ],
)
def test_faults_in_limits(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_limits([text])
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


@settings(deadline=None, max_examples=500)
@given(st.floats(0, allow_infinity=False))
def test_a_rounded_limit_is_never_below_the_value_also_as_it_is_printed(value: float) -> None:
    rounded = round_up(value)
    assert value <= rounded
    assert value <= float(f"{rounded:g}")
    if value > 1e-300:
        assert rounded <= value * 1.01


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(0.0, 0.0), (0.06, 0.06), (0.034414, 0.0345), (0.0345, 0.0345), (2 / 60, 0.0334), (1.0, 1.0)],
)
def test_three_digits(value: float, rounded: float) -> None:
    assert round_up(value) == rounded


def test_equal_models_pass_and_the_verdict_is_true() -> None:
    verdict = judge(scores(), {})
    assert verdict
    assert verdict.passed
    assert verdict.limits == CLASSIFIER_LIMITS
    assert verdict.failures == ()
    assert judge(values(0.0), {}).limits == REGRESSION_LIMITS


def test_a_limit_holds_up_to_itself_and_no_further() -> None:
    parity = scores(flips=5)
    assert parity.measures()["flip_rate"] == 0.05
    no_others: dict[str, float | None] = {
        "newly_missed_rate": None,
        "auc_difference": None,
        "mean_score_error": None,
    }
    assert judge(parity, {**no_others, "flip_rate": 0.05})
    assert not judge(parity, {**no_others, "flip_rate": 0.0499})


def test_each_measure_is_gated_by_its_own_limit() -> None:
    parity = scores(flips=2, shift=0.01)
    measures = {name: value for name, value in parity.measures().items() if value is not None}
    assert all(value > 0 for value in measures.values())
    nothing: dict[str, float | None] = dict.fromkeys(measures)
    assert judge(parity, nothing)
    for name, value in measures.items():
        verdict = judge(parity, {**nothing, name: value * 0.99})
        assert not verdict
        assert len(verdict.failures) == 1
        assert verdict.failures[0].startswith(f"{name} ({WORDS[name]}) is ")
        assert judge(parity, {**nothing, name: value})


def test_the_sentence_names_limit_value_and_what_would_pass() -> None:
    verdict = judge(scores(flips=7), {"auc_difference": None, "mean_score_error": None})
    error = verdict.error("m.tflite")
    assert error.exit_code == 3
    assert str(error) == (
        "m.tflite: the proof failed: "
        "flip_rate (share of decisions flipped at the threshold) is 0.07, over its limit 0.05, "
        "newly_missed_rate (share of the positives that Keras refers and the file does not) "
        "is 0.14, over its limit 0.05; choose another recipe; "
        "`--limits flip_rate=0.07,newly_missed_rate=0.14` would have passed"
    )


@settings(deadline=None)
@given(st.integers(6, 50), st.integers(100, 400), st.floats(0.05, 0.19))
def test_the_limits_that_would_have_passed_pass(flips: int, n: int, shift: float) -> None:
    parity = scores(flips, n, shift)
    sentence = str(judge(parity, {"flip_rate": 0.001}).error("m.tflite"))
    options = sentence.partition("`--limits ")[2].partition("`")[0]
    assert "flip_rate=" in options
    assert judge(parity, parse_limits([options]))


def test_a_limit_of_the_other_kind_of_model_is_refused() -> None:
    with pytest.raises(UsageError, match="the limit max_relative_error is not for this kind"):
        judge(scores(), {"max_relative_error": 0.1})
    with pytest.raises(UsageError, match="pass max_relative_error or max_absolute_error or"):
        judge(values(0.0), {"flip_rate": 0.1})


def test_a_regression_is_gated_relative_to_its_largest_value() -> None:
    assert judge(values(0.199), {})
    assert not judge(values(0.201), {})


def test_the_verdict_as_json() -> None:
    body = judge(scores(flips=7), {"auc_difference": None}).to_json()
    assert json.loads(json.dumps(body, allow_nan=False)) == {
        "passed": False,
        "limits": {**CLASSIFIER_LIMITS, "auc_difference": None},
        "would_pass": scores(flips=7).measures(),
    }


def test_a_file_without_a_score_for_some_images_fails_under_any_limits() -> None:
    nothing: dict[str, float | None] = dict.fromkeys(scores().measures())
    assert judge(scores(), nothing)
    verdict = judge(scores(), nothing, unscored=2)
    assert not verdict
    assert str(verdict.error("m.tflite")) == (
        "m.tflite: the proof failed: the file gives no score for 2 of the images that the "
        "reference scores; choose another recipe"
    )
    assert "`--limits flip_rate=0.07" in str(judge(scores(flips=7), {}, 2).error("m.tflite"))


def test_limits_are_named_by_task() -> None:
    for parity, task in ((scores(), CLASSIFICATION), (label_scores(), LABELS)):
        assert set(parity.measures()) == set(LIMITS_OF[task])
    assert set(values(0).measures()) == set(LIMITS_OF[REGRESSION])
    check_limits(["flip_rate"], LABELS)
    with pytest.raises(UsageError, match="the limit newly_missed_rate is not for this kind"):
        check_limits(["flip_rate", "newly_missed_rate"], LABELS)
