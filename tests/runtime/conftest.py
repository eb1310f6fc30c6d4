"""Tiny models made by hand, byte for byte: no converter is needed to test the device's rooms."""

from __future__ import annotations

import copy
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from lesionlite_runtime.codec import canonical_json
from lesionlite_runtime.container import append_members
from lesionlite_runtime.contract import CONTRACT_MEMBER, Contract, with_flatbuffer

Spec = dict[str, Any]

# The part of TFLite's public schema that the tiny models need: table, field, (number, kind). A kind
# is a `struct` format for a scalar, one behind a star for a vector of them, the name of a table, or
# the name of a table behind a star for a vector of those.
SCHEMA: dict[str, dict[str, tuple[int, str]]] = {
    "Model": {
        "version": (0, "I"),
        "operator_codes": (1, "*OperatorCode"),
        "subgraphs": (2, "*SubGraph"),
        "description": (3, "text"),
        "buffers": (4, "*Buffer"),
        "metadata": (6, "*Metadata"),
        "signatures": (7, "*Signature"),
        "external_buffer_groups": (8, "*Buffer"),
    },
    "OperatorCode": {
        "old_code": (0, "b"),
        "custom_code": (1, "text"),
        "version": (2, "i"),
        "code": (3, "i"),
    },
    "SubGraph": {
        "tensors": (0, "*Tensor"),
        "inputs": (1, "*i"),
        "outputs": (2, "*i"),
        "operators": (3, "*Operator"),
    },
    "Tensor": {
        "shape": (0, "*i"),
        "type": (1, "b"),
        "buffer": (2, "I"),
        "name": (3, "text"),
        "quantization": (4, "Quantization"),
        "is_variable": (5, "b"),
        "sparsity": (6, "Options"),
        "shape_signature": (7, "*i"),
        "external_buffer": (10, "I"),
    },
    "Quantization": {
        "scale": (2, "*f"),
        "zero_point": (3, "*q"),
        "details_type": (4, "B"),
        "dimension": (6, "i"),
    },
    "Operator": {
        "code": (0, "I"),
        "inputs": (1, "*i"),
        "outputs": (2, "*i"),
        "options_type": (3, "B"),
        "options": (4, "Options"),
        "pool": (4, "Pool"),
        "split": (4, "Split"),
        "softmax": (4, "Softmax"),
        "intermediates": (8, "*i"),
    },
    "Options": {"first": (0, "b"), "second": (1, "b"), "third": (2, "b")},
    "Pool": {"w": (1, "i"), "h": (2, "i"), "width": (3, "i"), "height": (4, "i")},
    "Split": {"count": (0, "i")},
    "Softmax": {"beta": (0, "f")},
    "Metadata": {"name": (0, "text"), "buffer": (1, "I")},
    "Buffer": {"data": (0, "*B"), "offset": (1, "Q"), "size": (2, "Q")},
    "Signature": {
        "inputs": (0, "*Name"),
        "outputs": (1, "*Name"),
        "key": (2, "text"),
        "subgraph": (4, "I"),
    },
    "Name": {"name": (0, "text"), "tensor": (1, "I")},
}
FLOAT32, INT32, UINT8 = 0, 2, 3
TYPES = {"float32": FLOAT32, "uint8": UINT8, "int8": 9}
OPERATORS = {
    "CAST": 53,
    "DEQUANTIZE": 6,
    "MEAN": 40,
    "FULLY_CONNECTED": 9,
    "LOGISTIC": 14,
    "SOFTMAX": 25,
    "QUANTIZE": 114,
}


def write_flatbuffer(spec: Spec) -> bytes:
    """``spec``, a nested dict by the names of `SCHEMA`, as the bytes of a ``.tflite``."""
    data = bytearray(b"\0\0\0\0TFL3")
    root = _write_table(data, "Model", spec)
    struct.pack_into("<I", data, 0, root)
    _align(data, 16)
    return bytes(data)


