"""Recipes as data: how a file is made, and which operators and types it may then hold."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from lesionlite_runtime.codec import FieldFault, from_json, parse_json
from lesionlite_runtime.contract import Contract
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import UnusableInput, UsageError, printable
from lesionlite_runtime.files import read_file

RECIPE_SCHEMA = "lesionlite.recipe/2"
DEFAULT_RECIPE = "int8"
MAX_BYTES = 1 << 20
PARTS = ("scaling", "head")
KINDS = ("image", "value")
INTEGERS = {"int8": 8, "int16": 16}
"""Integer types of activations, and their bits."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "quantizer": ("none", "litert-quantizer", "tflite-converter"),
    "weights": ("float32", "float16", "int8"),
    "activations": ("float32", *INTEGERS),
    "pixels": ("scaled", "quantized"),
    "output": ("float32", "uint8"),
}


@dataclass(frozen=True)
class Recipe:
    """A way to make a ``.tflite`` from a float32 one.

    Attributes:
        schema: ``lesionlite.recipe/2``.
        name: as in ``--recipe`` and in contracts: activations, ``x`` and weights where they
            differ, and what is special behind a hyphen; docs/recipes.md has the grammar.
        summary: one sentence for people.
        quantizer: ``none`` for float32, ``litert-quantizer``, or ``tflite-converter``, which needs
            the Keras model.
        weights: float32, float16 or int8 (per channel).
        activations: float32, int8 or int16.
        float_parts: what stays in float32 in an int8 file: ``scaling`` of pixels and ``head``.
        pixels: ``scaled`` by operators in the graph, or themselves the ``quantized`` input.
        output: float32, or uint8 with a scale that the contract states.
        correct_biases: whether biases are corrected on the representative inputs.
        operators: by kind of input (``image`` or ``value``), the operators that the file may hold,
            each with the types that it may compute in: ``activations*weights`` for an operator with
            weights (``float32*int8``), else the type of its output.
    """

    schema: str
    name: str
    summary: str
    quantizer: str
    weights: str
    activations: str
    float_parts: tuple[str, ...]
    pixels: str
    output: str
    correct_biases: bool
    operators: Mapping[str, Mapping[str, tuple[str, ...]]]

    def __post_init__(self) -> None:
        _check(self)

    @property
    def calibrated(self) -> bool:
        """Whether it needs representative inputs."""
        return self.activations in INTEGERS

    def operators_for(self, contract: Contract) -> Mapping[str, tuple[str, ...]] | None:
        """What a file with ``contract`` may hold; None where the recipe is not for its input."""
        image = isinstance(getattr(contract, "input", None), ImageInput)
        return self.operators.get("image" if image else "value")


def recipe_names() -> list[str]:
    """The names of the recipes that ship in the package."""
    folder = resources.files("lesionlite_export").joinpath("recipes")
    return sorted(item.name.removesuffix(".json") for item in folder.iterdir())


def image_recipe_names() -> list[str]:
    """The names of those that are for image classifiers."""
    return [name for name in recipe_names() if "image" in load_recipe(name).operators]


def load_recipe(name: str) -> Recipe:
    """The recipe ``name``: one that ships, or the path of a JSON file.

    Raises:
        UsageError: when there is none; the nearest names are given.
        UnusableInput: when the file is no recipe, or has the name of one that ships.
    """
    names = recipe_names()
    if name.endswith(".json"):
        recipe = parse_recipe(read_file(name, MAX_BYTES), name)
        if recipe.name in names:
            raise UnusableInput(
                f"the recipe has the name of one that ships ({recipe.name})",
                "give it a name of its own, so that contracts can tell the two apart",
                name,
            )
        return recipe
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3) or names
        raise UsageError(
            f"there is no recipe {printable(name)!r}",
            f"pass {' or '.join(near)}, or a JSON file",
        )
    path = resources.files("lesionlite_export").joinpath(f"recipes/{name}.json")
    return parse_recipe(path.read_bytes(), str(path))


def parse_recipe(data: bytes, file: str | Path) -> Recipe:
    """The recipe in the JSON ``data``.

    Raises:
        UnusableInput: when a field is missing, unknown or ill-typed, or contradicts another.
    """
    try:
        return from_json(Recipe, parse_json(data, str(file)))
    except FieldFault as fault:
        raise UnusableInput(f"the recipe cannot be used: {fault}", "correct it", file) from fault


def _check(recipe: Recipe) -> None:
    if recipe.schema != RECIPE_SCHEMA:
        raise FieldFault("schema", f"is {recipe.schema!r}, and must be {RECIPE_SCHEMA!r}")
    if not _NAME.match(recipe.name):
        raise FieldFault("name", "must be lower-case letters, digits and . _ -")
    for field, allowed in _CHOICES.items():
        value = getattr(recipe, field)
        if value not in allowed:
            raise FieldFault(field, f"is {value!r}, and must be one of {', '.join(allowed)}")
    for path, found, allowed in (
        ("float_parts", recipe.float_parts, PARTS),
        ("operators", recipe.operators, KINDS),
    ):
        for value in found:
            if value not in allowed:
                raise FieldFault(path, f"has {value!r}, and may have {' and '.join(allowed)}")
    _check_together(recipe)


def _check_together(recipe: Recipe) -> None:
    """Refuse fields that say one thing each, and together what no quantizer makes."""
    integers, plain = recipe.activations in INTEGERS, recipe.quantizer == "none"
    if plain != (recipe.weights == recipe.activations == "float32"):
        raise FieldFault("quantizer", "must be none for float32 weights and activations alone")
    if integers and recipe.weights != "int8":
        raise FieldFault("weights", f"must be int8 where activations are {recipe.activations}")
    if recipe.quantizer == "tflite-converter" and not (
        recipe.activations == "int8" and recipe.pixels == "scaled" and recipe.output == "float32"
    ):
        raise FieldFault("quantizer", "tflite-converter makes int8 from pixels to a float32 score")
    for field, wants in (
        ("float_parts", integers or recipe.weights == "int8" or not recipe.float_parts),
        ("correct_biases", recipe.activations == "int8" or not recipe.correct_biases),
        ("pixels", recipe.activations == "int8" or recipe.pixels == "scaled"),
        ("output", recipe.activations == "int8" or recipe.output == "float32"),
    ):
        if not wants:
            raise FieldFault(field, f"does not go with {recipe.activations} activations")
    if recipe.pixels == "quantized" and "scaling" not in recipe.float_parts:
        raise FieldFault(
            "pixels", "quantized takes the place of a float scaling, so name it in float_parts"
        )
    if recipe.output == "uint8" and "head" in recipe.float_parts:
        raise FieldFault("output", "is uint8 where the head is in integers alone")
