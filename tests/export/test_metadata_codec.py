"""TFLite Metadata to bytes and back: every table of the schema, and bytes that are none."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlite_export.metadata_codec import decode_metadata, encode_metadata
from lesionlite_export.metadata_schema import ENUMS, ROOT, TABLES, UNION
from lesionlite_runtime.flatbuffer import Malformed

NUMBERS = {
    "f": st.floats(width=32, allow_nan=False),
    "i": st.integers(-(2**31), 2**31 - 1),
    "I": st.integers(0, 2**32 - 1),
    "B": st.integers(0, 255),
}
EXAMPLE = {
    "name": "a model",
    "subgraph_metadata": [
        {
            "input_tensor_metadata": [
                {
                    "name": "image",
                    "dimension_names": ["batch", "rows"],
                    "content": {
                        "content_properties_type": "ImageProperties",
                        "content_properties": {
                            "color_space": "RGB",
                            "default_size": {"width": 224, "height": 200},
                        },
                        "range": {"min": -1, "max": 3},
                    },
                    "process_units": [
                        {
                            "options_type": "NormalizationOptions",
                            "options": {"mean": [127.0], "std": [128.0, 0.5]},
                        }
                    ],
                }
            ],
            "custom_metadata": [{"name": "own", "data": [0, 255, 7]}],
        }
    ],
    "associated_files": [{"name": "labels.txt", "type": "TENSOR_AXIS_LABELS", "version": "v1"}],
}


def values(kind: str, depth: int) -> st.SearchStrategy[Any]:
    """Values of a kind that come back as they were: a 0 may be left out, so there is none."""
    if kind in NUMBERS:
        return NUMBERS[kind].filter(bool)
    if kind in ENUMS:
        return st.sampled_from(ENUMS[kind][1:])
    if kind == "text":
        return st.text(max_size=6)
    if kind.startswith("*"):
        item = kind[1:]
        items = NUMBERS[item] if item in NUMBERS else values(item, depth + 1)
        return st.lists(items, max_size=2 if depth < 4 else 1)
    return tables(kind, depth + 1)


@st.composite
def tables(draw: st.DrawFn, name: str, depth: int = 0) -> dict[str, Any]:
    """A table with some of its fields."""
    result: dict[str, Any] = {}
    fields = TABLES[name]
    for number, (field, kind) in enumerate(fields):
        if kind == UNION:
            chosen = result.get(fields[number - 1][0])
            if chosen is not None:
                result[field] = draw(tables(chosen, depth + 1))
        elif draw(st.booleans()):
            result[field] = draw(values(kind, depth))
    return result


@settings(max_examples=80)
@given(tables(ROOT))
def test_what_is_written_is_read_again(value: dict[str, Any]) -> None:
    data = encode_metadata(value)
    assert decode_metadata(data) == value
    assert encode_metadata(value) == data


def test_an_example_with_every_kind_of_field() -> None:
    data = encode_metadata(EXAMPLE)
    assert data[4:8] == b"M001"
    assert decode_metadata(data) == EXAMPLE


@pytest.mark.parametrize("name", TABLES)
def test_every_kind_in_the_schema_is_one_that_can_be_written(name: str) -> None:
    for field, kind in TABLES[name]:
        item = kind.removeprefix("*")
        assert item in {*NUMBERS, *ENUMS, *TABLES, "text", UNION}, field
    types = [kind for _, kind in TABLES[name]]
    for number, kind in enumerate(types):
        if kind == UNION:
            assert set(ENUMS[types[number - 1]][1:]) <= set(TABLES)


def test_what_the_schema_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="ModelMetadata has no field threshold"):
        encode_metadata({"threshold": 0.5})
    with pytest.raises(ValueError, match="ColorSpaceType has no value 'BGR'"):
        encode_metadata(image_metadata({"color_space": "BGR"}))
    with pytest.raises(TypeError, match="-1"):
        encode_metadata(image_metadata({"default_size": {"width": -1}}))
    with pytest.raises(ValueError, match="None is no table"):
        encode_metadata(tensor_metadata({"content": {"content_properties": {}}}))


def tensor_metadata(tensor: dict[str, Any]) -> dict[str, Any]:
    return {"subgraph_metadata": [{"input_tensor_metadata": [tensor]}]}


def image_metadata(image: dict[str, Any]) -> dict[str, Any]:
    content = {"content_properties_type": "ImageProperties", "content_properties": image}
    return tensor_metadata({"content": content})


@settings(max_examples=200)
@given(st.data())
def test_damaged_bytes_are_read_as_something_or_refused(data: st.DataObject) -> None:
    damaged = bytearray(encode_metadata(EXAMPLE))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(8, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(8, len(damaged)))
    try:
        decode_metadata(bytes(damaged[:end]))
    except Malformed as error:
        assert str(error)  # noqa: PT017 (another exception is the failure)


def test_other_bytes_are_refused() -> None:
    for data in (b"", b"M001", b"\0" * 40, b"\x08\0\0\0TFL3" + b"\0" * 40):
        with pytest.raises(Malformed, match="no TFLite metadata"):
            decode_metadata(data)


def test_parts_shared_without_end_are_refused() -> None:
    files = [{"name": "x" * 20_000}, *({"name": "y"} for _ in range(99))]
    data = bytearray(encode_metadata({"associated_files": files}))
    assert len(decode_metadata(bytes(data))["associated_files"]) == 100
    root = struct.unpack_from("<I", data)[0]
    vtable = root - struct.unpack_from("<i", data, root)[0]
    place = root + struct.unpack_from("<H", data, vtable + 4 + 2 * 6)[0]
    vector = place + struct.unpack_from("<I", data, place)[0] + 4
    long = vector + struct.unpack_from("<I", data, vector)[0]
    for at in range(vector, vector + 4 * 100, 4):
        struct.pack_into("<I", data, at, long - at)
    with pytest.raises(Malformed, match="again and again"):
        decode_metadata(bytes(data))