def _align(data: bytearray, to: int, ahead: int = 0) -> None:
    data.extend(bytes(-(len(data) + ahead) % to))


def _write_table(data: bytearray, table: str, spec: Spec) -> int:
    fields = {number: (kind, spec[name]) for name, (number, kind) in _fields(table, spec).items()}
    entries, body = [0] * (max(fields, default=-1) + 1), 4
    for number, (kind, _) in fields.items():
        size = struct.calcsize(f"<{kind}") if _is_scalar(kind) else 4
        body += -body % size
        entries[number] = body
        body += size
    vtable_size = 4 + 2 * len(entries)
    _align(data, 8, vtable_size)
    data += struct.pack(f"<HH{len(entries)}H", vtable_size, body, *entries)
    place = len(data)
    data += struct.pack("<i", vtable_size) + bytes(body - 4)
    for number, (kind, value) in fields.items():
        slot = place + entries[number]
        if _is_scalar(kind):
            struct.pack_into(f"<{kind}", data, slot, value)
        else:
            struct.pack_into("<I", data, slot, _write_child(data, kind, value) - slot)
    return place


def _fields(table: str, spec: Spec) -> dict[str, tuple[int, str]]:
    return {name: SCHEMA[table][name] for name in spec}


def _is_scalar(kind: str) -> bool:
    return len(kind) == 1


def _write_child(data: bytearray, kind: str, value: Any) -> int:
    if kind == "text":
        return _write_vector(data, value.encode("utf-8") + b"\0", len(value.encode("utf-8")), 1)
    if not kind.startswith("*"):
        return _write_table(data, kind, value)
    item = kind[1:]
    if _is_scalar(item):
        packed = bytes(value) if item == "B" else struct.pack(f"<{len(value)}{item}", *value)
        return _write_vector(data, packed, len(value), 16 if item == "B" else 8)
    place = _write_vector(data, bytes(4 * len(value)), len(value), 4)
    for i, table in enumerate(value):
        slot = place + 4 + 4 * i
        struct.pack_into("<I", data, slot, _write_table(data, item, table) - slot)
    return place


def _write_vector(data: bytearray, packed: bytes, length: int, alignment: int) -> int:
    _align(data, alignment, 4)
    _align(data, 4)
    place = len(data)
    data += struct.pack("<I", length) + packed
    return place


def _tensor(
    name: str,
    shape: list[int],
    dtype: int = FLOAT32,
    buffer: int = 0,
    levels: tuple[float, int] | None = None,
) -> Spec:
    tensor = {"shape": shape, "type": dtype, "buffer": buffer, "name": name}
    if levels is None:
        return tensor
    return {**tensor, "quantization": {"scale": [levels[0]], "zero_point": [levels[1]]}}


def _operator(code: int, inputs: list[int], outputs: list[int], options: Spec) -> Spec:
    return {"code": code, "inputs": inputs, "outputs": outputs, **options}


