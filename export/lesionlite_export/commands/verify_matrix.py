"""The options of ``lesionlite verify --matrix``, and what it does with them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from lesionlite_export.commands.pages import Pages
from lesionlite_export.csv_file import csv_bytes
from lesionlite_export.matrix.measure import SAMPLE, MatrixOptions, run_matrix
from lesionlite_export.matrix.rendering import matrix_lines
from lesionlite_export.matrix.rows import PYTHON_VARIABLES, VARIANTS, parse_pythons
from lesionlite_export.matrix.tolerances import WORDS, parse_tolerances
from lesionlite_export.progress import reporter
from lesionlite_export.recorded import RecordedScores
from lesionlite_export.reference import load_reference
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.errors import SomeInputsFailed, UsageError
from lesionlite_runtime.files import write_whole

_OPTIONS = {
    "matrix": click.option(
        "--matrix",
        is_flag=True,
        help="Run the file in every backend, each in a process of its own (docs/backends.md).",
    ),
    "rows": click.option(
        "--row",
        "rows",
        type=click.Choice(list(VARIANTS)),
        multiple=True,
        help="With --matrix: these backends alone, and each must give scores. Several times.",
    ),
    "pythons": click.option(
        "--python",
        "pythons",
        metavar="BACKEND=PATH",
        multiple=True,
        help="With --matrix: a Python that has the backend "
        f"({', '.join(PYTHON_VARIABLES)}), in place of this one.",
    ),
    "tolerances": click.option(
        "--tolerance",
        "tolerances",
        metavar="NAME=VALUE",
        multiple=True,
        help="With --matrix: how far backends may be apart, over the default; `none` takes it "
        f"away. Names: {', '.join(WORDS)}.",
    ),
    "time_limit": click.option(
        "--time-limit",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="With --matrix: for each row; by default 60 (TensorFlow: 300) and 3 for an image, 20 "
        "for one in reference kernels.",
    ),
    "all_images": click.option(
        "--all-images",
        is_flag=True,
        help=f"With --matrix: reference kernels on every image, and not on {SAMPLE}.",
    ),
    "seed": click.option(
        "--seed",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="With --matrix: of that sample.",
    ),
}


def matrix_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command, which gets them as ``matrix``: `MatrixOptions`, or None."""

    @functools.wraps(function)
    def collected(**arguments: Any) -> None:
        mine = {name: arguments.pop(name) for name in _OPTIONS}
        function(**arguments, matrix=_options(mine))

    for option in reversed(_OPTIONS.values()):
        collected = option(collected)
    return collected


def _options(values: Mapping[str, Any]) -> MatrixOptions | None:
    context = click.get_current_context()
    given = {
        name
        for name in context.params
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    }
    options = {p.name: p.opts[0] for p in context.command.params}
    if not values["matrix"]:
        stray = [options[name] for name in _OPTIONS if name in given]
        if stray:
            raise UsageError(f"{stray[0]} is an option of --matrix", "pass --matrix, or leave it")
        return None
    for name in ("backend", "threads"):
        if name in given:
            raise UsageError(
                f"{options[name]} is for one backend, and --matrix runs all", "leave one out"
            )
    for name in ("junit", "saved", "training", "allow_training_images", "record"):
        if name in given:
            raise UsageError(f"{options[name]} does not go with --matrix", "leave one out")
    return MatrixOptions(
        values["rows"],
        parse_pythons(values["pythons"]),
        parse_tolerances(values["tolerances"]),
        values["time_limit"],
        values["all_images"],
        values["seed"],
    )


def verify_matrix(
    model: Path,
    tflite: Path,
    data: Path | None,
    options: MatrixOptions,
    *,
    draft_path: Path | None,
    allow_code: bool,
    classes: Mapping[str, int] | None,
    limits: Mapping[str, float | None],
    csv_path: Path | None,
    pages: Pages,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run the matrix and render it; see the options of the command for the arguments."""
    report = reporter(quiet)
    with report.phase("Loading the model"):
        source = load_reference(model, tflite, draft_path, allow_code=allow_code)
    assert not isinstance(source, RecordedScores)  # refused by the command
    matrix = run_matrix(
        source, tflite, data, options, classes=classes, limits=limits, report=report
    )
    for warning in matrix.warnings:
        click.echo(f"lesionlite: {warning}", err=True)
    try:
        if csv_path is not None:
            write_whole(csv_path, csv_bytes(matrix.columns()), force)
        pages.write_matrix(matrix, report)
    finally:  # the verdict is not lost with what could not be written
        if as_json:
            click.echo(json_line(matrix.to_json()))
        else:
            for line in matrix_lines(matrix):
                click.echo(line)
    for item in matrix.unusable:
        click.echo(f"lesionlite: {item.error}", err=True)
    if not matrix:
        raise matrix.verdict.error(str(tflite))
    if matrix.unusable:
        raise SomeInputsFailed(
            f"{len(matrix.unusable)} images could not be used; the proof stands on the others",
            "see the reasons above",
        )
