"""The files that an evaluation is asked for: checked before any work, written at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lesionlite_export.manifest import Manifest
from lesionlite_export.output_paths import check_apart
from lesionlite_export.plots_folder import check_plots_folder, write_plots
from lesionlite_runtime.errors import UsageError
from lesionlite_runtime.files import check_output_path, write_whole
from lesionlite_training.evaluation.csv_files import (
    bare_scores_csv,
    check_image_ids,
    scores_csv,
    submission_csv,
)
from lesionlite_training.evaluation.gallery import gallery
from lesionlite_training.evaluation.plots import PLOTS
from lesionlite_training.evaluation.result import Evaluation
from lesionlite_training.evaluation.robustness_plot import robustness_plot

GALLERY = "gallery.png"
ROBUSTNESS = "robustness.png"


@dataclass(frozen=True)
class Outputs:
    """Where to write scores, submission and plots; None for what is not wanted.

    ``no_labels`` writes ids and scores alone, ``robustness`` that there is a plot of it as well.
    """

    scores: Path | None = None
    submission: Path | None = None
    plots: Path | None = None
    force: bool = False
    no_labels: bool = False
    robustness: bool = False


def check_outputs(
    outputs: Outputs, manifest: Manifest, inputs: Mapping[str, Path | None] | None = None
) -> None:
    """Refuse, before any work, what could not be written at the end.

    ``inputs`` are the files that the run reads, by the option that names them.

    Raises:
        UsageError: when a file exists and ``force`` is off, its folder is missing, two files are
            one, also of those that are read, or there are no scores to leave labels out of.
        UnusableInput: when a file of ids alone could not tell two images apart.
        MissingHere: when plots are wanted, and matplotlib is missing or the folder is read-only.
    """
    files: dict[str, Path | None] = {
        "--scores": outputs.scores,
        "--submission": outputs.submission,
    }
    plots = (*PLOTS, GALLERY, *((ROBUSTNESS,) if outputs.robustness else ()))
    drawn: dict[str, Path | None] = {}
    if outputs.plots is not None:
        drawn = {f"{name} of --plots": outputs.plots / name for name in plots}
    check_apart({**files, **drawn}, inputs or {})
    for path in files.values():
        if path is not None:
            check_output_path(path, outputs.force)
    if outputs.no_labels and outputs.scores is None:
        raise UsageError("--no-labels is for --scores", "name its file, or leave it out")
    if outputs.no_labels:
        check_image_ids(manifest.images, manifest.source, "--no-labels")
    if outputs.submission is not None:
        check_image_ids(manifest.images, manifest.source, "--submission")
    if outputs.plots is not None:
        check_plots_folder(outputs.plots, plots, outputs.force)


def write_outputs(outputs: Outputs, evaluation: Evaluation) -> tuple[Path, ...]:
    """Write what is wanted, and say what was written; the folder of the plots is made.

    Raises:
        UsageError: see `check_outputs`.
        MissingHere: likewise, or when the disk is full.
    """
    tables = dict(_tables(outputs, evaluation))
    plots = {}
    if outputs.plots is not None:
        plots = {name: plot(evaluation) for name, plot in PLOTS.items()}
        plots[GALLERY] = gallery(evaluation)
        if evaluation.robustness is not None:
            plots[ROBUSTNESS] = robustness_plot(evaluation, evaluation.robustness)
    for path, data in tables.items():
        write_whole(path, data, outputs.force)
    if outputs.plots is None:
        return tuple(tables)
    return (*tables, *write_plots(outputs.plots, plots, outputs.force))


def _tables(outputs: Outputs, evaluation: Evaluation) -> Iterator[tuple[Path, bytes]]:
    if outputs.scores is not None and outputs.no_labels:
        yield outputs.scores, bare_scores_csv(evaluation.images, evaluation.scores)
    elif outputs.scores is not None:
        yield outputs.scores, scores_csv(evaluation)
    if outputs.submission is not None:
        yield outputs.submission, submission_csv(evaluation)
