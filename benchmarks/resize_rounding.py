"""What rounding the resized pixels to uint8 does to scores (docs/pixels.md).

    python benchmarks/resize_rounding.py samples/lesion.keras PHOTO_OR_FOLDER...

`tf-bilinear-v1` is TensorFlow's bilinear resize in float32, then rounded half to even. The same
network gets both, the float pixels through its own layers behind a float input.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from lesionlite_export.keras_model import load_keras
from lesionlite_runtime.contract import classifier_contract
from lesionlite_runtime.photos import image_files
from lesionlite_runtime.pixels import decode
from lesionlite_runtime.resize import tf_bilinear_float32


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path))
def main(model: Path, photos: tuple[Path, ...]) -> None:
    """Compare the scores of rounded and unrounded pixels."""
    loaded = load_keras(model)
    contract = classifier_contract(loaded.contract)
    height, width = contract.input.height, contract.input.width
    unrounded_net = _with_float_input(loaded.network)
    files = image_files(photos)
    rounded, unrounded = [], []
    for file in files:
        pixels = tf_bilinear_float32(decode(file), height, width)
        as_uint8 = np.rint(pixels).astype(np.uint8)
        rounded.append(loaded.network.predict_on_batch(as_uint8[np.newaxis]).item())
        unrounded.append(unrounded_net.predict_on_batch(pixels[np.newaxis]).item())
    difference = np.abs(np.array(rounded) - np.array(unrounded))
    at = contract.threshold.value
    flips = int(np.sum((np.array(rounded) >= at) != (np.array(unrounded) >= at)))
    click.echo(
        f"{len(files)} photos: mean |d score| {difference.mean():.6f}, max {difference.max():.6f}, "
        f"{flips} decisions flipped at {at:.4f}"
    )


def _with_float_input(network: Any) -> Any:
    import keras

    x = pixels = keras.Input(tuple(network.inputs[0].shape[1:]), dtype="float32")
    for layer in network.layers[1:]:
        x = layer(x)
    return keras.Model(pixels, x)


if __name__ == "__main__":
    main()
