"""The photos that a user's paths stand for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.pixels import IMAGE_SUFFIXES


def image_files(paths: Iterable[Path]) -> list[Path]:
    """Every path that is no folder, and the images (by suffix) in and below those that are.

    Folders are walked in order of name; hidden files and folders in them are left out. A path that
    does not exist stays in the list: the reader reports it in its place.

    Raises:
        UnusableInput: when a folder holds no image, or cannot be read.
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
    for place, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(place, name)
            hidden = name.startswith(".")
            if path.suffix.lower() in IMAGE_SUFFIXES and not hidden and path.is_file():
                yield path


def _refuse(error: OSError) -> NoReturn:
    raise UnusableInput(
        f"the folder cannot be read ({(error.strerror or str(error)).lower()})",
        "check its permissions",
        error.filename,
    ) from error
