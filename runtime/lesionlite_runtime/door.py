"""The door for an untrusted ``.tflite``: size, container, contract, digests and structure.

Interpreters crash on damaged files (a truncated one segfaults some), so nothing passes to one
before every check here has passed.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from lesionlite_runtime.container import contract_of, split_members
from lesionlite_runtime.contract import AnyContract
from lesionlite_runtime.contract_fields import (
    ImageInput,
    LabelsOutput,
    ScoreOutput,
    ValueOutput,
)
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.files import read_file
from lesionlite_runtime.flatbuffer import Malformed
from lesionlite_runtime.graph import Graph, read_graph
from lesionlite_runtime.soundness import check_sound


@dataclass(frozen=True)
class DeviceModel:
    """A ``.tflite`` that passed the door: its bytes, contract and graph."""

    path: str
    file_sha256: str
    flatbuffer: bytes
    contract: AnyContract
    graph: Graph


def open_model(path: str | os.PathLike[str]) -> DeviceModel:
    """The ``.tflite`` at ``path``, after every check that needs no interpreter.

    Raises:
        UnusableInput: when the file cannot be read, is no TFLite model, carries no valid contract,
            does not have the digest or length that its contract states, is malformed, or its
            tensors are not those of the contract.
    """
    return check_model(read_file(path), os.fspath(path))


def check_model(data: bytes, file: str) -> DeviceModel:
    """The ``.tflite`` whose bytes are ``data``, read from ``file``; see `open_model`."""
    flatbuffer, members = split_members(data, file)
    contract = contract_of(members, file)
    check_digest(flatbuffer, contract, file)
    graph = checked_graph(flatbuffer, file)
    check_interface(graph, contract, file)
    return DeviceModel(file, hashlib.sha256(data).hexdigest(), flatbuffer, contract, graph)


def check_digest(flatbuffer: bytes, contract: AnyContract, file: str | None) -> None:
    """Refuse bytes other than those that the contract was written for.

    Raises:
        UnusableInput: when length or SHA-256 differ.
    """
    if (
        len(flatbuffer) != contract.flatbuffer_bytes
        or hashlib.sha256(flatbuffer).hexdigest() != contract.flatbuffer_sha256
    ):
        raise UnusableInput(
            "the model's bytes do not have the digest that its contract states",
            "copy the file anew, or export it again",
            file,
        )


def checked_graph(flatbuffer: bytes, file: str | None) -> Graph:
    """The graph in ``flatbuffer``.

    Raises:
        UnusableInput: when it is malformed or holds an operator that lesionlite does not run.
    """
    try:
        graph = read_graph(flatbuffer)
        check_sound(graph, flatbuffer)
    except Malformed as error:
        raise UnusableInput(
            f"this is no TFLite model that lesionlite can run ({error})",
            "export it with `lesionlite export`",
            file,
        ) from error
    return graph


def check_interface(graph: Graph, contract: AnyContract, file: str | None) -> None:
    """Refuse a graph whose input or output is not the one that the contract describes.

    Raises:
        UnusableInput: when names, shapes or types differ.
    """
    units = 1
    if isinstance(contract.output, LabelsOutput):
        units = len(contract.output.labels)
    elif isinstance(contract.output, ScoreOutput):
        units = contract.output.units or 1
    expected = (
        ("input", contract.input.name, tuple(contract.input.shape), contract.input.dtype),
        ("output", contract.output.name, (1, units), contract.output.dtype),
    )
    for (side, name, shape, dtype), named in zip(
        expected, (graph.inputs, graph.outputs), strict=True
    ):
        if list(named) != [name]:
            raise UnusableInput(
                f"the model's {side} is named {', '.join(named)}, and {name} in its contract",
                "export the model anew",
                file,
            )
        tensor = graph.tensors[named[name]]
        if (tensor.shape, tensor.dtype) != (shape, dtype):
            raise UnusableInput(
                f"the model's {side} is {tensor.dtype} {list(tensor.shape)}, "
                f"and {dtype} {list(shape)} in its contract",
                "export the model anew",
                file,
            )
    _check_quantization(graph, contract, file)


def _check_quantization(graph: Graph, contract: AnyContract, file: str | None) -> None:
    """Integers that stand for other numbers than the contract says would decide otherwise."""
    if isinstance(contract.input, ImageInput) and contract.input.dtype != "float32":
        tensor = graph.tensors[graph.inputs[contract.input.name]]
        if contract.input.range is not None and len(tensor.scales) != 1:
            raise UnusableInput(
                "the model's input has no scale, and a range in its contract",
                "attach a contract without a range",
                file,
            )
    stated = None if isinstance(contract.output, ValueOutput) else contract.output.quantization
    if stated is None:
        return
    tensor = graph.tensors[graph.outputs[contract.output.name]]
    if (tensor.scales, tensor.zero_points) != ((stated.scale,), (stated.zero_point,)):
        raise UnusableInput(
            "the scale or zero point of the model's output is not the one in its contract",
            "export the model anew",
            file,
        )
