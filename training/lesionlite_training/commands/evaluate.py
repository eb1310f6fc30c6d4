"""``lesionlite evaluate``: a model on labelled photos."""

from __future__ import annotations

from pathlib import Path

import click

from lesionlite_export.commands.options import label_option, parse_labels, path_type
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.commands.options import json_option, quiet_option, threshold_option
from lesionlite_runtime.errors import SomeInputsFailed


@click.command("evaluate")
@click.argument("model", type=path_type)
@click.option(
    "--data",
    type=path_type,
    required=True,
    help="Manifest CSV, or a folder in the ISIC layout (valid).",
)
@threshold_option
@label_option
@json_option
@quiet_option
def command(
    model: Path,
    data: Path,
    threshold: float | None,
    labels: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure a .keras or a .tflite on labelled photos; every figure has its 95 % interval.

    Example: lesionlite evaluate model.int8.tflite --data valid.csv --json
    """
    from lesionlite_export.manifest import read_images
    from lesionlite_export.progress import reporter
    from lesionlite_export.rendering import interval_text
    from lesionlite_runtime.classifier import check_threshold
    from lesionlite_runtime.container import read_contract
    from lesionlite_runtime.contract import classifier_contract
    from lesionlite_training.evaluate import evaluate_model

    if threshold is not None:
        check_threshold(threshold)
    label_map = parse_labels(labels)
    contract = classifier_contract(read_contract(model), str(model))
    manifest = read_images(data, "valid", label_map or contract.output.classes)
    result = evaluate_model(model, manifest, threshold=threshold, report=reporter(quiet))
    if as_json:
        click.echo(json_line(result.to_json()))
    else:
        counts = result.operating
        click.echo(f"images       {result.n}, {result.positives} of them labelled 1")
        click.echo(f"AUC          {interval_text(result.auc)}")
        click.echo(f"threshold    {result.threshold:.4f}")
        click.echo(
            f"sensitivity  {interval_text(counts.sensitivity)}: {counts.true_positives} referred, "
            f"{counts.false_negatives} missed"
        )
        click.echo(
            f"specificity  {interval_text(counts.specificity)}: {counts.true_negatives} not "
            f"referred, {counts.false_positives} referred"
        )
        click.echo(
            f"accuracy     {interval_text(result.accuracy)}; never referring gives "
            f"{result.always_benign:.3f}"
        )
    for item in result.unusable:
        click.echo(f"lesionlite: {item.error}", err=True)
    if result.unusable:
        raise SomeInputsFailed(
            f"{len(result.unusable)} images could not be used", "see the reasons above"
        )
