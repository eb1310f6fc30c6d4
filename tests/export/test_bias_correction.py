"""Bias correction: the means that it measures, what it changes, and what that is good for."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import logit

from lesionlite_export import convert, quantize
from lesionlite_export.bias_correction import _Window, correct_biases, tap_mean
from lesionlite_export.keras_model import KerasModel
from lesionlite_export.manifest import read_isic_split
from lesionlite_export.metadata import with_metadata
from lesionlite_export.publish import Exported
from lesionlite_export.representative import PreparedImage, prepare, stratified_sample
from lesionlite_runtime.container import split_members
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.graph import Graph, read_graph

Tensors = list[NDArray[np.uint8]]
NetworkMaker = Callable[..., Any]
Invoke = Callable[[bytes, NDArray[Any]], float]
CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def static(float32: bytes, tensors: Tensors) -> bytes:
    """int8 with scaling and head in float."""
    graph = read_graph(float32)
    left = [*quantize.scaling_of(graph), *quantize.head_of(graph)]
    return quantize.static(float32, left, tensors, "image")


def brute_force(x: NDArray[np.float32], window: _Window) -> NDArray[np.float64]:
    """Walk every output position and look at every tap; what lies outside counts as zero."""
    counts, befores = [], []
    for size, kernel, stride, dilation in zip(
        x.shape, window.kernel, window.stride, window.dilation, strict=False
    ):
        reach = (kernel - 1) * dilation + 1
        if window.same:
            count = math.ceil(size / stride)
            befores.append(max((count - 1) * stride + reach - size, 0) // 2)
        else:
            count = math.ceil((size - reach + 1) / stride)
            befores.append(0)
        counts.append(count)
    means = np.zeros((*window.kernel, x.shape[2]))
    for i in range(window.kernel[0]):
        for j in range(window.kernel[1]):
            for row in range(counts[0]):
                for column in range(counts[1]):
                    r = row * window.stride[0] + i * window.dilation[0] - befores[0]
                    c = column * window.stride[1] + j * window.dilation[1] - befores[1]
                    if 0 <= r < x.shape[0] and 0 <= c < x.shape[1]:
                        means[i, j] += x[r, c]
    return means / (counts[0] * counts[1])


@st.composite
def windows(draw: st.DrawFn) -> tuple[NDArray[np.float32], _Window]:
    """A small input, and a window that fits it if it is not padded."""
    pairs = [
        tuple(draw(st.integers(1, most)) for _ in range(2)) for most in (5, 4, 3)
    ]  # kernel, stride, dilation
    (kernel, stride, dilation), same = pairs, draw(st.booleans())
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    sizes = [draw(st.integers(1 if same else r, r + 9)) for r in reach]
    seed = draw(st.integers(0, 9))
    x = np.random.default_rng(seed).normal(size=(*sizes, 2)).astype(np.float32)
    return x, _Window((kernel[0], kernel[1]), (stride[0], stride[1]), dilation[:2], same)


@settings(deadline=None, max_examples=300)
@given(windows())
def test_tap_means_are_those_of_a_walk_over_every_position(
    case: tuple[NDArray[np.float32], _Window],
) -> None:
    x, window = case
    assert tap_mean(x, window) == pytest.approx(brute_force(x, window), abs=1e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation"),
    [
        ((8, 8), (3, 3), (2, 2), (1, 1)),
        ((9, 7), (5, 3), (2, 3), (1, 1)),
        ((11, 12), (3, 2), (1, 1), (2, 3)),
        ((6, 5), (1, 1), (4, 4), (1, 1)),
    ],
)
def test_tap_means_are_those_of_tensorflows_convolution(
    padding: str,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    """A kernel that passes one tap of one channel through to each output shows what it sees."""
    import tensorflow as tf

    x = np.random.default_rng(0).normal(size=(*size, 2)).astype(np.float32)
    taps = kernel[0] * kernel[1] * 2
    identity = np.eye(taps, dtype=np.float32).reshape(*kernel, 2, taps)
    seen = tf.nn.conv2d(
        x[np.newaxis], identity, stride, padding.upper(), dilations=dilation
    ).numpy()
    window = _Window(kernel, stride, dilation, padding == "same")
    wanted = seen.mean((0, 1, 2)).reshape(*kernel, 2)
    assert tap_mean(x, window) == pytest.approx(wanted, abs=1e-5)


def convolutions(graph: Graph) -> list[Any]:
    return [o for o in graph.operators if o.name in CONVOLUTIONS]


def values(flatbuffer: bytes, tensor: Any, dtype: str) -> NDArray[np.float64]:
    raw = flatbuffer[tensor.constant_offset : tensor.constant_offset + tensor.constant_bytes]
    return np.frombuffer(raw, dtype).reshape(tensor.shape).astype(np.float64)


LAYERS: dict[str, Callable[[Any], Any]] = {
    "same, stride 2": lambda k: k.Conv2D(6, 3, strides=2, padding="same", name="c"),
    "valid, oblong": lambda k: k.Conv2D(6, (5, 2), strides=(3, 1), name="c"),
    "dilated": lambda k: k.Conv2D(6, 3, dilation_rate=(2, 3), padding="same", name="c"),
    "grouped": lambda k: k.Conv2D(6, 3, groups=3, padding="same", name="c"),
    "pointwise": lambda k: k.Conv2D(6, 1, name="c"),
    "depthwise": lambda k: k.DepthwiseConv2D(3, strides=2, padding="same", name="c"),
    "depthwise, two each": lambda k: k.DepthwiseConv2D((3, 5), depth_multiplier=2, name="c"),
}


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", LAYERS)
def test_a_bias_takes_up_the_mean_output_that_rounding_lost(
    name: str, tiny_model: KerasModel, network_maker: NetworkMaker, tiny_tensors: Tensors
) -> None:
    """The mean of ``conv(x, W - Wq)``, by Keras's own convolution over the images."""
    import keras

    def body(x: Any) -> Any:
        # Behind an activation, so that the converter does not fold the scaling into the kernel.
        return LAYERS[name](keras.layers)(keras.layers.ReLU(name="relu")(x))

    network = network_maker(body=body)
    float32 = convert.float32_tflite(KerasModel("m", network, tiny_model.contract))
    int8 = static(float32, tiny_tensors)
    done = correct_biases(float32, int8, tiny_tensors, "image")
    assert (done.corrected, done.left_alone) == (1, 0)

    exact, rounded = read_graph(float32), read_graph(int8)
    (float_conv,), (int_conv,) = convolutions(exact), convolutions(rounded)
    weights = rounded.tensors[int_conv.inputs[1]]
    scales = np.array(weights.scales)
    along = (1, 1, 1, -1) if int_conv.name == "DEPTHWISE_CONV_2D" else (-1, 1, 1, 1)
    lost = values(float32, exact.tensors[float_conv.inputs[1]], "<f4") - values(
        int8, weights, "i1"
    ) * scales.reshape(along)

    conv = network.get_layer("c")
    kernel, bias = conv.get_weights()
    if int_conv.name == "DEPTHWISE_CONV_2D":
        kernel = lost[0].reshape(kernel.shape)
    else:
        kernel = lost.transpose(1, 2, 3, 0)
    conv.set_weights([kernel, np.zeros_like(bias)])
    scaled = np.maximum(0, (np.concatenate(tiny_tensors).astype(np.float32) - 127) / 128)
    wanted = np.asarray(keras.ops.convert_to_numpy(conv(scaled))).mean((0, 1, 2))

    tensor = rounded.tensors[int_conv.inputs[2]]
    steps = values(done.tflite, tensor, "<i4") - values(int8, tensor, "<i4")
    assert np.abs(steps).max() > 3
    assert steps * np.array(tensor.scales) == pytest.approx(
        wanted, abs=0.51 * max(tensor.scales) + 1e-6
    )


