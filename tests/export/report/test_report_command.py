"""``--plots`` and ``--report`` of ``lesionlite verify`` at the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from lesionlite_export.publish import Exported
from lesionlite_runtime.cli import main

OPEN = "auc_difference=none,flip_rate=none,newly_missed_rate=none,mean_score_error=none"


def verify(*arguments: object) -> int:
    return main(["verify", *map(str, arguments), "--quiet"])


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="session")
def drawn_list(tmp_path_factory: pytest.TempPathFactory, drawn_photos: list[Path]) -> Path:
    """A manifest of the drawn photos, melanomas labelled 1."""
    folder = tmp_path_factory.mktemp("drawn photos")
    rows = ["filepath,label"]
    for photo in drawn_photos:
        (folder / photo.name).write_bytes(photo.read_bytes())
        rows.append(f"{photo.name},{int('melanoma' in photo.name)}")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    return folder / "list.csv"


@pytest.mark.tensorflow
def test_a_failed_proof_is_drawn_and_reported_all_the_same(
    tiny_path: Path,
    tiny_exported: Exported,
    small_drawn: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    limits = ("--limits", f"{OPEN},max_score_error=0")
    asked = ("--plots", tmp_path / "plots", "--report", tmp_path / "report.html")
    options = ("--data", small_drawn, *limits, "--layers", "--layers-images", 2, *asked)
    assert verify(tiny_path, tiny_exported.path, *options) == 3
    assert "proof      FAILED" in capsys.readouterr().out
    names = ["bland_altman.png", "flips.png", "layers.png", "scores.png"]
    assert files(tmp_path / "plots") == names
    page = (tmp_path / "report.html").read_bytes()
    assert b"Failed: the file does not decide like its reference" in page
    assert b"Max_score_error (largest absolute error of the score) is " in page
    assert b'<section id="layers"' in page
    drawn = {name: (tmp_path / "plots" / name).read_bytes() for name in names}

    assert verify(tiny_path, tiny_exported.path, *options) == 2
    assert "the file exists already; pass --force" in capsys.readouterr().err
    assert verify(tiny_path, tiny_exported.path, *options, "--force", "--json") == 3
    assert (tmp_path / "report.html").read_bytes() == page
    assert {name: (tmp_path / "plots" / name).read_bytes() for name in names} == drawn


def test_a_regression_is_drawn_over_its_range(
    shipped_regression: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--plots", tmp_path / "plots", "--report", tmp_path / "report.html")
    assert verify(shipped_regression, shipped_regression, *asked) == 0
    assert files(tmp_path / "plots") == ["values.png"]
    with Image.open(tmp_path / "plots" / "values.png") as image:
        image.verify()
    assert b"Passed: the file decides like its reference" in (tmp_path / "report.html").read_bytes()


def test_a_matrix_is_drawn_and_reported(
    shipped_model: Path, drawn_list: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ("--row", "litert-xnnpack", "--row", "litert-builtin")
    asked = ("--plots", tmp_path / "plots", "--report", tmp_path / "report.html")
    options = ("--data", drawn_list, "--matrix", *rows, "--limits", OPEN, *asked)
    code = verify(shipped_model, shipped_model, *options)
    assert code == 0
    assert files(tmp_path / "plots") == ["backends.png"]
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Passed: the backends decide alike" in page
    assert "6 of 6" in page


@pytest.mark.parametrize("matrix", [False, True])
def test_what_cannot_be_written_is_refused_before_any_work(
    matrix: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mode = ("--matrix",) if matrix else ("--data", "none.csv")
    (tmp_path / "there.html").write_text("mine")
    (tmp_path / ("backends.png" if matrix else "flips.png")).write_text("mine")
    for asked, words in (
        (("--report", tmp_path / "there.html"), "the file exists already; pass --force"),
        (("--report", tmp_path / "no" / "r.html"), "the folder for it does not exist"),
        (("--plots", tmp_path), "the file exists already; pass --force"),
        (("--plots", tmp_path / "there.html"), "this is a file; name a folder"),
    ):
        assert verify("no.keras", "no.tflite", *mode, *asked) == 2
        assert words in capsys.readouterr().err


def test_a_kit_alone_has_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--record", tmp_path / "kit", "--report", tmp_path / "r.html")
    assert verify("no.keras", "no.tflite", *asked) == 2
    assert "--record alone compares nothing" in capsys.readouterr().err


@pytest.mark.parametrize("library", ["matplotlib.figure", "jinja2"])
def test_a_missing_library_is_told_before_any_work(
    library: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    assert verify("no.keras", "no.tflite", "--report", tmp_path / "r.html") == 6
    assert "run pip install 'lesionlite[report]'" in capsys.readouterr().err
