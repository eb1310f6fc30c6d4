"""The folder that plots go to: checked before any work, made when they are written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from lesionlite_runtime.errors import MissingHere, UsageError
from lesionlite_runtime.files import check_output_path, write_whole


def check_matplotlib() -> None:
    """Refuse, before any work, pictures that could not be drawn.

    Raises:
        MissingHere: when matplotlib is missing.
    """
    try:
        import matplotlib.figure  # noqa: F401 (told now, not after the work)
    except ImportError as error:
        raise MissingHere(
            "plots need matplotlib", "run pip install 'lesionlite[report]'"
        ) from error


def check_plots_folder(folder: Path, names: Iterable[str], force: bool = False) -> None:
    """Refuse, before any work, a folder that plots called ``names`` could not be written to.

    The folder itself need not be there, the one above it must.

    Raises:
        UsageError: when it is a file, the folder above it is missing, or one of ``names`` is there
            and ``force`` is off.
        MissingHere: when matplotlib is missing, or the folder is read-only.
    """
    check_matplotlib()
    if folder.exists() and not folder.is_dir():
        raise UsageError("this is a file", "name a folder", folder)
    if not folder.parent.is_dir():
        raise UsageError("the folder for it does not exist", "make it first", folder)
    if not os.access(folder if folder.exists() else folder.parent, os.W_OK):
        raise _unwritable(folder)
    if folder.exists():
        for name in names:
            check_output_path(folder / name, force)


def write_plots(folder: Path, plots: Mapping[str, bytes], force: bool = False) -> tuple[Path, ...]:
    """Write ``plots``, by file name, into ``folder``, which is made if it is not there.

    Returns:
        The paths of the files.

    Raises:
        UsageError: see `check_plots_folder`.
        MissingHere: when the folder cannot be made or written, or the disk is full.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise _unwritable(folder) from error
    paths = {folder / name: data for name, data in plots.items()}
    for path, data in paths.items():
        write_whole(path, data, force)
    return tuple(paths)


def _unwritable(folder: Path) -> MissingHere:
    return MissingHere("the folder cannot be written", "name another folder", folder)