@pytest.fixture(scope="module")
def tiny_pair(tiny_model: KerasModel, tiny_tensors: Tensors) -> tuple[bytes, bytes]:
    """The tiny classifier in float32 and in uncorrected int8."""
    float32 = convert.float32_tflite(tiny_model)
    return float32, static(float32, tiny_tensors)


@pytest.mark.tensorflow
def test_networks_whose_convolutions_differ_are_not_paired(
    tiny_pair: tuple[bytes, bytes],
    tiny_model: KerasModel,
    network_maker: NetworkMaker,
    tiny_tensors: Tensors,
) -> None:
    from keras import layers

    bodies: list[Callable[[Any], Any]] = [
        layers.Conv2D(8, 3, strides=2, padding="same", name="stem"),
        lambda x: layers.Conv2D(16, 1, name="b")(layers.Conv2D(8, 3, name="a")(x)),
    ]
    for body in bodies:
        other = KerasModel("m", network_maker(body=body), tiny_model.contract)
        with pytest.raises(UnusableInput, match="cannot be paired; export with a recipe that"):
            correct_biases(convert.float32_tflite(other), tiny_pair[1], tiny_tensors, "image")


@pytest.mark.tensorflow
def test_float_convolutions_are_left_alone(
    tiny_pair: tuple[bytes, bytes], tiny_model: KerasModel, tiny_tensors: Tensors
) -> None:
    float32, _ = tiny_pair
    done = correct_biases(float32, float32, tiny_tensors, "image")
    assert (done.tflite, done.corrected, done.left_alone) == (float32, 0, 3)

    graph = read_graph(float32)
    stem = next(i for i, o in enumerate(graph.operators) if o.name == "CONV_2D")
    left = sorted({stem, *quantize.scaling_of(graph), *quantize.head_of(graph)})
    mixed = convert.int8_tflite(tiny_model, tiny_tensors, quantize.output_names(graph, left))
    done = correct_biases(float32, mixed, tiny_tensors, "image")
    assert (done.corrected, done.left_alone) == (2, 1)
    kept = read_graph(mixed)
    bias = kept.tensors[convolutions(kept)[0].inputs[2]]
    assert bias.dtype == "float32"
    place = slice(bias.constant_offset, bias.constant_offset + bias.constant_bytes)
    assert done.tflite[place] == mixed[place]


