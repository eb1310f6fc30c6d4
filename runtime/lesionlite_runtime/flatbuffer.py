"""A reader of FlatBuffers that trusts no offset: every read is checked against the buffer.

Interpreters follow offsets blindly and crash on a damaged file, so structure is checked here,
before one of them sees the bytes. The layout is the public FlatBuffers binary format.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

UNION = "union"
TEXT = "text"


class Malformed(ValueError):
    """The bytes are no well-formed FlatBuffer of the expected schema."""


@dataclass(frozen=True)
class Table:
    """A table at ``position`` of ``data``; fields are addressed by their number in the schema."""

    data: bytes = field(repr=False)
    position: int

    def place(self, number: int) -> int | None:
        """The place of field ``number``, or None where it is absent."""
        vtable = self.position - scalar_at(self.data, self.position, "<i")
        if vtable < 0:
            raise Malformed("a vtable lies before the buffer")
        size = scalar_at(self.data, vtable, "<H")
        entry = 4 + 2 * number
        if entry + 2 > size:
            return None
        offset = scalar_at(self.data, vtable + entry, "<H")
        return self.position + offset if offset else None

    def scalar(self, number: int, form: str, default: int = 0) -> int:
        """The number in field ``number``, of `struct` format ``form`` such as ``<i``."""
        place = self.place(number)
        return default if place is None else scalar_at(self.data, place, form)

    def table(self, number: int) -> Table | None:
        """The table that field ``number`` points to."""
        place = self.place(number)
        return None if place is None else Table(self.data, follow(self.data, place))

    def tables(self, number: int) -> list[Table]:
        """The vector of tables in field ``number``; empty where it is absent."""
        start, length = self.vector(number, 4)
        places = (start + 4 * i for i in range(length))
        return [Table(self.data, follow(self.data, place)) for place in places]

    def numbers(self, number: int, form: str) -> tuple[int, ...]:
        """The vector of scalars in field ``number``, of `struct` format ``form`` such as ``i``."""
        start, length = self.vector(number, struct.calcsize(f"<{form}"))
        return struct.unpack_from(f"<{length}{form}", self.data, start)

    def floats(self, number: int) -> tuple[float, ...]:
        """The vector of float32 in field ``number``."""
        start, length = self.vector(number, 4)
        return struct.unpack_from(f"<{length}f", self.data, start)

    def text(self, number: int) -> str:
        """The UTF-8 string in field ``number``; empty where it is absent."""
        start, length = self.vector(number, 1)
        return _decoded(self.data[start : start + length])

    def vector(self, number: int, item_bytes: int) -> tuple[int, int]:
        """(Position of the first item, number of items) of field ``number``; (0, 0) if absent.

        All the items lie inside the buffer.
        """
        place = self.place(number)
        return (0, 0) if place is None else _vector_at(self.data, place, item_bytes)


def root_table(data: bytes) -> Table:
    """The root table of the FlatBuffer ``data``."""
    return Table(data, follow(data, 0))


def verify(
    data: bytes,
    root: str,
    tables: Mapping[str, Mapping[int, str]],
    unions: Mapping[int, Mapping[int, str]],
) -> None:
    """Check every byte of structure that a reader of the schema could follow.

    Args:
        data: the FlatBuffer.
        root: name of the root table.
        tables: name of a table to its fields' kinds; see `lesionlite_runtime.schema`.
        unions: the number of a union's type to the fields of its table.

    Raises:
        Malformed: when an offset, length or alignment is wrong, a field is unknown, a text is no
            terminated UTF-8, or parts are shared so often that reading them would take too long.
    """
    _Verifier(data, tables, unions).table(follow(data, 0), root, tables[root])


class _Verifier:
    """One walk over a FlatBuffer; schemas nest only so deep, so the walk ends."""

    def __init__(
        self,
        data: bytes,
        tables: Mapping[str, Mapping[int, str]],
        unions: Mapping[int, Mapping[int, str]],
    ) -> None:
        self._data = data
        self._tables = tables
        self._unions = unions
        # Parts may be shared, but a file that points to one again and again is an attack.
        self._allowance = 4 * len(data)

    def table(self, place: int, name: str, kinds: Mapping[int, str]) -> None:
        data = self._data
        _check_aligned(place, 4)
        vtable = place - scalar_at(data, place, "<i")
        if vtable < 0:
            raise Malformed("a vtable lies before the buffer")
        _check_aligned(vtable, 2)
        vtable_bytes, table_bytes = scalar_at(data, vtable, "<H"), scalar_at(data, vtable + 2, "<H")
        if vtable_bytes < 4 or vtable_bytes % 2 or table_bytes < 4:
            raise Malformed("a vtable is too short")
        if max(vtable + vtable_bytes, place + table_bytes) > len(data):
            raise Malformed("a table reaches beyond the buffer")
        self._spend(vtable_bytes + table_bytes)
        offsets = struct.unpack_from(f"<{vtable_bytes // 2 - 2}H", data, vtable + 4)
        for number, offset in enumerate(offsets):
            if offset == 0:
                continue
            kind = kinds.get(number)
            if kind is None:
                raise Malformed(f"{name} has the field {number}, which lesionlite does not run")
            size = struct.calcsize(f"<{kind}") if len(kind) == 1 else 4
            if offset < 4 or offset + size > table_bytes:
                raise Malformed("a field lies outside its table")
            _check_aligned(place + offset, size)
            if kind == UNION:
                self._union(place, number)
            elif len(kind) > 1:
                self._pointed(place + offset, kind)

    def _union(self, place: int, number: int) -> None:
        table = Table(self._data, place)
        chosen = table.scalar(number - 1, "<B")
        if chosen not in self._unions:
            raise Malformed(f"lesionlite does not run an operator with settings of type {chosen}")
        slot = table.place(number)
        assert slot is not None
        self.table(follow(self._data, slot), "an operator's settings", self._unions[chosen])

    def _pointed(self, place: int, kind: str) -> None:
        target = follow(self._data, place)
        if kind in self._tables:
            self.table(target, kind, self._tables[kind])
            return
        _check_aligned(target, 4)
        item = "B" if kind == TEXT else kind[1:]
        item_bytes = 4 if item in self._tables else struct.calcsize(f"<{item}")
        start, length = _vector_at(self._data, place, item_bytes)
        self._spend(4 + length * item_bytes)
        if kind == TEXT:
            self._text(start, length)
        elif item in self._tables:
            for i in range(length):
                self.table(follow(self._data, start + 4 * i), item, self._tables[item])

    def _text(self, start: int, length: int) -> None:
        data = self._data[start : start + length + 1]
        if len(data) <= length or data.find(0) != length:
            raise Malformed("a name does not end where it says")
        _decoded(data[:length])

    def _spend(self, n_bytes: int) -> None:
        self._allowance -= n_bytes
        if self._allowance < 0:
            raise Malformed("the same parts are pointed to again and again")


def follow(data: bytes, place: int) -> int:
    """Where the offset at ``place`` points to."""
    offset = scalar_at(data, place, "<I")
    target = place + offset
    if offset == 0 or target + 4 > len(data):
        raise Malformed("an offset points beyond the buffer")
    return target


def scalar_at(data: bytes, place: int, form: str) -> int:
    """The number at ``place``, of `struct` format ``form`` such as ``<i``."""
    try:
        (value,) = struct.unpack_from(form, data, place)
    except struct.error as error:
        raise Malformed("an offset points beyond the buffer") from error
    return int(value)


def _vector_at(data: bytes, place: int, item_bytes: int) -> tuple[int, int]:
    """(Position of the first item, number of items) of the vector that ``place`` points to."""
    start = follow(data, place)
    length = scalar_at(data, start, "<I")
    if start + 4 + length * item_bytes > len(data):
        raise Malformed("a vector reaches beyond the buffer")
    return start + 4, length


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("a name is no UTF-8 text") from error


def _check_aligned(place: int, to: int) -> None:
    if place % to:
        raise Malformed("an offset is not aligned")
