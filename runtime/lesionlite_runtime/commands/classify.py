"""``lesionlite classify``: a decision a photo."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from lesionlite_runtime.codec import json_line
from lesionlite_runtime.commands.options import (
    PhotoPath,
    backend_option,
    json_option,
    quiet_option,
    threads_option,
    threshold_option,
)
from lesionlite_runtime.errors import SomeInputsFailed, UnusableInput, printable
from lesionlite_runtime.label_classifier import open_classifier
from lesionlite_runtime.photos import image_files
from lesionlite_runtime.result import RESEARCH_NOTE, Failure


@click.command("classify")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=PhotoPath())
@click.option(
    "-m", "--model", type=click.Path(path_type=Path), help="A .tflite; by default the shipped one."
)
@threshold_option
@backend_option
@threads_option
@json_option
@quiet_option
def command(
    paths: tuple[Path, ...],
    model: Path | None,
    threshold: float | None,
    backend: str | None,
    threads: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Decide about photos: files, or folders whose images are taken.

    Each gets its score, the threshold, and "refer" or "no referral at this threshold"; from a model
    of several labels, a label and the highest scores. A photo that cannot be used is reported, the
    others are done, and the exit code is 4.

    Example: lesionlite classify photo.jpg --json
    """
    classifier = open_classifier(model, threshold=threshold, backend=backend, threads=threads)
    files = image_files(paths)
    show_bar = len(files) > 1 and not quiet and not sys.stdout.isatty() and sys.stderr.isatty()
    failures: list[Failure] = []
    results = classifier.classify_many(files)
    with (
        click.progressbar(results, length=len(files), file=sys.stderr)
        if show_bar
        else contextlib.nullcontext(results)
    ) as outcomes:
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                failures.append(outcome)
                if len(files) > 1:
                    click.echo(printable(f"lesionlite: {outcome.error}"), err=True)
            if as_json:
                click.echo(json_line(outcome.to_json()))
            elif not isinstance(outcome, Failure):
                click.echo(outcome.to_text())
    if len(failures) == len(files) == 1:
        raise failures[0].error
    if not as_json and not quiet:
        click.echo(RESEARCH_NOTE)
    if len(failures) == len(files):
        raise UnusableInput(f"none of {len(files)} photos could be used", "see the reasons above")
    if failures:
        raise SomeInputsFailed(
            f"{len(failures)} of {len(files)} photos could not be used", "see the reasons above"
        )
