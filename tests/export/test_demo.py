"""The demo: the whole line on drawings, with no data at hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lesionlite_export import demo, gate
from lesionlite_export.drawn import README
from lesionlite_export.progress import Silent
from lesionlite_runtime.cli import main
from lesionlite_runtime.container import read_contract
from lesionlite_runtime.errors import UsageError
from lesionlite_runtime.result import RESEARCH_NOTE

pytestmark = pytest.mark.tensorflow


def run(*arguments: object) -> int:
    return main(["demo", *map(str, arguments)])


def test_the_demo_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the trained network, and as many drawings as a user gets."""
    out = tmp_path / "demo"
    assert run("--out", out, "--quiet") == 0
    text, error = capsys.readouterr()
    assert error == ""
    assert "synthetic drawings, no photographs" in text
    assert "AUC not gated" in text
    assert "limit      auc_difference: not gated" in text
    assert "images     60, 20 of them labelled 1" in text
    assert "proof      passed" in text
    counts = next(line for line in text.splitlines() if "proof images:" in line)
    assert " x refer" in counts
    assert " x no_referral" in counts
    assert RESEARCH_NOTE in text
    assert "What the file says of 60 proof images" in text
    assert "unproved" not in text

    names = sorted(path.name for path in out.iterdir())
    assert names == ["drawn", "lesion.int8.representative.csv", "lesion.int8.tflite"]
    assert (out / "drawn" / "README.txt").read_text() == README
    contract = read_contract(out / "lesion.int8.tflite")
    assert contract.parity is not None
    assert f"model {contract.model_id}" in text


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some drawings only."""
    monkeypatch.setattr(demo, "DRAWN_TRAIN", {"melanoma": 2, "nevus": 2})
    monkeypatch.setattr(demo, "DRAWN_PROOF", {"melanoma": 2, "nevus": 3})
    monkeypatch.setattr(demo, "DRAWN_LIMITS", dict.fromkeys(gate.CLASSIFIER_LIMITS))


def test_json_is_one_object(
    few: None, tiny_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "demo"
    assert run("--model", tiny_path, "--out", out, "--json", "--quiet") == 0
    body = json.loads(capsys.readouterr().out)
    assert set(body) == {"schema", "drawn_images", "images", "file", "bytes", "proof", "results"}
    assert body["schema"] == "lesionlite.demo/1"
    assert body["drawn_images"] is True
    assert body["images"] == str(out / "drawn")
    assert body["bytes"] == Path(body["file"]).stat().st_size
    assert body["proof"]["limits"]["auc_difference"] is None
    assert len(body["results"]) == body["proof"]["n"] == 5
    assert {result["schema"] for result in body["results"]} == {"lesionlite.result/1"}
    assert all(result["findings"] == [] for result in body["results"])


def test_a_folder_that_holds_something_needs_force(
    few: None, tiny_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    options = ("--model", tiny_path, "--out", tmp_path, "--quiet")
    assert run(*options) == 2
    assert "it holds something already; pass --force, or another --out" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert run(*options, "--force") == 0
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_another_seed_draws_other_pictures(few: None, tiny_path: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "drawn"

    def pictures() -> list[bytes]:
        return [path.read_bytes() for path in sorted(drawn.rglob("*.jpg"))]

    options = ("--model", tiny_path, "--out", tmp_path, "--quiet", "--force")
    assert run(*options) == 0
    first = pictures()
    assert run(*options, "--seed", 1) == 0
    second = pictures()
    assert not set(first) & set(second)
    assert run(*options, "--seed", 0) == 0
    assert pictures() == first


def test_a_demo_after_one_that_was_interrupted_while_drawing(
    few: None, tiny_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "drawn").mkdir()
    assert run("--model", tiny_path, "--out", tmp_path, "--quiet", "--force") == 0


def test_a_folder_called_drawn_of_someone_elses_is_left_alone(
    few: None, tiny_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "drawn").mkdir()
    (tmp_path / "drawn" / "README.txt").write_text("my own drawings")
    assert run("--model", tiny_path, "--out", tmp_path, "--quiet", "--force") == 2
    assert "the folder exists and is not empty" in capsys.readouterr().err
    assert (tmp_path / "drawn" / "README.txt").read_text() == "my own drawings"


def test_images_of_ones_own_are_gated_by_every_limit(
    tiny_path: Path,
    small_drawn: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gate, "CLASSIFIER_LIMITS", dict.fromkeys(gate.CLASSIFIER_LIMITS, 1.0))
    options = ("--model", tiny_path, "--data", small_drawn, "--out", tmp_path / "d", "--quiet")
    assert run(*options) == 0
    text = capsys.readouterr().out
    assert "images of yours" in text
    assert "not gated" not in text
    assert text.count(": within 1\n") == len(gate.CLASSIFIER_LIMITS)
    assert not (tmp_path / "d" / "drawn").exists()


def test_an_unreadable_image_is_exit_code_4(
    tiny_path: Path,
    small_drawn: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "images"
    shutil.copytree(small_drawn, folder)
    bad = folder / "valid" / "nevus" / "bad.jpg"
    bad.write_bytes(b"no image")
    monkeypatch.setattr(gate, "CLASSIFIER_LIMITS", {"mean_score_error": 0.1})
    options = ("--model", tiny_path, "--data", folder, "--out", tmp_path / "d", "--quiet")
    assert run(*options) == 4
    text, error = capsys.readouterr()
    assert "proof      passed" in text
    assert f"lesionlite: {bad}: " in error
    assert "1 images could not be used, and the demo went without them" in error


def test_without_the_samples_the_demo_says_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "__file__", str(tmp_path / "a" / "b" / "c" / "demo.py"))
    monkeypatch.chdir(tmp_path)
    assert run("--out", tmp_path / "out", "--quiet") == 6
    assert "there is no samples/lesion.keras here; run the demo in a checkout" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "lesion.keras").write_text("any")
    assert demo.find_model() == tmp_path / "samples" / "lesion.keras"


def test_an_out_that_cannot_be_a_folder(
    tiny_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    assert run("--model", tiny_path, "--out", taken, "--quiet") == 2
    assert run("--model", tiny_path, "--out", taken / "below", "--quiet") == 6
    assert "the folder cannot be made (not a directory); pass another --out" in (
        capsys.readouterr().err
    )
    with pytest.raises(UsageError):
        demo.run_demo(taken, model=tiny_path, data=None, force=True, seed=0, report=Silent())
    assert taken.read_text() == "mine"


def test_a_line_is_no_model_for_the_demo(
    line_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--model", line_path, "--out", tmp_path / "out", "--quiet") == 5
    assert "not an image classifier" in capsys.readouterr().err
