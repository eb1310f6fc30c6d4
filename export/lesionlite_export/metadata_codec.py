"""TFLite Metadata to bytes and back.

In Python a table is a dict of the fields that are set and an enum's value is its name: the JSON
that ``flatc`` and MediaPipe's displayer show.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers

from lesionlite_export.metadata_schema import ENUMS, IDENTIFIER, ROOT, TABLES, UNION
from lesionlite_runtime.flatbuffer import Malformed, Table, follow, root_table

_NUMBERS = {"f": "Float32", "i": "Int32", "I": "Uint32", "B": "Uint8"}
"""`struct` format to the part of the builder's method names."""


def encode_metadata(value: Mapping[str, Any]) -> bytes:
    """The FlatBuffer of a ``ModelMetadata``; the same bytes for the same value.

    Raises:
        ValueError: for a field or an enum's value that the schema does not have.
        TypeError: for a number out of the range of its field.
    """
    builder = flatbuffers.Builder(4096)
    builder.Finish(_put_table(builder, ROOT, value), IDENTIFIER)
    return bytes(builder.Output())


def decode_metadata(data: bytes) -> dict[str, Any]:
    """The ``ModelMetadata`` in ``data``; a number or enum at its default 0 may be left out.

    Raises:
        Malformed: when the bytes are no such FlatBuffer.
    """
    if data[4:8] != IDENTIFIER:
        raise Malformed("these are no TFLite metadata")
    return _Reader(data).table(root_table(data), ROOT)


def _put_table(builder: Any, name: str, value: Mapping[str, Any]) -> int:
    fields = TABLES[name]
    unknown = sorted(set(value) - {field for field, _ in fields})
    if unknown:
        raise ValueError(f"{name} has no field {', '.join(unknown)}")
    # What a table points to is written before it.
    contents: dict[int, Any] = {}
    for number, (field, kind) in enumerate(fields):
        if field in value:
            chosen = str(value.get(fields[number - 1][0])) if kind == UNION else kind
            contents[number] = _put(builder, chosen, value[field])
    builder.StartObject(len(fields))
    for number, content in contents.items():
        kind = fields[number][1]
        if kind in ENUMS or kind in _NUMBERS:
            method = "Byte" if kind in ENUMS else _NUMBERS[kind]
            getattr(builder, f"Prepend{method}Slot")(number, content, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(number, content, 0)
    return int(builder.EndObject())


def _put(builder: Any, kind: str, value: Any) -> Any:
    """The number that stands in a field for ``value``: itself, or where it was written."""
    if kind in _NUMBERS:
        return value
    if kind in ENUMS:
        if value not in ENUMS[kind]:
            raise ValueError(f"{kind} has no value {value!r}")
        return ENUMS[kind].index(value)
    if kind == "text":
        return builder.CreateString(value)
    if kind.startswith("*"):
        return _put_vector(builder, kind[1:], value)
    if kind not in TABLES:
        raise ValueError(f"{kind} is no table of the schema")
    return _put_table(builder, kind, value)


def _put_vector(builder: Any, kind: str, values: Sequence[Any]) -> int:
    items = [_put(builder, kind, value) for value in values]
    size = struct.calcsize(kind) if kind in _NUMBERS else 4
    builder.StartVector(size, len(items), 16 if kind == "B" else size)
    prepend = getattr(builder, f"Prepend{_NUMBERS.get(kind, 'UOffsetTRelative')}")
    for item in reversed(items):
        prepend(item)
    return int(builder.EndVector())


class _Reader:
    """One walk over a FlatBuffer; schemas nest only so deep, so the walk ends."""

    def __init__(self, data: bytes) -> None:
        # Parts may be shared, but a file that points to one again and again is an attack.
        self._allowance = 4 * len(data)

    def table(self, table: Table, name: str) -> dict[str, Any]:
        self._spend(4)
        result: dict[str, Any] = {}
        fields = TABLES[name]
        for number, (field, kind) in enumerate(fields):
            place = table.place(number)
            if place is None:
                continue
            if kind == UNION:
                chosen = str(result.get(fields[number - 1][0]))
                if chosen not in TABLES:
                    raise Malformed(f"{field} of {name} is there without its type")
                result[field] = self._value(table.data, place, chosen)
            else:
                result[field] = self._value(table.data, place, kind)
        return result

    def _value(self, data: bytes, place: int, kind: str) -> Any:
        if kind in ENUMS:
            return _enum_name(kind, _number(data, place, "B"))
        if kind in _NUMBERS:
            return _number(data, place, kind)
        target = follow(data, place)
        if kind in TABLES:
            return self.table(Table(data, target), kind)
        item = "B" if kind == "text" else kind[1:]
        size = struct.calcsize(item) if item in _NUMBERS else 4
        start, length = target + 4, _number(data, target, "I")
        end = start + size * length
        self._spend(4 + size * length)
        if end > len(data):
            raise Malformed("a vector reaches beyond the buffer")
        if kind == "text":
            return _decoded(data[start:end])
        return [self._value(data, at, item) for at in range(start, end, size)]

    def _spend(self, n_bytes: int) -> None:
        self._allowance -= n_bytes
        if self._allowance < 0:
            raise Malformed("the same parts are pointed to again and again")


def _number(data: bytes, place: int, form: str) -> Any:
    try:
        return struct.unpack_from(f"<{form}", data, place)[0]
    except struct.error as error:
        raise Malformed("an offset points beyond the buffer") from error


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("a text is no UTF-8") from error


def _enum_name(kind: str, number: int) -> str:
    names = ENUMS[kind]
    if number >= len(names):
        raise Malformed(f"{kind} has no value {number}")
    return names[number]
