"""A small network with every kind of layer, its files, and ways to damage a finished file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export.convert import float32_tflite
from lesionlite_export.keras_model import KerasModel, load_keras, save_keras
from lesionlite_export.make import make
from lesionlite_export.model_object import model_bytes, read_model
from lesionlite_export.recipe import load_recipe
from lesionlite_export.tflite_model import TfliteModel, load_tflite
from lesionlite_runtime.container import append_members, contract_of, split_members
from lesionlite_runtime.contract import CONTRACT_MEMBER, AnyContract, with_flatbuffer
from lesionlite_runtime.contract_fields import Quantization
from lesionlite_runtime.graph import read_graph

RECIPES = ("float16", "dynamic", "int8", "int8-plain", "int8-raw", "int8-full")
Tensors = list[NDArray[np.uint8]]
Write = Callable[[bytes, AnyContract], Path]
Damage = Callable[..., bytes]


def deep_body(x: Any) -> Any:
    """A stem, two blocks of expansion, depthwise kernel and projection, one of them residual."""
    from keras import layers

    def folded(x: Any, layer: Any, relu: bool = True) -> Any:
        x = layers.BatchNormalization(name=f"{layer.name}_bn")(layer(x))
        return layers.ReLU(max_value=6.0, name=f"{layer.name}_relu6")(x) if relu else x

    x = folded(x, layers.Conv2D(8, 3, strides=2, padding="same", name="stem"))
    x = folded(x, layers.DepthwiseConv2D(3, padding="same", name="first_dw"))
    x = first = folded(x, layers.Conv2D(8, 1, name="first_project"), relu=False)
    x = folded(x, layers.Conv2D(24, 1, name="second_expand"))
    x = folded(x, layers.DepthwiseConv2D(3, padding="same", name="second_dw"))
    x = folded(x, layers.Conv2D(8, 1, name="second_project"), relu=False)
    x = layers.Add(name="second_add")([x, first])
    return folded(x, layers.Conv2D(32, 1, name="last"))


def trained_like(network: Any, seed: int = 0) -> Any:
    """The network with batch norms that are not at their start, so that biases are not 0."""
    generator = np.random.default_rng(seed)
    for layer in network.layers:
        if layer.name.endswith("_bn"):
            shape = layer.get_weights()[0].shape
            layer.set_weights(
                [
                    generator.uniform(1.0, 2.0, shape),
                    generator.normal(1.0, 0.5, shape),
                    generator.normal(0.0, 0.1, shape),
                    generator.uniform(0.05, 0.2, shape),
                ]
            )
    return network


@pytest.fixture(scope="session")
def deep_model(
    tmp_path_factory: pytest.TempPathFactory,
    network_maker: Callable[..., Any],
    classifier_contract_maker: Callable[..., Any],
) -> KerasModel:
    """The small network as a ``.keras``."""
    path = tmp_path_factory.mktemp("deep") / "deep.keras"
    save_keras(trained_like(network_maker(body=deep_body)), classifier_contract_maker(), path)
    return load_keras(path)


@pytest.fixture(scope="session")
def write_tflite(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Writes a FlatBuffer with a contract, its digest renewed, as a file of its own."""
    folder = tmp_path_factory.mktemp("written")
    numbers = iter(range(1 << 20))

    def write(flatbuffer: bytes, contract: AnyContract) -> Path:
        path = folder / f"{next(numbers)}.tflite"
        members = {CONTRACT_MEMBER: with_flatbuffer(contract, flatbuffer).to_bytes()}
        path.write_bytes(append_members(flatbuffer, members))
        return path

    return write


@pytest.fixture(scope="session")
def deep_float32(deep_model: KerasModel, write_tflite: Write) -> TfliteModel:
    """The small network as a float32 ``.tflite``, which needs no TensorFlow any more."""
    return load_tflite(write_tflite(float32_tflite(deep_model), deep_model.contract))


@pytest.fixture(scope="session")
def deep_files(
    deep_model: KerasModel, tiny_tensors: Tensors, write_tflite: Write
) -> dict[str, Path]:
    """The small network by every recipe for images but float32."""
    files = {}
    for name in RECIPES:
        recipe = load_recipe(name)
        flatbuffer = make(deep_model, recipe, tiny_tensors).flatbuffer
        contract = deep_model.contract
        if recipe.output == "uint8":
            graph = read_graph(flatbuffer)
            tensor = graph.tensors[graph.outputs["score"]]
            contract = integer_contract(contract, tensor.scales[0], tensor.zero_points[0])
        files[name] = write_tflite(flatbuffer, contract)
    return files


def integer_contract(contract: Any, scale: float, zero_point: int) -> Any:
    """``contract`` of a file that returns uint8."""
    from lesionlite_export.file_contract import with_integer_output

    return with_integer_output(contract, "uint8", Quantization(scale, zero_point))


@pytest.fixture(scope="session")
def damaged(write_tflite: Write) -> Callable[..., Path]:
    """Writes a finished file with one layer of it damaged, under a renewed digest."""

    def write(path: Path, operator: int, kind: str, amount: float, seed: int = 0) -> Path:
        flatbuffer, members = split_members(path.read_bytes())
        contract = contract_of(members, str(path))
        return write_tflite(damage(flatbuffer, operator, kind, amount, seed), contract)

    return write


def damage(flatbuffer: bytes, operator: int, kind: str, amount: float, seed: int = 0) -> bytes:
    """``flatbuffer`` with one thing changed.

    ``output_scale`` and ``weights_scale`` are multiplied by ``amount``, ``zero_point`` is moved by
    it, the share ``amount`` of the ``weights`` is set to the farthest level, the ``bias`` is
    multiplied by ``amount``.
    """
    model = read_model(flatbuffer)
    (graph,) = model.subgraphs
    tensors = graph.tensors
    made = graph.operators[operator]
    if kind in ("output_scale", "zero_point"):
        quantization = tensors[made.outputs[0]].quantization
        if kind == "zero_point":
            quantization.zeroPoint = [int(np.clip(quantization.zeroPoint[0] + amount, -128, 127))]
        else:
            quantization.scale = [np.float32(quantization.scale[0] * amount)]
        return model_bytes(model)
    tensor = tensors[made.inputs[2 if kind == "bias" else 1]]
    if kind == "weights_scale":
        tensor.quantization.scale = (np.array(tensor.quantization.scale) * amount).astype("f4")
        return model_bytes(model)
    buffer = model.buffers[tensor.buffer]
    values = np.asarray(buffer.data, np.uint8).view("<i4" if kind == "bias" else "i1").copy()
    if kind == "bias":
        limits = np.iinfo(np.int32)
        values = np.clip(values * amount, limits.min, limits.max).astype("<i4")
    else:
        generator = np.random.default_rng(seed)
        places = generator.choice(values.size, max(1, round(amount * values.size)), replace=False)
        values[places] = np.where(values[places] > 0, -127, 127)
    buffer.data = values.view(np.uint8)
    return model_bytes(model)