@pytest.mark.tensorflow
def test_the_same_bytes_twice(tiny_pair: tuple[bytes, bytes], tiny_tensors: Tensors) -> None:
    first, second = (correct_biases(*tiny_pair, tiny_tensors, "image") for _ in range(2))
    assert first == second
    assert first.tflite != tiny_pair[1]


@pytest.fixture(scope="module")
def lesion_int8(float32_flatbuffer: bytes, drawn_tensors: Tensors) -> bytes:
    """The full network in uncorrected int8."""
    return static(float32_flatbuffer, drawn_tensors)


@pytest.fixture(scope="module")
def lesion_corrected(
    float32_flatbuffer: bytes, lesion_int8: bytes, drawn_tensors: Tensors
) -> bytes:
    """The full network in corrected int8."""
    done = correct_biases(float32_flatbuffer, lesion_int8, drawn_tensors, "image")
    assert (done.corrected, done.left_alone) == (49, 0)
    return done.tflite


@pytest.mark.tensorflow
def test_only_biases_of_convolutions_change(lesion_int8: bytes, lesion_corrected: bytes) -> None:
    assert len(lesion_corrected) == len(lesion_int8)
    before, after = (np.frombuffer(d, np.uint8) for d in (lesion_int8, lesion_corrected))
    changed = np.flatnonzero(before != after)
    inside = np.zeros(len(before), bool)
    graph = read_graph(lesion_int8)
    for convolution in convolutions(graph):
        bias = graph.tensors[convolution.inputs[2]]
        place = slice(bias.constant_offset, bias.constant_offset + bias.constant_bytes)
        assert (before[place] != after[place]).any()
        inside[place] = True
    assert inside[changed].all()
    assert inside.mean() < 0.03


@pytest.mark.tensorflow
def test_scores_of_the_full_network_come_nearer_to_float32(
    float32_flatbuffer: bytes,
    lesion_int8: bytes,
    lesion_corrected: bytes,
    drawn_proof: list[PreparedImage],
    invoke: Invoke,
) -> None:
    exact, plain, corrected = (
        logit(np.array([invoke(flatbuffer, p.pixels[np.newaxis]) for p in drawn_proof]))
        for flatbuffer in (float32_flatbuffer, lesion_int8, lesion_corrected)
    )
    errors = np.abs(plain - exact).mean(), np.abs(corrected - exact).mean()
    # On drawings, which the network was not trained on, a shift of all scores is left of it.
    assert errors[1] < 0.85 * errors[0], errors
    assert (corrected - exact).std() < 0.6 * (plain - exact).std()


@pytest.mark.data
@pytest.mark.tensorflow
def test_scores_of_photos_come_nearer_to_float32(
    data_dir: Path, lesion_model: KerasModel, invoke: Invoke
) -> None:
    train, valid = (
        [
            photo.pixels[np.newaxis]
            for photo in prepare(stratified_sample(manifest, 60, 0), lesion_model.contract.input)
            if isinstance(photo, PreparedImage)
        ]
        for manifest in (read_isic_split(data_dir / "isic2017", s) for s in ("train", "valid"))
    )
    float32 = convert.float32_tflite(lesion_model)
    plain = static(float32, train)
    corrected = correct_biases(float32, plain, train, "image").tflite
    exact, *others = (
        np.array([invoke(flatbuffer, pixels) for pixels in valid])
        for flatbuffer in (float32, plain, corrected)
    )
    before, after = (other - exact for other in others)
    assert np.abs(after).mean() < 0.6 * np.abs(before).mean()
    assert after.std() < 0.6 * before.std()


@pytest.mark.tensorflow
def test_what_is_exported_is_the_corrected_file(
    export_drawn: Callable[[str], Exported], lesion_corrected: bytes
) -> None:
    exported = export_drawn("int8")
    published, _ = split_members(exported.path.read_bytes())
    assert published == with_metadata(lesion_corrected, exported.contract)[0]
