"""Recipes as data: how a file is made, and which operators and types it may then hold."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from lesionlite_runtime.codec import FieldFault, from_json, parse_json
from lesionlite_runtime.errors import UnusableInput, UsageError

RECIPE_SCHEMA = "lesionlite.recipe/1"
DEFAULT_RECIPE = "int8"
ROUTES = (
    "tflite-converter/float32",
    "tflite-converter/float16",
    "tflite-converter/static",
    "litert-quantizer/dynamic",
    "litert-quantizer/static",
)
"""Tool and mode that make the file; docs/recipes.md says which was chosen for what, and why."""


@dataclass(frozen=True)
class Recipe:
    """A way to make a ``.tflite``.

    Attributes:
        schema: ``lesionlite.recipe/1``.
        name: as in ``--recipe``.
        summary: one sentence for people.
        route: one of `ROUTES`.
        calibrated: whether representative inputs are needed.
        correct_biases: whether biases are corrected on them.
        operators: per task, the operators that the file may hold, each with the types that it may
            compute in: ``activations*weights`` for an operator with weights (``float32*int8``),
            else the type of its output.
    """

    schema: str
    name: str
    summary: str
    route: str
    calibrated: bool
    correct_biases: bool
    operators: Mapping[str, Mapping[str, tuple[str, ...]]]

    def __post_init__(self) -> None:
        if self.schema != RECIPE_SCHEMA:
            raise FieldFault("schema", f"is {self.schema!r}, and must be {RECIPE_SCHEMA!r}")
        if self.route not in ROUTES:
            raise FieldFault("route", f"is {self.route!r}, and must be one of {', '.join(ROUTES)}")


def recipe_names() -> list[str]:
    """The names of the recipes that ship in the package."""
    folder = resources.files("lesionlite_export").joinpath("recipes")
    names = [item.name.removesuffix(".json") for item in folder.iterdir()]
    return sorted(name for name in names if not name.startswith("_"))


def load_recipe(name: str) -> Recipe:
    """The recipe ``name``.

    Raises:
        UsageError: when there is none; the nearest names are given.
    """
    names = recipe_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3) or names
        raise UsageError(f"there is no recipe {name!r}", f"pass {' or '.join(near)}")
    path = resources.files("lesionlite_export").joinpath(f"recipes/{name}.json")
    return parse_recipe(path.read_bytes(), str(path))


def parse_recipe(data: bytes, file: str) -> Recipe:
    """The recipe in the JSON ``data``.

    Raises:
        UnusableInput: when a field is missing, unknown or ill-typed.
    """
    try:
        return from_json(Recipe, parse_json(data, file))
    except FieldFault as fault:
        raise UnusableInput(f"the recipe cannot be used: {fault}", "correct it", file) from fault
