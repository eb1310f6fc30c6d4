"""The tables of the schema against the one that LiteRT's own package brings."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from lesionlite_runtime.operators import (
    ALONG_AXES,
    BITS_OF_TYPE,
    INPUT_COUNTS,
    OPERATOR_NAMES,
    OUTPUT_COUNTS,
    SIZED_BY_VALUES,
    STEPS,
    TENSOR_TYPES,
    WITH_WEIGHTS,
)
from lesionlite_runtime.schema import OPTIONS, TABLES

# The names that differ, and the fields that old writers left: LiteRT no longer writes those.
NAMES = {"Quantization": "QuantizationParameters"}
SLOTS = {
    "Int8": "b", "Uint8": "B", "Bool": "B", "Int32": "i", "Uint32": "I", "Int64": "q",
    "Uint64": "Q", "Float32": "f",
}  # fmt: skip


@pytest.fixture(scope="module")
def litert() -> Any:
    """The schema as LiteRT's package has it."""
    return pytest.importorskip("ai_edge_litert.schema_py_generated", reason="LiteRT is not here")


def numbers(enumeration: Any) -> dict[str, int]:
    """The names of an enumeration of the schema."""
    return {k: v for k, v in vars(enumeration).items() if not k.startswith("_")}


def slots(litert: Any, table: str) -> dict[int, str]:
    """The fields of ``table`` by number: a scalar's format, or ``offset``."""
    found = {}
    for name, function in inspect.getmembers(litert, inspect.isfunction):
        if name.startswith(f"{table}Add"):
            source = inspect.getsource(function)
            match = re.search(r"\.Prepend(\w+?)Slot\((\d+),", source)
            assert match
            found[int(match[2])] = SLOTS.get(match[1], "offset")
    return found


def agree(ours: dict[int, str], theirs: dict[int, str]) -> bool:
    """Whether our fields have the kinds of theirs; ours may be fewer, or have deprecated ones."""
    expected = {number: kind if len(kind) == 1 else "offset" for number, kind in ours.items()}
    return all(theirs.get(number, kind) == kind for number, kind in expected.items())


def test_operators_and_types_have_their_numbers(litert: Any) -> None:
    assert numbers(litert.BuiltinOperator) == {n: i for i, n in enumerate(OPERATOR_NAMES)}
    types = {name.lower(): number for name, number in numbers(litert.TensorType).items()}
    assert types == {name: number for number, name in enumerate(TENSOR_TYPES)}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_s_fields_have_their_kinds(litert: Any, table: str) -> None:
    theirs = slots(litert, NAMES.get(table, table))
    assert theirs
    assert agree(dict(TABLES[table]), theirs)


def test_settings_have_their_numbers_and_kinds(litert: Any) -> None:
    unions = {number: name for name, number in numbers(litert.BuiltinOptions).items()}
    for number, fields in OPTIONS.items():
        theirs = slots(litert, unions[number])
        assert agree(dict(fields), theirs), unions[number]
        assert set(theirs) <= set(fields), unions[number]


def test_settings_that_are_checked_belong_to_their_operators(litert: Any) -> None:
    unions = {number: name for name, number in numbers(litert.BuiltinOptions).items()}
    named = {
        "CONV_2D": "Conv2DOptions",
        "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
        "AVERAGE_POOL_2D": "Pool2DOptions",
        "MAX_POOL_2D": "Pool2DOptions",
        "SPACE_TO_DEPTH": "SpaceToDepthOptions",
        "SPLIT": "SplitOptions",
        "SPLIT_V": "SplitVOptions",
        "UNPACK": "UnpackOptions",
    }
    checked = {name: number for name, (number, _) in (STEPS | OUTPUT_COUNTS).items()}
    assert {name: unions[number] for name, number in checked.items()} == named


def test_every_operator_in_a_rule_is_one_that_runs() -> None:
    assert set(INPUT_COUNTS) <= set(OPERATOR_NAMES)
    assert {*WITH_WEIGHTS, *ALONG_AXES, *SIZED_BY_VALUES, *STEPS, *OUTPUT_COUNTS} <= set(
        INPUT_COUNTS
    )
    assert set(BITS_OF_TYPE) <= set(TENSOR_TYPES)
