"""``lesionlite verify``: whether a ``.tflite`` decides like its ``.keras``."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import click

from lesionlite_export.commands.options import (
    force_option,
    label_option,
    limits_option,
    parse_labels,
    path_type,
)
from lesionlite_export.gate import AnyParity, judge, parse_limits
from lesionlite_export.kit.folder import check_kit_path
from lesionlite_export.kit.own import nearest_images
from lesionlite_export.kit.record import record_kit
from lesionlite_export.kit.rendering import recorded_lines
from lesionlite_export.progress import Reporter, reporter
from lesionlite_export.rendering import parity_lines
from lesionlite_export.source import Source, load_source
from lesionlite_export.verification import verify_model
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
@click.argument("model", metavar="MODEL", type=path_type)
@click.argument("tflite", metavar="MODEL.tflite", type=path_type)
@click.option("--data", type=path_type, help="Manifest CSV, or a folder in ISIC layout (valid).")
@click.option("--csv", "csv_path", type=path_type, help="Write both scores of each image there.")
@click.option(
    "--record",
    metavar="KIT",
    type=path_type,
    help="Write a conformance kit to that folder, for `lesionlite conform`: drawn images, and with "
    "--data some of those. Without --data nothing else is done.",
)
@label_option
@limits_option
@backend_option
@threads_option
@force_option
@json_option
@quiet_option
def command(
    model: Path,
    tflite: Path,
    data: Path | None,
    csv_path: Path | None,
    record: Path | None,
    labels: tuple[str, ...],
    limits: tuple[str, ...],
    backend: str | None,
    threads: int,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run both models on identical pixels and count the decisions that differ.

    MODEL is the .keras, or the float32 .tflite, that the file was made from.

    Exit code 0: within the limits. 3: not. A regression is compared over its range and needs no
    --data.

    Example: lesionlite verify model.keras model.tflite --data valid.csv --csv scores.csv
    """
    in_force = parse_limits(limits)
    label_map = parse_labels(labels)
    if csv_path is not None:
        check_output_path(csv_path, force)
    if record is not None:
        check_kit_path(record, force)
    report = reporter(quiet)
    with report.phase("Loading the model"):
        source = load_source(model)
    if record is not None and data is None:
        _record(tflite, record, source, (), force, report, as_json)
        return
    verified = verify_model(
        source,
        tflite,
        data,
        classes=label_map or None,
        backend=backend,
        threads=threads,
        report=report,
    )
    verdict = judge(verified.parity, in_force)
    for warning in verified.warnings:
        click.echo(f"lesionlite: {warning}", err=True)
    if csv_path is not None:
        write_whole(csv_path, _csv(verified.parity), force)
    if as_json:
        body = {
            **verified.parity.to_json(),
            **verdict.to_json(),
            "warnings": list(verified.warnings),
            "unusable": [
                {"file": str(u.image.path), "message": str(u.error)} for u in verified.unusable
            ],
        }
        click.echo(json_line(body))
    else:
        for line in parity_lines(verified.parity, verdict):
            click.echo(line)
    for item in verified.unusable:
        click.echo(f"lesionlite: {item.error}", err=True)
    if not verdict:
        raise verdict.error(str(tflite))
    if record is not None:
        own = nearest_images(verified.parity)
        _record(tflite, record, source, own, force, report, False, err=True)
    if verified.unusable:
        raise SomeInputsFailed(
            f"{len(verified.unusable)} images could not be used; the proof stands on the others",
            "see the reasons above",
        )


def _record(
    tflite: Path,
    kit: Path,
    source: Source,
    own: Sequence[str],
    force: bool,
    report: Reporter,
    as_json: bool,
    err: bool = False,
) -> None:
    recorded = record_kit(tflite, kit, source=source, own=own, force=force, report=report)
    for line in recorded_lines(recorded, kit, as_json):
        click.echo(line, err=err)


def _csv(parity: AnyParity) -> bytes:
    import pandas as pd

    stream = io.StringIO()
    pd.DataFrame(parity.columns()).to_csv(stream, index=False, lineterminator="\n")
    return stream.getvalue().encode(errors="backslashreplace")  # for names that are no UTF-8
