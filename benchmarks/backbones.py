"""The table of docs/backbones.md: each backbone at full size, exported and run once.

    python benchmarks/backbones.py --write docs/backbones.md

Prints Markdown, and with --write puts it between the markers of that page. Weights are random:
size, time and memory do not depend on them. Inception V3 is made twice: by Keras, and as a
SavedModel in TensorFlow Hub's form that comes back through the layer that the tutorial's own
network takes. Each file is made in a process of its own; seconds and memory are of loading the
.keras and exporting it, milliseconds the least of 50 invokes with one thread. Both times are of the
processor, which other people's work on the machine changes less than the clock on the wall.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from pages import markdown_table, put, write_option

from lesionlite_export.drawn import write_drawn_dataset
from lesionlite_export.hub_cache import CACHE_VARIABLE, cache_place
from lesionlite_export.keras_model import load_keras, save_keras
from lesionlite_export.manifest import read_isic_split
from lesionlite_export.noise import native_noise_logged
from lesionlite_export.publish import export_model
from lesionlite_export.recipe import load_recipe
from lesionlite_export.sets import Sets
from lesionlite_runtime import Classifier
from lesionlite_runtime.container import read_contract
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_training.backbones import Backbone, get_backbone
from lesionlite_training.backbones.saved_models import INCEPTION_V3_URL

NAMES = ("efficientnet_lite0", "mobilenet_v2", "inception_v3_keras", "inception_v3")
RECIPES = ("float32", "int8")
SAMPLE = Path(__file__).parents[1] / "samples" / "lesion.keras"
DRAWN = {"melanoma": 20, "nevus": 20, "seborrheic_keratosis": 10}
INVOKES = 50
HEAD = (
    "backbone",
    "parameters",
    ".keras MB",
    "recipe",
    ".tflite MB",
    "export CPU s",
    "peak MB",
    "CPU ms",
)


@click.command()
@write_option
@click.option("--step", nargs=3, hidden=True, help="FOLDER NAME make|RECIPE, as JSON.")
def main(write: Path | None, step: tuple[str, str, str] | None) -> None:
    """Print the table of backbones."""
    if step is not None:
        folder, name, what = step
        click.echo(
            json.dumps(
                random_classifier(Path(folder), name)
                if what == "make"
                else _export(Path(folder), name, what)
            )
        )
        return
    table = markdown_table(HEAD, _rows())
    click.echo(table)
    if write is not None:
        put(write, __file__, table)


def _rows() -> Iterator[Sequence[str]]:
    with tempfile.TemporaryDirectory() as folder:
        write_drawn_dataset(Path(folder, "drawn"), train=DRAWN, valid={}, seed=0, size=(299, 299))
        for name in NAMES:
            made = _step(folder, name, "make")
            for recipe in RECIPES:
                row = _step(folder, name, recipe)
                cells = (
                    f"`{name}`",
                    f"{made['parameters']:,}",
                    f"{made['megabytes']:.1f}",
                    recipe,
                    f"{row['megabytes']:.1f}",
                    f"{row['seconds']:.0f}",
                    f"{row['peak']:.0f}",
                    f"{row['ms']:.1f}",
                )
                click.echo(" ".join(cells), err=True)
                yield cells


def _step(folder: str, name: str, what: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--step", folder, name, what]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{name} {what}: {done.stderr.strip()}")
    return dict(json.loads(done.stdout))


def random_classifier(folder: Path, name: str) -> dict[str, Any]:
    """A classifier with random weights as ``folder/NAME.keras``."""
    with native_noise_logged():
        import keras

        keras.utils.set_random_seed(0)
        backbone = get_backbone(name)
        side = backbone.input_size
        pixels = keras.Input((side, side, 3), dtype="uint8", name="image")
        scaled = keras.layers.Rescaling(backbone.scale, offset=backbone.offset, name="scaling")
        features = _random(backbone, folder)(scaled(pixels))
        score = keras.layers.Dense(1, activation="sigmoid", name="score")(features)
        network = keras.Model(pixels, score, name="lesion")
    contract = read_contract(SAMPLE)
    assert isinstance(contract, ClassifierContract)
    shape = (1, side, side, 3)
    contract = replace(contract, input=replace(contract.input, shape=shape))
    path = folder / f"{name}.keras"
    save_keras(network, contract, path)
    return {"parameters": network.count_params(), "megabytes": path.stat().st_size / 1e6}


def _random(backbone: Backbone, folder: Path) -> Any:
    if backbone.name != "inception_v3":
        return backbone.build(pretrained=False)
    os.environ[CACHE_VARIABLE] = str(folder / "cache")
    _write_hub_form(
        get_backbone("inception_v3_keras").build(pretrained=False), cache_place(INCEPTION_V3_URL)
    )
    return backbone.build()


def _write_hub_form(network: Any, folder: Path) -> None:
    """Save ``network`` as a reusable SavedModel (https://www.tensorflow.org/hub)."""
    import tensorflow as tf

    images = tf.TensorSpec((None, *network.input_shape[1:]), tf.float32)

    def run(inputs: Any, training: bool = False) -> Any:
        return network(inputs, training=training)

    call = tf.function(run)
    for training in (True, False):
        call.get_concrete_function(images, training=training)
    module = tf.train.Checkpoint()
    module.__call__ = call
    module.variables = [variable.value for variable in network.variables]
    module.trainable_variables = [variable.value for variable in network.trainable_variables]
    module.regularization_losses = []
    tf.saved_model.save(module, str(folder))


def _export(folder: Path, name: str, recipe: str) -> dict[str, Any]:
    import tensorflow as tf  # noqa: F401 (its import is no part of the time)

    out = folder / f"{name}.{recipe}.tflite"
    sets = Sets(read_isic_split(folder / "drawn", "train"), None, size=sum(DRAWN.values()))
    start = time.process_time()
    model = load_keras(folder / f"{name}.keras")
    export_model(model, load_recipe(recipe), out, sets=sets, prove=False)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    classifier = Classifier(out, threads=1)
    pixels = np.zeros(model.contract.input.shape, np.uint8)
    times = []
    for _ in range(INVOKES):
        begun = time.process_time()
        classifier.score(pixels)
        times.append(1000 * (time.process_time() - begun))
    megabytes = out.stat().st_size / 1e6
    return {"megabytes": megabytes, "seconds": seconds, "peak": peak, "ms": min(times)}


if __name__ == "__main__":
    main()
