"""Protocol Buffers' wire format, read without a library: fields of a message by number.

(https://protobuf.dev/programming-guides/encoding)
"""

from __future__ import annotations

from collections.abc import Iterator

Value = int | memoryview
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT = 10


class MalformedMessage(ValueError):
    """The bytes are no message."""


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Number and value of each field: an int, or the bytes of a text, message or packed list.

    Raises:
        MalformedMessage: when the bytes are cut off, or hold a group.
    """
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield number, value
            continue
        if kind == _BYTES:
            size, place = _varint(message, place)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise MalformedMessage(f"a field of type {kind}")
        if place + size > len(message):
            raise MalformedMessage("a field reaches beyond the message")
        yield number, message[place : place + size]
        place += size


def messages(message: memoryview, number: int) -> Iterator[memoryview]:
    """The bytes of each field ``number`` that is a text, a message or a packed list."""
    return (v for n, v in fields(message) if n == number and isinstance(v, memoryview))


def number_of(message: memoryview, number: int, default: int = 0) -> int:
    """The last number in field ``number``."""
    found = [v for n, v in fields(message) if n == number and isinstance(v, int)]
    return found[-1] if found else default


def text_of(message: memoryview, number: int) -> str:
    """The last text in field ``number``; empty where there is none."""
    found = list(messages(message, number))
    return bytes(found[-1]).decode("utf-8", "replace") if found else ""


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for i in range(_MAX_VARINT):
        if place + i >= len(message):
            break
        byte = message[place + i]
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value, place + i + 1
    raise MalformedMessage("a number does not end")
