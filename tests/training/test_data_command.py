"""``lesionlite data manifest`` at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lesionlite_runtime.cli import main

LABELS = ("--label", "melanoma=1", "--label", "nevus=0")


@pytest.fixture
def isic(tmp_path: Path) -> Path:
    """Two splits of empty files, and a leak."""
    folder = tmp_path / "isic"
    for name in ("train/melanoma/m1", "train/melanoma/m2", "train/nevus/n1", "valid/nevus/n2"):
        path = folder / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not read here")
    (folder / "leaks.csv").write_text("image_id\nm2\n")
    return folder


def manifest(*arguments: object) -> int:
    return main(["data", "manifest", *map(str, arguments)])


def test_a_line_a_split(isic: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert manifest(isic, *LABELS, "--out", isic) == 0
    text, error = capsys.readouterr()
    assert error == ""
    assert text.splitlines() == [
        f"{isic / 'train.csv'}: 2 images (melanoma 1, nevus 1); 1 left out by leaks.csv",
        f"{isic / 'valid.csv'}: 1 images (nevus 1)",
    ]


def test_json_is_an_object_a_split(isic: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert manifest(isic, *LABELS, "--out", isic, "--json") == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    expected = {
        "file": str(isic / "train.csv"),
        "split": "train",
        "counts": {"melanoma": 1, "nevus": 1},
        "left_out": 1,
    }
    assert {**first, **expected} == first
    assert second["counts"] == {"nevus": 1}


def test_what_is_written_can_be_read_by_every_command(
    isic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Up to the images, which are none: the fault is theirs, and no longer the manifest's."""
    assert manifest(isic, *LABELS, "--out", isic) == 0
    model = Path(__file__).parents[2] / "samples" / "lesion.keras"
    assert main(["evaluate", str(model), "--data", str(isic / "train.csv"), "--quiet"]) == 5
    assert "none of its 2 images can be used" in capsys.readouterr().err


def test_exit_codes(isic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    out = ("--out", isic)
    cases: list[tuple[tuple[object, ...], int, str]] = [
        ((isic, *out), 2, "Missing option '--label'"),
        ((isic, *LABELS), 2, "Missing option '-o' / '--out'"),
        ((isic, "--label", "nevus=2", *out), 2, "is not of the form CLASS=0 or CLASS=1"),
        ((isic, "--label", "=1", *out), 2, "is not of the form CLASS=0 or CLASS=1"),
        ((isic, *LABELS, "--label", "nevus=1", *out), 2, "--label gives nevus twice"),
        ((isic, *LABELS, "--out", tmp_path / "no"), 2, "there is no such folder; make it first"),
        ((isic, *LABELS, "--out", elsewhere), 2, f"pass --out {isic}"),
        ((isic, "--label", "nevus=0", *out), 5, "the class melanoma has no label"),
        ((tmp_path / "no", *LABELS, "--out", tmp_path), 5, "this is no folder"),
        ((elsewhere, *LABELS, "--out", elsewhere), 5, "there is no class folder in it"),
    ]
    for arguments, code, words in cases:
        assert manifest(*arguments) == code, arguments
        text, error = capsys.readouterr()
        assert text == ""
        assert words in error
        assert error.startswith("lesionlite: ")
        assert error.count("\n") == 1
    assert not list(isic.glob("t*.csv"))


def test_nothing_is_overwritten_without_force(
    isic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert manifest(isic, *LABELS, "--out", isic) == 0
    before = (isic / "train.csv").read_bytes()
    assert manifest(isic, *LABELS, "--out", isic) == 2
    assert "pass --force" in capsys.readouterr().err
    assert manifest(isic, *LABELS, "--out", isic, "--force") == 0
    assert (isic / "train.csv").read_bytes() == before


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["data", "--help"], ["data", "manifest", "--help"]):
        assert main(arguments) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert "lesionlite data manifest isic2017 --label melanoma=1" in text
