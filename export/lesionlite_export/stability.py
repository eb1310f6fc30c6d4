"""How far the scales of an int8 file move with the sample that calibrated it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lesionlite_runtime.graph import read_graph

Scales = Mapping[str, float]
"""The scale of each quantized activation of a file, by its tensor's name."""


def activation_scales(flatbuffer: bytes) -> dict[str, float]:
    """The scale of every activation that is quantized as a whole, in the graph's order.

    Raises:
        Malformed: when the bytes are no well-formed TFLite model.
    """
    return {
        tensor.name: tensor.scales[0]
        for tensor in read_graph(flatbuffer).tensors
        if len(tensor.scales) == 1 and not tensor.is_constant
    }


def moving_scales(files: Sequence[Scales]) -> list[str]:
    """Names of the scales that are not the same in all of ``files``, which are of one network.

    A ReLU6 that every image fills has the range 0 to 6 whatever the sample.
    """
    return [name for name in files[0] if len({scales[name] for scales in files}) > 1]


def median_scales(files: Sequence[Scales], names: Sequence[str]) -> dict[str, float]:
    """The median over ``files`` of each of the scales ``names``."""
    return {name: float(np.median([scales[name] for scales in files])) for name in names}


def scale_changes(files: Sequence[Scales], reference: Scales) -> NDArray[np.float64]:
    """``abs(scale / reference - 1)`` of each scale in ``reference``: ``[files, scales]``."""
    wanted = np.array(list(reference.values()), np.float64)
    found = np.array([[scales[name] for name in reference] for scales in files], np.float64)
    return np.abs(found / wanted - 1)