def _image_spec(
    weights: Sequence[Sequence[float]] = ((0.02, -0.01, -0.01),),
    *,
    bias: Sequence[float] | None = None,
    end: str | None = "LOGISTIC",
    pixels: str = "uint8",
    pixel_levels: tuple[float, int] | None = None,
    output: str = "score",
    output_type: str = "float32",
    output_levels: tuple[float, int] | None = None,
) -> Spec:
    """Mean colour, and for each output a weight a colour; by default the redder, the higher.

    ``pixel_levels`` and ``output_levels`` are the (scale, zero point) of integers: the image is
    dequantized then, and not cast; the output is quantized.
    """
    units = len(weights)
    tensors = [_tensor("image", [1, 8, 6, 3], TYPES[pixels], levels=pixel_levels)]
    names: list[str] = []
    operators: list[Spec] = []

    def add(name: str, inputs: list[int], made: Spec, **options: Any) -> int:
        if name not in names:
            names.append(name)
        tensors.append(made)
        operators.append(_operator(names.index(name), inputs, [len(tensors) - 1], options))
        return len(tensors) - 1

    def constant(tensor: Spec) -> int:
        tensors.append(tensor)
        return len(tensors) - 1

    last = 0
    if pixel_levels is not None:
        last = add("DEQUANTIZE", [0], _tensor("float", [1, 8, 6, 3]))
    elif pixels != "float32":
        cast = {"first": TYPES[pixels], "second": FLOAT32}
        last = add("CAST", [0], _tensor("float", [1, 8, 6, 3]), options_type=37, options=cast)
    axes = constant(_tensor("axes", [2], INT32, 1))
    mean = {"options_type": 27, "options": {"first": 0}}
    last = add("MEAN", [last, axes], _tensor("mean", [1, 3]), **mean)
    dense = {"options_type": 8, "options": {"first": 0}}
    parts = [
        constant(_tensor("weights", [units, 3], FLOAT32, 2)),
        constant(_tensor("bias", [units], FLOAT32, 3)),
    ]
    last = add("FULLY_CONNECTED", [last, *parts], _tensor("logit", [1, units]), **dense)
    if end is not None:
        settings = {"options_type": 9, "softmax": {"beta": 1}} if end == "SOFTMAX" else {}
        last = add(end, [last], _tensor("probability", [1, units]), **settings)
    if output_levels is not None:
        levels = _tensor("levels", [1, units], TYPES[output_type], levels=output_levels)
        last = add("QUANTIZE", [last], levels)
    flat = [weight for row in weights for weight in row]
    constants = [
        struct.pack("<2i", 1, 2),
        struct.pack(f"<{len(flat)}f", *flat),
        struct.pack(f"<{units}f", *(bias or [0] * units)),
    ]
    codes = {name: OPERATORS[name] for name in names}
    return _model(codes, tensors, operators, constants, ("image", 0), (output, last))


def _regression_spec() -> Spec:
    """The line y = 2 x - 1."""
    tensors = [
        _tensor("x", [1, 1]),
        _tensor("weight", [1, 1], FLOAT32, 1),
        _tensor("bias", [1], FLOAT32, 2),
        _tensor("y", [1, 1]),
    ]
    operators = [_operator(0, [0, 1, 2], [3], {"options_type": 8, "options": {"first": 0}})]
    constants = [struct.pack("<f", 2), struct.pack("<f", -1)]
    return _model({"FULLY_CONNECTED": 9}, tensors, operators, constants, ("x", 0), ("y", 3))


def _model(
    codes: dict[str, int],
    tensors: list[Spec],
    operators: list[Spec],
    constants: list[bytes],
    input_: tuple[str, int],
    output: tuple[str, int],
) -> Spec:
    return {
        "version": 3,
        "operator_codes": [{"old_code": c, "version": 1, "code": c} for c in codes.values()],
        "subgraphs": [
            {
                "tensors": tensors,
                "inputs": [input_[1]],
                "outputs": [output[1]],
                "operators": operators,
            }
        ],
        "description": "made by hand",
        "buffers": [{}, *({"data": constant} for constant in constants)],
        "signatures": [
            {
                "inputs": [{"name": input_[0], "tensor": input_[1]}],
                "outputs": [{"name": output[0], "tensor": output[1]}],
                "key": "serving_default",
                "subgraph": 0,
            }
        ],
    }


