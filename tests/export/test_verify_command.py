"""``lesionlite verify`` at the command line."""

from __future__ import annotations

import csv
import io
import json
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lesionlite_export.commands import verify as verify_command
from lesionlite_export.keras_model import KerasModel, save_keras
from lesionlite_export.parity import ScoreParity
from lesionlite_export.publish import Exported
from lesionlite_runtime.cli import main

pytestmark = pytest.mark.tensorflow
SAMPLES = Path(__file__).parents[2] / "samples"
NOT_GATED = ("--limits", "auc_difference=none", "--quiet")


def verify(*arguments: object) -> int:
    return main(["verify", *map(str, arguments)])


def test_within_the_limits_is_exit_code_0(
    tiny_path: Path,
    tiny_exported: Exported,
    small_drawn: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    limits = ("--limits", "auc_difference=none")
    assert verify(tiny_path, tiny_exported.path, "--data", small_drawn, *limits) == 0
    text, progress = capfd.readouterr()
    lines = text.splitlines()
    assert lines[0].startswith(f"reference  {tiny_path}, Keras network ")
    assert lines[1].startswith(f"file       {tiny_exported.path}, model ")
    assert lines[2] == "origin     both are of one network"
    assert lines[3] == "images     18, 6 of them labelled 1"
    assert lines[4].startswith("threshold  0.")
    assert lines[5].startswith("decisions  ")
    assert " of 18 flipped, " in lines[5]
    assert lines[-1] == "proof      passed"
    assert "Scoring with Keras" in progress
    assert "tensorflow" not in progress.lower()


def test_over_a_limit_is_exit_code_3_with_the_evidence(
    tiny_path: Path,
    tiny_exported: Exported,
    small_drawn: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    limits = ("--limits", "max_score_error=0", *NOT_GATED)
    assert verify(tiny_path, tiny_exported.path, "--data", small_drawn, *limits) == 3
    text, error = capsys.readouterr()
    assert text.splitlines()[-1] == "proof      FAILED"
    failed = f"lesionlite: {tiny_exported.path}: the proof failed: max_score_error"
    assert error.splitlines()[-1].startswith(failed)
    assert verify(tiny_path, tiny_exported.path, "--data", small_drawn, *limits, "--json") == 3
    body = json.loads(capsys.readouterr().out)
    assert body["passed"] is False
    assert body["limits"]["max_score_error"] == 0.0
    assert body["would_pass"]["max_score_error"] == body["score_error"]["max"] > 0


def test_json_is_one_object_of_the_schema(
    tiny_path: Path,
    tiny_exported: Exported,
    small_drawn: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ("--data", small_drawn, *NOT_GATED, "--json")
    assert verify(tiny_path, tiny_exported.path, *options) == 0
    text, error = capsys.readouterr()
    body = json.loads(text)
    assert error == "".join(f"lesionlite: {warning}\n" for warning in body["warnings"])
    assert isinstance(tiny_exported.parity, ScoreParity)
    assert {**body, **tiny_exported.parity.to_json()} == body
    assert body["unusable"] == body["faults"] == []
    assert body["candidate"]["backend"] == "litert"
    assert body["data"] == str(small_drawn)


def test_the_csv_has_both_scores_of_each_image(
    tiny_path: Path,
    tiny_exported: Exported,
    small_drawn: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "scores.csv"
    options = ("--data", small_drawn, *NOT_GATED, "--csv", path)
    assert verify(tiny_path, tiny_exported.path, *options) == 0
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert list(rows[0]) == [
        "filepath",
        "label",
        "score_keras",
        "score_tflite",
        "error",
        "flipped",
        "flip",
        "class",
        "pixels_sha256",
    ]
    parity = tiny_exported.parity
    assert isinstance(parity, ScoreParity)
    assert [row["filepath"] for row in rows] == list(parity.files)
    assert [float(row["score_tflite"]) for row in rows] == parity.score_tflite.tolist()
    for row in rows:
        sides = [float(row[name]) >= parity.threshold for name in ("score_keras", "score_tflite")]
        assert row["flipped"] == str(int(sides[0] != sides[1]))
        assert (row["flip"] != "") == (sides[0] != sides[1])
        error = float(row["score_tflite"]) - float(row["score_keras"])
        assert float(row["error"]) == pytest.approx(error)
        assert Path(row["filepath"]).parent.name == row["class"]

    before = path.read_bytes()
    capsys.readouterr()
    assert verify(tiny_path, tiny_exported.path, *options) == 2
    assert "the file exists already; pass --force" in capsys.readouterr().err
    assert verify(tiny_path, tiny_exported.path, *options, "--force") == 0
    assert path.read_bytes() == before


def test_an_unreadable_proof_image_is_exit_code_4_with_the_result(
    tiny_path: Path,
    tiny_exported: Exported,
    small_drawn: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "drawn"
    shutil.copytree(small_drawn, folder)
    bad = folder / "valid" / "nevus" / "bad.jpg"
    bad.write_bytes(b"no image")
    options = ("--data", folder, *NOT_GATED, "--json")
    assert verify(tiny_path, tiny_exported.path, *options) == 4
    text, error = capsys.readouterr()
    body = json.loads(text)
    assert body["n"] == 18
    assert body["passed"] is True
    (item,) = body["unusable"]
    assert item["file"] == str(bad)
    assert f"lesionlite: {item['message']}" in error.splitlines()
    assert "1 images and 0 recorded lines could not be used; the proof stands on the o" in error
    # A failed proof weighs more than a missing image.
    failing = ("--limits", "max_score_error=0")
    assert verify(tiny_path, tiny_exported.path, *options, *failing) == 3


def test_a_keras_of_another_network_is_a_warning(
    tiny_exported: Exported,
    tiny_model: KerasModel,
    small_drawn: Path,
    tmp_path: Path,
    network_maker: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = tmp_path / "other.keras"
    save_keras(network_maker(seed=7), tiny_model.contract, other)
    wide = ("flip_rate", "newly_missed_rate", "auc_difference", "mean_score_error")
    limits = ("--limits", ",".join(f"{name}=1" for name in wide))
    options = ("--data", small_drawn, *limits, "--quiet")
    assert verify(other, tiny_exported.path, *options, "--json") == 0
    text, error = capsys.readouterr()
    warning = json.loads(text)["warnings"][0]
    assert "was made from another network" in warning
    assert error.splitlines()[0] == f"lesionlite: {warning}"
    assert verify(other, tiny_exported.path, *options) == 0
    assert "origin     ANOTHER NETWORK" in capsys.readouterr().out


def test_wrong_usage_is_exit_code_2(
    tiny_path: Path,
    tiny_exported: Exported,
    small_drawn: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = ("--data", small_drawn)
    cases: list[tuple[tuple[object, ...], str]] = [
        ((), "there are no images to compare the models on; pass --data CSV"),
        ((*data, "--limits", "flip=1"), "there is no limit 'flip'; pass flip_rate"),
        ((*data, "--limits", "max_relative_error=1"), "is not for this kind of model"),
        ((*data, "--threads", 0), "0 is not in the range"),
        ((*data, "--backend", "onnx"), "'onnx' is not one of 'litert', 'tflite-runtime'"),
        ((*data, "--csv", tmp_path / "no" / "s.csv"), "the folder for it does not exist"),
        ((*data, "--junit", tmp_path), "this is a folder; name a file"),
        ((*data, "--save-reference", tmp_path), "this is a folder; name a file"),
        ((*data, "--label", "melanoma"), "is not of the form CLASS=0 or CLASS=1"),
    ]
    for options, words in cases:
        assert verify(tiny_path, tiny_exported.path, "--quiet", *options) == 2, options
        text, error = capsys.readouterr()
        assert text == ""
        assert words in error
        assert error.count("\n") == 1


def test_saved_scores_are_a_reference_and_the_verdict_is_a_test_report(
    tiny_path: Path,
    tiny_exported: Exported,
    small_drawn: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    saved, report = tmp_path / "keras.jsonl", tmp_path / "verify.xml"
    options = ("--data", small_drawn, *NOT_GATED)
    assert verify(tiny_path, tiny_exported.path, *options, "--save-reference", saved) == 0
    capsys.readouterr()
    again = (saved, tiny_exported.path, *options, "--junit", report)
    assert verify(*again, "--json") == 0
    body = json.loads(capsys.readouterr().out)
    assert body["reference"]["kind"] == "recorded"
    assert body["flips"]["count"] <= 1
    suite = ET.parse(report).getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("7", "0", "0")

    saved.write_bytes(saved.read_bytes()[:-30])
    assert verify(*again, "--force", "--json") == 4
    text, error = capsys.readouterr()
    assert json.loads(text)["n"] == 17
    assert "line 18: it was cut off" in error
    assert "1 images and 1 recorded lines could not be used" in error
    suite = ET.parse(report).getroot()[0]
    assert (suite.get("failures"), suite.get("errors")) == ("0", "2")


def test_images_that_were_seen_are_exit_code_2_or_a_record(
    tiny_path: Path,
    tiny_exported: Exported,
    small_drawn: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "seen"
    folder.mkdir()
    (folder / "valid").symlink_to(small_drawn / "train")
    options = ("--data", folder, *NOT_GATED)
    assert verify(tiny_path, tiny_exported.path, *options) == 2
    error = capsys.readouterr().err
    assert "20 of the 20 images are among those of the model's calibration" in error
    limits = ("--limits", "flip_rate=none,newly_missed_rate=none,mean_score_error=none")
    allowed = ("--allow-training-images", "--json")
    assert verify(tiny_path, tiny_exported.path, *options, *limits, *allowed) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["seen_images"]["allowed"] is True
    assert "20 images are among those of the model's calibration" in body["warnings"][0]


@pytest.mark.data
def test_a_camera_s_file_of_a_training_image_is_seen_too(
    data_dir: Path, shipped_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shipped network was trained with originals beside their images."""
    with (SAMPLES / "lesion.originals.csv").open(encoding="utf-8") as stream:
        listed = {row["image_id"] for row in csv.DictReader(stream)}
    found = [path for path in sorted(data_dir.glob("fullres/*/*.jpg")) if path.stem in listed]
    assert len(found) == len(listed)
    data = tmp_path / "originals.csv"
    rows = ["filepath,label"]
    for path in found[::10]:
        shutil.copy(path, tmp_path)
        rows.append(f"{path.name},{int(path.parent.name == 'melanoma')}")
    data.write_text("\n".join(rows))
    assert verify(shipped_model, shipped_model, "--data", data, *NOT_GATED) == 2
    assert "5 of the 5 images are among those of the model's training" in capsys.readouterr().err


def test_unusable_inputs_are_exit_code_5(
    tiny_path: Path,
    tiny_exported: Exported,
    small_drawn: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(tiny_exported.path.read_bytes()[:-30])
    listed = tmp_path / "list.csv"
    listed.write_text("filepath,label\nno.jpg,1\n")
    cases: list[tuple[tuple[object, ...], str]] = [
        ((tiny_path, cut, "--data", small_drawn), f"{cut}: "),
        ((tiny_path, tmp_path / "no.tflite", "--data", small_drawn), "no such file"),
        ((tiny_path, tiny_exported.path, "--data", listed), "line 2: the image no.jpg does not"),
        ((tiny_path, tiny_exported.path, "--data", tmp_path), "there is no folder valid in it"),
    ]
    for arguments, words in cases:
        assert verify(*arguments, "--quiet") == 5, arguments
        text, error = capsys.readouterr()
        assert text == ""
        assert words in error
        assert error.count("\n") == 1


def test_a_line_is_compared_without_data(
    line_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, table = tmp_path / "line.tflite", tmp_path / "values.csv"
    assert main(["export", str(line_path), "--out", str(out), "--quiet"]) == 0
    assert verify(line_path, out, "--csv", table, "--json", "--quiet") == 0
    body = json.loads(capsys.readouterr().out)
    assert body["n"] == 1001
    assert body["range"] == [-20.0, 20.0]
    assert body["passed"] is True
    assert set(body["value_error"]) == set(body["would_pass"])
    lines = table.read_text().splitlines()
    assert lines[0] == "x,y_keras,y_tflite"
    assert len(lines) == 1002
    assert verify(line_path, out, "--limits", "max_relative_error=0", "--quiet") == 3


@pytest.mark.parametrize("as_json", [False, True])
def test_a_verdict_is_not_lost_with_a_file_that_cannot_be_written(
    as_json: bool,
    tiny_path: Path,
    tiny_exported: Exported,
    small_drawn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its folder goes while the images are scored; the other file is written all the same."""
    folder, report = tmp_path / "gone", tmp_path / "verify.xml"
    folder.mkdir()
    scored = verify_command.verify_model

    def scoring(*arguments: Any, **options: Any) -> Any:
        folder.rmdir()
        return scored(*arguments, **options)

    monkeypatch.setattr(verify_command, "verify_model", scoring)
    options = ("--data", small_drawn, *NOT_GATED, "--csv", folder / "a.csv", "--junit", report)
    more = ("--json",) if as_json else ()
    assert verify(tiny_path, tiny_exported.path, *options, *more) == 2
    text, error = capsys.readouterr()
    if as_json:
        assert json.loads(text)["passed"] is True
    else:
        assert text.splitlines()[-1] == "proof      passed"
    assert "the folder for it does not exist" in error.splitlines()[-1]
    assert ET.parse(report).getroot()[0].get("failures") == "0"


def test_no_output_is_an_input_or_another_output_even_with_force(
    tiny_path: Path,
    tiny_exported: Exported,
    small_drawn: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = Path(shutil.copy(tiny_exported.path, tmp_path))
    reference = Path(shutil.copy(tiny_path, tmp_path))
    manifest = tmp_path / "valid.csv"
    image = next((small_drawn / "valid" / "nevus").iterdir())
    manifest.write_text(f"filepath,label\n{image},0\n")
    link = tmp_path / "link.csv"
    link.symlink_to(manifest)
    beside = model.with_name(f"{model.stem}.representative.csv")
    new = tmp_path / "new"
    before = {path: path.read_bytes() for path in (model, reference, manifest)}
    cases: list[tuple[tuple[object, ...], str, str]] = [
        (("--csv", manifest), "--data", "--csv"),
        (("--csv", link), "--data", "--csv"),
        (("--csv", model), "MODEL.tflite", "--csv"),
        (("--csv", beside), "the list beside MODEL.tflite", "--csv"),
        (("--junit", reference), "REFERENCE", "--junit"),
        (("--save-reference", new, "--junit", new), "--junit", "--save-reference"),
        (("--csv", new, "--journal", new), "--csv", "--journal"),
        (("--csv", new, "--report", new), "--csv", "--report"),
        (("--journal", manifest), "--data", "--journal"),
        (("--layers", "--layers-json", new, "--csv", new), "--csv", "--layers-json"),
        (("--training", link, "--junit", link), "--data", "--junit"),
        (("--plots", tmp_path, "--csv", tmp_path / "scores.png"), "--csv", "scores.png of --plots"),
    ]
    for options, one, other in cases:
        arguments = ("--data", manifest, "--force", "--quiet", *options)
        assert verify(reference, model, *arguments) == 2, options
        text, error = capsys.readouterr()
        assert text == ""
        assert f"{one} and {other} name the same file; name two" in error
        assert {path: path.read_bytes() for path in before} == before
    assert not new.exists()


def test_a_regression_has_no_scores_to_save_and_nothing_is_computed(
    line_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, saved = tmp_path / "line.tflite", tmp_path / "saved.jsonl"
    assert main(["export", str(line_path), "--out", str(out), "--quiet"]) == 0
    capsys.readouterr()
    assert verify(tmp_path / "none.keras", out, "--save-reference", saved) == 2
    assert "a regression has no scores to save; leave out" in capsys.readouterr().err
