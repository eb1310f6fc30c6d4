"""Integers and the real numbers that they stand for: activations, weights, biases."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lesionlite_runtime.graph import TensorInfo

LEVELS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}
"""By integer type of activations, the least and the greatest level."""
_STORED = {"int8": "i1", "uint8": "u1", "int16": "<i2", "int32": "<i4", "int64": "<i8"}
_FLOATS = {"float32": "<f4", "float16": "<f2"}
Reals = NDArray[np.float32]


def is_quantized(tensor: TensorInfo) -> bool:
    """Whether it is an activation in integers with one scale."""
    return tensor.dtype in LEVELS and len(tensor.scales) == 1


def as_reals(values: NDArray[np.generic], tensor: TensorInfo) -> Reals:
    """What the values of an activation stand for, float32, of any shape."""
    reals = values.astype(np.float32)
    if is_quantized(tensor):
        reals -= np.float32(tensor.zero_points[0])
        reals *= np.float32(tensor.scales[0])
    return reals


def as_stored(reals: Reals, tensor: TensorInfo) -> NDArray[np.generic]:
    """``reals`` in the type of an activation: to the nearest level, cut off at the range's ends."""
    if not is_quantized(tensor):
        return reals.astype(tensor.dtype)
    low, high = LEVELS[tensor.dtype]
    levels = np.rint(reals / np.float32(tensor.scales[0])) + np.float32(tensor.zero_points[0])
    stored: NDArray[np.generic] = np.clip(levels, low, high).astype(tensor.dtype)
    return stored


def range_of(tensor: TensorInfo) -> tuple[float, float] | None:
    """The least and greatest number that a quantized activation can stand for."""
    if not is_quantized(tensor):
        return None
    scale, zero = tensor.scales[0], tensor.zero_points[0]
    low, high = ((level - zero) * scale for level in LEVELS[tensor.dtype])
    return low, high


def stored_constant(flatbuffer: bytes, tensor: TensorInfo) -> NDArray[np.generic] | None:
    """The values of a constant as they stand in the file; None for a type of less than a byte."""
    dtype = {**_STORED, **_FLOATS}.get(tensor.dtype)
    if dtype is None:
        return None
    count = tensor.constant_bytes // np.dtype(dtype).itemsize
    return np.frombuffer(flatbuffer, dtype, count, tensor.constant_offset).reshape(tensor.shape)


def along_channels(values: NDArray[np.float64], tensor: TensorInfo) -> NDArray[np.float64]:
    """One number a channel, or one for all, in a shape that goes with the tensor's values."""
    if len(values) == 1 or not tensor.shape:
        return values
    axis = 0 if tensor.shape[0] == len(values) else len(tensor.shape) - 1
    shape = [1] * len(tensor.shape)
    shape[axis] = len(values)
    return values.reshape(shape)


def channel_scales(tensor: TensorInfo) -> NDArray[np.float64]:
    """Its scales, float64, in a shape that goes with its values."""
    return along_channels(np.array(tensor.scales, np.float64), tensor)
