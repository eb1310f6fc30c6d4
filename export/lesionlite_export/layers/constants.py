"""The constants of an operator against the float32 ones: what rounding made of them, or damage.

Nothing is run here. Integers that are no rounding of the float32 weights, scales that contradict
each other and biases that do not fit their type are seen in the file itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.layers.numbers import (
    LEVELS,
    Reals,
    along_channels,
    channel_scales,
    is_quantized,
    stored_constant,
)
from lesionlite_export.layers.pairing import Pair
from lesionlite_runtime.graph import Graph, TensorInfo
from lesionlite_runtime.operators import WITH_WEIGHTS

WEIGHTS, BIAS = 1, 2
"""Places of both among the inputs of an operator that has them."""
# Quantizers that choose roundings for their effect go to a neighbouring level, never further.
_ONE_STEP = 1.01
# Of the largest value: float32 constants of two versions of a converter may differ by as much.
_SAME = 1e-5
# Scales are float32: products of two agree far better than this, and damage is far larger.
_LEAST_RATIO = 0.005
# A bias near 0 fits both scales: then its own, which nothing reads, is taken to be right.
_CLEARLY = 0.2
_MOST_INT32 = float(2**31 - 1)
_WIDEST_INPUT = 255.0
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Weights:
    """Weights, or another constant operand, in the file.

    Attributes:
        dtype: of the values in the file.
        channels: number of output channels.
        changed: share of the values that are no rounding of the float32 ones.
        changed_channels: output channels with such values.
        scale_ratio: the scale in the file over the one at which all its integers are roundings of
            the float32 values; None where they are so already, or are at no scale.
        zeroed: share of the values that became 0.
        per_tensor: whether several output channels share one scale.
        zero_point: where it is not 0, as kernels take that of int8 weights to be.
    """

    dtype: str
    channels: int
    changed: float
    changed_channels: int
    scale_ratio: float | None
    zeroed: float
    per_tensor: bool
    zero_point: int


@dataclass(frozen=True)
class Bias:
    """A bias in the file.

    Attributes:
        changed: whether it is in floating point and not the float32 one.
        overflow: output channels whose sums can leave 32 bits.
        input_ratio: the scale of the operator's input over the one that the bias was made for; None
            where they agree.
    """

    changed: bool = False
    overflow: int = 0
    input_ratio: float | None = None


@dataclass(frozen=True)
class StoredConstants:
    """The constants of one operator in the file.

    Attributes:
        operands: by place, what the constants but the bias stand for.
        bias_reals: what the bias stands for, by the scales that kernels use. Channels whose sums
            overflow have the float32 value: that fault is one of arithmetic.
        weights: what is known of the operands.
        bias: what is known of the bias.
    """

    operands: Mapping[int, Reals]
    bias_reals: Reals | None = None
    weights: Weights | None = None
    bias: Bias | None = None


def stored_constants(
    reference: bytes, reference_graph: Graph, flatbuffer: bytes, graph: Graph, pair: Pair
) -> StoredConstants:
    """What the file holds in place of the float32 constants of one operator.

    Args:
        reference: the float32 network.
        reference_graph: its graph.
        flatbuffer: the file.
        graph: its graph.
        pair: the operator.
    """
    name = graph.operators[pair.operator].name
    operands: dict[int, Reals] = {}
    weights: Weights | None = None
    biases: tuple[Reals | None, Bias | None] = (None, None)
    for constant in pair.constants:
        tensor = graph.tensors[constant.tensor]
        stored = stored_constant(flatbuffer, tensor)
        exact = stored_constant(reference, reference_graph.tensors[constant.reference])
        if stored is None or exact is None:
            continue
        wanted = np.asarray(exact, np.float64)
        if name in WITH_WEIGHTS and constant.slot == BIAS:
            biases = _bias(stored, wanted, flatbuffer, graph, pair, weights)
            continue
        operands[constant.slot] = _reals(stored, tensor)
        weights = weights or _weights(stored, wanted, tensor, name)
    return StoredConstants(operands, biases[0], weights, biases[1])


def _reals(stored: NDArray[np.generic], tensor: TensorInfo) -> Reals:
    values = stored.astype(np.float64)
    if tensor.scales:
        values = (values - _zeros(tensor)) * channel_scales(tensor)
    return values.astype(np.float32)


def _weights(stored: NDArray[np.generic], wanted: Array, tensor: TensorInfo, name: str) -> Weights:
    axis = _channel_axis(name)
    channels = tensor.shape[axis] if tensor.shape else 1
    if tensor.dtype not in LEVELS or not tensor.scales:
        if tensor.dtype == "float16":
            changed = np.asarray(stored != wanted.astype(np.float16))
        else:
            apart = np.abs(stored.astype(np.float64) - wanted)
            changed = np.asarray(apart > _SAME * np.abs(wanted).max(initial=0.0))
        share, concerned = float(changed.mean()), _count(changed, axis)
        return Weights(tensor.dtype, channels, share, concerned, None, 0.0, False, 0)
    integers, scales = stored.astype(np.float64), channel_scales(tensor)
    changed = _no_rounding(integers, wanted, scales, tensor)
    symmetric = name in WITH_WEIGHTS and tensor.dtype == "int8"
    return Weights(
        dtype=tensor.dtype,
        channels=channels,
        changed=float(changed.mean()),
        changed_channels=_count(changed, axis),
        scale_ratio=_scale_ratio(integers, wanted, scales, tensor, axis) if changed.any() else None,
        zeroed=float(np.mean((integers == _zeros(tensor)) & (wanted != 0))),
        per_tensor=len(tensor.scales) == 1 < channels,
        zero_point=next((z for z in tensor.zero_points if z), 0) if symmetric else 0,
    )


def _no_rounding(
    integers: Array, wanted: Array, scales: Array, tensor: TensorInfo
) -> NDArray[np.bool_]:
    low, high = LEVELS[tensor.dtype]
    exact = np.clip(wanted / scales + _zeros(tensor), low, high)
    return np.asarray(np.abs(integers - exact) > _ONE_STEP)


def _scale_ratio(
    integers: Array, wanted: Array, scales: Array, tensor: TensorInfo, axis: int
) -> float | None:
    """The median ratio of the scales to those that fit best, if all integers are roundings then."""
    axes = tuple(i for i in range(integers.ndim) if i != axis)
    steps = integers - _zeros(tensor)
    squares = np.sum(steps**2, axes, keepdims=True)
    own = np.broadcast_to(scales, squares.shape)
    best = np.sum(wanted * steps, axes, keepdims=True) / np.where(squares > 0, squares, 1)
    best = np.where(best > 0, best, own)
    if _no_rounding(integers, wanted, best, tensor).any():
        return None
    ratios = own / best
    off = ratios[np.abs(ratios - 1) > _LEAST_RATIO]
    return float(np.median(off)) if off.size else None


def _bias(
    stored: NDArray[np.generic],
    wanted: Array,
    flatbuffer: bytes,
    graph: Graph,
    pair: Pair,
    weights: Weights | None,
) -> tuple[Reals, Bias]:
    tensor = graph.tensors[next(c.tensor for c in pair.constants if c.slot == BIAS)]
    values = stored.astype(np.float64)
    made = _product_scales(graph, pair)
    if made is None or tensor.dtype not in ("int32", "int64"):
        changed = np.abs(values - wanted) > _SAME * np.abs(wanted).max(initial=0.0)
        return values.astype(np.float32), Bias(changed=bool(changed.any()))
    overflow = np.zeros(values.shape, np.bool_)
    if tensor.dtype == "int32":
        reach = _WIDEST_INPUT * _sums(flatbuffer, graph, pair)
        overflow = np.maximum(np.abs(values), np.abs(wanted / made)) + reach > _MOST_INT32
    reals = np.where(overflow, wanted, values * made)
    ratio = _input_ratio(values, wanted, made, tensor, weights)
    return reals.astype(np.float32), Bias(overflow=int(overflow.sum()), input_ratio=ratio)


def _input_ratio(
    values: Array, wanted: Array, made: Array, tensor: TensorInfo, weights: Weights | None
) -> float | None:
    """See `Bias`: by the scales that the bias states, unless it is they that do not fit it."""
    stated = np.array(tensor.scales, np.float64)
    if stated.shape not in (made.shape, (1,)):
        return None
    ratio = float(np.median(made / stated))
    if weights is not None and weights.scale_ratio is not None:
        ratio /= weights.scale_ratio
    if abs(ratio - 1) <= _LEAST_RATIO:
        return None
    by_stated, by_made = (np.abs(values * scales - wanted).sum() for scales in (stated, made))
    return None if by_made < _CLEARLY * by_stated else ratio


def _product_scales(graph: Graph, pair: Pair) -> Array | None:
    """What kernels multiply an integer bias by: the scale of the input times the weights'."""
    source = next((graph.tensors[f.tensor] for f in pair.feeds if f.slot == 0), None)
    weights = next((graph.tensors[c.tensor] for c in pair.constants if c.slot == WEIGHTS), None)
    if source is None or weights is None or not weights.scales or not is_quantized(source):
        return None
    return source.scales[0] * np.array(weights.scales, np.float64)


def _sums(flatbuffer: bytes, graph: Graph, pair: Pair) -> Array:
    """The sum of the absolute integer weights of each output channel."""
    tensor = graph.tensors[next(c.tensor for c in pair.constants if c.slot == WEIGHTS)]
    stored = stored_constant(flatbuffer, tensor)
    assert stored is not None
    axis = _channel_axis(graph.operators[pair.operator].name)
    others = tuple(i for i in range(stored.ndim) if i != axis)
    return np.asarray(np.abs(stored.astype(np.float64)).sum(axis=others))


def _zeros(tensor: TensorInfo) -> Array:
    return along_channels(np.array(tensor.zero_points or (0,), np.float64), tensor)


def _count(changed: NDArray[np.bool_], axis: int) -> int:
    """Channels in which anything is ``changed``."""
    others = tuple(i for i in range(changed.ndim) if i != axis)
    return int(np.sum(changed.any(axis=others)))


def _channel_axis(name: str) -> int:
    """The axis of an operator's output channels in its weights."""
    return 3 if name == "DEPTHWISE_CONV_2D" else 0
