"""Frozen dataclasses from strict JSON and back: every fault is named by its field's path.

The standard ``json`` module accepts duplicate keys and NaN, and dataclasses accept any value. A
contract must do neither: whoever reads it acts on it.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin

from lesionlite_runtime.errors import UnusableInput, printable

JsonValue = None | bool | int | float | str | list[Any] | dict[str, Any]
JsonObject = Mapping[str, Any]
T = TypeVar("T")
OPTIONAL: Mapping[str, bool] = {"optional": True}
"""Metadata of a dataclass's field (with the default None) that JSON may leave out."""

_NAMES: dict[Any, str] = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    types.NoneType: "null",
}


class FieldFault(ValueError):
    """A value that a field does not take; ``str()`` starts with the field's path."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path or 'the document'} {problem}")


def parse_json(data: bytes, file: str | None) -> JsonValue:
    """The value of a UTF-8 JSON text without duplicate keys, NaN, infinities or lone surrogates.

    Raises:
        UnusableInput: when ``data`` is no such text; ``file`` is named in it.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"the key {twice!r} stands there twice")
        return result

    def finite(text: str) -> float:
        value = float(text)
        if value in (float("inf"), float("-inf")):
            raise ValueError(f"the number {text} is too large")
        return value

    def no_constant(text: str) -> typing.NoReturn:
        raise ValueError(f"{text} is no JSON number")

    try:
        text = data.decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=unique, parse_float=finite, parse_constant=no_constant
        )
        canonical_json(value)
    except (ValueError, RecursionError) as error:
        raise UnusableInput(
            f"this is no valid JSON ({printable(str(error))})",
            "write the file anew with the command that made it",
            file,
        ) from error
    return typing.cast(JsonValue, value)


def canonical_json(value: object) -> bytes:
    """UTF-8 JSON with sorted keys, no spaces and shortest round-trip floats.

    Raises:
        ValueError: for NaN, infinities and lone surrogates.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")


def json_line(value: object) -> str:
    """``value`` as one line of JSON in ASCII, which every terminal and pipe takes.

    A byte of a file name that is no UTF-8 becomes a lone surrogate's escape, as Python reads it.
    """
    return json.dumps(value, allow_nan=False)


def to_json(value: object) -> Any:
    """Dataclasses, tuples and mappings as the objects and lists that ``json`` writes.

    An `OPTIONAL` field that is None is left out.
    """
    if is_dataclass(value) and not isinstance(value, type):
        items = ((f, getattr(value, f.name)) for f in fields(value))
        return {f.name: to_json(item) for f, item in items if item is not None or not _optional(f)}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    return value


def from_json(kind: type[T], value: object, path: str = "") -> T:
    """``value`` as an instance of the dataclass ``kind``; no conversion, no extras.

    A field without a default must be there. An `OPTIONAL` one may be left out and must not be null,
    so that what was read is written with the same text.

    Raises:
        FieldFault: for a missing, unknown or ill-typed field.
    """
    return typing.cast(T, _read(kind, value, path))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _read(kind: Any, value: object, path: str) -> Any:
    origin = get_origin(kind)
    if kind is Any:
        return value
    if origin in (types.UnionType, Union):
        return _read_union(get_args(kind), value, path)
    if is_dataclass(kind):
        return _read_dataclass(typing.cast(type, kind), value, path)
    if origin is not None:
        return _read_collection(kind, value, path)
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise _ill_typed(path, _NAMES[kind], value)
    return value


def _read_collection(kind: Any, value: object, path: str) -> tuple[Any, ...] | dict[str, Any]:
    """A tuple of one type of items, or a mapping from strings to one type."""
    item_kind = get_args(kind)[0 if get_origin(kind) is tuple else 1]
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise _ill_typed(path, "a list", value)
        return tuple(_read(item_kind, item, f"{path}[{i}]") for i, item in enumerate(value))
    if not isinstance(value, dict):
        raise _ill_typed(path, "an object", value)
    return {key: _read(item_kind, item, f"{path}.{printable(key)}") for key, item in value.items()}


def _read_union(kinds: tuple[Any, ...], value: object, path: str) -> Any:
    """Unions here are always one type or null; the task decides between dataclasses."""
    if value is None and types.NoneType in kinds:
        return None
    (kind,) = (k for k in kinds if k is not types.NoneType)
    return _read(kind, value, path)


def _read_dataclass(kind: type, value: object, path: str) -> Any:
    if not isinstance(value, dict):
        raise _ill_typed(path, "an object", value)
    hints = _hints(kind)
    inner = f"{path}." if path else ""
    for key in value:
        if key not in hints:
            raise FieldFault(f"{inner}{printable(key)}", "is no field of this schema")
    arguments = {}
    for field in fields(kind):
        if field.name in value:
            if value[field.name] is None and _optional(field):
                raise FieldFault(f"{inner}{field.name}", "must be left out rather than null")
            arguments[field.name] = _read(
                hints[field.name], value[field.name], f"{inner}{field.name}"
            )
        elif field.default is MISSING and field.default_factory is MISSING:
            raise FieldFault(f"{inner}{field.name}", "is missing")
    return kind(**arguments)


def _optional(field: Field[Any]) -> bool:
    return OPTIONAL.items() <= field.metadata.items()


def _ill_typed(path: str, expected: str, value: object) -> FieldFault:
    return FieldFault(path, f"must be {expected}, not {_NAMES.get(type(value), 'that')}")
