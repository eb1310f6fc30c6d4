"""The FlatBuffer reader: whatever the bytes are, it answers or says that they are malformed."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlite_runtime.flatbuffer import Malformed, Table, follow, root_table, scalar_at, verify
from lesionlite_runtime.schema import OPTIONS, TABLES


def check(data: bytes) -> None:
    """Verify ``data`` as a TFLite model."""
    verify(data, "Model", TABLES, OPTIONS)


def refused(data: bytes) -> str:
    """The words that ``data`` is refused with."""
    with pytest.raises(Malformed) as caught:
        check(data)
    return str(caught.value)


def test_a_well_formed_model_passes(tiny_classifier: Any, tiny_regression: Any) -> None:
    check(tiny_classifier.flatbuffer())
    check(tiny_regression.flatbuffer())


def test_fields_are_read_by_their_number(tiny_classifier: Any) -> None:
    model = root_table(tiny_classifier.flatbuffer())
    assert model.scalar(0, "<I") == 3
    assert model.text(3) == "made by hand"
    (subgraph,) = model.tables(2)
    assert subgraph.numbers(1, "i") == (0,)
    assert [tensor.text(3) for tensor in subgraph.tables(0)][:3] == ["image", "float", "axes"]
    assert subgraph.tables(0)[0].numbers(0, "i") == (1, 8, 6, 3)
    start, length = model.tables(4)[2].vector(0, 1)
    assert struct.unpack_from("<3f", model.data, start) == pytest.approx((0.02, -0.01, -0.01))
    assert length == 12


def test_absent_fields_have_their_defaults(tiny_classifier: Any) -> None:
    model = root_table(tiny_classifier.flatbuffer())
    assert model.scalar(99, "<i", 7) == 7
    assert model.table(99) is None
    assert model.tables(99) == []
    assert model.numbers(99, "q") == ()
    assert model.floats(99) == ()
    assert model.text(99) == ""


def test_every_truncation_is_malformed(tiny_classifier: Any) -> None:
    data = tiny_classifier.flatbuffer()
    used = len(data.rstrip(b"\0"))
    for length in range(used):
        refused(data[:length])


@given(st.binary(max_size=400))
@settings(max_examples=300)
def test_random_bytes_are_malformed_and_nothing_worse(data: bytes) -> None:
    refused(data)


@given(st.data())
@settings(max_examples=500)
def test_damaged_bytes_pass_or_are_malformed_and_nothing_worse(
    tiny_classifier: Any, data: st.DataObject
) -> None:
    damaged = bytearray(tiny_classifier.flatbuffer())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.sampled_from([0, 1, 4, 0x7F, 0x80, 0xFF]))
    try:
        check(bytes(damaged))
    except Malformed:
        return
    root_table(bytes(damaged)).tables(2)


def model_bytes(fields: bytes, entries: list[int], tail: bytes = b"") -> bytes:
    """A model's table made of raw parts: root offset, vtable, ``fields``, ``tail``."""
    vtable = struct.pack(f"<HH{len(entries)}H", 4 + 2 * len(entries), 4 + len(fields), *entries)
    vtable += bytes(-(8 + len(vtable)) % 4)
    place = 8 + len(vtable)
    return (
        struct.pack("<I4s", place, b"TFL3") + vtable + struct.pack("<i", place - 8) + fields + tail
    )


def test_a_table_of_raw_parts_passes() -> None:
    check(model_bytes(struct.pack("<I", 3), [4]))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (model_bytes(b"\3\0\0\0", [0] * 10 + [4]), "Model has the field 10"),
        (model_bytes(b"\3\0\0\0", [0] * 8 + [4]), "Model has the field 8"),
        (model_bytes(b"\3\0\0\0", [6]), "a field lies outside its table"),
        (model_bytes(b"\3\0\0\0", [2]), "a field lies outside its table"),
        (model_bytes(b"\3\0\0\0\0\0\0\0", [6]), "an offset is not aligned"),
        (model_bytes(bytes(4), [0, 0, 0, 4]), "an offset points beyond the buffer"),
        (model_bytes(b"\xff\xff\xff\xff", [0, 0, 0, 4]), "an offset points beyond the buffer"),
        (model_bytes(b"\5\0\0\0", [0, 0, 0, 4], bytes(20)), "an offset is not aligned"),
        (
            model_bytes(b"\4\0\0\0", [0, 0, 0, 4], b"\xff\xff\xff\x7f"),
            "a vector reaches beyond the buffer",
        ),
        (model_bytes(b"\4\0\0\0", [0, 0, 0, 4], b"\2\0\0\0ab"), "does not end where it says"),
        (model_bytes(b"\4\0\0\0", [0, 0, 0, 4], b"\2\0\0\0abc"), "does not end where it says"),
        (model_bytes(b"\4\0\0\0", [0, 0, 0, 4], b"\2\0\0\0a\0\0"), "does not end where it says"),
        (model_bytes(b"\4\0\0\0", [0, 0, 0, 4], b"\2\0\0\0\xff\xff\0"), "no UTF-8 text"),
    ],
)
def test_each_fault_of_the_format_is_malformed(data: bytes, words: str) -> None:
    assert words in refused(data)


