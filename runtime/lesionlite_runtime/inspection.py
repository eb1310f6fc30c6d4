"""What a model file says of itself: contract, digests, tensors and operators."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from lesionlite_runtime.container import contract_of, keras_members
from lesionlite_runtime.door import check_model
from lesionlite_runtime.files import read_file
from lesionlite_runtime.graph import Graph

INSPECTION_SCHEMA = "lesionlite.inspection/1"


def inspect(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The object of schema ``lesionlite.inspection/1`` for a ``.tflite`` or ``.keras`` file.

    For a ``.keras``, ``flatbuffer_sha256`` is null and the tensor and operator fields are empty:
    its network can only be read with TensorFlow.

    Raises:
        UnusableInput: when the file is refused (see `lesionlite_runtime.door.open_model`).
    """
    file = os.fspath(path)
    data = read_file(path)
    if data[:2] == b"PK":
        contract = contract_of(keras_members(data, file), file)
        graph = Graph((), (), {}, {})
    else:
        model = check_model(data, file)
        contract, graph = model.contract, model.graph
    return {
        "schema": INSPECTION_SCHEMA,
        "contract": contract.to_json(),
        "file_sha256": hashlib.sha256(data).hexdigest(),
        "flatbuffer_sha256": contract.flatbuffer_sha256,
        "inputs": [_tensor(graph, name, index) for name, index in graph.inputs.items()],
        "outputs": [_tensor(graph, name, index) for name, index in graph.outputs.items()],
        "operators": graph.operator_counts(),
    }


def _tensor(graph: Graph, name: str, index: int) -> dict[str, Any]:
    tensor = graph.tensors[index]
    return {
        "name": name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "scales": list(tensor.scales),
        "zero_points": list(tensor.zero_points),
    }
