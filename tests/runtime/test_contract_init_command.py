"""``lesionlite contract init``: options, prompts, and what is written."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.drafts import binary_draft, regression_draft

from lesionlite_runtime.cli import main
from lesionlite_runtime.draft import read_draft

Outcome = tuple[int, str, str]
Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``lesionlite contract init``, with ``said`` typed: (exit code, stdout, stderr)."""

    def call(*arguments: str | Path, said: str = "") -> Outcome:
        monkeypatch.setattr(sys, "stdin", io.StringIO(said))
        code = main(["contract", "init", *(str(argument) for argument in arguments)])
        return (code, *capsys.readouterr())

    return call


OPTIONS = ["--name", "theirs", "--resize", "pillow-bilinear-v1", "--labels", "benign,malignant"]
OPTIONS += ["--threshold", "0.4", "--rule", "youden"]


def test_options_alone_make_a_draft(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "c.json"
    options = [*OPTIONS, "--size", "8", "6", "--value-range", "-1", "1", "--units", "1"]
    options += ["--task", "binary_classification", "--values", "sigmoid"]
    code, text, err = run("--out", out, *options, "--mean", "0", "-0.5", "0.5")
    assert (code, err) == (0, "")
    assert json.loads(out.read_text()) == binary_draft(
        input={"range": [-1, 1], "mean": [0, -0.5, 0.5]}
    )
    assert text.splitlines() == [
        f"written    {out}, the draft of a binary_classification",
        f"next       lesionlite export MODEL --contract {out} --data FOLDER --out model.tflite",
    ]


def test_what_the_file_says_is_not_asked(run: Run, tmp_path: Path, tiny_classifier: Any) -> None:
    out, model = tmp_path / "c.json", tmp_path / "theirs.tflite"
    model.write_bytes(tiny_classifier.flatbuffer())
    said = "\n\ntf-bilinear-v1\nbenign,malignant\n\n\n0.4\nyouden\n\n"
    code, _, err = run(model, "--out", out, "--ask", said=said)
    assert code == 0
    assert json.loads(out.read_text()) == binary_draft(input={"resize": "tf-bilinear-v1"})
    assert f"model      {model}, .tflite: takes uint8 [8, 6, 3], gives 1, ends in sigmoid" in err
    assert "Name of the network [theirs]" in err
    for option in ("Height", "What pixels", "How many numbers", "What these are"):
        assert option not in err


def test_a_bad_answer_is_asked_again(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "c.json"
    said = "linear\nregression\nline\nall\n-20 20\nfrancs\n"
    code, _, err = run("--out", out, "--ask", said=said)
    assert code == 0
    assert "  it must be " in err
    assert "  it must be 2 numbers" in err
    assert json.loads(out.read_text()) == regression_draft()
    assert read_draft(out).task == "regression"


def test_nobody_is_asked_outside_a_terminal(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "c.json"
    code, _, err = run("--out", out, *OPTIONS, "--task", "binary_classification")
    assert code == 2
    assert "answers are missing: --size, --value-range, --units, --values" in err
    assert not out.exists()


def test_answers_that_end_are_an_interruption(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "c.json"
    code, _, err = run("--out", out, "--ask", said="regression\n")
    assert code == 130
    assert err.endswith("lesionlite: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_without_force_and_nothing_asked_first(
    run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "c.json"
    out.write_text("mine")
    options = ["--task", "regression", "--value-range", "0", "1"]
    code, text, err = run("--out", out, *options)
    assert (code, text) == (2, "")
    assert "the file exists already" in err
    assert out.read_text() == "mine"
    assert run("--out", out, *options, "--force")[0] == 0
    assert read_draft(out).name == "model"
    assert run(tmp_path / "missing.keras", "--out", out, *options, "--force")[0] == 5
