"""``lesionlite contract set-threshold``: what it prints, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lesionlite_runtime.cli import main

Outcome = tuple[int, str, str]
Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line: (exit code, stdout, stderr)."""

    def call(*arguments: str | Path) -> Outcome:
        code = main([str(argument) for argument in arguments])
        return (code, *capsys.readouterr())

    return call


@pytest.fixture
def set_threshold(run: Run) -> Run:
    """Run ``lesionlite contract set-threshold``."""
    return lambda *arguments: run("contract", "set-threshold", *arguments)


HEAD = "threshold  sensitivity             specificity"
LOW = "0.2500     1.000 (0.830 to 1.000)  0.200 (0.100 to 0.300)"
OWN = "0.5000     0.900 (0.700 to 1.000)  0.400 (0.300 to 0.500)"
OF = "of the contract's table (100 out_of_fold scores, 20 positive)"


@pytest.mark.parametrize(
    ("threshold", "place", "rows"),
    [
        ("0.3", "0.3 lies between these rows", [LOW, OWN]),
        ("0.25", "0.25 is this row", [LOW]),
        ("0.1", "0.1 lies under the lowest row", [LOW]),
        ("0.75", "0.75 lies over the highest row", [OWN]),
    ],
)
def test_it_says_what_the_table_says_around_the_threshold(
    set_threshold: Run, classifier_file: Path, threshold: str, place: str, rows: list[str]
) -> None:
    code, out, err = set_threshold(
        classifier_file, "--threshold", threshold, "--reason", "few clinics"
    )
    assert (code, err) == (0, "")
    model = json.loads(set_threshold(classifier_file, "--clear", "--json")[1])["model"]
    assert out.splitlines() == [
        f"written    {classifier_file}",
        f"model      {model}, as before",
        f"threshold  {threshold}, set at the site; the contract's own is 0.5",
        "reason     few clinics",
        "proof      it compared decisions at the contract's own threshold alone",
        f"figures    {place} {OF}",
        *(f"{'':<11}{line}" for line in (HEAD, *rows)),
    ]


def test_without_a_table_nothing_is_said_of_figures(
    set_threshold: Run, tiny_classifier: Any, tmp_path: Path
) -> None:
    body = {**tiny_classifier.body(), "parity": None}
    del body["threshold"]["table"]
    path = tmp_path / "plain.tflite"
    path.write_bytes(tiny_classifier.file(body=body))
    code, out, _ = set_threshold(path, "--threshold", "0.3", "--reason", "few clinics")
    assert code == 0
    assert out.splitlines()[-1] == "proof      none: this model is unproved"
    assert "sensitivity" not in out


def test_an_integer_threshold_is_shown(
    set_threshold: Run, tiny_image_model: Any, tmp_path: Path
) -> None:
    path = tmp_path / "integers.tflite"
    levels = {"output_type": "int8", "output_levels": (1 / 256, -128)}
    path.write_bytes(tiny_image_model([[1 / 256, 0, 0]], end=None, **levels).file())
    _, out, _ = set_threshold(path, "--threshold", "0.25", "--reason", "few clinics")
    assert "           as the integer that the model gives: -64\n" in out


def test_every_result_and_inspect_say_so_until_it_is_cleared(
    run: Run, set_threshold: Run, classifier_file: Path, drawn_photos: list[Path]
) -> None:
    data = classifier_file.read_bytes()
    set_threshold(classifier_file, "--threshold", "1", "--reason", "none at all")
    _, out, _ = run("classify", drawn_photos[0], "-m", classifier_file, "-q")
    assert "threshold 1.0000: no referral at this threshold" in out
    assert out.endswith(" · this threshold was set at the site\n")
    _, out, _ = run("classify", drawn_photos[0], "-m", classifier_file, "--json")
    assert json.loads(out)["findings"] == ["site_threshold"]
    _, out, _ = run("inspect", classifier_file)
    assert '  site_threshold\n    value: 1.0\n    reason: "none at all"\n' in out
    assert "  threshold\n    value: 0.5\n" in out
    _, out, _ = run("inspect", classifier_file, "--json")
    assert json.loads(out)["contract"]["site_threshold"]["value"] == 1
    code, out, err = set_threshold(classifier_file, "--clear")
    assert (code, err) == (0, "")
    assert out.endswith("threshold  0.5, the contract's own\n")
    assert classifier_file.read_bytes() == data
    _, out, _ = run("classify", drawn_photos[0], "-m", classifier_file, "-q")
    assert "site" not in out.removeprefix(str(drawn_photos[0]))


