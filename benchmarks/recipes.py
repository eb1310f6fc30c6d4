"""The recipe table of docs/recipes.md: every route on one model and one proof set.

    python benchmarks/recipes.py samples/lesion.keras --data isic2017 --write docs/recipes.md

--recipes leaves out the routes that are no recipe. Prints Markdown, and with --write puts it
between the markers of that page that name the model. Flips, AUC and errors are against the Keras
model, in LiteRT; milliseconds are the median of 50 invokes with one thread. Seconds and memory are
of making the file, in a process each.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from pages import markdown_table, put, write_option

from lesionlite_export import convert, quantize
from lesionlite_export.bias_correction import correct_biases
from lesionlite_export.comparison import compare_images
from lesionlite_export.file_contract import file_contract
from lesionlite_export.keras_model import KerasModel, load_keras
from lesionlite_export.make import Form, make_tflite
from lesionlite_export.manifest import Manifest, read_isic_split
from lesionlite_export.noise import native_noise_logged
from lesionlite_export.parity import ScoreParity
from lesionlite_export.progress import Silent
from lesionlite_export.recipe import load_recipe
from lesionlite_export.representative import stratified_sample
from lesionlite_export.verification import prepare_all
from lesionlite_runtime.classifier import Classifier
from lesionlite_runtime.container import append_members
from lesionlite_runtime.contract import CONTRACT_MEMBER, ClassifierContract
from lesionlite_runtime.graph import read_graph

Tensors = Sequence[Any]
Route = Callable[[KerasModel, Tensors], bytes]


def _recipe(name: str, **changes: Any) -> Route:
    return lambda model, tensors: make_tflite(model, replace(load_recipe(name), **changes), tensors)


def _converter_float16(model: KerasModel, _tensors: Tensors) -> bytes:
    with native_noise_logged():
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_keras_model(convert.wrapper(model))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
        return bytes(converter.convert())


def _converter_dynamic(model: KerasModel, _tensors: Tensors) -> bytes:
    with native_noise_logged():
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_keras_model(convert.wrapper(model))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        return bytes(converter.convert())


def _float_stem(model: KerasModel, tensors: Tensors) -> bytes:
    """The converter's int8 with stem and first depthwise convolution in float as well."""
    float32 = convert.float32_tflite(model)
    graph = read_graph(float32)
    left = [*quantize.scaling_of(graph), *quantize.head_of(graph)]
    body = [i for i in range(len(graph.operators)) if i not in left]
    names = quantize.output_names(graph, [*left, *body[:2]])
    int8 = convert.int8_tflite(model, tensors, names)
    return correct_biases(float32, int8, tensors, model.contract.input.name).tflite


ROUTES: dict[str, Route] = {
    "float32, converter **(recipe float32)**": _recipe("float32"),
    "float16, converter": _converter_float16,
    "float16, litert-quantizer **(recipe float16)**": _recipe("float16"),
    "dynamic, converter": _converter_dynamic,
    "dynamic, litert-quantizer, float head **(recipe dynamic)**": _recipe("dynamic"),
    "int8, converter as it comes **(recipe int8-plain)**": _recipe("int8-plain"),
    "int8, litert-quantizer, nothing in float": _recipe(
        "int8", float_parts=(), correct_biases=False
    ),
    "int8, converter, float head": _recipe(
        "int8", quantizer="tflite-converter", correct_biases=False
    ),
    "int8, converter, float head, biases corrected": _recipe("int8", quantizer="tflite-converter"),
    "int8, converter, float head, stem and first depthwise, biases corrected": _float_stem,
    "int8, litert-quantizer, float head": _recipe("int8", correct_biases=False),
    "int8, litert-quantizer, float head, biases corrected **(recipe int8)**": _recipe("int8"),
    "that with raw pixels as the quantized input **(recipe int8-raw)**": _recipe("int8-raw"),
    "integers alone, uint8 in and out **(recipe int8-full)**": _recipe("int8-full"),
}