_HEAD: Spec = {
    "schema": "lesionlite.contract/1",
    "provenance": {
        "network_sha256": "ab" * 32,
        "backbone": "by_hand",
        "training": {"seed": 0, "method": "none"},
        "calibration": None,
        "recipe": "float32",
        "tools": {"numpy": "2.0"},
    },
    "flatbuffer_sha256": "cd" * 32,
    "flatbuffer_bytes": 1234,
}
_CLASSIFIER: Spec = {
    **_HEAD,
    "task": "binary_classification",
    "input": {
        "name": "image",
        "shape": [1, 8, 6, 3],
        "dtype": "uint8",
        "color": "RGB",
        "orientation": "exif",
        "resize": "pillow-bilinear-v1",
        "fit": "stretch",
    },
    "output": {
        "name": "score",
        "dtype": "float32",
        "labels": ["benign", "malignant"],
        "score_of": "malignant",
        "classes": {"melanoma": 1, "nævus": 0},
    },
    "threshold": {
        "value": 0.5,
        "rule": "sensitivity=0.90",
        "chosen_on": {"kind": "out_of_fold", "n": 100, "positives": 20},
        "sensitivity": {"value": 0.9, "low": 0.7, "high": 1},
        "specificity": {"value": 0.4, "low": 0.3, "high": 0.5},
        "table": [
            {
                "threshold": 0.25,
                "sensitivity": {"value": 1, "low": 0.83, "high": 1},
                "specificity": {"value": 0.2, "low": 0.1, "high": 0.3},
            },
            {
                "threshold": 0.5,
                "sensitivity": {"value": 0.9, "low": 0.7, "high": 1},
                "specificity": {"value": 0.4, "low": 0.3, "high": 0.5},
            },
        ],
    },
    "parity": {
        "n": 30,
        "positives": 6,
        "flips": 1,
        "newly_missed": 0,
        "auc_difference": -0.001,
        "mean_score_error": 0.004,
        "max_score_error": 0.02,
        "limits": {"flip_rate": 0.05, "newly_missed": None},
    },
}
_LABELS: Spec = {
    **_HEAD,
    "task": "multiclass_classification",
    "input": _CLASSIFIER["input"],
    "output": {
        "name": "scores",
        "dtype": "float32",
        "labels": ["red", "green", "blue"],
        "classes": {"rubor": 0, "viridis": 1, "caeruleus": 2},
    },
    "threshold": None,
    "parity": {
        "n": 30,
        "flips": 1,
        "accuracy_difference": -0.01,
        "mean_score_error": 0.004,
        "max_score_error": 0.02,
        "limits": {"flip_rate": 0.05},
    },
}
_REGRESSION: Spec = {
    **_HEAD,
    "task": "regression",
    "input": {"name": "x", "shape": [1, 1], "dtype": "float32", "range": [-10, 10.5]},
    "output": {"name": "y", "dtype": "float32", "unit": "francs"},
    "threshold": None,
    "parity": {
        "n": 255,
        "max_absolute_error": 0.02,
        "mean_absolute_error": 0.01,
        "max_relative_error": 0.002,
        "mean_relative_error": 0.001,
        "limits": {"max_relative_error": 0.01},
    },
}


@dataclass(frozen=True)
class Tiny:
    """One kind of tiny model: its FlatBuffer's spec and its contract's JSON, to be altered."""

    _spec: Callable[[], Spec]
    _body: Spec

    def spec(self) -> Spec:
        """A fresh spec for `flatbuffer`."""
        return self._spec()

    def body(self) -> Spec:
        """A fresh JSON object of the contract, without its digest."""
        return copy.deepcopy(self._body)

    def flatbuffer(self, spec: Spec | None = None) -> bytes:
        """The FlatBuffer of ``spec``."""
        return write_flatbuffer(self.spec() if spec is None else spec)

    def contract_bytes(self, body: Spec | None = None) -> bytes:
        """The JSON object ``body`` with its digest, as a file holds it."""
        body = self.body() if body is None else body
        return canonical_json({**body, "digest": sha256(canonical_json(body)).hexdigest()})

    def contract(self, flatbuffer: bytes, body: Spec | None = None) -> Contract:
        """The contract that fits ``flatbuffer``."""
        contract = Contract.from_bytes(self.contract_bytes(body))
        return with_flatbuffer(contract, flatbuffer)

    def file(self, spec: Spec | None = None, body: Spec | None = None) -> bytes:
        """The bytes of a ``.tflite`` whose contract fits the FlatBuffer of ``spec``."""
        return self.file_of(self.flatbuffer(spec), body)

    def file_of(self, flatbuffer: bytes, body: Spec | None = None) -> bytes:
        """The bytes of a ``.tflite`` with ``flatbuffer`` and a contract that fits it."""
        contract = self.contract(flatbuffer, body)
        return append_members(flatbuffer, {CONTRACT_MEMBER: contract.to_bytes()})


