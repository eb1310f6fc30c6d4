"""Strict JSON: one text for one value, and every fault named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlite_runtime.codec import (
    OPTIONAL,
    FieldFault,
    canonical_json,
    from_json,
    json_line,
    parse_json,
    to_json,
)
from lesionlite_runtime.errors import UnusableInput

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_canonical_json_comes_back_as_it_was(value: Any) -> None:
    data = canonical_json(value)
    assert canonical_json(parse_json(data, None)) == data
    assert parse_json(data, None) == value


def test_canonical_json_is_sorted_compact_utf8_with_shortest_floats() -> None:
    value = {"b": [0.1, 1e22, -0.0, 5], "a": "é\n"}
    assert canonical_json(value) == '{"a":"é\\n","b":[0.1,1e+22,-0.0,5]}'.encode()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_json_number_is_never_written(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"x": number})
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_line({"x": number})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' stands there twice"),
        ('{"a": NaN}', "NaN is no JSON number"),
        ('{"a": Infinity}', "Infinity is no JSON number"),
        ('{"a": -Infinity}', "-Infinity is no JSON number"),
        ('{"a": 1e999}', "the number 1e999 is too large"),
        ('{"a": -1e999}', "the number -1e999 is too large"),
        ('{"a": "\\ud800"}', "surrogates not allowed"),
        ('{"\\udc00": 1}', "surrogates not allowed"),
        ("{'a': 1}", "Expecting property name"),
        ('{"a": 1} {}', "Extra data"),
        ('\ufeff{"a": 1}', "BOM"),
        ("", "Expecting value"),
        ("9" * 5000, "Exceeds the limit"),
        ("[" * 100_000, "recursion"),
        ('{"a":' * 100_000, "recursion"),
    ],
)
def test_json_that_another_reader_could_take_otherwise_is_refused(text: str, words: str) -> None:
    with pytest.raises(UnusableInput, match="no valid JSON") as caught:
        parse_json(text.encode("utf-8"), "contract.json")
    assert words in str(caught.value)
    assert str(caught.value).startswith("contract.json: ")


def test_bytes_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(UnusableInput, match="utf-8"):
        parse_json(b'{"a": "\xff"}', "contract.json")


@given(VALUES)
def test_a_json_line_is_one_line_of_ascii(value: Any) -> None:
    line = json_line({"file": "a\nb\udcff\u2028", "value": value})
    assert line.isascii()
    assert line.splitlines() == [line]
    assert json.loads(line) == {"file": "a\nb\udcff\u2028", "value": value}


@dataclass(frozen=True)
class Inner:
    """A leaf."""

    ratio: float
    count: int


@dataclass(frozen=True)
class Outer:
    """One field of each kind that the codec knows."""

    name: str
    inner: Inner
    maybe: Inner | None
    sides: tuple[int, ...]
    classes: Mapping[str, int]
    free: Mapping[str, Any]


@dataclass(frozen=True)
class Defaults:
    """A field that JSON may leave out, and two that merely have a default."""

    name: str = "x"
    number: int | None = None
    maybe: Inner | None = field(default=None, metadata=OPTIONAL)


def outer() -> dict[str, Any]:
    """A value for `Outer`."""
    return {
        "name": "x",
        "inner": {"ratio": 1, "count": 2},
        "maybe": None,
        "sides": [1, 2],
        "classes": {"a": 0},
        "free": {"deep": [None, {"x": 1.5}]},
    }


def test_dataclasses_come_from_json_and_go_back_unchanged() -> None:
    value = from_json(Outer, outer())
    assert value.sides == (1, 2)
    assert to_json(value) == outer()
    assert canonical_json(to_json(value)) == canonical_json(outer())


@pytest.mark.parametrize(
    ("path", "bad", "message"),
    [
        (("name",), 1, "name must be a string, not an integer"),
        (("inner",), None, "inner must be an object, not null"),
        (("inner", "ratio"), "1", "inner.ratio must be a number, not a string"),
        (("inner", "ratio"), True, "inner.ratio must be a number, not true or false"),
        (("inner", "count"), 2.0, "inner.count must be an integer, not a number"),
        (("inner", "count"), True, "inner.count must be an integer, not true or false"),
        (("maybe",), [], "maybe must be an object, not a list"),
        (("sides",), {}, "sides must be a list, not an object"),
        (("sides", 1), "2", "sides[1] must be an integer, not a string"),
        (("classes",), [], "classes must be an object, not a list"),
        (("classes", "a\nb"), 0.5, "classes.a\\nb must be an integer, not a number"),
        (("surprise",), 0, "surprise is no field of this schema"),
        (("inner", "new\x1b"), 0, "inner.new\\x1b is no field of this schema"),
    ],
)
def test_a_fault_is_named_by_its_path(path: tuple[Any, ...], bad: Any, message: str) -> None:
    value = outer()
    place = value
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = bad
    with pytest.raises(FieldFault) as caught:
        from_json(Outer, value)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [None, 1, "x", []])
def test_a_document_that_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(FieldFault, match="the document must be an object"):
        from_json(Outer, value)


def test_a_missing_field_is_named() -> None:
    value = outer()
    del value["inner"]["count"]
    with pytest.raises(FieldFault, match=r"inner\.count is missing"):
        from_json(Outer, value)


def test_an_optional_field_is_left_out_where_it_is_none() -> None:
    assert to_json(Defaults()) == {"name": "x", "number": None}
    inner = {"ratio": 0.5, "count": 1}
    full = {"name": "y", "number": 1, "maybe": inner}
    assert to_json(from_json(Defaults, full)) == full
    assert from_json(Defaults, {"number": None}) == Defaults()


def test_an_optional_field_is_never_null() -> None:
    """Else two texts would stand for one value, and the digest would depend on which."""
    with pytest.raises(FieldFault, match="maybe must be left out rather than null"):
        from_json(Defaults, {"maybe": None})
    with pytest.raises(FieldFault, match="maybe must be an object, not an integer"):
        from_json(Defaults, {"maybe": 1})