HEAD = (
    "way",
    "bytes",
    "flips",
    "newly missed",
    "AUC",
    "mean error",
    "max error",
    "ms",
    "made in s",
    "peak MB",
)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="ISIC layout.")
@click.option("--size", default=200, show_default=True, help="Representative images.")
@click.option("--recipes", is_flag=True, help="The recipes alone, and no other route.")
@write_option
@click.option("--route", type=int, help="Only this route, as JSON (what the table calls).")
def main(
    model: Path, data: Path, size: int, recipes: bool, write: Path | None, route: int | None
) -> None:
    """Print the recipe table for MODEL, a .keras, on the images of --data."""
    if route is not None:
        click.echo(json.dumps(_measure(model, data, size, list(ROUTES.values())[route])))
        return
    table = markdown_table(HEAD, _rows(model, data, size, recipes))
    click.echo(table)
    if write is not None:
        put(write, __file__, table, model.stem)


def _rows(model: Path, data: Path, size: int, recipes: bool) -> Iterator[Sequence[str]]:
    for number, name in enumerate(ROUTES):
        if recipes and "recipe " not in name:
            continue
        command = [sys.executable, __file__, str(model), "--data", str(data), "--size", str(size)]
        done = subprocess.run(
            [*command, "--route", str(number)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            cells = [name, f"failed: {done.stderr.splitlines()[-1]}", *[""] * (len(HEAD) - 2)]
        else:
            row = json.loads(done.stdout)
            cells = [
                name,
                f"{row['bytes']:,}",
                f"{row['flips']} of {row['n']}",
                f"{row['missed']}",
                f"{row['auc']:.4f}",
                f"{row['mean']:.5f}",
                f"{row['max']:.4f}",
                f"{row['ms']:.1f}",
                f"{row['seconds']:.1f}",
                f"{row['megabytes']:.0f}",
            ]
        click.echo(" ".join(cells), err=True)
        yield cells


def _measure(path: Path, data: Path, size: int, route: Route) -> dict[str, Any]:
    model = load_keras(path)
    contract = model.contract
    assert isinstance(contract, ClassifierContract)
    train, proof = (read_isic_split(data, s, contract.output.classes) for s in ("train", "valid"))
    sample = Manifest(train.source, stratified_sample(train, size, 0))
    chosen = prepare_all(sample, contract.input, "", Silent()).images
    tensors = [p.pixels[np.newaxis] for p in chosen]
    import tensorflow as tf  # noqa: F401 (its import is no part of the time)

    start = time.perf_counter()
    flatbuffer = route(model, tensors)
    seconds = time.perf_counter() - start
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    images = prepare_all(proof, contract.input, "", Silent()).images
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.tflite")
        graph = read_graph(flatbuffer)
        dtype = graph.tensors[graph.outputs[contract.output.name]].dtype
        recipe = replace(load_recipe("int8-full" if dtype == "uint8" else "int8"), output=dtype)
        written = file_contract(model, recipe, Form(), None, flatbuffer)
        file.write_bytes(append_members(flatbuffer, {CONTRACT_MEMBER: written.to_bytes()}))
        classifier = Classifier(file)
        parity = compare_images(model, file, images, Silent())
        assert isinstance(parity, ScoreParity)
        times = []
        for _ in range(50):
            begun = time.perf_counter()
            classifier.score(tensors[0])
            times.append(1000 * (time.perf_counter() - begun))
    figures = parity.figures_tflite()
    assert figures.auc is not None
    return {
        "bytes": len(flatbuffer),
        "n": parity.n,
        "flips": int(parity.flipped.sum()),
        "missed": int(parity.newly_missed.sum()),
        "auc": figures.auc.value,
        "mean": float(abs(parity.errors).mean()),
        "max": float(abs(parity.errors).max()),
        "ms": float(np.median(times)),
        "seconds": seconds,
        "megabytes": megabytes,
    }


if __name__ == "__main__":
    main()
