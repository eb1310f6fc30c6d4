"""The photos that a user's paths stand for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.pixels import IMAGE_SUFFIXES


def image_files(paths: Iterable[Path]) -> list[Path]:
    """Every path that is no folder, and the images (by suffix) in and below those that are.

    Folders are walked in order of name, links to folders too, each folder once; hidden files and
    folders in them are left out. What cannot be read stays in the list, and the reader reports it
    in its place: a path that does not exist, a broken link, a folder without permission.

    Raises:
        UnusableInput: when a folder holds no image.
    """
    files: list[Path] = []
    for path in paths:
        if not os.path.isdir(path):  # noqa: PTH112 (Path.is_dir raises for a name too long)
            files.append(path)
            continue
        found = sorted(_images_below(path))
        if not found:
            raise UnusableInput("there is no image in this folder", "name another", path)
        files += found
    return files


def _images_below(folder: Path) -> Iterator[Path]:
    closed: list[OSError] = []
    seen = {_identity(folder)}
    for place, folders, names in os.walk(folder, onerror=closed.append, followlinks=True):
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(".") and _is_first(Path(place, name), seen)
        ]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(place, name)
    yield from (Path(error.filename) for error in closed)


def _is_first(folder: Path, seen: set[tuple[int, int]]) -> bool:
    """Whether no link led here before."""
    try:
        identity = _identity(folder)
    except OSError:  # the walk comes to the same fault, and tells it
        return True
    if identity in seen:
        return False
    seen.add(identity)
    return True


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
