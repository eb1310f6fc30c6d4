"""``lesionlite verify --matrix`` at the command line, and docs/backends.md against it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lesionlite_export.matrix.kernels import KERNELS
from lesionlite_export.matrix.measure import SAMPLE
from lesionlite_export.matrix.process import STATUSES
from lesionlite_export.matrix.rows import PYTHON_VARIABLES, VARIANTS, rows_of
from lesionlite_export.matrix.tolerances import WORDS, default_tolerances
from lesionlite_export.publish import Exported
from lesionlite_runtime.cli import main
from lesionlite_runtime.door import open_model

PAGE = (Path(__file__).parents[3] / "docs" / "backends.md").read_text("utf-8")
(SCHEMA,) = (
    json.loads(block)
    for block in re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)
    if "$schema" in block
)
FEW = "flip_rate=0.5,auc_difference=none,newly_missed_rate=0.5"
_INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background ignores it
from lesionlite_runtime.cli import run
run()
"""
Faults = Callable[[Any, dict[str, Any]], list[str]]


def verify(*arguments: object) -> int:
    return main(["verify", *map(str, arguments)])


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A Python without a package."""
    path = tmp_path / "bare"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    path.chmod(0o755)
    return path


def test_the_text_tells_rows_pairs_and_tolerances(
    shipped_model: Path, photo_list: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = ("--row", "litert-xnnpack", "--row", "litert-builtin")
    options = ("--data", photo_list, "--matrix", *rows, "--limits", FEW)
    assert verify(shipped_model, shipped_model, *options) == 0
    text, progress = capfd.readouterr()
    lines = text.splitlines()
    assert lines[0] == "images     6, 2 of them labelled 1"
    threshold = open_model(shipped_model).contract.threshold.value
    assert lines[1].startswith(f"threshold  {threshold:.4f}")
    assert lines[3].split() == [
        "row",
        "kernels",
        "n",
        "max",
        "mean",
        "flips",
        "ms",
        "against",
        "the",
        "reference",
    ]
    assert re.match(r"litert-xnnpack/1 +xnnpack +6 +0 +0 +0 +[\d.]+ +within the limits$", lines[4])
    assert re.match(r"litert-builtin/4 +builtin +6 +0\.\d+ +0\.\d+ +\d +[\d.]+ +\w+ the", lines[9])
    names = [f"litert-xnnpack/{threads}" for threads in (1, 2, 4)]
    assert f"A  {', '.join(names)}: bit-equal" in lines
    assert any(re.match(r"A-B  max 0\.\d+, mean 0\.\d+, \d of 6 decisions", li) for li in lines)
    assert any(li.startswith("threads_xnnpack ") and li.endswith("tolerance 0") for li in lines)
    assert lines[-1] == "proof      passed"
    assert "litert-builtin/4 (6) ..." in progress
    assert len(progress.splitlines()) == 3 + 6  # nothing of what the interpreters print


def test_a_missing_backend_and_a_sample_are_told(
    shipped_model: Path,
    photo_list: Path,
    bare: Path,
    monkeypatch: pytest.MonkeyPatch,
    schema_faults: Faults,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from lesionlite_export.matrix import measure

    draw = measure.sample_of
    monkeypatch.setattr(measure, "sample_of", lambda *given: draw(*given, size=2))
    few = [row for row in rows_of(()) if row.name in ("litert-reference/1", "tflite-runtime/1")]
    monkeypatch.setattr(measure, "rows_of", lambda _: few)
    monkeypatch.setenv("LESIONLITE_PYTHON_TFLITE_RUNTIME", str(bare))
    options = ("--data", photo_list, "--matrix", "--seed", 3, "--quiet")
    assert verify(shipped_model, shipped_model, *options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("sample     2 images (seed 3) for the reference kernels, whose rows")
    assert "A  litert-reference/1" in lines
    assert "tflite-runtime/1    missing: tflite-runtime is not installed" in lines
    assert any(line.endswith("not gated") and "litert-reference/1" in line for line in lines)
    assert verify(shipped_model, shipped_model, *options, "--json") == 0
    body = json.loads(capsys.readouterr().out)
    assert schema_faults(body, SCHEMA) == []
    assert body["seed"] == 3
    assert [row["status"] for row in body["rows"]] == ["done", "missing"]


def test_json_keeps_the_schema_and_csv_has_every_row(
    shipped_model: Path,
    photo_list: Path,
    tmp_path: Path,
    schema_faults: Faults,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = tmp_path / "scores.csv"
    options = ("--row", "litert-xnnpack", "--limits", FEW, "--csv", table, "--json", "--quiet")
    assert verify(shipped_model, shipped_model, "--data", photo_list, "--matrix", *options) == 0
    text, error = capsys.readouterr()
    assert error == ""
    body = json.loads(text)
    assert schema_faults(body, SCHEMA) == []
    for change in (
        {"schema": "lesionlite.matrix/2"},
        {"passed": 1},
        {"rows": [{**body["rows"][0], "status": "well"}]},
        {"pairs": [{**body["pairs"][0], "flips": "1"}]},
        {"more": 1},
    ):
        assert schema_faults({**body, **change}, SCHEMA)
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert list(rows[0])[2:] == [
        "score_keras",
        "score_litert-xnnpack/1",
        "score_litert-xnnpack/2",
        "score_litert-xnnpack/4",
    ]
    assert len(rows) == 6
    assert len({*list(rows[0].values())[2:]}) == 1


def test_over_a_tolerance_is_exit_code_3(
    shipped_model: Path, photo_list: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ("--row", "litert-xnnpack", "--row", "litert-builtin", "--tolerance", "kernels=1e-4")
    options = ("--data", photo_list, "--matrix", *rows, "--limits", FEW, "--quiet")
    assert verify(shipped_model, shipped_model, *options) == 3
    text, error = capsys.readouterr()
    assert "OVER tolerance 0.0001" in text
    assert text.splitlines()[-1] == "proof      FAILED"
    assert "(other kernels) are 0." in error
    assert error.count("\n") == 1
    suggested = re.search(r"`(--tolerance kernels=[^`]+)` would have passed", error)
    assert suggested
    assert verify(shipped_model, shipped_model, *options, *suggested[1].split()) == 0


def test_a_backend_that_was_named_and_is_not_here_is_exit_code_6(
    shipped_model: Path, photo_list: Path, bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--row", "tflite-runtime", "--python", f"tflite-runtime={bare}", "--quiet")
    assert verify(shipped_model, shipped_model, "--data", photo_list, "--matrix", *options) == 6
    assert capsys.readouterr().err == (
        f"lesionlite: {shipped_model}: tflite-runtime/1: tflite-runtime is not installed; name a "
        "Python that has it by --python\n"
    )


def test_a_regression_and_an_unreadable_image(
    regression_file: Path,
    shipped_model: Path,
    photo_list: Path,
    schema_faults: Faults,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ("--matrix", "--row", "litert-xnnpack", "--quiet")
    assert verify(regression_file, regression_file, *options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "values     1001 points from -10.0 to 10.5"
    assert re.search(r"litert-xnnpack/1 .* - +[\d.]+ +within the limits$", "\n".join(lines), re.M)
    assert verify(regression_file, regression_file, *options, "--json") == 0
    assert schema_faults(json.loads(capsys.readouterr().out), SCHEMA) == []

    bad = photo_list.with_name("bad.jpg")
    bad.write_text("no image")
    listed = photo_list.with_name("with_bad.csv")
    listed.write_text(f"{photo_list.read_text()}bad.jpg,0\n")
    data = ("--data", listed, *options, "--json")
    assert verify(shipped_model, shipped_model, *data, "--limits", FEW) == 4
    text, error = capsys.readouterr()
    body = json.loads(text)
    assert schema_faults(body, SCHEMA) == []
    assert (body["n"], body["passed"]) == (6, True)
    assert [item["file"] for item in body["unusable"]] == [str(bad)]
    assert "1 images could not be used; the proof stands on the others" in error


def test_wrong_usage_is_exit_code_2(
    shipped_model: Path, photo_list: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases: list[tuple[tuple[object, ...], str]] = [
        (("--row", "tensorflow"), "--row is an option of --matrix; pass --matrix, or leave it"),
        (("--seed", 0), "--seed is an option of --matrix"),
        (("--time-limit", 5), "--time-limit is an option of --matrix"),
        (("--matrix", "--backend", "litert"), "--backend is for one backend, and --matrix runs"),
        (("--matrix", "--threads", 1), "--threads is for one backend"),
        (("--matrix", "--row", "xnnpack"), "'xnnpack' is not one of 'litert-xnnpack', "),
        (("--matrix", "--python", "litert=/no"), "--python litert: there is no program /no"),
        (("--matrix", "--tolerance", "thread=1"), "there is no tolerance 'thread'; pass threads_"),
        (("--matrix", "--time-limit", 0), "0.0 is not in the range x>0"),
        (("--matrix", "--layers"), "--matrix and --layers are two questions; ask one at a time"),
        (("--matrix", "--limits", "flip=1"), "there is no limit 'flip'; pass flip_rate"),
    ]
    for options, words in cases:
        arguments = (shipped_model, shipped_model, "--data", photo_list, "--quiet", *options)
        assert verify(*arguments) == 2, options
        text, error = capsys.readouterr()
        assert text == ""
        assert words in error
        assert error.count("\n") == 1


def test_an_interrupt_leaves_nothing_behind(
    shipped_model: Path, photo_list: Path, tmp_path: Path, held: Any
) -> None:
    """A backend that hangs, in a wrapper script of the user's, and a signal to lesionlite alone."""
    hang = tmp_path / "hang.py"
    hang.write_text(f"{held.code}os.read(os.pipe()[0], 1)\n")
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{sys.executable} {hang} & wait\n")
    python.chmod(0o755)
    folder = tmp_path / "temporary"
    folder.mkdir()
    options = ("--matrix", "--row", "tensorflow", "--python", f"tensorflow={python}", "--quiet")
    command = ["verify", shipped_model, shipped_model, "--data", photo_list, *options]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "TMPDIR": str(folder),
    }
    with subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTIBLE, *map(str, command)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        held.wait()
        process.send_signal(signal.SIGINT)
        text, error = process.communicate()
    assert process.returncode == 130
    assert (text, error.strip()) == (b"", b"lesionlite: interrupted")
    assert held.let_go()
    assert list(folder.iterdir()) == []


