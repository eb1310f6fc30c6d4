"""``lesionlite train``: a model with its contract, from points or from photos."""

from __future__ import annotations

from pathlib import Path

import click

from lesionlite_export.commands.options import force_option, parse_labels, path_type
from lesionlite_export.manifest import DEFAULT_CLASSES
from lesionlite_export.progress import reporter
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.commands.options import json_option, quiet_option
from lesionlite_runtime.errors import SomeInputsFailed, UsageError
from lesionlite_runtime.files import check_output_path, write_whole
from lesionlite_runtime.resize import PILLOW_BILINEAR, RESIZE_METHODS
from lesionlite_training import lesion, linear
from lesionlite_training.features import cache_folder
from lesionlite_training.labels import training_set
from lesionlite_training.points import read_points
from lesionlite_training.rendering import (
    lesion_json,
    lesion_lines,
    linear_json,
    linear_lines,
    next_line,
    scores_csv,
)
from lesionlite_training.threshold import DEFAULT_RULE

MAX_SEED = 2**31 - 1

out_option = click.option("-o", "--out", type=path_type, required=True, help="Path of the .keras.")
seed_option = click.option(
    "--seed",
    type=click.IntRange(0, MAX_SEED),
    default=0,
    show_default=True,
    help="Seed of what is drawn at random.",
)


@click.group("train")
def command() -> None:
    """Train a model.

    Example: lesionlite train linear --example hello --out hello.keras
    """


@command.command("linear", short_help="A line through points.")
@click.option("--example", type=click.Choice(list(linear.EXAMPLES)), help="A built-in data set.")
@click.option("--csv", "csv_path", type=path_type, help="Points: a CSV with the columns x and y.")
@click.option(
    "--epochs",
    type=click.IntRange(1, linear.MAX_EPOCHS),
    help=f"Steps of gradient descent; by default the example's, {linear.CSV_EPOCHS} for a CSV.",
)
@click.option(
    "--learning-rate",
    type=float,
    default=linear.LEARNING_RATE,
    show_default=True,
    help="Step size of gradient descent.",
)
@click.option(
    "--range",
    "value_range",
    type=(float, float),
    metavar="LOW HIGH",
    help="The x that the model is to answer for; by default -20 to 20 for an example, the lowest "
    "and highest x of a CSV.",
)
@click.option("--unit", default="", help="Unit of y, for people.")
@seed_option
@out_option
@force_option
@json_option
@quiet_option
def linear_command(
    example: str | None,
    csv_path: Path | None,
    epochs: int | None,
    learning_rate: float,
    value_range: tuple[float, float] | None,
    unit: str,
    seed: int,
    out: Path,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train y = a x + b by gradient descent.

    hello is y = 2x - 1 on six points, house y = 50(1 + x) on nine. The exported model refuses an x
    outside its range.

    Example: lesionlite train linear --example hello --out hello.keras
    """
    if (example is None) == (csv_path is None):
        raise UsageError(
            "the points come from an example or from a CSV", "pass one of --example and --csv"
        )
    if example is not None:
        chosen = linear.EXAMPLES[example]
        points, default_epochs, default_range = chosen.points, chosen.epochs, chosen.value_range
    else:
        assert csv_path is not None
        points = read_points(csv_path)
        default_epochs, default_range = linear.CSV_EPOCHS, points.span
    trained = linear.train_linear(
        points,
        out,
        epochs=epochs or default_epochs,
        value_range=value_range or default_range,
        learning_rate=learning_rate,
        unit=unit,
        seed=seed,
        force=force,
        report=reporter(quiet),
    )
    if as_json:
        click.echo(json_line(linear_json(trained)))
        return
    for line in linear_lines(trained):
        click.echo(line)
    if not quiet:
        click.echo(next_line(out))


@command.command("lesion", short_help="A classifier of skin photos.")
@click.option(
    "--data",
    type=path_type,
    required=True,
    help="Folder in the ISIC layout (its train is taken), or a manifest CSV.",
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
    "--backbone",
    default=lesion.Settings.backbone,
    show_default=True,
    help="Pretrained network under the head.",
)
@click.option(
    "--resize",
    type=click.Choice(RESIZE_METHODS),
    default=PILLOW_BILINEAR,
    show_default=True,
    help="How photos are brought to the network's size, here and on every device.",
)
@click.option(
    "--folds",
    type=click.IntRange(2),
    default=lesion.Settings.folds,
    show_default=True,
    help="Number of folds that the out-of-fold scores come from.",
)
@click.option(
    "--at",
    "rule",
    default=DEFAULT_RULE,
    show_default=True,
    help="Rule that chooses the threshold on the out-of-fold scores.",
)
@click.option("--scores", type=path_type, help="Write each image's out-of-fold score to this CSV.")
@click.option("--no-cache", is_flag=True, help="Compute the features anew, and do not keep them.")
@seed_option
@out_option
@force_option
@json_option
@quiet_option
def lesion_command(
    data: Path,
    labels: tuple[str, ...],
    backbone: str,
    resize: str,
    folds: int,
    rule: str,
    scores: Path | None,
    no_cache: bool,
    seed: int,
    out: Path,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train a skin-lesion classifier: a pretrained backbone, and a head on its features.

    The figures are out of fold: each image is scored by a head that did not see it. Features are
    kept between runs, in $LESIONLITE_CACHE or the user's cache folder.

    Example: lesionlite train lesion --data isic2017 --out lesion.keras
    """
    label_map = parse_labels(labels)
    if scores is not None:
        check_output_path(scores, force)
        if scores.resolve() == out.resolve():
            raise UsageError("--scores and --out name the same file", "name two", scores)
    manifest, classes = training_set(data, label_map)
    trained = lesion.train_lesion(
        manifest,
        classes,
        out,
        settings=lesion.Settings(
            backbone=backbone, resize=resize, folds=folds, seed=seed, rule=rule
        ),
        cache=None if no_cache else cache_folder(),
        force=force,
        report=reporter(quiet),
    )
    if scores is not None:
        write_whole(scores, scores_csv(trained), force)
    if as_json:
        click.echo(json_line(lesion_json(trained, scores)))
    else:
        for line in lesion_lines(trained, scores):
            click.echo(line)
        if data.is_dir() and not quiet:
            click.echo(next_line(out, data))
    for item in trained.unusable:
        click.echo(f"lesionlite: {item.error}", err=True)
    if trained.unusable:
        raise SomeInputsFailed(
            f"{len(trained.unusable)} of {len(manifest.images)} images could not be used, and the "
            "model was trained on the others",
            "see the reasons above",
            out,
        )
