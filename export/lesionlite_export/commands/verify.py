"""``lesionlite verify``: whether a ``.tflite`` decides like its ``.keras``."""

from __future__ import annotations

import io
from pathlib import Path

import click

from lesionlite_export.commands.options import (
    force_option,
    label_option,
    limits_option,
    parse_labels,
    path_type,
)
from lesionlite_export.gate import parse_limits
from lesionlite_export.junit import junit_xml
from lesionlite_export.progress import reporter
from lesionlite_export.recorded_writing import reference_lines
from lesionlite_export.reference import load_reference
from lesionlite_export.verification import verify_model
from lesionlite_export.verification_rendering import verification_lines
from lesionlite_export.verification_result import Verification
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.commands.options import (
    backend_option,
    json_option,
    quiet_option,
    threads_option,
)
from lesionlite_runtime.errors import SomeInputsFailed
from lesionlite_runtime.files import check_output_path, write_whole


@click.command("verify")
@click.argument("reference", metavar="REFERENCE", type=path_type)
@click.argument("tflite", metavar="MODEL.tflite", type=path_type)
@click.option("--data", type=path_type, help="Manifest CSV, or a folder in ISIC layout (valid).")
@click.option("--csv", "csv_path", type=path_type, help="Write both scores of each image there.")
@click.option("--junit", type=path_type, help="Write the verdict there as JUnit XML.")
@click.option(
    "--save-reference",
    "saved",
    metavar="FILE.jsonl",
    type=path_type,
    help="Write the reference's scores there, to verify against without the reference.",
)
@click.option(
    "--training",
    type=path_type,
    help="What lists the images that the model was trained on, none of which may be among those "
    "compared: manifest CSV, CSV with pixels_sha256, or folder in ISIC layout (train).",
)
@click.option(
    "--allow-training-images",
    is_flag=True,
    help="Go on although the model has seen images in training or calibration; the result says so.",
)
@label_option
@limits_option
@backend_option
@threads_option
@force_option
@json_option
@quiet_option
def command(
    reference: Path,
    tflite: Path,
    data: Path | None,
    csv_path: Path | None,
    junit: Path | None,
    saved: Path | None,
    training: Path | None,
    allow_training_images: bool,
    labels: tuple[str, ...],
    limits: tuple[str, ...],
    backend: str | None,
    threads: int,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run both models on identical pixels and count the decisions that differ.

    REFERENCE is the .keras that the file was made from, another .tflite (a release before it, or
    the float32 one), or recorded scores: JSON Lines by `lesionlite classify --json` or
    --save-reference.

    Exit code 0: within the limits. 3: not. A regression is compared over its range and needs no
    --data.

    Example: lesionlite verify model.keras model.tflite --data valid.csv --csv scores.csv
    """
    in_force = parse_limits(limits)
    label_map = parse_labels(labels)
    for path in (csv_path, junit, saved):
        if path is not None:
            check_output_path(path, force)
    report = reporter(quiet)
    with report.phase("Loading the reference"):
        loaded = load_reference(reference)
    result = verify_model(
        loaded,
        tflite,
        data,
        limits=in_force,
        classes=label_map or None,
        training=training,
        allow_training_images=allow_training_images,
        backend=backend,
        threads=threads,
        report=report,
    )
    for warning in result.warnings:
        click.echo(f"lesionlite: {warning}", err=True)
    if csv_path is not None:
        write_whole(csv_path, _csv(result), force)
    if junit is not None:
        write_whole(junit, junit_xml(result), force)
    if saved is not None:
        lines = "".join(f"{line}\n" for line in reference_lines(result))
        write_whole(saved, lines.encode(), force)
    if as_json:
        click.echo(json_line(result.to_json()))
    else:
        for line in verification_lines(result):
            click.echo(line)
    for fault in (*(item.error for item in result.unusable), *result.faults):
        click.echo(f"lesionlite: {fault}", err=True)
    if not result:
        raise result.verdict.error(str(tflite))
    if not result.complete:
        raise SomeInputsFailed(
            f"{len(result.unusable)} images and {len(result.faults)} recorded lines could not be "
            "used; the proof stands on the others",
            "see the reasons above",
        )


def _csv(result: Verification) -> bytes:
    import pandas as pd

    stream = io.StringIO()
    pd.DataFrame(result.columns()).to_csv(stream, index=False, lineterminator="\n")
    return stream.getvalue().encode(errors="backslashreplace")  # for names that are no UTF-8
