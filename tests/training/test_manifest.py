"""Manifests from folders: what is listed, and that a reader takes every line of it."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest

from lesionlite_export.manifest import read_manifest
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_training.manifest import write_manifests

LABELS = {"melanoma": 1, "nevus": 0}


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not read here")
    return folder


@pytest.fixture
def isic(tmp_path: Path) -> Path:
    """Two splits in the ISIC layout, and what stands between images in real folders."""
    return make(
        tmp_path / "isic",
        "train/melanoma/m1.jpg",
        "train/melanoma/m2.JPEG",
        "train/melanoma/readme.txt",
        "train/nevus/n1.png",
        "train/nevus/._n1.png",
        "train/nevus/comma, n2.jpg",
        "train/.thumbnails/x.jpg",
        "valid/melanoma/m3.jpg",
        "valid/nevus/n3.jpg",
        ".git/nevus/x.jpg",
    )


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_one_manifest_a_split(isic: Path) -> None:
    train, valid = write_manifests(isic, LABELS, isic)
    assert (train.path, train.split) == (isic / "train.csv", "train")
    assert train.counts == {"melanoma": 2, "nevus": 2}
    assert train.left_out == 0
    assert valid.counts == {"melanoma": 1, "nevus": 1}
    assert rows(train.path) == [
        dict(zip(("filepath", "label", "class", "split", "image_id"), row, strict=True))
        for row in (
            ("train/melanoma/m1.jpg", "1", "melanoma", "train", "m1"),
            ("train/melanoma/m2.JPEG", "1", "melanoma", "train", "m2"),
            ("train/nevus/comma, n2.jpg", "0", "nevus", "train", "comma, n2"),
            ("train/nevus/n1.png", "0", "nevus", "train", "n1"),
        )
    ]
    manifest = read_manifest(train.path)
    assert [image.path for image in manifest.images] == [
        isic / "train" / name
        for name in ("melanoma/m1.jpg", "melanoma/m2.JPEG", "nevus/comma, n2.jpg", "nevus/n1.png")
    ]
    assert [image.class_name for image in manifest.images][::2] == ["melanoma", "nevus"]


def test_a_folder_of_classes_gives_one_manifest(isic: Path) -> None:
    (only,) = write_manifests(isic / "valid", LABELS, isic / "valid")
    assert only.path == isic / "valid" / "all.csv"
    assert [row["filepath"] for row in rows(only.path)] == ["melanoma/m3.jpg", "nevus/n3.jpg"]


def test_a_manifest_may_lie_above_the_images(isic: Path) -> None:
    train, _ = write_manifests(isic, LABELS, isic.parent)
    assert train.path == isic.parent / "train.csv"
    assert rows(train.path)[0]["filepath"] == "isic/train/melanoma/m1.jpg"
    assert len(read_manifest(train.path).images) == 4


def test_a_folder_named_by_a_link_is_listed_so_that_a_reader_takes_it(
    isic: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "link").symlink_to(isic)
    train, _ = write_manifests(elsewhere / "link", LABELS, tmp_path)
    assert len(read_manifest(train.path).images) == 4


def test_relative_paths(isic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(isic.parent)
    train, _ = write_manifests(Path("isic"), LABELS, Path())
    assert rows(train.path)[0]["filepath"] == "isic/train/melanoma/m1.jpg"
    assert len(read_manifest("train.csv").images) == 4


def test_leaks_are_left_out_and_counted(isic: Path) -> None:
    (isic / "leaks.csv").write_text("image_id,split\nm1,train\nn3,valid\nunknown,train\n")
    train, valid = write_manifests(isic, LABELS, isic)
    assert (train.left_out, train.counts) == (1, {"melanoma": 1, "nevus": 2})
    assert (valid.left_out, valid.counts) == (1, {"melanoma": 1, "nevus": 0})
    assert "m1.jpg" not in train.path.read_text()


def test_an_out_that_the_images_are_not_below_is_wrong_usage(isic: Path) -> None:
    elsewhere = isic.parent / "elsewhere"
    elsewhere.mkdir()
    for out in (elsewhere, isic / "train"):
        with pytest.raises(UsageError, match="or a folder above it, so that the paths in them"):
            write_manifests(isic, LABELS, out)


def test_nothing_is_overwritten_without_force(isic: Path) -> None:
    (isic / "valid.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"valid.csv: the file exists already; pass --force"):
        write_manifests(isic, LABELS, isic)
    assert (isic / "valid.csv").read_text() == "mine"
    assert not (isic / "train.csv").exists()
    assert len(write_manifests(isic, LABELS, isic, force=True)) == 2


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("train/wart/w.jpg",), "the class wart has no label; give it one (--label wart=0 or =1"),
        (("zzz/nevus/readme.txt",), "there is no image in its class folders"),
        (("zzz/readme.txt",), "there is no image in its class folders"),
    ],
)
def test_a_fault_in_one_split_writes_none(isic: Path, names: tuple[str, ...], words: str) -> None:
    make(isic, *names)
    with pytest.raises(UnusableInput) as caught:
        write_manifests(isic, LABELS, isic)
    assert words in str(caught.value)
    assert str(isic / Path(names[0]).parts[0]) in str(caught.value)
    assert not list(isic.glob("*.csv"))


def test_folders_without_images(tmp_path: Path) -> None:
    with pytest.raises(UnusableInput, match="this is no folder"):
        write_manifests(tmp_path / "no", LABELS, tmp_path)
    with pytest.raises(UnusableInput, match="there is no class folder in it"):
        write_manifests(tmp_path, LABELS, tmp_path)


def test_leaks_that_cannot_be_read_are_never_ignored(isic: Path) -> None:
    (isic / "leaks.csv").write_text("id\nm1\n")
    with pytest.raises(UnusableInput, match="the column image_id is missing"):
        write_manifests(isic, LABELS, isic)


def test_a_file_name_that_a_manifest_cannot_hold(isic: Path) -> None:
    name = os.fsencode(isic / "train" / "nevus") + b"/caf\xe9.jpg"
    try:
        Path(os.fsdecode(name)).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system holds UTF-8 names alone")
    with pytest.raises(UnusableInput, match="a file name in it is no UTF-8"):
        write_manifests(isic, LABELS, isic)
    assert not list(isic.glob("*.csv"))


@pytest.mark.data
def test_the_real_folder_gives_the_known_counts(data_dir: Path, tmp_path: Path) -> None:
    # Links to real folders: nothing is written beside the real images.
    for name in ("train", "valid"):
        for real in sorted((data_dir / "isic2017" / name).iterdir()):
            mirror = tmp_path / name / real.name
            mirror.mkdir(parents=True)
            for image in real.iterdir():
                (mirror / image.name).symlink_to(image)
    (tmp_path / "leaks.csv").symlink_to(data_dir / "isic2017" / "leaks.csv")
    labels = {"melanoma": 1, "nevus": 0, "seborrheic_keratosis": 0}
    train, valid = write_manifests(tmp_path, labels, tmp_path)
    assert (sum(train.counts.values()), train.left_out) == (1966, 34)
    assert (sum(valid.counts.values()), valid.left_out) == (148, 2)
