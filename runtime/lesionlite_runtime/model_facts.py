"""What a model that lesionlite did not make says of its own input and outputs, without TensorFlow.

A ``.keras`` and an HDF5 file hold their architecture as JSON, a SavedModel the tensors of its
signature, a ``.tflite`` its graph. What one of them does not say stays open: nothing is guessed.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lesionlite_runtime.container import TFLITE_IDENTIFIER, split_members
from lesionlite_runtime.draft_fields import SIGMOID, SIGMOID_LOGITS, SOFTMAX, SOFTMAX_LOGITS
from lesionlite_runtime.errors import LesionliteError, UnusableInput
from lesionlite_runtime.files import read_file
from lesionlite_runtime.flatbuffer import Malformed
from lesionlite_runtime.graph import Graph, read_graph
from lesionlite_runtime.keras_config import config_facts
from lesionlite_runtime.wire import MalformedMessage, fields, messages, number_of, text_of

GRAPH_FILE = "saved_model.pb"
MAX_CONFIG_BYTES = 64 << 20
HDF5_START = b"\x89HDF\r\n\x1a\n"
_CONFIG_START = b'{"class_name":'
# DataType in TensorFlow's types.proto
_TENSOR_TYPES = {1: "float32", 3: "int32", 4: "uint8", 6: "int8", 19: "float16"}
_MOVES = frozenset({"DEQUANTIZE", "QUANTIZE", "RESHAPE", "SQUEEZE", "CAST"})


@dataclass(frozen=True)
class ModelFacts:
    """What a model says of itself; None where it does not say.

    Attributes:
        kind: ``.keras``, ``HDF5``, ``SavedModel`` or ``.tflite``.
        input_shape: without the batch; a side is None where the model takes any.
        input_dtype: type of the input.
        units: how many numbers it gives.
        activation: the function that its outputs come from: ``sigmoid``, ``softmax``, or
            ``linear`` for none.
        scaling: the layer for the scaling of pixels that it begins with.
        inputs: how many it has; of several nothing else is said.
    """

    kind: str
    input_shape: tuple[int | None, ...] | None = None
    input_dtype: str | None = None
    units: int | None = None
    activation: str | None = None
    scaling: str | None = None
    inputs: int = 1

    def fits(self, values: str) -> bool:
        """Whether outputs of the draft's kind ``values`` can come from the model's last layer."""
        wanted = {SIGMOID: "sigmoid", SOFTMAX: "softmax"}
        if self.activation is None:
            return True
        if values in (SIGMOID_LOGITS, SOFTMAX_LOGITS):
            return self.activation == "linear"
        return self.activation == wanted.get(values)


def read_facts(path: str | os.PathLike[str]) -> ModelFacts:
    """What the model at ``path`` says of itself: a file, or the folder of a SavedModel.

    Raises:
        UnusableInput: when it cannot be read, or is none of the four.
    """
    if Path(path).is_dir():
        data = read_file(Path(path, GRAPH_FILE))
        return _tolerant("SavedModel", lambda: _saved_model(memoryview(data)))
    data = read_file(path)
    if data[4:8] == TFLITE_IDENTIFIER:
        return _tolerant(".tflite", lambda: _tflite(read_graph(split_members(data)[0])))
    if data[:8] == HDF5_START:
        return _tolerant("HDF5", lambda: config_facts(_hdf5_config(data)))
    if data[:2] == b"PK":
        return _tolerant(".keras", lambda: config_facts(_keras_config(data)))
    raise UnusableInput(
        "this is no model that lesionlite knows",
        "pass a .keras, .h5 or .tflite file, or the folder of a SavedModel",
        os.fspath(path),
    )


def check_served(facts: ModelFacts, path: str | os.PathLike[str]) -> None:
    """Refuse the model at ``path`` that no draft can make a contract for.

    Raises:
        UnusableInput: when it has several inputs, or takes images of other than three channels.
    """
    file = os.fspath(path)
    if facts.inputs != 1:
        raise UnusableInput(
            f"it has {facts.inputs} inputs, and lesionlite gives a model one",
            "save a model of the images alone",
            file,
        )
    shape = facts.input_shape or ()
    if len(shape) == 3 and shape[2] not in (None, 3):
        raise UnusableInput(
            f"it takes {list(shape)}, and lesionlite gives it images of three channels, [H, W, 3]",
            "save it with a layer in front that makes of these what it takes",
            file,
        )


def _tolerant(kind: str, read: Callable[[], Mapping[str, Any]]) -> ModelFacts:
    """The facts that ``read`` finds; none where the file is damaged or of another form."""
    try:
        return ModelFacts(kind, **read())
    except (
        Malformed,
        MalformedMessage,
        LesionliteError,
        zipfile.BadZipFile,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
        RuntimeError,
    ):
        return ModelFacts(kind)


def _keras_config(data: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entry = archive.getinfo("config.json")
        if entry.file_size > MAX_CONFIG_BYTES:
            raise ValueError("the config is too large")
        return json.loads(archive.read(entry))


def _hdf5_config(data: bytes) -> Any:
    """The model's config: the first JSON text of one in the file.

    HDF5 keeps the text of an attribute in one piece.
    """
    start = data.index(_CONFIG_START)
    text = data[start : start + MAX_CONFIG_BYTES].partition(b"\0")[0].decode("utf-8", "replace")
    return json.JSONDecoder().raw_decode(text)[0]


def _tflite(graph: Graph) -> dict[str, Any]:
    if len(graph.inputs) > 1:
        return {"inputs": len(graph.inputs)}
    (taken,), (given,) = graph.inputs.values(), graph.outputs.values()
    makers = {output: o for o in graph.operators for output in o.outputs}
    last = makers.get(given)
    while last is not None and last.name in _MOVES:
        last = makers.get(last.inputs[0])
    names = {"LOGISTIC": "sigmoid", "SOFTMAX": "softmax"}
    shape = graph.tensors[taken].shape
    return {
        "input_shape": tuple(None if side < 0 else side for side in shape[1:]),
        "input_dtype": graph.tensors[taken].dtype,
        "units": graph.tensors[given].shape[-1],
        "activation": None if last is None else names.get(last.name, "linear"),
    }


def _saved_model(data: memoryview) -> dict[str, Any]:
    """Input and output of the signature ``serving_default``.

    The numbers are those of saved_model.proto and meta_graph.proto.
    """
    (meta_graph,) = messages(data, 2)
    signatures = {text_of(entry, 1): entry for entry in messages(meta_graph, 5)}
    (signature,) = messages(signatures["serving_default"], 2)
    inputs = len(list(messages(signature, 1)))
    if inputs > 1:
        return {"inputs": inputs}
    ((taken,), (given,)) = ([_tensor(entry) for entry in messages(signature, n)] for n in (1, 2))
    return {
        "input_shape": taken[0],
        "input_dtype": taken[1],
        "units": None if given[0] is None else given[0][-1],
    }


def _tensor(entry: memoryview) -> tuple[tuple[int | None, ...] | None, str | None]:
    """Shape without the batch, and type, of an entry in a signature's map."""
    (info,) = messages(entry, 2)
    (shape,) = messages(info, 3)
    sides = [number_of(side, 1) for side in messages(shape, 2)]
    known = not any(number == 3 for number, _ in fields(shape))  # unknown_rank
    # A side of -1 is written as a number of 64 bits.
    found = tuple(side if side < 1 << 63 else None for side in sides[1:])
    return found if known else None, _TENSOR_TYPES.get(number_of(info, 2))
