"""The folder of plots is refused before the work, and made after it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lesionlite_export.plots_folder import check_plots_folder, write_plots
from lesionlite_runtime.errors import LesionliteError, MissingHere, UsageError


def test_the_check_makes_nothing_and_the_writing_makes_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "plots"
    check_plots_folder(folder, ["a.png"])
    assert list(tmp_path.iterdir()) == []
    assert write_plots(folder, {"a.png": b"1", "b.png": b"2"}) == (
        folder / "a.png",
        folder / "b.png",
    )
    assert [path.read_bytes() for path in sorted(folder.iterdir())] == [b"1", b"2"]


@pytest.mark.parametrize(
    ("folder", "kind", "words"),
    [
        ("no/plots", UsageError, "the folder for it does not exist; make it first"),
        ("file", UsageError, "this is a file; name a folder"),
        ("file/plots", UsageError, "the folder for it does not exist"),
    ],
)
def test_a_folder_that_cannot_be_made_is_refused(
    folder: str, kind: type[LesionliteError], words: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(kind, match=words):
        check_plots_folder(tmp_path / folder, ["a.png"])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_that_is_read_only(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, asked = tmp_path / "plots", []
    if there:
        folder.mkdir()

    def access(path: os.PathLike[str], mode: int) -> bool:
        asked.append((Path(path), mode))
        return False

    monkeypatch.setattr(os, "access", access)  # root may write anywhere
    with pytest.raises(MissingHere, match="cannot be written; name another folder"):
        check_plots_folder(folder, ["a.png"])
    assert asked == [(folder if there else tmp_path, os.W_OK)]


def test_a_plot_that_is_there_stays_without_force(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"mine")
    (tmp_path / "b.png").mkdir()
    check_plots_folder(tmp_path, ["other.png"])
    with pytest.raises(UsageError, match=r"a\.png: the file exists already; pass --force"):
        check_plots_folder(tmp_path, ["other.png", "a.png"])
    with pytest.raises(UsageError, match=r"a\.png: the file exists already; pass --force"):
        write_plots(tmp_path, {"a.png": b"1"})
    check_plots_folder(tmp_path, ["a.png"], force=True)
    with pytest.raises(UsageError, match=r"b\.png: this is a folder"):
        check_plots_folder(tmp_path, ["b.png"], force=True)
    assert (tmp_path / "a.png").read_bytes() == b"mine"
    write_plots(tmp_path, {"a.png": b"1"}, force=True)
    assert (tmp_path / "a.png").read_bytes() == b"1"


def test_without_matplotlib_there_are_no_plots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingHere, match=r"pip install 'lesionlite\[report\]'"):
        check_plots_folder(tmp_path / "plots", ["a.png"])


def test_a_folder_that_cannot_be_made_after_all(tmp_path: Path) -> None:
    (tmp_path / "plots").write_text("came up while the work was done")
    with pytest.raises(MissingHere, match="cannot be written; name another folder"):
        write_plots(tmp_path / "plots", {"a.png": b"1"})
