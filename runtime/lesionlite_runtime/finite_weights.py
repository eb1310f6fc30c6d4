"""Weights that are no numbers: nothing that is made of them would be one."""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionlite_runtime.errors import UnusableInput, printable
from lesionlite_runtime.graph import Graph

REMEDY = "train the network anew, or restore an earlier checkpoint"
_FLOATS = {"float32": "<f4", "float16": "<f2"}


def check_graph_weights(graph: Graph, flatbuffer: bytes, file: str) -> None:
    """Refuse a ``.tflite`` with NaN or infinity in its constants; the tensor is named.

    Raises:
        UnusableInput: see above.
    """
    for tensor in graph.tensors:
        if tensor.dtype in _FLOATS and tensor.is_constant:
            form = np.dtype(_FLOATS[tensor.dtype])
            n = tensor.constant_bytes // form.itemsize
            value = np.frombuffer(flatbuffer, form, n, tensor.constant_offset)
            if not np.isfinite(value).all():
                raise weights_fault(tensor.name, value, file)


def weights_fault(name: str, value: Any, file: str) -> UnusableInput:
    """The sentence about the weights ``value``, called ``name``, that are no numbers."""
    bad = int(np.count_nonzero(~np.isfinite(value)))
    return UnusableInput(
        f"{bad} of the {value.size:,} weights {printable(name)} are NaN or infinite", REMEDY, file
    )