@pytest.mark.tensorflow
def test_a_keras_model_against_tensorflow_and_litert(
    tiny_path: Path,
    tiny_exported: Exported,
    small_drawn: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = ("--row", "litert-xnnpack", "--row", "tensorflow")
    options = ("--data", small_drawn, "--matrix", *rows, "--limits", "auc_difference=none", "-q")
    assert verify(tiny_path, tiny_exported.path, *options, "--json") == 0
    body = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in body["rows"]] == ["done"] * 4
    flips = int(tiny_exported.parity.to_json()["flips"]["count"])
    assert {pair["flips"] for pair in body["pairs"] if pair["kind"] == "keras"} == {flips}
    (tensorflow,) = (row for row in body["rows"] if row["backend"] == "tensorflow")
    assert tensorflow["version"].startswith("2.")


def test_the_page_names_rows_statuses_tolerances_and_variables() -> None:
    assert set(re.findall(r"^\| `([a-z-]+)` \| .* \| [\d, ]+ \|$", PAGE, re.M)) == set(VARIANTS)
    for variant in VARIANTS.values():
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{variant.name}` |"))
        assert row.endswith(f"| {', '.join(map(str, variant.threads))} |")
    assert set(re.findall(r"^\| `([a-z_]+)` \| [a-z]", PAGE, re.M)) == set(STATUSES)
    shown = dict(
        re.findall(r"^\| `([a-z_]+)` \| ([\d.]+(?:; [\d.]+ of a quantized file)?) \|", PAGE, re.M)
    )
    assert set(shown) == set(WORDS)
    for name, floats in default_tolerances(False).items():
        values = re.findall(r"[\d.]+", shown[name])
        assert float(values[0]) == floats
        assert float(values[-1]) == default_tolerances(True)[name]
    for variable in PYTHON_VARIABLES.values():
        assert f"`{variable}`" in PAGE
    assert f"given {SAMPLE} images" in PAGE
    properties = SCHEMA["$defs"]["row"]["properties"]
    assert properties["status"]["enum"] == list(STATUSES)
    assert properties["kernels"]["enum"] == [*KERNELS, None]
    assert SCHEMA["$defs"]["pair"]["properties"]["kind"]["enum"] == ["keras", *WORDS]
