"""Make what the clients are shown: models, pixels, photos, and LiteRT's own scores.

python -m tests.clients.files FOLDER

Needs the extra ``export``. With LESIONLITE_DATA set the images are real photos, else drawn ones.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.clients.findings import real_scores
from tests.exported_files import write_exported_files

from lesionlite_export.drawn import write_drawn_dataset
from lesionlite_export.keras_model import load_keras
from lesionlite_export.kit.record import record_kit
from lesionlite_export.manifest import LabelledImage, read_isic_split
from lesionlite_export.metadata import METADATA_NAME, read_metadata, with_metadata
from lesionlite_export.metadata_description import LABELS_MEMBER
from lesionlite_export.noise import native_noise_logged
from lesionlite_export.recipe import image_recipe_names
from lesionlite_runtime.container import append_members, split_members
from lesionlite_runtime.contract import (
    CONTRACT_MEMBER,
    ClassifierContract,
    Contract,
    classifier_contract,
    with_flatbuffer,
)
from lesionlite_runtime.pixels import image_tensor

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "runtime" / "lesionlite_runtime" / "models" / "lesion.int8.tflite"
NETWORK = ROOT / "samples" / "lesion.keras"
ECHO_SIDES = (224, 299, 256)
N_IMAGES = 32
LARGE = {"melanoma": 6, "nevus": 6, "seborrheic_keratosis": 4}


def write_job(folder: Path) -> None:
    """Everything into ``folder``; ``job.json`` says what there is."""
    exported = folder / "exported"
    exported.mkdir(parents=True)
    write_exported_files(exported)
    photos, kind = _photos(folder, exported)
    tensors = _tensors(photos)
    (folder / "pixels.bin").write_bytes(b"".join(tensor.tobytes() for tensor in tensors))
    models = [_model(folder, name, exported / f"{name}.tflite") for name in image_recipe_names()]
    models.append(_model(folder, "shipped int8", SHIPPED))
    models.append(_two_scores(folder))
    for model in models:
        model["scores"] = real_scores(_litert(folder / model["file"], tensors), model)
    record_kit(SHIPPED, folder / "kit")
    shutil.copy(SHIPPED, folder / "kit.tflite")
    for side in ECHO_SIDES:
        (folder / f"echo{side}.tflite").write_bytes(_echo(side))
    job = {
        "images": kind,
        "n": len(tensors),
        "models": models,
        "equal": _at_threshold(folder, models[-2]["scores"]),
        "photos": {
            name: [{"path": str(i.path), "label": i.label} for i in images]
            for name, images in photos.items()
        },
        "echoes": {str(side): f"echo{side}.tflite" for side in ECHO_SIDES},
    }
    (folder / "job.json").write_text(json.dumps(job, indent=1), "utf-8")


def _photos(folder: Path, exported: Path) -> tuple[dict[str, tuple[LabelledImage, ...]], str]:
    """Sets of photos by name, and what they are."""
    named = os.environ.get("LESIONLITE_DATA")
    if named:
        return {
            "originals": read_isic_split(named, "fullres").images,
            "valid, 256 px": read_isic_split(Path(named, "isic2017"), "valid").images,
        }, "real photos"
    large = folder / "large"
    write_drawn_dataset(large, train={}, valid=LARGE, seed=3, size=(768, 1023))
    return {
        "large drawings": read_isic_split(large, "valid").images,
        "drawings": read_isic_split(exported / "drawn", "valid").images,
    }, "drawn images"


def _tensors(photos: dict[str, tuple[LabelledImage, ...]]) -> list[NDArray[np.uint8]]:
    """The network's input for images spread over the sets, uint8 [1, 224, 224, 3] each."""
    share = N_IMAGES // len(photos)
    chosen = [i for images in photos.values() for i in images[:: len(images) // share][:share]]
    return [image_tensor(image.path, 224, 224)[np.newaxis] for image in chosen]


def _model(folder: Path, name: str, source: Path) -> dict[str, Any]:
    """The exported file at ``source``, and its FlatBuffer as it would be without metadata."""
    data = source.read_bytes()
    flatbuffer, members = split_members(data)
    if read_metadata(flatbuffer) is None:
        raise ValueError(f"{source} has no metadata")
    # As good as absent: no reader knows an entry of this name.
    plain = flatbuffer.replace(METADATA_NAME.encode(), b"x" * len(METADATA_NAME))
    contract = classifier_contract(Contract.from_bytes(members[CONTRACT_MEMBER]))
    return _put(folder, name, data, plain, contract)


def _write(
    folder: Path, name: str, flatbuffer: bytes, contract: ClassifierContract
) -> dict[str, Any]:
    new, files = with_metadata(flatbuffer, contract)
    members = {**files, CONTRACT_MEMBER: with_flatbuffer(contract, new).to_bytes()}
    return _put(folder, name, append_members(new, members), flatbuffer, contract)


def _put(
    folder: Path, name: str, data: bytes, plain: bytes, contract: ClassifierContract
) -> dict[str, Any]:
    file = name.replace(" ", "-").replace(",", "")
    (folder / f"{file}.tflite").write_bytes(data)
    (folder / f"{file}.plain.tflite").write_bytes(plain)
    flatbuffer, members = split_members(data)
    metadata = read_metadata(flatbuffer)
    level = contract.output.quantization
    (folder / f"{file}.metadata.json").write_text(json.dumps(metadata), "utf-8")
    return {
        "name": name,
        "file": f"{file}.tflite",
        "plain": f"{file}.plain.tflite",
        "metadata": f"{file}.metadata.json",
        "threshold": contract.threshold.value,
        "score_of": contract.output.score_of,
        "level": {
            "scale": 1.0 if level is None else level.scale,
            "zero_point": 0 if level is None else level.zero_point,
        },
        "labels": members[LABELS_MEMBER].decode().splitlines(),
    }


def _two_scores(folder: Path) -> dict[str, Any]:
    """The network with the scores of both labels, in float32."""
    import keras

    model = load_keras(NETWORK)
    contract = classifier_contract(model.contract)
    image = keras.Input(batch_shape=contract.input.shape, dtype="uint8", name="image")
    score = model.network(image)
    both = keras.layers.Concatenate()([1.0 - score, score])
    flatbuffer = _converted(keras.Model(image, {"score": both}, name="net"))
    return _write(folder, "float32, two scores", flatbuffer, contract)


def _echo(side: int) -> bytes:
    """A model that returns its own input: the score of category i is value i of the pixels."""
    import keras

    image = keras.Input(batch_shape=(1, side, side, 3), dtype="uint8", name="image")
    values = keras.ops.reshape(keras.ops.cast(image, "float32"), (1, side * side * 3))
    return _converted(keras.Model(image, {"score": values}, name="net"))


def _converted(network: Any) -> bytes:
    with native_noise_logged():
        import tensorflow as tf

        return bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())


def _at_threshold(folder: Path, scores: list[float]) -> dict[str, Any]:
    """The shipped model with a threshold that is an image's own score, and with one just above."""
    flatbuffer, members = split_members(SHIPPED.read_bytes())
    contract = classifier_contract(Contract.from_bytes(members[CONTRACT_MEMBER]))
    image = int(np.argsort(scores)[len(scores) // 2])
    score = scores[image]
    values = {"at": score, "above": score * (1 + 1e-12)}
    assert values["above"] > score
    assert np.float32(values["above"]) == np.float32(score)
    for name, value in values.items():
        threshold = replace(contract.threshold, value=value, table=None)
        _write(folder, name, flatbuffer, replace(contract, threshold=threshold))
    return {"image": image, **{name: f"{name}.tflite" for name in values}}


def _litert(path: Path, tensors: list[NDArray[np.uint8]]) -> list[float]:
    """LiteRT's outputs; of two scores, the last."""
    with native_noise_logged():
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(path), num_threads=1)
        runner = interpreter.get_signature_runner("serving_default")
    return [float(runner(image=tensor)["score"][0, -1]) for tensor in tensors]


if __name__ == "__main__":
    write_job(Path(sys.argv[1]))
