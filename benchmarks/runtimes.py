"""The tables of docs/runtimes.md: which runtimes load each recipe's file, and what runs it.

    python benchmarks/runtimes.py samples/lesion.keras --data isic2017 --write docs/runtimes.md

Beside the four recipes stands TensorFlow's own dynamic-range file. Prints Markdown, and with
--write puts it between the markers of that page.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from pages import markdown_table, put, write_option

from lesionlite_export.accelerators import AcceleratorReport, accelerator_report
from lesionlite_export.convert import wrapper
from lesionlite_export.keras_model import KerasModel, load_keras
from lesionlite_export.make import make_tflite
from lesionlite_export.manifest import read_isic_split
from lesionlite_export.minimum_runtime import MinimumRuntime, minimum_runtime
from lesionlite_export.noise import native_noise_logged
from lesionlite_export.recipe import load_recipe
from lesionlite_export.representative import distinct_sample
from lesionlite_runtime.contract import classifier_contract

RECIPES = ("float32", "float16", "dynamic", "int8")
SIZE = 200
WORDS = {True: "yes", False: "no", None: "not known"}


def files(model: KerasModel, data: Path) -> dict[str, bytes]:
    """The FlatBuffer of every recipe, and of TensorFlow's dynamic-range quantization."""
    contract = classifier_contract(model.contract)
    train = read_isic_split(data, "train", contract.output.classes)
    sample = distinct_sample(train, contract.input, SIZE, 0)
    tensors = [p.pixels[np.newaxis] for p in sample.images]
    made = {f"`{name}`": make_tflite(model, load_recipe(name), tensors) for name in RECIPES}
    with native_noise_logged():
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_keras_model(wrapper(model))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        made["dynamic range by TensorFlow's converter (no recipe)"] = bytes(converter.convert())
    return made


def runtime_table(found: dict[str, MinimumRuntime]) -> str:
    """Minimum runtime and packages, a row a file."""
    packages = list(next(iter(found.values())).loads)
    return markdown_table(
        ["file", "oldest TensorFlow Lite", "what asks for it", *packages],
        (
            [
                name,
                runtime.version or "unknown",
                runtime.feature,
                *(WORDS[runtime.loads[package]] for package in packages),
            ]
            for name, runtime in found.items()
        ),
    )


def accelerator_table(found: dict[str, AcceleratorReport]) -> str:
    """What accelerators take, a row a file."""
    head = [
        "file",
        "pieces that XNNPACK runs",
        "left to built-in kernels",
        "fully accelerated (LiteRT)",
        "fit for the GPU delegate",
    ]
    rows = []
    for name, report in found.items():
        left = report.xnnpack_leaves
        outside = "not known" if left is None else ", ".join(f"{n} {o}" for o, n in left.items())
        pieces = "not known" if report.xnnpack_partitions is None else report.xnnpack_partitions
        gpu = "; ".join([WORDS[report.gpu_compatible], *report.gpu_faults])
        rows.append([name, pieces, outside, WORDS[report.fully_accelerated], gpu])
    reasons = {reason for report in found.values() for reason in report.unknown.values()}
    notes = "".join(f"\n\nNot known: {reason}." for reason in sorted(reasons))
    return markdown_table(head, rows) + notes


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="ISIC layout.")
@write_option
def command(model: Path, data: Path, write: Path | None) -> None:
    """Print the tables for MODEL, a .keras, calibrated on the images of --data."""
    made = files(load_keras(model), data)
    text = runtime_table({name: minimum_runtime(file) for name, file in made.items()})
    reports = {name: accelerator_report(file) for name, file in made.items()}
    text += f"\n\n{accelerator_table(reports)}"
    click.echo(text)
    if write is not None:
        put(write, __file__, text)


if __name__ == "__main__":
    command()
