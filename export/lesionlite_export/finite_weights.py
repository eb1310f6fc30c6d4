"""Weights that are no numbers: nothing that is made of them would be one."""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionlite_runtime.errors import UnusableInput, printable
from lesionlite_runtime.graph import Graph

REMEDY = "train the network anew, or restore an earlier checkpoint"


def check_network_weights(network: Any, file: str) -> None:
    """Refuse a Keras network with NaN or infinity in its weights; the layer is named.

    Raises:
        UnusableInput: see above.
    """
    for variable in network.weights:
        value = np.asarray(variable)
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise _fault(variable.path, value, file)


def check_graph_weights(graph: Graph, flatbuffer: bytes, file: str) -> None:
    """Likewise for the float32 constants of a ``.tflite``; the tensor is named."""
    for tensor in graph.tensors:
        if tensor.dtype == "float32" and tensor.is_constant:
            n = tensor.constant_bytes // 4
            value = np.frombuffer(flatbuffer, "<f4", n, tensor.constant_offset)
            if not np.isfinite(value).all():
                raise _fault(tensor.name, value, file)


def _fault(name: str, value: Any, file: str) -> UnusableInput:
    bad = int(np.count_nonzero(~np.isfinite(value)))
    return UnusableInput(
        f"{bad} of the {value.size:,} weights {printable(name)} are NaN or infinite", REMEDY, file
    )
