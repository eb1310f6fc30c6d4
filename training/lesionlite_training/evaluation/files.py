"""The files that an evaluation is asked for: checked before any work, written at its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lesionlite_export.manifest import Manifest
from lesionlite_runtime.errors import MissingHere, UsageError
from lesionlite_runtime.files import check_output_path, write_whole
from lesionlite_training.evaluate import Evaluation
from lesionlite_training.evaluation.csv_files import check_image_ids, scores_csv, submission_csv
from lesionlite_training.evaluation.gallery import gallery
from lesionlite_training.evaluation.plots import PLOTS

GALLERY = "gallery.png"


@dataclass(frozen=True)
class Outputs:
    """Where to write scores, submission and plots; None for what is not wanted."""

    scores: Path | None = None
    submission: Path | None = None
    plots: Path | None = None
    force: bool = False


def check_outputs(outputs: Outputs, manifest: Manifest) -> None:
    """Refuse, before any work, what could not be written at the end.

    Raises:
        UsageError: when a file exists and ``force`` is off, its folder is missing, or two files
            are one.
        UnusableInput: when a submission could not tell two images apart.
        MissingHere: when plots are wanted, and matplotlib is missing or the folder is read-only.
    """
    files = [path for path in (outputs.scores, outputs.submission) if path is not None]
    if len({path.resolve() for path in files}) < len(files):
        raise UsageError("--scores and --submission name the same file", "name two", files[0])
    for path in files:
        check_output_path(path, outputs.force)
    if outputs.submission is not None:
        check_image_ids(manifest.images, manifest.source)
    if outputs.plots is not None:
        _check_plots(outputs.plots, outputs.force)


def write_outputs(outputs: Outputs, evaluation: Evaluation) -> tuple[Path, ...]:
    """Write what is wanted, and say what was written; the folder of the plots is made.

    Raises:
        UsageError: see `check_outputs`.
        MissingHere: likewise, or when the disk is full.
    """
    contents = dict(_contents(outputs, evaluation))
    for path, data in contents.items():
        if path.parent == outputs.plots:
            _make_folder(path.parent)
        write_whole(path, data, outputs.force)
    return tuple(contents)


def _contents(outputs: Outputs, evaluation: Evaluation) -> Iterator[tuple[Path, bytes]]:
    if outputs.scores is not None:
        yield outputs.scores, scores_csv(evaluation)
    if outputs.submission is not None:
        yield outputs.submission, submission_csv(evaluation)
    if outputs.plots is not None:
        for name, plot in PLOTS.items():
            yield outputs.plots / name, plot(evaluation)
        yield outputs.plots / GALLERY, gallery(evaluation)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise _unwritable(folder) from error


def _unwritable(folder: Path) -> MissingHere:
    return MissingHere("the folder cannot be written", "name another folder", folder)


def _check_plots(folder: Path, force: bool) -> None:
    try:
        import matplotlib.figure  # noqa: F401 (told now, not after the scoring)
    except ImportError as error:
        raise MissingHere(
            "plots need matplotlib", "run pip install 'lesionlite[training]'"
        ) from error
    if folder.exists() and not folder.is_dir():
        raise UsageError("this is a file", "name a folder", folder)
    if not folder.parent.is_dir():
        raise UsageError("the folder for it does not exist", "make it first", folder)
    if not os.access(folder if folder.exists() else folder.parent, os.W_OK):
        raise _unwritable(folder)
    if folder.exists():
        for name in (*PLOTS, GALLERY):
            check_output_path(folder / name, force)
