"""``lesionlite verify``: whether a ``.tflite`` decides like its ``.keras``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from lesionlite_export.commands.layers import LayerOptions, layer_options
from lesionlite_export.commands.options import (
    allow_code_option,
    contract_option,
    force_option,
    label_option,
    limits_option,
    parse_labels,
    path_type,
)
from lesionlite_export.commands.pages import Pages, page_options
from lesionlite_export.commands.stream import check_stream, stream_options
from lesionlite_export.commands.verify_files import ResultFiles
from lesionlite_export.commands.verify_matrix import matrix_options, verify_matrix
from lesionlite_export.comparability import check_comparable
from lesionlite_export.gate import parse_limits
from lesionlite_export.kit.folder import check_kit_path
from lesionlite_export.kit.own import nearest_images
from lesionlite_export.kit.record import record_kit
from lesionlite_export.kit.rendering import recorded_lines
from lesionlite_export.layers.rendering import print_layers
from lesionlite_export.layers.result import LayerReport
from lesionlite_export.matrix.measure import MatrixOptions
from lesionlite_export.output_paths import check_apart
from lesionlite_export.progress import Reporter, reporter
from lesionlite_export.recorded import RecordedScores, is_recorded
from lesionlite_export.reference import Reference, load_reference
from lesionlite_export.seen_lists import list_path
from lesionlite_export.stream.options import StreamOptions
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
from lesionlite_runtime.container import read_contract
from lesionlite_runtime.errors import SomeInputsFailed, UsageError


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
@click.option(
    "--record",
    metavar="KIT",
    type=path_type,
    help="Write a conformance kit to that folder, for `lesionlite conform`: drawn images, and with "
    "--data some of those. Without --data nothing else is done.",
)
@contract_option
@allow_code_option
@label_option
@limits_option
@backend_option
@threads_option
@stream_options
@layer_options
@page_options
@matrix_options
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
    record: Path | None,
    draft_path: Path | None,
    allow_code: bool,
    labels: tuple[str, ...],
    limits: tuple[str, ...],
    backend: str | None,
    threads: int,
    stream: StreamOptions,
    layers: LayerOptions,
    pages: Pages,
    force: bool,
    as_json: bool,
    quiet: bool,
    matrix: MatrixOptions | None,
) -> None:
    """Run both models on identical pixels and count the decisions that differ.

    REFERENCE is the .keras that the file was made from, another .tflite (a release before it, or
    the float32 one), or recorded scores: JSON Lines by `lesionlite classify --json` or
    --save-reference.

    Exit code 0: within the limits. 3: not. 4: within them, but some images or recorded lines could
    not be used. A regression is compared over its range and needs no --data. --layers names the
    layers in which the file's error starts, whatever the exit code.

    Example: lesionlite verify model.keras model.tflite --data valid.csv --csv scores.csv

    Example: lesionlite verify model.keras model.tflite --data archive.csv --journal archive.sqlite
    """
    in_force = parse_limits(limits)
    label_map = parse_labels(labels, binary=False)
    layers.check(alone=matrix is None)
    pages.check(
        layers=layers.wanted,
        matrix=matrix is not None,
        compared=record is None or data is not None,
    )
    streams = matrix is None and data is not None
    check_stream(stream, streams, "--matrix does without it, as does a run without --data")
    files = ResultFiles(csv_path, junit, saved, force)
    _check(reference, layers.wanted or matrix is not None, record, force)
    files.check(tflite)
    check_apart(
        {
            **files.named,
            **layers.files,
            **pages.files(layers=layers.wanted, matrix=matrix is not None),
            "--journal": stream.journal,
        },
        {
            "REFERENCE": reference,
            "MODEL.tflite": tflite,
            "the list beside MODEL.tflite": list_path(tflite),
            "--data": data,
            "--training": training,
            "--contract": draft_path,
        },
    )
    if matrix is not None:
        verify_matrix(
            reference,
            tflite,
            data,
            matrix,
            draft_path=draft_path,
            allow_code=allow_code,
            classes=label_map or None,
            limits=in_force,
            csv_path=csv_path,
            pages=pages,
            force=force,
            as_json=as_json,
            quiet=quiet,
        )
        return
    report = reporter(quiet)
    with report.phase("Loading the reference"):
        loaded = load_reference(reference, tflite, draft_path, allow_code=allow_code)
    if record is not None and data is None:
        for line in _record(loaded, tflite, record, (), force, report, as_json):
            click.echo(line)
        return
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
        stream=stream,
        report=report,
    )
    for warning in result.warnings:
        click.echo(f"lesionlite: {warning}", err=True)
    compared: LayerReport | None = None
    try:
        try:
            files.write(result)
        finally:
            if not as_json:  # now, for what comes next takes long
                for line in verification_lines(result):
                    click.echo(line)
        compared = layers.compare(loaded, tflite, data, label_map or None, report)
        pages.write(result, compared, report)
    finally:  # the verdict is not lost with what could not be written
        if as_json:
            more = {} if compared is None else {"layers": compared.to_json()}
            click.echo(json_line({**result.to_json(), **more}))
        elif compared is not None:
            print_layers(compared)
    _end_failed(result, tflite)
    if record is not None:
        own = nearest_images(result.parity)
        for line in _record(loaded, tflite, record, own, force, report, as_json=False):
            click.echo(line, err=True)
    _end_incomplete(result)


def _check(
    reference: Path,
    needs_model: bool,
    record: Path | None,
    force: bool,
) -> None:
    """Refuse, before any work, what cannot be done."""
    if is_recorded(reference) and needs_model:
        raise UsageError(
            "recorded scores have neither layers nor backends",
            "pass the .keras or a .tflite, or leave --layers and --matrix out",
            reference,
        )
    if record is not None:
        check_kit_path(record, force)


def _record(
    reference: Reference,
    tflite: Path,
    kit: Path,
    own: Sequence[str],
    force: bool,
    report: Reporter,
    as_json: bool,
) -> Iterable[str]:
    """Write a kit; the lines that say what it is."""
    file = str(tflite)
    same_views, _ = check_comparable(reference, read_contract(file), file)
    source = None if isinstance(same_views, RecordedScores) else same_views
    recorded = record_kit(tflite, kit, source=source, own=own, force=force, report=report)
    return recorded_lines(recorded, kit, as_json)


def _end_failed(result: Verification, tflite: Path) -> None:
    """Name what could not be used, and raise a failed proof."""
    for fault in (*(item.error for item in result.unusable), *result.faults):
        click.echo(f"lesionlite: {fault}", err=True)
    if not result:
        raise result.verdict.error(str(tflite))


def _end_incomplete(result: Verification) -> None:
    if not result.complete:
        raise SomeInputsFailed(
            f"{len(result.unusable)} images and {len(result.faults)} recorded lines could not be "
            "used; the proof stands on the others",
            "see the reasons above",
        )
