"""The door for an untrusted ``.tflite``: size, container, contract, digests and structure.

Interpreters crash on damaged files (a truncated one segfaults some), so nothing passes to one
before every check here has passed.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from lesionlite_runtime.container import AnyContract, contract_of, split_members
from lesionlite_runtime.contract_fields import ImageInput
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
    image = isinstance(contract.input, ImageInput)
    expected = (
        (
            "input",
            contract.input.name,
            tuple(contract.input.shape),
            "uint8" if image else "float32",
        ),
        ("output", contract.output.name, (1, 1), "float32"),
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
