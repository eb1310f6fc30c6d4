"""The oldest TensorFlow Lite that can load a file, and which runtimes of today can.

Each operator of a ``.tflite`` has a version, and a runtime knows each operator up to some version.
The tables are in ``runtimes/operator_versions.json``. What they do not say is unknown: no version
is taken for loadable because an older one was. litert-quantizer states version 1 for whatever it
quantized, so an operator counts at the version that its types ask for, where that is newer.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from lesionlite_runtime.codec import parse_json
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.flatbuffer import root_table
from lesionlite_runtime.graph import Graph, OperatorInfo, read_graph
from lesionlite_runtime.operators import WITH_WEIGHTS

_VERSION = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){1,2}")
_CONSTANTS_OUTSIDE = "constants stored behind the FlatBuffer"


@dataclass(frozen=True)
class MinimumRuntime:
    """Which runtimes can load a file.

    Attributes:
        version: the oldest TensorFlow Lite that can, such as ``2.3.0``; None where that is unknown.
            It is the numbering of TensorFlow and tflite-runtime; LiteRT's own began anew at 1.0.
        feature: what asks for it, or is unknown: ``FULLY_CONNECTED version 12``, say.
        operator: the operator's name in it; None where it is no operator.
        operator_version: the operator's version in it, or None.
        loads: by package and version (``tflite-runtime 2.14.0``) whether it knows every operator
            in that version; None where that is unknown.
    """

    version: str | None
    feature: str
    operator: str | None
    operator_version: int | None
    loads: Mapping[str, bool | None]

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON; an unknown version is the text ``unknown``."""
        return {
            "version": self.version or "unknown",
            "feature": self.feature,
            "operator": self.operator,
            "operator_version": self.operator_version,
            "loads": dict(self.loads),
        }


@dataclass(frozen=True)
class _Need:
    """Something in a file that not every runtime has, and the first TensorFlow Lite that has it."""

    feature: str
    operator: str | None
    operator_version: int | None
    since: str | None


def minimum_runtime(flatbuffer: bytes) -> MinimumRuntime:
    """The oldest runtime that can load ``flatbuffer``, and what asks for it.

    Of several operators that ask for the same runtime the first one in the graph is named. Anything
    unknown makes the whole unknown.

    Raises:
        Malformed: when the bytes are no well-formed TFLite model.
    """
    graph = read_graph(flatbuffer)
    needs = list(_needs(flatbuffer, graph))
    unknown = next((need for need in needs if need.since is None), None)
    decisive = unknown or max(needs, key=lambda need: _key(need.since or ""))
    return MinimumRuntime(
        decisive.since,
        decisive.feature,
        decisive.operator,
        decisive.operator_version,
        {name: _loads(graph, known) for name, known in _tables()["packages"].items()},
    )


def check_minimum_runtime(flatbuffer: bytes, wanted: str, file: str) -> None:
    """Refuse a file that TensorFlow Lite ``wanted`` cannot load, or may not be able to.

    Args:
        flatbuffer: a ``.tflite`` without what is appended to it.
        wanted: a version of TensorFlow Lite: ``2.14`` or ``2.14.0``.
        file: its name, for the error.

    Raises:
        UsageError: when ``wanted`` is no version.
        UnusableInput: when the file needs a newer runtime, or it is unknown which it needs.
    """
    asked = runtime_version(wanted)
    found = minimum_runtime(flatbuffer)
    if found.version is None:
        raise UnusableInput(
            f"it is not known which TensorFlow Lite is the first with {found.feature}",
            "export with another recipe, or without a minimum runtime",
            file,
        )
    if _key(found.version) > asked:
        raise UnusableInput(
            f"TensorFlow Lite {wanted} cannot load it: {found.version} is the first with "
            f"{found.feature}",
            "export with another recipe, or for a newer runtime",
            file,
        )


def runtime_version(text: str) -> tuple[int, ...]:
    """``text`` as numbers that compare as versions do: 2.9 is below 2.14, and 2.14 is 2.14.0.

    Raises:
        UsageError: when it is not of the form ``2.14`` or ``2.14.0``.
    """
    if not _VERSION.fullmatch(text):
        raise UsageError(
            f"{text!r} is no version of TensorFlow Lite", "pass one such as 2.14 or 2.14.0"
        )
    return _key(text)


def operator_version(graph: Graph, operator: OperatorInfo) -> int:
    """The version that ``operator`` states, or the one that its types ask for, if that is newer."""
    asked: Mapping[str, int] = _tables()["asked_by_types"].get(_types(graph, operator), {})
    return max(operator.version, asked.get(operator.name, 1))


def _types(graph: Graph, operator: OperatorInfo) -> str:
    """The type of an operator's data; of one with weights ``float32*int8 per channel``, say."""
    tensors = [graph.tensors[number] for number in operator.inputs if number >= 0]
    if operator.name in WITH_WEIGHTS and len(tensors) > 1:
        data, weights = tensors[0].dtype, tensors[1]
        per_channel = data == "float32" and weights.dtype == "int8" and len(weights.scales) > 1
        return f"{data}*{weights.dtype}{' per channel' if per_channel else ''}"
    types = [tensor.dtype for tensor in tensors]
    if operator.name == "CAST":
        types.append(graph.tensors[operator.outputs[0]].dtype)
        types.sort(key=lambda dtype: dtype != "int8")
    if operator.name == "SPLIT":
        types.reverse()  # its data stands behind the axis
    return types[0] if types else ""


def _key(version: str) -> tuple[int, ...]:
    parts = [int(part) for part in version.split(".")]
    return (*parts, *[0] * (3 - len(parts)))


def _needs(flatbuffer: bytes, graph: Graph) -> Iterator[_Need]:
    """What the file asks for, in the graph's order; one thing at least."""
    table = _tables()["operators"]
    if not graph.operators:
        yield _Need("a graph without operators", None, None, None)
    for operator in graph.operators:
        version = operator_version(graph, operator)
        since = table.get(operator.name, {}).get(str(version))
        yield _Need(f"{operator.name} version {version}", operator.name, version, since)
    if any(buffer.scalar(1, "<Q") > 1 for buffer in root_table(flatbuffer).tables(4)):
        yield _Need(_CONSTANTS_OUTSIDE, None, None, _tables()["constants_behind_flatbuffer"])


def _loads(graph: Graph, known: Mapping[str, list[int]]) -> bool | None:
    """Whether a package that knows the operators ``known`` (first and last version) loads it."""
    if any(operator.name not in known for operator in graph.operators):
        return None
    return all(
        known[operator.name][0] <= operator_version(graph, operator) <= known[operator.name][1]
        for operator in graph.operators
    )


@functools.cache
def _tables() -> Mapping[str, Any]:
    path = resources.files("lesionlite_export").joinpath("runtimes/operator_versions.json")
    tables = parse_json(path.read_bytes(), str(path))
    assert isinstance(tables, dict)
    return tables
