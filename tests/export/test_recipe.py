"""Recipes as data: those that ship are whole, and a damaged one is refused by its field."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from lesionlite_export.recipe import (
    DEFAULT_RECIPE,
    RECIPE_SCHEMA,
    ROUTES,
    load_recipe,
    parse_recipe,
    recipe_names,
)
from lesionlite_runtime.codec import to_json
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.operators import OPERATOR_NAMES, TENSOR_TYPES

NAMES = ["dynamic", "float16", "float32", "int8"]


def shipped(name: str) -> bytes:
    return resources.files("lesionlite_export").joinpath(f"recipes/{name}.json").read_bytes()


def test_four_recipes_ship() -> None:
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
    assert set(recipe.operators) == {"binary_classification", "regression"}
    for operators in recipe.operators.values():
        assert set(operators) <= set(OPERATOR_NAMES)
        for kinds in operators.values():
            assert kinds
            assert {dtype for kind in kinds for dtype in kind.split("*")} <= set(TENSOR_TYPES)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_calibrated_is_static_and_what_is_corrected_is_calibrated(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.calibrated == recipe.route.endswith("/static")
    assert recipe.calibrated or not recipe.correct_biases


@pytest.mark.parametrize("name", NAMES)
def test_the_head_of_a_classifier_is_float_in_every_recipe(name: str) -> None:
    operators = load_recipe(name).operators["binary_classification"]
    assert not any(kind.endswith("int8") for kind in operators["FULLY_CONNECTED"])
    assert operators["LOGISTIC"] == ("float32",)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("int9", "pass int8"),
        ("float", "pass float32 or float16"),
        ("dynamc", "pass dynamic"),
        ("INT8", "pass dynamic or float16 or float32 or int8"),
        ("xyz", "pass dynamic or float16 or float32 or int8"),
        ("../recipes/int8", "pass"),
        ("", "pass dynamic or float16 or float32 or int8"),
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
        (without("calibrated"), "calibrated is missing"),
        (altered(colour="red"), "colour is no field of this schema"),
        (altered(schema="lesionlite.recipe/2"), "schema is 'lesionlite.recipe/2', and must be"),
        (altered(route="onnx"), f"route is 'onnx', and must be one of {', '.join(ROUTES)}"),
        (altered(calibrated="yes"), "calibrated must be true or false, not a string"),
        (altered(operators=[]), "operators must be an object, not a list"),
        (altered(operators={"regression": {"ADD": "int8"}}), "operators.regression.ADD must be"),
        (altered(operators={"regression": {"ADD": [8]}}), "operators.regression.ADD[0] must be"),
    ],
)
def test_a_damaged_recipe_is_refused_by_its_field(data: bytes, words: str) -> None:
    with pytest.raises(UnusableInput) as caught:
        parse_recipe(data, "my.json")
    assert str(caught.value).startswith("my.json: ")
    assert words in str(caught.value)


def test_the_altered_recipe_of_these_tests_is_otherwise_good() -> None:
    assert parse_recipe(altered(name="mine"), "my.json").name == "mine"
