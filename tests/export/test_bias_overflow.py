"""Channels whose weights are nearly 0: their bias must not leave 32 bits."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export import bias_overflow, convert, quantize
from lesionlite_export.bias_correction import convolution_pairs
from lesionlite_export.bias_overflow import MOST_STEPS, widen_steps
from lesionlite_export.keras_model import KerasModel
from lesionlite_runtime.graph import read_graph

pytestmark = pytest.mark.tensorflow
Tensors = list[NDArray[np.uint8]]
NEARLY_0 = 1e-9
DEAD = 2
KINDS: dict[str, Callable[[Any], Any]] = {
    "CONV_2D": lambda layers: layers.Conv2D(6, 3, name="c"),
    "DEPTHWISE_CONV_2D": lambda layers: layers.DepthwiseConv2D(3, depth_multiplier=2, name="c"),
}


@pytest.fixture(params=KINDS)
def dead_channel(request: Any, tiny_model: KerasModel, network_maker: Any) -> KerasModel:
    """A network with a channel of weights that are nearly 0, and a bias of 1."""
    from keras import layers

    def body(x: Any) -> Any:
        return KINDS[request.param](layers)(layers.ReLU(max_value=1.0, name="relu")(x))

    network = network_maker(body=body)
    layer = network.get_layer("c")
    kernel, bias = layer.get_weights()
    flat = kernel.reshape(*kernel.shape[:2], -1, 6) if kernel.ndim == 4 else kernel
    flat[..., DEAD] *= NEARLY_0
    bias[DEAD] = 1.0
    layer.set_weights([flat.reshape(kernel.shape), bias])
    head, offset = network.get_layer("score").get_weights()
    head[:] = 0.0
    head[DEAD] = 2.0  # the score is that channel's alone
    network.get_layer("score").set_weights([head, offset])
    return KerasModel("m.keras", network, tiny_model.contract)


def int8_of(float32: bytes, tensors: Tensors) -> bytes:
    graph = read_graph(float32)
    left = [*quantize.scaling_of(graph), *quantize.head_of(graph)]
    return quantize.static(float32, left, tensors, "image")


def test_the_score_is_the_float_networks(
    dead_channel: KerasModel, tiny_tensors: Tensors, invoke: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    float32 = convert.float32_tflite(dead_channel)
    wanted = invoke(float32, tiny_tensors[0])
    assert wanted == pytest.approx(1 / (1 + np.exp(-2.0)), abs=0.01)
    assert invoke(int8_of(float32, tiny_tensors), tiny_tensors[0]) == pytest.approx(
        wanted, abs=0.01
    )
    monkeypatch.setattr(quantize, "widen_steps", lambda _, made: made)
    assert abs(invoke(int8_of(float32, tiny_tensors), tiny_tensors[0]) - wanted) > 0.1


def test_other_channels_stay_as_they_are(
    dead_channel: KerasModel, tiny_tensors: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    float32 = convert.float32_tflite(dead_channel)
    monkeypatch.setattr(quantize, "widen_steps", lambda _, made: made)
    before = int8_of(float32, tiny_tensors)
    after = widen_steps(float32, before)
    found = []
    for file in (before, after):
        graph = read_graph(file)
        ((_, made),) = convolution_pairs(read_graph(float32), graph)
        weights, bias = (graph.tensors[i] for i in made.inputs[1:3])
        axis = 3 if made.name == "DEPTHWISE_CONV_2D" else 0
        stored = np.frombuffer(file, "i1", weights.constant_bytes, weights.constant_offset)
        steps = np.frombuffer(file, "<i4", bias.constant_bytes // 4, bias.constant_offset)
        channels = np.moveaxis(stored.reshape(weights.shape), axis, 0)
        found.append((np.array(weights.scales), np.array(bias.scales), channels, steps))
    others = np.arange(6) != DEAD
    for old, new in zip(*found, strict=True):
        assert np.array_equal(old[others], new[others])
    scales, bias_scales, channels, steps = found[1]
    assert scales[DEAD] > found[0][0][DEAD]
    assert 0.99 * MOST_STEPS < steps[DEAD] <= MOST_STEPS
    assert steps[DEAD] * bias_scales[DEAD] == pytest.approx(1.0)
    assert not channels[DEAD].any()


def test_a_file_without_such_a_channel_comes_back_as_it_is(
    tiny_model: KerasModel, tiny_tensors: Tensors
) -> None:
    float32 = convert.float32_tflite(tiny_model)
    made = int8_of(float32, tiny_tensors)
    assert widen_steps(float32, made) is made


def test_a_constant_that_two_tensors_share_is_changed_for_one(
    dead_channel: KerasModel, tiny_tensors: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    float32 = convert.float32_tflite(dead_channel)
    monkeypatch.setattr(quantize, "widen_steps", lambda _, made: made)
    before = int8_of(float32, tiny_tensors)
    model = bias_overflow.read_model(before)
    graph = read_graph(before)
    ((_, made),) = convolution_pairs(read_graph(float32), graph)
    (network,) = model.subgraphs
    twin = deepcopy(network.tensors[made.inputs[2]])
    twin.name = b"twin"
    network.tensors.append(twin)
    after = read_graph(widen_steps(float32, bias_overflow.model_bytes(model)))
    kept = next(t for t in after.tensors if t.name == "twin")
    changed = after.tensors[made.inputs[2]]
    assert kept.constant_offset != changed.constant_offset
    assert kept.scales == graph.tensors[made.inputs[2]].scales
