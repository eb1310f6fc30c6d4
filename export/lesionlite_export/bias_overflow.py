"""Biases that do not fit in 32 bits, in the int8 file of LiteRT's quantizer.

An int8 convolution adds an int32 bias in steps of the input's scale times the channel's weight
scale. A channel whose weights are nearly 0 has nearly no weight scale, and a bias of very many such
steps: beyond 32 bits it is cut off, or the sum wraps around, and the channel gives another number.
LiteRT's quantizer lets that happen; here the scale of such a channel is widened, as TensorFlow's
converter does. Nothing is lost: weights that small add less than the output's rounding.
"""

from __future__ import annotations

from collections import Counter
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.bias_correction import constant_values, convolution_pairs
from lesionlite_export.model_object import model_bytes, read_model
from lesionlite_runtime.graph import read_graph

MOST_STEPS = 1 << 30
"""Largest bias in steps: half of what fits, which leaves as much for the sum of the products."""
_HIGHEST = 127


def widen_steps(float32: bytes, int8: bytes) -> bytes:
    """``int8`` with wider weight scales where a bias has more than `MOST_STEPS`.

    Weights and biases of those channels are rounded anew; all else stays. A file without such a
    channel comes back as it is.

    Args:
        float32: the ``.tflite`` that ``int8`` was made from.
        int8: its quantized form, with the same convolutions in the same order.

    Raises:
        UnusableInput: when the convolutions of the two files cannot be paired.
    """
    graph, quantized = read_graph(float32), read_graph(int8)
    uses = Counter(i for operator in quantized.operators for i in operator.inputs)
    model: Any = None
    for exact, rounded in convolution_pairs(graph, quantized):
        source, weights, bias = (quantized.tensors[i] for i in rounded.inputs[:3])
        if (source.dtype, weights.dtype, bias.dtype) != ("int8", "int8", "int32"):
            continue
        if any(uses[i] > 1 for i in rounded.inputs[1:3]):
            continue  # another convolution has them as well, with an input of another scale
        wanted = constant_values(float32, graph.tensors[exact.inputs[2]])
        scales = np.array(weights.scales, np.float64)
        least = np.abs(wanted) / (source.scales[0] * MOST_STEPS)
        wide = np.flatnonzero(scales < least)
        if not len(wide):
            continue
        model = model or read_model(int8)
        axis = 3 if rounded.name == "DEPTHWISE_CONV_2D" else 0
        floats = np.moveaxis(constant_values(float32, graph.tensors[exact.inputs[1]]), axis, 0)
        tensors = model.subgraphs[0].tensors
        _widen(model, tensors[rounded.inputs[1]], wide, least[wide], floats, axis)
        steps = np.float64(source.scales[0]) * least[wide].astype(np.float32)
        _set_bias(model, tensors[rounded.inputs[2]], wide, steps, wanted)
    return int8 if model is None else model_bytes(model)


def _widen(
    model: Any,
    tensor: Any,
    wide: NDArray[np.int64],
    scales: NDArray[np.float64],
    floats: NDArray[np.float64],
    axis: int,
) -> None:
    stated = np.array(tensor.quantization.scale, np.float32)
    stated[wide] = scales
    tensor.quantization.scale = stated
    buffer = _own_buffer(model, tensor)
    stored = np.asarray(buffer.data, np.uint8).view("i1").reshape(tensor.shape).copy()
    channels = np.moveaxis(stored, axis, 0)
    step = stated[wide].astype(np.float64).reshape(-1, *[1] * (floats.ndim - 1))
    channels[wide] = np.clip(np.rint(floats[wide] / step), -_HIGHEST, _HIGHEST)
    buffer.data = stored.view(np.uint8).reshape(-1)


def _set_bias(
    model: Any,
    tensor: Any,
    wide: NDArray[np.int64],
    steps: NDArray[np.float64],
    wanted: NDArray[np.float64],
) -> None:
    stated = np.array(tensor.quantization.scale, np.float32)
    stated[wide] = steps
    tensor.quantization.scale = stated
    buffer = _own_buffer(model, tensor)
    stored = np.asarray(buffer.data, np.uint8).view("<i4").copy()
    stored[wide] = np.rint(wanted[wide] / steps)
    buffer.data = stored.view(np.uint8)


def _own_buffer(model: Any, tensor: Any) -> Any:
    """The constant of ``tensor``, which no other tensor has: equal constants may be stored once."""
    if sum(other.buffer == tensor.buffer for other in model.subgraphs[0].tensors) > 1:
        model.buffers.append(copy(model.buffers[tensor.buffer]))
        tensor.buffer = len(model.buffers) - 1
    return model.buffers[tensor.buffer]