def test_json_is_one_line_and_out_leaves_the_model_alone(
    set_threshold: Run, classifier_file: Path, tmp_path: Path
) -> None:
    data, out_file = classifier_file.read_bytes(), tmp_path / "site.tflite"
    arguments = [classifier_file, "--threshold", "0.3", "--reason", "é", "--out", out_file]
    code, out, err = set_threshold(*arguments, "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)
    assert out.isascii()
    value = json.loads(out)
    assert value["file"] == str(out_file)
    assert value["site_threshold"] == {"value": 0.3, "reason": "é"}
    assert classifier_file.read_bytes() == data
    code, out, err = set_threshold(*arguments)
    assert (code, out) == (2, "")
    assert err == f"lesionlite: {out_file}: the file exists already; pass --force to overwrite it\n"
    assert set_threshold(*arguments, "--force")[0] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "there is no threshold or no reason; pass --threshold and --reason"),
        (["--threshold", "0.3"], "there is no threshold or no reason; pass --threshold and"),
        (["--reason", "x"], "there is no threshold or no reason; pass --threshold and --reason"),
        (["--clear", "--threshold", "0.3"], "--clear takes no threshold and no reason; leave"),
        (["--clear", "--reason", ""], "--clear takes no threshold and no reason; leave them out"),
        (["--clear"], "no threshold was set at a site; leave the file as it is"),
        (["--threshold", "nan", "--reason", "x"], "the threshold nan is out of range; pass a"),
        (["--threshold", "1.5", "--reason", "x"], "the threshold 1.5 is out of range; pass a"),
        (["--threshold", "0.3", "--reason", " "], "there is no reason; say why the site sets"),
        (["--threshold", "0.3", "--reason", "x" * 501], "the reason has 501 characters; pass 500"),
    ],
)
def test_wrong_usage_has_code_2_and_changes_nothing(
    set_threshold: Run, classifier_file: Path, options: list[str], words: str
) -> None:
    data = classifier_file.read_bytes()
    code, out, err = set_threshold(classifier_file, *options)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert classifier_file.read_bytes() == data


def test_what_is_no_classifier_has_code_5(
    set_threshold: Run, labels_file: Path, regression_file: Path, shipped_model: Path
) -> None:
    keras = shipped_model.parents[3] / "samples" / "lesion.keras"
    for path in (labels_file, regression_file, keras, keras.with_name("missing.tflite")):
        code, out, err = set_threshold(path, "--threshold", "0.3", "--reason", "few clinics")
        assert (code, out) == (5, "")
        assert err.startswith(f"lesionlite: {path}: ")
        assert err.count("\n") == 1


def test_a_hostile_reason_stays_on_its_line(
    run: Run, set_threshold: Run, classifier_file: Path
) -> None:
    reason = "\x1b[2Jthreshold\n0.9\u202e"
    code, out, _ = set_threshold(classifier_file, "--threshold", "0.3", "--reason", reason)
    assert code == 0
    assert out.replace("\n", "").isprintable()
    assert "reason     \\x1b[2Jthreshold\\n0.9\\u202e\n" in out
    assert run("inspect", classifier_file)[1].replace("\n", "").isprintable()


def test_the_subcommand_s_help_has_an_example(set_threshold: Run) -> None:
    code, out, err = set_threshold("--help")
    assert (code, err) == (0, "")
    assert "Example: lesionlite contract set-threshold " in " ".join(out.split())
    assert "Usage: lesionlite contract set-threshold [OPTIONS] MODEL" in out
