"""Recipes as data: those that ship are whole, and a damaged one is refused by its field."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from lesionlite_export.recipe import (
    DEFAULT_RECIPE,
    RECIPE_SCHEMA,
    load_recipe,
    parse_recipe,
    recipe_names,
)
from lesionlite_runtime.codec import to_json
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.operators import OPERATOR_NAMES, TENSOR_TYPES

NAMES = [
    "dynamic",
    "float16",
    "float32",
    "int16x8",
    "int8",
    "int8-full",
    "int8-plain",
    "int8-raw",
]


def shipped(name: str) -> bytes:
    return resources.files("lesionlite_export").joinpath(f"recipes/{name}.json").read_bytes()


def test_the_recipes_that_ship() -> None:
    assert recipe_names() == NAMES
    assert DEFAULT_RECIPE in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_recipe_says_all_its_fields_and_nothing_else(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.schema == RECIPE_SCHEMA
    assert recipe.summary.endswith(".")
    assert to_json(recipe) == json.loads(shipped(name))
    assert list(to_json(recipe)) == list(json.loads(shipped(name)))


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_recipe_names_operators_and_types_that_exist(name: str) -> None:
    recipe = load_recipe(name)
    assert set(recipe.operators) <= {"image", "value"}
    for operators in recipe.operators.values():
        assert set(operators) <= set(OPERATOR_NAMES)
        for kinds in operators.values():
            assert kinds
            assert {dtype for kind in kinds for dtype in kind.split("*")} <= set(TENSOR_TYPES)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_says_the_types(name: str) -> None:
    """ACTIVATIONS[xWEIGHTS][-VARIANT], as docs/recipes.md has it."""
    recipe = load_recipe(name)
    types, _, variant = name.partition("-")
    if types == "dynamic":
        assert (recipe.activations, recipe.weights) == ("float32", "int8")
    elif "x" in types:
        assert (recipe.activations, recipe.weights) == ("int16", "int8")
    elif types == "float16":
        assert (recipe.activations, recipe.weights) == ("float32", "float16")
    else:
        assert recipe.activations == recipe.weights == types
    assert (recipe.pixels == "quantized") == (variant in ("raw", "full"))
    assert (recipe.output == "uint8") == (variant == "full")
    assert (recipe.quantizer == "tflite-converter") == (variant == "plain")


@pytest.mark.parametrize("name", NAMES)
def test_the_head_is_float_where_the_recipe_says_so(name: str) -> None:
    recipe = load_recipe(name)
    operators = recipe.operators.get("image")
    if operators is None:
        return
    integers = recipe.activations == "int8" and "head" not in recipe.float_parts
    assert operators["LOGISTIC"] == (("int8",) if integers else ("float32",))
    assert any(kind.endswith("int8") for kind in operators["FULLY_CONNECTED"]) == integers


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("int9", "pass int8"),
        ("float", "pass float32 or float16"),
        ("dynamc", "pass dynamic"),
        ("int8-ful", "pass int8-full"),
        ("INT8", "pass dynamic or float16 or float32 or int16x8 or int8"),
        ("xyz", "pass dynamic or float16 or float32 or int16x8 or int8"),
        ("../recipes/int8", "pass"),
        ("", "pass dynamic or float16 or float32 or int16x8 or int8"),
    ],
)
def test_an_unknown_recipe_is_refused_with_the_nearest_names(name: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe(name)
    assert str(caught.value).startswith(f"there is no recipe {name!r}; {remedy}")


def altered(**fields: Any) -> bytes:
    body = json.loads(shipped("int8"))
    return json.dumps({**body, **fields}).encode()


def without(field: str) -> bytes:
    body = json.loads(shipped("int8"))
    del body[field]
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "this is no valid JSON"),
        (b"{", "this is no valid JSON"),
        (b"\xff", "this is no valid JSON"),
        (shipped("int8")[:-40], "this is no valid JSON"),
        (b"[]", "the document must be an object"),
        (b'{"name": "a", "name": "b"}', "the key 'name' stands there twice"),
        (without("operators"), "operators is missing"),
        (without("pixels"), "pixels is missing"),
        (altered(colour="red"), "colour is no field of this schema"),
        (altered(schema="lesionlite.recipe/1"), "schema is 'lesionlite.recipe/1', and must be"),
        (altered(name="My Recipe"), "name must be lower-case letters, digits and . _ -"),
        (altered(quantizer="onnx"), "quantizer is 'onnx', and must be one of none, litert-quan"),
        (altered(weights="int4"), "weights is 'int4', and must be one of float32"),
        (altered(activations="int4"), "activations is 'int4', and must be one of float32"),
        (altered(pixels="raw"), "pixels is 'raw', and must be one of scaled"),
        (altered(output="int8"), "output is 'int8', and must be one of float32"),
        (altered(float_parts=["tail"]), "float_parts has 'tail', and may have scaling and head"),
        (altered(operators={"video": {}}), "operators has 'video', and may have image and value"),
        (altered(quantizer="none"), "quantizer must be none for float32 weights and activations"),
        (altered(weights="float16"), "weights must be int8 where activations are int8"),
        (
            altered(quantizer="tflite-converter", pixels="quantized"),
            "quantizer tflite-converter makes int8 from pixels to a float32 score",
        ),
        (
            altered(activations="float32", output="uint8", correct_biases=False),
            "output does not go with float32",
        ),
        (altered(activations="float32"), "correct_biases does not go with float32 activations"),
        (altered(activations="int16"), "correct_biases does not go with int16 activations"),
        (
            altered(pixels="quantized", float_parts=["head"]),
            "pixels quantized takes the place of a float scaling",
        ),
        (altered(output="uint8"), "output is uint8 where the head is in integers alone"),
        (altered(correct_biases="yes"), "correct_biases must be true or false, not a string"),
        (altered(operators=[]), "operators must be an object, not a list"),
        (altered(operators={"value": {"ADD": "int8"}}), "operators.value.ADD must be"),
        (altered(operators={"value": {"ADD": [8]}}), "operators.value.ADD[0] must be"),
    ],
)
def test_a_damaged_recipe_is_refused_by_its_field(data: bytes, words: str) -> None:
    with pytest.raises(UnusableInput) as caught:
        parse_recipe(data, "my.json")
    assert str(caught.value).startswith("my.json: ")
    assert words in str(caught.value)


def test_the_altered_recipe_of_these_tests_is_otherwise_good() -> None:
    assert parse_recipe(altered(name="mine"), "my.json").name == "mine"


def test_a_recipe_of_ones_own_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(altered(name="mine"))
    assert load_recipe(str(path)).name == "mine"


def test_it_cannot_pass_for_one_that_ships(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(altered())
    with pytest.raises(UnusableInput, match=r"mine.json: the recipe has the name of one that"):
        load_recipe(str(path))


def test_a_recipe_file_that_is_not_there_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(UnusableInput, match=r"none.json"):
        load_recipe(str(tmp_path / "none.json"))