def _image_model(
    weights: Sequence[Sequence[float]] = ((0.02, -0.01, -0.01),),
    *,
    pixel_range: tuple[float, float] | None = None,
    color: str = "RGB",
    threshold: float | Mapping[str, float] | None = 0.5,
    labels: Sequence[str] | None = None,
    site: Spec | None = None,
    **made: Any,
) -> Tiny:
    """An image classifier by `_image_spec`, and the contract that describes it.

    With ``labels`` it is one of several labels: the outputs are as many, and ``threshold`` has the
    score that each needs, or is None.
    """
    body = copy.deepcopy(_CLASSIFIER if labels is None else _LABELS)
    body["input"] |= {"dtype": made.get("pixels", "uint8"), "color": color}
    if pixel_range is not None:
        body["input"]["range"] = list(pixel_range)
    body["output"]["dtype"] = made.get("output_type", "float32")
    if levels := made.get("output_levels"):
        (scale,) = struct.unpack("<f", struct.pack("<f", levels[0]))  # as it stands in the file
        body["output"]["quantization"] = {"scale": scale, "zero_point": levels[1]}
    if labels is not None:
        body["output"] |= {"labels": list(labels), "classes": {}}
        rule = {"values": threshold, "rule": "by hand"}
        body["threshold"] = rule if isinstance(threshold, Mapping) else None
    else:
        body["threshold"]["value"] = threshold
        if levels:
            body["threshold"]["quantized"] = math.ceil(threshold / scale) + levels[1]
        if len(weights) > 1:
            body["output"]["units"] = len(weights)
    if site is not None:
        body["site_threshold"] = site
    return Tiny(partial(_image_spec, weights, output=body["output"]["name"], **made), body)


@pytest.fixture(scope="session")
def tiny_image_model() -> Callable[..., Tiny]:
    """Makes image classifiers of other inputs and outputs: see `_image_spec`, `_image_model`."""
    return _image_model


@pytest.fixture(scope="session")
def tiny_classifier() -> Tiny:
    """An image classifier of four operators: 8 rows, 6 columns, threshold 0.5."""
    return Tiny(_image_spec, _CLASSIFIER)


@pytest.fixture(scope="session")
def tiny_labels() -> Tiny:
    """Three labels whose scores are a photo's mean red, green and blue, 255 being 1."""
    colours = [[1 / 255 if i == j else 0 for j in range(3)] for i in range(3)]
    return Tiny(partial(_image_spec, colours, end=None, output="scores"), _LABELS)


@pytest.fixture(scope="session")
def tiny_regression() -> Tiny:
    """The line y = 2 x - 1 on -10 to 10.5."""
    return Tiny(_regression_spec, _REGRESSION)


@pytest.fixture
def classifier_file(tiny_classifier: Tiny, tmp_path: Path) -> Path:
    """The tiny classifier as a file."""
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tiny_classifier.file())
    return path


@pytest.fixture
def labels_file(tiny_labels: Tiny, tmp_path: Path) -> Path:
    """The tiny classifier of three labels as a file."""
    path = tmp_path / "colours.tflite"
    path.write_bytes(tiny_labels.file())
    return path


@pytest.fixture
def regression_file(tiny_regression: Tiny, tmp_path: Path) -> Path:
    """The tiny regression as a file."""
    path = tmp_path / "line.tflite"
    path.write_bytes(tiny_regression.file())
    return path
