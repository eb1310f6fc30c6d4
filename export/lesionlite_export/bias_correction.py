"""Bias correction on a finished pair of files: float32 and int8 in, corrected int8 out.

Rounding the weights of a convolution shifts the mean of each output channel by
``E[conv(x, W - Wq)]``, which is linear in the mean of the input at each tap of the kernel. That
shift is added to the int8 file's bias. (Nagel et al. 2019, arXiv 1906.04721, section 4.2, with the
inputs' means measured on images.) Needs no TensorFlow, leaves float layers alone, and changes
nothing in the file but bias values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.activations import FloatModel
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.graph import Graph, OperatorInfo, TensorInfo, read_graph

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_SAME_PADDING = 0
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Correction:
    """The corrected file, and how many of its convolutions were corrected and left alone.

    Float convolutions and those that share their bias with another are left alone.
    """

    tflite: bytes
    corrected: int
    left_alone: int


@dataclass(frozen=True)
class _Window:
    """Where a convolution's kernel looks: all in pixels, (rows, columns)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    same: bool


def correct_biases(
    float32: bytes, int8: bytes, tensors: Sequence[NDArray[Any]], input_name: str
) -> Correction:
    """``int8`` with the biases of its convolutions corrected on ``tensors``.

    Args:
        float32: the ``.tflite`` that ``int8`` was made from.
        int8: its quantized form, with the same convolutions in the same order.
        tensors: representative inputs of shape ``[1, ...]``.
        input_name: the signature's name for the input.

    Raises:
        UnusableInput: when the convolutions of the two files cannot be paired.
    """
    graph, quantized = read_graph(float32), read_graph(int8)
    pairs = list(convolution_pairs(graph, quantized))
    shared = Counter(quantized.tensors[q.inputs[2]].constant_offset for _, q in pairs)
    todo = [
        (f, q)
        for f, q in pairs
        if quantized.tensors[q.inputs[1]].dtype == "int8"
        and quantized.tensors[q.inputs[2]].dtype == "int32"
        and shared[quantized.tensors[q.inputs[2]].constant_offset] == 1
    ]
    if not todo:
        return Correction(int8, 0, len(pairs))
    means = _tap_means(float32, [f for f, _ in todo], tensors, input_name)
    corrected = bytearray(int8)
    for (f, q), mean in zip(todo, means, strict=True):
        weights = constant_values(float32, graph.tensors[f.inputs[1]])
        rounded = constant_values(int8, quantized.tensors[q.inputs[1]])
        bias = quantized.tensors[q.inputs[2]]
        steps = _shift(q.name, weights - rounded, mean) / np.array(bias.scales, np.float64)
        place = slice(bias.constant_offset, bias.constant_offset + bias.constant_bytes)
        old = np.frombuffer(int8[place], "<i4").astype(np.float64)
        limits = np.iinfo(np.int32)
        new = np.clip(np.rint(old + steps), limits.min, limits.max).astype("<i4")
        corrected[place] = new.tobytes()
    return Correction(bytes(corrected), len(todo), len(pairs) - len(todo))


def convolution_pairs(
    graph: Graph, quantized: Graph
) -> Iterator[tuple[OperatorInfo, OperatorInfo]]:
    """Each convolution with a bias of the float graph, and the same one of the int8 graph.

    Raises:
        UnusableInput: when they cannot be paired.
    """
    left = [o for o in graph.operators if o.name in CONVOLUTIONS]
    right = [o for o in quantized.operators if o.name in CONVOLUTIONS]
    shapes = [
        [(o.name, g.tensors[o.inputs[1]].shape) for o in operators]
        for g, operators in ((graph, left), (quantized, right))
    ]
    if shapes[0] != shapes[1]:
        raise UnusableInput(
            "the convolutions of the float and the int8 model cannot be paired",
            "export with a recipe that does not correct biases",
        )
    for f, q in zip(left, right, strict=True):
        if len(f.inputs) > 2 and len(q.inputs) > 2 and f.inputs[2] >= 0 and q.inputs[2] >= 0:
            yield f, q


