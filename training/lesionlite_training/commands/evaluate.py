"""``lesionlite evaluate``: a model on labelled photos."""

from __future__ import annotations

from pathlib import Path

import click

from lesionlite_export.commands.options import (
    force_option,
    label_option,
    parse_labels,
    path_type,
)
from lesionlite_export.commands.stream import check_stream, stream_options
from lesionlite_export.stream.options import StreamOptions
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.commands.options import json_option, quiet_option, threshold_option
from lesionlite_runtime.errors import SomeInputsFailed, UsageError, printable
from lesionlite_training.commands.score_options import no_labels_option
from lesionlite_training.evaluation.predictive import DEFAULT_PREVALENCE


@click.command("evaluate")
@click.argument("model", metavar="MODEL|SCORES.csv", type=path_type)
@click.option(
    "--data",
    type=path_type,
    required=True,
    help="Manifest CSV, or a folder in the ISIC layout (valid; with SCORES.csv, the split that the "
    "scores are of).",
)
@threshold_option
@click.option(
    "--at",
    "rule",
    metavar="RULE",
    help="Choose the threshold on these very images by a rule, such as sensitivity=0.90. That "
    "flatters a model, so it needs --yes-optimistic; for SCORES.csv it does not.",
)
@click.option(
    "--yes-optimistic",
    is_flag=True,
    help="Give figures that are known to flatter the model, and say so in them.",
)
@click.option(
    "--prevalence",
    type=float,
    default=DEFAULT_PREVALENCE,
    show_default=True,
    help="Share of melanoma where the model is to be used, for PPV and NPV; an assumption to be "
    "replaced by your own.",
)
@click.option("--scores", type=path_type, help="Write each image's score and decision to this CSV.")
@no_labels_option
@click.option(
    "--submission", type=path_type, help="Write image ids and melanoma scores for ISIC to this CSV."
)
@click.option(
    "--plots",
    type=path_type,
    help="Write ROC and precision-recall curves, confusion matrix, reliability diagram, score "
    "histogram, and a gallery of right and wrong decisions as PNG into this folder.",
)
@click.option(
    "--robustness",
    is_flag=True,
    help="Also score degraded copies of the images, and say what each degradation costs.",
)
@click.option(
    "--originals",
    type=path_type,
    metavar="FOLDER",
    help="Also score photos of the same names at another resolution, and compare the scores.",
)
@stream_options
@label_option
@force_option
@json_option
@quiet_option
def command(
    model: Path,
    data: Path,
    threshold: float | None,
    rule: str | None,
    yes_optimistic: bool,
    prevalence: float,
    scores: Path | None,
    no_labels: bool,
    submission: Path | None,
    plots: Path | None,
    robustness: bool,
    originals: Path | None,
    stream: StreamOptions,
    labels: tuple[str, ...],
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure a .keras or a .tflite on labelled photos; every figure has its 95 % interval.

    Where the manifest knows patients or lesions, intervals take account of several images of one;
    where it has age, sex, site or skin type, the figures are given by each.

    In place of a model a CSV with the columns image_id and score will do, such as `lesionlite train
    lesion --scores` writes. It has no threshold: pass --threshold or --at.

    Example: lesionlite evaluate model.int8.tflite --data valid.csv --plots plots --json

    Example: lesionlite evaluate model.keras --data archive.csv --journal archive.sqlite

    Example: lesionlite evaluate out-of-fold.csv --data isic2017 --at sensitivity=0.95
    """
    from lesionlite_export.manifest import DEFAULT_CLASSES, Manifest, read_images
    from lesionlite_export.output_paths import check_apart
    from lesionlite_export.progress import reporter
    from lesionlite_runtime.container import read_contract
    from lesionlite_runtime.contract import classifier_contract
    from lesionlite_training.evaluate import evaluate_model, evaluate_scores
    from lesionlite_training.evaluation.degradations import DEGRADATIONS
    from lesionlite_training.evaluation.files import Outputs, check_outputs, write_outputs
    from lesionlite_training.evaluation.rendering import print_evaluation
    from lesionlite_training.evaluation.score_file import is_score_file, read_scored

    label_map = parse_labels(labels)
    outputs = Outputs(scores, submission, plots, force, no_labels, robustness)
    inputs = {"MODEL": model, "--data": data, "--originals": originals}
    check_apart({"--journal": stream.journal}, inputs)
    inputs["--journal"] = stream.journal
    if is_score_file(model):
        _refuse_what_runs_a_model(model, robustness, originals)
        check_stream(stream, False, "scores in a file have some already")
        scored = read_scored(model, data, label_map or DEFAULT_CLASSES)
        check_outputs(outputs, Manifest(scored.source, scored.images), inputs)
        result = evaluate_scores(
            scored,
            threshold=threshold,
            rule=rule,
            prevalence=prevalence,
            report=reporter(quiet),
        )
    else:
        contract = classifier_contract(read_contract(model), str(model))
        manifest = read_images(data, "valid", label_map or contract.output.classes)
        check_outputs(outputs, manifest, inputs)
        result = evaluate_model(
            model,
            manifest,
            threshold=threshold,
            rule=rule,
            prevalence=prevalence,
            yes_optimistic=yes_optimistic,
            degradations=DEGRADATIONS if robustness else (),
            originals=originals,
            stream=stream,
            report=reporter(quiet),
        )
    written: tuple[Path, ...] = ()
    try:
        written = write_outputs(outputs, result)
    finally:  # the figures are not lost with what could not be written
        if as_json:
            click.echo(json_line(result.to_json()))
        else:
            print_evaluation(result)
            for path in written:
                click.echo(f"written    {printable(str(path))}")
    for warning in result.warnings:
        click.echo(f"lesionlite: {warning}", err=True)
    for item in result.unusable:
        click.echo(f"lesionlite: {item.error}", err=True)
    if result.unusable:
        raise SomeInputsFailed(
            f"{len(result.unusable)} images could not be used", "see the reasons above"
        )


def _refuse_what_runs_a_model(file: Path, robustness: bool, originals: Path | None) -> None:
    for name, given in (("--robustness", robustness), ("--originals", originals is not None)):
        if given:
            raise UsageError(f"{name} runs a model", "name a .keras or a .tflite", file)
