"""Where the error of each recipe's file starts: the tables of docs/layers.md.

    python benchmarks/layers.py samples/lesion.keras --data isic2017 --write docs/layers.md

The first table has the layers that `lesionlite verify --layers` names in the file of each recipe,
on a sample of the validation images; the second the first rows of one file, and those that add
most. Prints Markdown, and with --write puts it between the markers of that page.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from pages import markdown_table, put, write_option

from lesionlite_export.keras_model import load_keras
from lesionlite_export.layers.compare import DEFAULT_IMAGES, compare_layers
from lesionlite_export.layers.effect import Change
from lesionlite_export.layers.result import Layer, LayerReport, NamedLayer
from lesionlite_export.manifest import read_isic_split
from lesionlite_export.progress import reporter
from lesionlite_export.publish import export_model
from lesionlite_export.recipe import load_recipe
from lesionlite_export.sets import Sets

RECIPES = ("int8", "int8-plain", "dynamic", "float16")
SHOWN = "int8-plain"
FIRST, MOST = 14, 5


def decibels(level: float | None) -> str:
    """As in the table of the command."""
    return "exact" if level is None else f"{level:.1f}"


def change(found: Change | None) -> str:
    """Mean and largest change of the score."""
    return "-" if found is None else f"{found.mean:.4f} / {found.max:.4f}"


def named_row(recipe: str, report: LayerReport, named: NamedLayer) -> Sequence[object]:
    """A row of the first table."""
    layer = named.layer
    word = "starts at" if named is report.starts_at else "most" if named.most else "then"
    if named.most and word == "starts at":
        word = "starts at, most"
    return [
        f"`{recipe}`",
        word,
        layer.layer,
        decibels(layer.input_snr_db),
        decibels(layer.added_snr_db),
        change(named.change),
        "<br>".join(f"`{c.cause.code}` {change(c.change)}" for c in named.causes),
    ]


def layer_row(layer: Layer) -> Sequence[object]:
    """A row of the second table."""
    return [
        layer.operator,
        layer.name,
        layer.layer,
        decibels(layer.snr_db),
        f"{layer.cosine:.5f}",
        f"{layer.max_error:.3g}",
        decibels(layer.input_snr_db),
        decibels(layer.added_snr_db),
    ]


def named_table(reports: dict[str, LayerReport]) -> str:
    """The layers that are named, by recipe."""
    rows: list[Sequence[object]] = []
    for recipe, report in reports.items():
        found = [named_row(recipe, report, named) for named in report.named]
        rows += found or [[f"`{recipe}`", "no layer", "", "", "", "", ""]]
    head = [
        "recipe",
        "",
        "layer",
        "given dB",
        "added dB",
        "score changes by, mean / max",
        "of it by cause",
    ]
    return markdown_table(head, rows)


def layer_table(report: LayerReport) -> str:
    """The first rows of a file, and those that add most."""
    head = ["", "operator", "layer", "SNR dB", "cosine", "max error", "given dB", "added dB"]
    worst = sorted(
        (layer for layer in report.layers if layer.added_snr_db is not None),
        key=lambda layer: layer.added_snr_db or 0.0,
    )[:MOST]
    first = markdown_table(head, map(layer_row, report.layers[:FIRST]))
    most = markdown_table(head, map(layer_row, worst))
    return (
        f"The first {FIRST} of the {len(report.layers)} rows of `{SHOWN}`:\n\n{first}\n\n"
        f"and the {MOST} that add most:\n\n{most}"
    )


def measure(model: Path, data: Path, images: int) -> str:
    """Both tables as Markdown."""
    source, report = load_keras(model), reporter(quiet=False)
    sets = Sets(read_isic_split(data, "train"), read_isic_split(data, "valid"))
    reports = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in RECIPES:
            path = Path(folder, f"{name}.tflite")
            export_model(source, load_recipe(name), path, sets=sets, prove=False)
            reports[name] = compare_layers(source, path, data, images=images, report=report)
    inputs, reference = reports[SHOWN].inputs, reports[SHOWN].reference
    return (
        f"{inputs.n} of {inputs.of} images (seed {inputs.seed}), in {reports[SHOWN].kernels}. The "
        f"float32 file's scores are Keras' within {reference.keras_difference:.1g}.\n\n"
        f"{named_table(reports)}\n\n{layer_table(reports[SHOWN])}"
    )


@click.command(help=__doc__)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="ISIC layout.")
@click.option("--images", default=DEFAULT_IMAGES, show_default=True, help="Of the sample.")
@write_option
def main(model: Path, data: Path, images: int, write: Path | None) -> None:
    """Measure, print, write."""
    text = measure(model, data, images)
    click.echo(text)
    if write is not None:
        put(write, __file__, text)


if __name__ == "__main__":
    main()
