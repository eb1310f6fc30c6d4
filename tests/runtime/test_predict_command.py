"""``lesionlite predict``: a line for each number."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lesionlite_runtime.cli import main

Outcome = tuple[int, str, str]
Run = Callable[..., Outcome]
HELLO = Path(__file__).parents[2] / "samples" / "linear" / "hello.int8.tflite"


@pytest.fixture
def predict(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``lesionlite predict``: (exit code, stdout, stderr)."""

    def call(*arguments: str | Path) -> Outcome:
        code = main(["predict", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return call


def test_each_number_has_its_line(predict: Run, regression_file: Path) -> None:
    assert predict(regression_file, "10", "0", "0.25") == (0, "19\n-1\n-0.5\n", "")


def test_negative_numbers_are_numbers(predict: Run, regression_file: Path) -> None:
    assert predict(regression_file, "-3", "-.5", "-1e0") == (0, "-7\n-2\n-3\n", "")


def test_json_lines_have_x_and_y(predict: Run, regression_file: Path) -> None:
    code, out, err = predict(regression_file, "1", "-2.5", "--json")
    assert (code, err) == (0, "")
    assert [json.loads(line) for line in out.splitlines()] == [
        {"x": 1.0, "y": 1.0},
        {"x": -2.5, "y": -6.0},
    ]


def test_one_number_outside_the_range_has_code_4(predict: Run, regression_file: Path) -> None:
    code, out, err = predict(regression_file, "1", "11", "2")
    assert (code, out) == (4, "1\n3\n")
    reason, summary = err.splitlines()
    assert reason == (
        f"lesionlite: {regression_file}: x = 11 lies outside the model's range -10 to 10.5; "
        "pass a value within the range, or train with another --range"
    )
    assert summary == "lesionlite: 1 of 3 values could not be used"


@pytest.mark.parametrize("x", ["11", "-10.5", "nan", "inf", "-inf", "1e999"])
def test_only_numbers_outside_the_range_have_code_5(
    predict: Run, regression_file: Path, x: str
) -> None:
    code, out, err = predict(regression_file, x)
    assert (code, out) == (5, "")
    assert "lies outside the model's range" in err
    assert err.splitlines()[-1] == "lesionlite: no value could be used; see the reason above"


def test_a_classifier_has_code_5(predict: Run, classifier_file: Path) -> None:
    code, out, err = predict(classifier_file, "1")
    assert (code, out) == (5, "")
    assert err == (
        f"lesionlite: {classifier_file}: this is a model for binary_classification, "
        "not a regression; `lesionlite classify` runs an image classifier\n"
    )


@pytest.mark.parametrize("data", [b"", b"text"])
def test_what_is_no_model_has_code_5(predict: Run, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    code, out, err = predict(path, "1")
    assert (code, out) == (5, "")
    assert err.startswith(f"lesionlite: {path}: ")


def test_a_backend_that_is_absent_has_code_6(
    predict: Run, regression_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    code, out, err = predict(regression_file, "1", "--backend", "tflite-runtime")
    assert (code, out) == (6, "")
    assert "the interpreter tflite-runtime is not installed; run pip install" in err


def test_the_sample_predicts_the_tutorial_s_line(predict: Run) -> None:
    code, out, err = predict(HELLO, "10", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["y"] == pytest.approx(19, abs=0.5)