@pytest.mark.parametrize(
    ("vtable", "words"),
    [
        ((2, 8), "a vtable is too short"),
        ((7, 8), "a vtable is too short"),
        ((4, 2), "a vtable is too short"),
        ((60, 8), "a table reaches beyond the buffer"),
        ((4, 60), "a table reaches beyond the buffer"),
    ],
)
def test_a_vtable_that_cannot_be_is_malformed(vtable: tuple[int, int], words: str) -> None:
    data = bytearray(model_bytes(b"\3\0\0\0", [4]))
    struct.pack_into("<HH", data, 8, *vtable)
    assert words in refused(bytes(data))


@pytest.mark.parametrize(
    ("offset", "words"),
    [(100, "a vtable lies before the buffer"), (-1, "an offset is not aligned")],
)
def test_a_vtable_out_of_place_is_malformed(offset: int, words: str) -> None:
    data = bytearray(model_bytes(b"\3\0\0\0", [4]))
    struct.pack_into("<i", data, 16, offset)
    assert words in refused(bytes(data))


def test_parts_that_are_shared_again_and_again_are_refused(tiny_classifier: Any) -> None:
    spec = tiny_classifier.spec()
    tensors = spec["subgraphs"][0]["tensors"]
    tensors[0]["name"] = "x" * 3000
    tensors += [{"name": "y"} for _ in range(100)]
    data = bytearray(tiny_classifier.flatbuffer(spec))
    check(bytes(data))
    vector, length = root_table(bytes(data)).tables(2)[0].vector(0, 4)
    first = follow(bytes(data), vector)
    for slot in range(vector, vector + 4 * length, 4):
        struct.pack_into("<I", data, slot, first - slot)
    assert "the same parts are pointed to again and again" in refused(bytes(data))


def test_a_table_that_is_shared_again_and_again_is_refused(tiny_classifier: Any) -> None:
    for times, fits in ((10, True), (20_000, False)):
        data = bytearray(tiny_classifier.flatbuffer())
        slot = root_table(bytes(data)).tables(2)[0].place(0)
        assert slot is not None
        vector = len(data)
        struct.pack_into("<I", data, slot, vector - slot)
        table = vector + 4 + 4 * times + 4
        table += -table % 4
        data += struct.pack("<I", times)
        data += b"".join(struct.pack("<I", table - (vector + 4 + 4 * i)) for i in range(times))
        data += struct.pack("<HHi", 4, 400, 4) + bytes(396)
        if fits:
            check(bytes(data))
        else:
            assert "the same parts are pointed to again and again" in refused(bytes(data))


def test_settings_of_an_operator_are_checked_by_their_type(tiny_classifier: Any) -> None:
    for type_, words in ((92, "settings of type 92"), (0, "settings of type 0")):
        spec = tiny_classifier.spec()
        spec["subgraphs"][0]["operators"][1]["options_type"] = type_
        assert words in refused(tiny_classifier.flatbuffer(spec))
    spec = tiny_classifier.spec()
    spec["subgraphs"][0]["operators"][1]["options"] = {"first": 0, "second": 0}
    assert "settings has the field 1" in refused(tiny_classifier.flatbuffer(spec))


def test_reading_beyond_the_buffer_is_malformed() -> None:
    with pytest.raises(Malformed):
        scalar_at(b"abc", 0, "<i")
    with pytest.raises(Malformed):
        Table(b"\xff\xff\xff\x7f", 0).scalar(0, "<i")
