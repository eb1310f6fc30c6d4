"""``lesionlite data manifest`` for flat folders, metadata, and lists of what to leave out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from lesionlite_export.manifest import read_manifest
from lesionlite_runtime.cli import main

Capture = pytest.CaptureFixture[str]
LABELS = ("--label", "Malignant=1", "--label", "Benign=0")
METADATA = (
    "isic_id,attribution,copyright_license,age_approx,anatom_site_general,diagnosis_1,lesion_id,"
    "sex\n"
    'I1,"Clinic, Vienna",CC-BY,55,lower extremity,Malignant,L1,female\n'
    "I2,Anonymous,CC-0,,,Benign,,unknown\n"
    "I3,Anonymous,CC-0,30,head/neck,Benign,L3,male\n"
    "I4,Anonymous,CC-0,30,head/neck,Benign,L3,male\n"
)


def manifest(*arguments: object) -> int:
    return main(["data", "manifest", *map(str, arguments)])


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """A download of isic-cli with one image missing and one too many."""
    folder = tmp_path / "images"
    (folder / "licenses").mkdir(parents=True)
    (folder / "licenses" / "CC-0.txt").touch()
    (folder / "attribution.txt").touch()
    (folder / "metadata.csv").write_text(METADATA)
    for name in ("I1", "I2", "I3", "extra"):
        (folder / f"{name}.jpg").touch()
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_download_of_isic_cli(download: Path, capsys: Capture) -> None:
    assert manifest(download, *LABELS, "--out", download) == 0
    path = download / "all.csv"
    assert capsys.readouterr().out.splitlines() == [
        f"{path}: 3 images (Benign 2, Malignant 1)",
        "  1 files without a row, 1 rows without a file",
        "  metadata of 3 images; licences: CC-0 2, CC-BY 1",
    ]
    assert rows(path)[2] == {
        "filepath": "I1.jpg",
        "label": "1",
        "class": "Malignant",
        "split": "all",
        "image_id": "I1",
        "lesion_id": "L1",
        "patient_id": "",
        "age": "55",
        "sex": "female",
        "site": "lower extremity",
        "skin_type": "",
        "license": "CC-BY",
        "attribution": "Clinic, Vienna",
    }
    assert [image.label for image in read_manifest(path).images] == [0, 0, 1]


def test_json_and_a_name_for_the_split(download: Path, capsys: Capture) -> None:
    options = ("--split", "valid", "--drop", "Malignant", "--json")
    assert manifest(download, "--label", "Benign=0", *options, "--out", download.parent) == 0
    assert json.loads(capsys.readouterr().out) == {
        "file": str(download.parent / "valid.csv"),
        "split": "valid",
        "counts": {"Benign": 2},
        "left_out": 0,
        "dropped": 1,
        "unlisted": 1,
        "missing": 1,
        "described": 2,
        "licenses": {"CC-0": 2},
    }
    assert rows(download.parent / "valid.csv")[0]["filepath"] == "images/I2.jpg"


def test_metadata_of_class_folders_is_joined_where_it_is_named(
    tmp_path: Path, capsys: Capture
) -> None:
    for name in ("train/nevus/I2.jpg", "train/nevus/I7.jpg", "valid/nevus/I3.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    metadata = tmp_path / "metadata.csv"
    metadata.write_text(METADATA)
    assert manifest(tmp_path, "--label", "nevus=0", "--out", tmp_path) == 0
    assert set(rows(tmp_path / "train.csv")[0]) == {
        "filepath",
        "label",
        "class",
        "split",
        "image_id",
    }
    options = ("--metadata", metadata, "--force", "--out", tmp_path)
    capsys.readouterr()
    assert manifest(tmp_path, "--label", "nevus=0", *options) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path / 'train.csv'}: 2 images (nevus 2)",
        "  metadata of 1 images; licences: CC-0 1",
        f"{tmp_path / 'valid.csv'}: 1 images (nevus 1)",
        "  metadata of 1 images; licences: CC-0 1",
    ]
    assert [row["license"] for row in rows(tmp_path / "train.csv")] == ["CC-0", ""]
    assert rows(tmp_path / "valid.csv")[0]["age"] == "30"


def test_leaks_are_kept_on_demand_and_others_left_out(download: Path, capsys: Capture) -> None:
    (download / "leaks.csv").write_text("image_id\nI1\n")
    more = download.parent / "copies.csv"
    more.write_text("image_id,reason\nI2,near\n")

    def left(*options: object) -> tuple[list[str], str]:
        assert manifest(download, *LABELS, "--out", download, "--force", *options) == 0
        ids = [row["image_id"] for row in rows(download / "all.csv")]
        return sorted(ids), capsys.readouterr().out.splitlines()[0].rpartition("; ")[2]

    assert left() == (["I2", "I3"], "1 left out by leaks.csv")
    assert left("--exclude", more) == (["I3"], "2 left out by leaks.csv and copies.csv")
    assert left("--exclude", more, "--keep-leaks") == (["I1", "I3"], "1 left out by copies.csv")
    assert left("--keep-leaks")[0] == ["I1", "I2", "I3"]


def test_exit_codes(download: Path, tmp_path: Path, capsys: Capture) -> None:
    nested = tmp_path / "nested"
    (nested / "nevus").mkdir(parents=True)
    (nested / "nevus" / "a.jpg").touch()
    cases: list[tuple[tuple[object, ...], int, str]] = [
        ((download, *LABELS, "--split", "a/b", "-o", download), 2, "--split a/b is no name"),
        ((download, *LABELS, "--drop", "Benign", "-o", download), 2, "and is left out"),
        ((download, "--label", "Benign=0", "-o", download), 5, "the class Malignant of 1 images"),
        ((download, *LABELS, "--exclude", tmp_path / "no", "-o", download), 5, "no such file"),
        ((download, *LABELS, "--metadata", tmp_path / "no", "-o", download), 5, "no such file"),
        ((download, *LABELS, "--ground-truth", tmp_path / "no", "-o", download), 5, "no such file"),
        ((nested, "--label", "nevus=0", "--split", "x", "-o", nested), 2, "leave --ground-truth"),
    ]
    for arguments, code, words in cases:
        assert manifest(*arguments) == code, arguments
        text, error = capsys.readouterr()
        assert text == ""
        assert words in error
        assert error.count("\n") == 1
    assert not list(tmp_path.rglob("all.csv"))
