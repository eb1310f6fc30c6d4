"""``lesionlite train``: a model with its contract, from points or from photos."""

from __future__ import annotations

from pathlib import Path

import click

from lesionlite_export.commands.options import force_option, path_type
from lesionlite_export.progress import reporter
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.commands.options import json_option, quiet_option
from lesionlite_runtime.errors import UsageError
from lesionlite_training import linear
from lesionlite_training.commands.train_lesion import command as lesion_command
from lesionlite_training.commands.train_options import out_option, seed_option
from lesionlite_training.points import read_points
from lesionlite_training.rendering import linear_json, linear_lines, next_line


@click.group("train", no_args_is_help=False)
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


command.add_command(lesion_command)