def _tap_means(
    float32: bytes,
    convolutions: Sequence[OperatorInfo],
    tensors: Sequence[NDArray[Any]],
    input_name: str,
) -> list[Array]:
    """Per convolution the mean input at each tap: float64 ``[kernel rows, columns, channels]``.

    The mean is over output positions and images, with the zeros of SAME padding counted.
    """
    model = FloatModel(float32, input_name)
    graph = model.graph
    windows = [_window(c, graph.tensors[c.inputs[1]]) for c in convolutions]
    sums: list[Any] = [0.0] * len(convolutions)
    for tensor in tensors:
        model.run(tensor)
        for i, (convolution, window) in enumerate(zip(convolutions, windows, strict=True)):
            views = model.value(convolution.inputs[0])
            sums[i] = sums[i] + np.mean([tap_mean(view, window) for view in views], axis=0)
    return [total / len(tensors) for total in sums]


def _window(convolution: OperatorInfo, weights: TensorInfo) -> _Window:
    options = convolution.options
    if options is None:
        raise UnusableInput(
            "a convolution of the float model has no settings", "convert the model anew"
        )
    # Depthwise settings hold the channel multiplier in front of activation and dilation.
    dilation = 5 if convolution.name == "DEPTHWISE_CONV_2D" else 4
    return _Window(
        kernel=(weights.shape[1], weights.shape[2]),
        stride=(options.scalar(2, "<i"), options.scalar(1, "<i")),
        dilation=(options.scalar(dilation + 1, "<i", 1), options.scalar(dilation, "<i", 1)),
        same=options.scalar(0, "<b") == _SAME_PADDING,
    )


def tap_mean(x: NDArray[np.float32], window: _Window) -> Array:
    """Mean of ``x``, ``[H, W, C]``, over output positions, for each tap of the kernel."""
    axes = [
        _taps(size, k, s, d, window.same)
        for size, k, s, d in zip(
            x.shape[:2], window.kernel, window.stride, window.dilation, strict=True
        )
    ]
    (rows, n_rows), (columns, n_columns) = axes
    # Columns first: a pass over the pixels for each column of the kernel, and none for its rows.
    lines = [x[:, c].sum(1, dtype=np.float64) for c in columns]
    means = [[line[r].sum(0) for line in lines] for r in rows]
    return np.array(means) / (n_rows * n_columns)


def _taps(
    size: int, kernel: int, stride: int, dilation: int, same: bool
) -> tuple[list[slice], int]:
    """For each tap along one axis the positions that it sees, and the number of outputs."""
    reach = (kernel - 1) * dilation + 1
    outputs = -(-size // stride) if same else (size - reach) // stride + 1
    before = max((outputs - 1) * stride + reach - size, 0) // 2 if same else 0
    slices = []
    for tap in range(kernel):
        first = tap * dilation - before
        skipped = max(0, -(first // stride)) if first < 0 else 0
        start = first + skipped * stride
        stop = min(first + (outputs - 1) * stride + 1, size)
        slices.append(slice(start, max(start, stop), stride))
    return slices, outputs


def _shift(name: str, error: Array, mean: Array) -> Array:
    """Mean output of a convolution with the weights ``error``: float64 ``[channels]``."""
    if name == "CONV_2D":
        groups = mean.shape[2] // error.shape[3]
        parts = zip(np.split(error, groups), np.split(mean, groups, axis=2), strict=True)
        return np.concatenate([np.tensordot(*part, 3) for part in parts])
    multiplier = error.shape[3] // mean.shape[2]
    return np.asarray((error[0] * np.repeat(mean, multiplier, axis=2)).sum((0, 1)))


def constant_values(tflite: bytes, tensor: TensorInfo) -> Array:
    """A constant's real values, float64, dequantized per channel where it is int8."""
    dtype = {"float32": "<f4", "int8": "i1"}[tensor.dtype]
    count = tensor.constant_bytes // np.dtype(dtype).itemsize
    raw = np.frombuffer(tflite, dtype, count, tensor.constant_offset).reshape(tensor.shape)
    values = raw.astype(np.float64)
    if not tensor.scales:
        return values
    scales, zeros = np.array(tensor.scales), np.array(tensor.zero_points)
    if len(scales) > 1 and len(scales) == tensor.shape[0]:  # per channel along the first axis
        scales, zeros = scales.reshape(-1, 1, 1, 1), zeros.reshape(-1, 1, 1, 1)
    return np.asarray((values - zeros) * scales)
