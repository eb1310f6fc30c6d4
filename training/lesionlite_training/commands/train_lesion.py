"""``lesionlite train lesion``: a classifier of skin photos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from lesionlite_export.commands.options import parse_labels, path_type
from lesionlite_export.grouping import GROUPINGS
from lesionlite_export.manifest import DEFAULT_CLASSES
from lesionlite_export.output_paths import check_apart
from lesionlite_export.plots_folder import check_plots_folder, write_plots
from lesionlite_export.progress import reporter
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.commands.options import json_option, quiet_option
from lesionlite_runtime.errors import UsageError
from lesionlite_runtime.files import check_output_path, write_whole
from lesionlite_runtime.resize import RESIZE_METHODS
from lesionlite_training import lesion
from lesionlite_training.calibration import CALIBRATIONS
from lesionlite_training.commands.score_options import no_labels_option
from lesionlite_training.commands.sections import SectionedCommand
from lesionlite_training.commands.train_options import out_option, seed_option
from lesionlite_training.commands.tuning_options import (
    TUNING_OPTIONS,
    chosen_tuning,
    tuning_options,
)
from lesionlite_training.commands.unusable import fail_if_unusable, tell_reasons
from lesionlite_training.configuration import SIZES, Settings
from lesionlite_training.configuration_file import read_configuration
from lesionlite_training.evaluation.csv_files import check_image_ids
from lesionlite_training.history_plot import history_png, read_histories
from lesionlite_training.labels import training_set
from lesionlite_training.lesion_setup import Run
from lesionlite_training.pixel_cache import cache_folder
from lesionlite_training.rendering import (
    lesion_json,
    lesion_lines,
    next_line,
    scores_csv,
    trial_lines,
)
from lesionlite_training.trial import try_folds

HISTORY = "history.png"


SECTIONS = {
    "Data and model": ("data", "originals", "labels", "out", "force", "configuration", "seed"),
    "Backbone": ("backbone", "size", "value_range", "resize"),
    "Folds and threshold": ("folds", "group", "rule", "calibrate"),
    "Fine-tuning": TUNING_OPTIONS,
    "The run of fine-tuning": ("run_folder", "resume", "plots", "tensorboard"),
}


@click.command(
    "lesion", cls=SectionedCommand, sections=SECTIONS, short_help="A classifier of skin photos."
)
@click.option(
    "--data",
    type=path_type,
    required=True,
    help="Folder in the ISIC layout (its train is taken), or a manifest CSV.",
)
@click.option(
    "--originals",
    type=path_type,
    help="Folder with the camera's own files of some of the images, found by name: a head on "
    "levels then does not answer to what such files have and the images lack (docs/training.md).",
)
@click.option(
    "--label",
    "labels",
    metavar="CLASS=0|1",
    multiple=True,
    help="Label of a class folder, once for each; by default "
    f"{', '.join(f'{name}={label}' for name, label in DEFAULT_CLASSES.items())}.",
)
@click.option(
    "--configuration",
    type=path_type,
    help="TOML file with the settings (docs/training.md). Options that are given win over it.",
)
@click.option(
    "--backbone",
    help="Pretrained network under the head: a name (docs/backbones.md), the path of a SavedModel "
    f"or .keras, or a TensorFlow Hub URL; by default {Settings.backbone}.",
)
@click.option(
    "--value-range",
    type=(float, float),
    metavar="LOW HIGH",
    help="What a backbone given by path or URL takes for pixels 0 and 255; by default 0 and 1.",
)
@click.option(
    "--size",
    type=click.IntRange(*SIZES),
    help="Side of the images in pixels, for a backbone that takes any; by default its own.",
)
@click.option(
    "--resize",
    type=click.Choice(RESIZE_METHODS),
    help="How photos are brought to the network's size, here and on every device; by default "
    f"{Settings.resize}.",
)
@click.option(
    "--folds",
    type=click.IntRange(2),
    help=f"Number of folds that the out-of-fold scores come from; by default {Settings.folds}.",
)
@click.option(
    "--group",
    type=click.Choice(GROUPINGS),
    help="What keeps images in one fold: the same patient, the same lesion, whichever the manifest "
    "knows (auto, the default), or nothing.",
)
@click.option(
    "--at",
    "rule",
    metavar="RULE",
    help="Rule that chooses the threshold on the out-of-fold scores: sensitivity=S (by default "
    '0.90), "sensitivity>=S@95%" (its lower 95 % bound), specificity=S, youden or cost=FN:FP.',
)
@click.option(
    "--calibrate",
    type=click.Choice(CALIBRATIONS),
    help="Calibration of the scores, fitted out of fold and folded into the last layer; by default "
    "none.",
)
@tuning_options
@click.option("--scores", type=path_type, help="Write each image's out-of-fold score to this CSV.")
@no_labels_option
@click.option(
    "--run",
    "run_folder",
    type=path_type,
    help="Folder for checkpoints and logs; by default OUT with .run for .keras.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the run in that folder, to the same model as without a break; where there is "
    "none, begin one.",
)
@click.option(
    "--trial",
    type=click.IntRange(1),
    metavar="N",
    help="Train the first N folds alone and print their figures, to compare configurations; "
    "with --resume, a run without it goes on from there.",
)
@click.option("--plots", type=path_type, help=f"Write {HISTORY}, the losses, to this folder.")
@click.option("--tensorboard", type=path_type, help="Write event files to this folder.")
@click.option(
    "--no-cache", is_flag=True, help="Keep no decoded images and features, and use no kept ones."
)
@seed_option
@out_option
@click.option("--force", is_flag=True, help="Overwrite files, and begin a run anew.")
@json_option
@quiet_option
@click.pass_context
def command(
    context: click.Context,
    /,
    data: Path,
    originals: Path | None,
    labels: tuple[str, ...],
    configuration: Path | None,
    scores: Path | None,
    no_labels: bool,
    run_folder: Path | None,
    resume: bool,
    trial: int | None,
    plots: Path | None,
    tensorboard: Path | None,
    no_cache: bool,
    out: Path,
    force: bool,
    as_json: bool,
    quiet: bool,
    **chosen: Any,
) -> None:
    """Train a skin-lesion classifier: a pretrained backbone, and a head on its features.

    The figures are out of fold: each image is scored by a network that did not see it. Without
    --fine-tune the backbone stays as it is; with it, a network is trained for each fold and one for
    the file. Decoded images and features are kept between runs, in $LESIONLITE_CACHE or the user's
    cache folder.

    Example: lesionlite train lesion --data isic2017 --out lesion.keras

    Example: lesionlite train lesion --data isic2017 --fine-tune all --epochs 12 --resume --out
    tuned.keras
    """
    label_map = parse_labels(labels)
    _check_scores(scores, no_labels, force)
    read = {"--data": data, "--configuration": configuration, "--originals": originals}
    check_apart({"--scores": scores, "--out": out}, read)
    settings = _settings(context, configuration, chosen)
    run = _run(settings, out, run_folder, resume, plots, tensorboard)
    if plots is not None:
        check_plots_folder(plots, [HISTORY], force)
    manifest, classes = training_set(data, label_map)
    if no_labels:
        check_image_ids(manifest.images, manifest.source, "--no-labels")
    cache, report = None if no_cache else cache_folder(), reporter(quiet)
    shared: dict[str, Any] = {
        "cache": cache,
        "force": force,
        "report": report,
        "originals": originals,
    }
    if trial is not None:
        if run is None or scores is not None:
            raise UsageError(
                "--trial is for fine-tuning, and writes no scores",
                "pass --fine-tune, and leave out --scores",
            )
        tried = try_folds(manifest, classes, trial, settings, run, **shared)
        click.echo(json_line(tried.to_json()) if as_json else "\n".join(trial_lines(tried)))
        tell_reasons(tried.unusable, tried.camera_files)
        others = "the folds were trained on the others"
        fail_if_unusable(tried.unusable, tried.camera_files, len(manifest.images), others, data)
        return
    trained = lesion.train_lesion(manifest, classes, out, settings=settings, run=run, **shared)
    try:
        if scores is not None:
            write_whole(scores, scores_csv(trained, labels=not no_labels), force)
        if plots is not None and run is not None:
            write_plots(plots, {HISTORY: history_png(read_histories(run.folder))}, force)
    finally:  # the model is saved: its figures are told whatever cannot be written
        _show(trained, scores, data, as_json, quiet)
    others = "the model was trained on the others"
    fail_if_unusable(trained.unusable, trained.camera_files, len(manifest.images), others, out)


def _show(
    trained: lesion.Trained, scores: Path | None, data: Path, as_json: bool, quiet: bool
) -> None:
    if as_json:
        click.echo(json_line(lesion_json(trained, scores)))
    else:
        for line in lesion_lines(trained, scores):
            click.echo(line)
        if data.is_dir() and not quiet:
            click.echo(next_line(trained.path, data))
    tell_reasons(trained.unusable, trained.camera_files)


def _check_scores(scores: Path | None, no_labels: bool, force: bool) -> None:
    if scores is not None:
        check_output_path(scores, force)
    elif no_labels:
        raise UsageError("--no-labels is for --scores", "name its file, or leave it out")


def _settings(
    context: click.Context, configuration: Path | None, chosen: dict[str, Any]
) -> Settings:
    """The file's settings, or the defaults, with the options that were given in their place."""
    settings = Settings() if configuration is None else read_configuration(configuration)
    tuning = chosen_tuning(settings.fine_tuning, chosen)
    names = ("backbone", "value_range", "size", "resize", "folds", "group", "rule", "calibrate")
    given = {name: chosen[name] for name in names if chosen[name] is not None}
    seeded = context.get_parameter_source("seed") is not click.core.ParameterSource.DEFAULT
    if seeded:
        given["seed"] = chosen["seed"]
    return replace(settings, fine_tuning=tuning, **given)


def _run(
    settings: Settings,
    out: Path,
    folder: Path | None,
    resume: bool,
    plots: Path | None,
    tensorboard: Path | None,
) -> Run | None:
    """Where fine-tuning keeps its state; None where nothing is fine-tuned."""
    if settings.fine_tuning is None:
        given = (("--run", folder), ("--resume", resume), ("--plots", plots))
        for name, value in (*given, ("--tensorboard", tensorboard)):
            if value:
                raise UsageError(f"{name} is for fine-tuning", "pass --fine-tune, or leave it out")
        return None
    watcher = None
    if tensorboard is not None:
        from lesionlite_training.tensorboard import TensorBoardWatcher

        watcher = TensorBoardWatcher(tensorboard)
    return Run(folder or out.with_suffix(".run"), resume, watcher)
