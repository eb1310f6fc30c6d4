"""The photos that paths stand for."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.files import read_file
from lesionlite_runtime.photos import image_files


def touch(folder: Path, *names: str) -> None:
    """Make empty files."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_folder_stands_for_the_images_below_it_by_name(tmp_path: Path) -> None:
    touch(
        tmp_path, "b/2.PNG", "b/10.jpeg", "a.jpg", "c.webp", "b/deep/er/x.tif", "notes.txt", "b/y"
    )
    found = [str(path.relative_to(tmp_path)) for path in image_files([tmp_path])]
    assert found == ["a.jpg", "b/10.jpeg", "b/2.PNG", "b/deep/er/x.tif", "c.webp"]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", ".b.jpg", ".trash/c.jpg", "d/._e.jpg", "d/.f/g.jpg")
    assert image_files([tmp_path]) == [tmp_path / "a.jpg"]
    assert image_files([tmp_path / ".trash"]) == [tmp_path / ".trash" / "c.jpg"]


def test_a_file_is_taken_whatever_its_name_is(tmp_path: Path) -> None:
    touch(tmp_path, "photo", ".hidden.jpg", "notes.txt")
    paths = [tmp_path / name for name in ("photo", ".hidden.jpg", "notes.txt", "missing.jpg")]
    assert image_files(paths) == paths


def test_paths_keep_their_order_and_may_stand_twice(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    found = image_files([tmp_path / "b", tmp_path / "a" / "1.jpg", tmp_path / "b"])
    assert [path.name for path in found] == ["2.jpg", "1.jpg", "2.jpg"]


def test_what_is_called_a_photo_and_is_none_is_left_to_the_reader(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere")
    touch(tmp_path, "real.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "real.jpg")
    found = [path.name for path in image_files([tmp_path])]
    assert found == ["broken.jpg", "link.jpg", "pipe.jpg", "real.jpg"]


def test_links_to_folders_are_followed_and_each_folder_is_walked_once(tmp_path: Path) -> None:
    touch(tmp_path, "photos/a.jpg", "elsewhere/b.jpg")
    (tmp_path / "photos" / "day2").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "day2 again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "round").symlink_to(tmp_path / "photos")
    (tmp_path / "elsewhere" / "up").symlink_to(tmp_path)
    found = image_files([tmp_path / "photos"])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "photos/a.jpg",
        "photos/day2/b.jpg",
    ]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt", "empty/.hidden.jpg")
    with pytest.raises(UnusableInput, match="there is no image in this folder") as caught:
        image_files([tmp_path])
    assert caught.value.file == str(tmp_path)


def test_a_folder_that_cannot_be_read_is_left_to_the_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.jpg", "closed/b.jpg")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert image_files([tmp_path]) == [tmp_path / "a.jpg", tmp_path / "closed"]
    assert image_files([tmp_path / "closed"]) == [tmp_path / "closed"]


def test_the_reader_says_that_a_folder_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read all
    with pytest.raises(UnusableInput, match="the folder cannot be read; check its permissions"):
        read_file(tmp_path)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_a_path_that_cannot_be_stays_for_the_reader(name: str) -> None:
    assert image_files([Path(name)]) == [Path(name)]
