"""Protocol Buffers' wire format: what is written is read, and anything else is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlite_runtime.wire import MalformedMessage, fields, messages, number_of, text_of


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


numbers = st.integers(1, 1 << 20)
values = st.one_of(st.integers(0, (1 << 64) - 1), st.binary(max_size=300))


@given(st.lists(st.tuples(numbers, values), max_size=8))
def test_every_field_comes_back(written: list[tuple[int, int | bytes]]) -> None:
    message = memoryview(b"".join(field(number, value) for number, value in written))
    found = [(n, v if isinstance(v, int) else bytes(v)) for n, v in fields(message)]
    assert found == written


def test_fields_by_number() -> None:
    data = field(1, 5) + field(2, "é".encode()) + field(1, 7) + field(2, b"last")
    message = memoryview(data + b"\x1d\x01\x02\x03\x04" + b"\x21" + bytes(8))
    assert number_of(message, 1) == 7
    assert number_of(message, 9, 3) == 3
    assert [bytes(m) for m in messages(message, 2)] == ["é".encode(), b"last"]
    assert text_of(message, 2) == "last"
    assert text_of(message, 9) == ""
    assert [n for n, _ in fields(message)] == [1, 2, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "data", [b"\x08", b"\x0a\x05abc", b"\x0b", b"\xff" * 11, b"\x0d\x00", b"\x08" + b"\x80" * 10]
)
def test_what_is_cut_off_or_a_group_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        list(fields(memoryview(data)))


@given(st.binary(max_size=200))
def test_any_bytes_end(data: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        list(fields(memoryview(data)))
