"""The table of docs/recipes.md on speed: a whole export against the bare converter call.

    python benchmarks/export_speed.py --write docs/recipes.md

Prints Markdown, and with --write puts it between the markers of that page. The bare call is
`TFLiteConverter.convert` to int8 on images that are in memory; the whole export, by the recipe
`int8`, also reads and draws them, makes the float32 file, quantizes, corrects biases, writes
metadata and contract, checks the file, and asks where it runs. Neither proves anything. Each run
has a process of its own, with TensorFlow imported and the model loaded before the clock starts; the
two take turns, and the ratio is that of the medians. Weights are random: time does not depend on
them.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from backbones import random_classifier
from pages import markdown_table, put, write_option

from lesionlite_export.convert import int8_tflite
from lesionlite_export.drawn import write_drawn_dataset
from lesionlite_export.keras_model import load_keras
from lesionlite_export.manifest import read_isic_split
from lesionlite_export.progress import Silent
from lesionlite_export.publish import export_model
from lesionlite_export.recipe import load_recipe
from lesionlite_export.sets import Sets
from lesionlite_export.verification import prepare_all
from lesionlite_runtime.contract import image_contract

NAMES = ("efficientnet_lite0", "inception_v3_keras")
BARE, WHOLE = "bare", "whole"
HEAD = (
    "network",
    "images",
    "converter call s",
    "whole export s",
    "ratio",
    "converter peak MB",
    "export peak MB",
)


@click.command()
@click.option("--images", default=100, show_default=True, help="Representative images.")
@click.option("--repeats", default=3, show_default=True, help="Runs of each.")
@write_option
@click.option("--step", nargs=3, hidden=True, help="FOLDER NAME make|bare|whole, as JSON.")
def main(images: int, repeats: int, write: Path | None, step: tuple[str, str, str] | None) -> None:
    """Print what a whole export takes beside the bare converter call."""
    if step is not None:
        click.echo(json.dumps(_measure(Path(step[0]), step[1], step[2])))
        return
    table = markdown_table(HEAD, _rows(images, repeats))
    click.echo(table)
    if write is not None:
        put(write, __file__, table)


def _rows(images: int, repeats: int) -> Iterator[Sequence[str]]:
    with tempfile.TemporaryDirectory() as folder:
        classes = {"melanoma": images // 2, "nevus": images - images // 2}
        write_drawn_dataset(Path(folder, "drawn"), train=classes, valid={}, seed=0, size=(256, 256))
        for name in NAMES:
            _step(folder, name, "make")
            runs: dict[str, list[dict[str, float]]] = {BARE: [], WHOLE: []}
            for _ in range(repeats):
                for way, found in runs.items():
                    found.append(_step(folder, name, way))
            seconds = {w: statistics.median(r["seconds"] for r in runs[w]) for w in runs}
            peak = {w: max(r["peak"] for r in runs[w]) for w in runs}
            yield (
                f"`{name}`",
                str(images),
                *(f"{seconds[way]:.1f}" for way in runs),
                f"{seconds[WHOLE] / seconds[BARE]:.2f}",
                *(f"{peak[way]:.0f}" for way in runs),
            )


def _step(folder: str, name: str, what: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--step", folder, name, what]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{name} {what}: {done.stderr.strip()}")
    found: dict[str, float] = json.loads(done.stdout)
    click.echo(f"{name} {what}: {found}", err=True)
    return found


def _measure(folder: Path, name: str, what: str) -> dict[str, float]:
    if what == "make":
        return random_classifier(folder, name)
    import tensorflow as tf  # noqa: F401 (its import is no part of the time)

    model = load_keras(folder / f"{name}.keras")
    train = read_isic_split(folder / "drawn", "train")
    if what == BARE:
        prepared = prepare_all(train, image_contract(model.contract).input, "", Silent())
        tensors = [item.pixels[None] for item in prepared.images]
        start = time.perf_counter()
        int8_tflite(model, tensors, [])
    else:
        sets = Sets(train, None, size=len(train.images))
        out = folder / f"{name}.int8.tflite"
        start = time.perf_counter()
        export_model(model, load_recipe("int8"), out, sets=sets, prove=False, force=True)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


if __name__ == "__main__":
    main()
