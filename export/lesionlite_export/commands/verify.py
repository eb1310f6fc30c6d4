"""``lesionlite verify``: whether a ``.tflite`` decides like its ``.keras``."""

from __future__ import annotations

import io
from pathlib import Path

import click

from lesionlite_export.commands.layers import LayerOptions, layer_options
from lesionlite_export.commands.options import (
    force_option,
    label_option,
    limits_option,
    parse_labels,
    path_type,
)
from lesionlite_export.gate import AnyParity, judge, parse_limits
from lesionlite_export.layers.rendering import print_layers
from lesionlite_export.progress import reporter
from lesionlite_export.rendering import parity_lines
from lesionlite_export.source import load_source
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
@label_option
@limits_option
@backend_option
@threads_option
@layer_options
@force_option
@json_option
@quiet_option
def command(
    model: Path,
    tflite: Path,
    data: Path | None,
    csv_path: Path | None,
    labels: tuple[str, ...],
    limits: tuple[str, ...],
    backend: str | None,
    threads: int,
    layers: LayerOptions,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run both models on identical pixels and count the decisions that differ.

    MODEL is the .keras, or the float32 .tflite, that the file was made from.

    Exit code 0: within the limits. 3: not. A regression is compared over its range and needs no
    --data. --layers names the layers in which the file's error starts, whatever the exit code.

    Example: lesionlite verify model.keras model.tflite --data valid.csv --csv scores.csv
    """
    in_force = parse_limits(limits)
    label_map = parse_labels(labels)
    layers.check()
    if csv_path is not None:
        check_output_path(csv_path, force)
    report = reporter(quiet)
    with report.phase("Loading the model"):
        source = load_source(model)
    verified = verify_model(
        source,
        tflite,
        data,
        classes=label_map or None,
        backend=backend,
        threads=threads,
        report=report,
    )
    compared = layers.compare(source, tflite, data, label_map or None, report)
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
        if compared is not None:
            body["layers"] = compared.to_json()
        click.echo(json_line(body))
    else:
        for line in parity_lines(verified.parity, verdict):
            click.echo(line)
        if compared is not None:
            print_layers(compared)
    for item in verified.unusable:
        click.echo(f"lesionlite: {item.error}", err=True)
    if not verdict:
        raise verdict.error(str(tflite))
    if verified.unusable:
        raise SomeInputsFailed(
            f"{len(verified.unusable)} images could not be used; the proof stands on the others",
            "see the reasons above",
        )


def _csv(parity: AnyParity) -> bytes:
    import pandas as pd

    stream = io.StringIO()
    pd.DataFrame(parity.columns()).to_csv(stream, index=False, lineterminator="\n")
    return stream.getvalue().encode(errors="backslashreplace")  # for names that are no UTF-8
