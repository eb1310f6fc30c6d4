"""docs/contract.md against the contract's own fields."""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlite_runtime.codec import OPTIONAL
from lesionlite_runtime.contract import (
    LABELS,
    ClassifierContract,
    Contract,
    LabelsContract,
    RegressionContract,
)
from lesionlite_runtime.contract_checks import MAX_LABELS, MAX_REASON, MAX_TABLE_ROWS, VIEWS
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.graph import TensorInfo
from lesionlite_runtime.image_model import input_table

PAGE = (Path(__file__).parents[2] / "docs" / "contract.md").read_text("utf-8")
FIRST = "Image classifier"
SECTIONS = {
    FIRST: ClassifierContract,
    "Image classifier of several labels": LabelsContract,
    "Regression": RegressionContract,
}
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+?) \| ([^|]+?) \|$", re.MULTILINE)
WORDS = {
    str: "string",
    int: "integer",
    float: "number",
    types.NoneType: "null",
    tuple[int, ...]: "list of integers",
    tuple[float, ...]: "list of numbers",
    tuple[str, ...]: "list of strings",
}


def rows(section: str) -> list[tuple[str, str, str]]:
    """(Path, type, meaning) of the fields in the table of a section."""
    return ROW.findall(PAGE.partition(f"### {section}\n")[2].partition("\n#")[0])


def shown(section: str) -> dict[str, str]:
    """Path to type of the fields in a section.

    A meaning of "as `X` ..., with the same fields" stands for the rows under the first section's X.
    """
    found = {}
    for path, type_, meaning in rows(section):
        found[path] = type_
        if model := re.match(r"as `([^`]+)`.*, with the same fields", meaning):
            inner = {p: t for p, t, _ in rows(FIRST) if p.startswith(f"{model[1]}.")}
            assert inner, meaning
            found |= {path + p.removeprefix(model[1]): t for p, t in inner.items()}
    return found


def in_words(hint: Any) -> str:
    """The page's words for a type."""
    if typing.get_origin(hint) is tuple and dataclasses.is_dataclass(typing.get_args(hint)[0]):
        return "list of objects"
    if isinstance(hint, types.UnionType):
        return " or ".join(in_words(inner) for inner in typing.get_args(hint))
    if hint in WORDS:
        return WORDS[hint]
    if dataclasses.is_dataclass(hint):
        return "object"
    item = typing.get_args(hint)[1]
    if item is Any:
        return "object"
    return f"object of {' or '.join(f'{w}s' for w in in_words(item).split(' or '))}"


def defined(kind: Any, path: str = "") -> dict[str, str]:
    """Path to type of every field under the dataclass ``kind``."""
    found = {}
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        name, hint = field.name, hints[field.name]
        if field.metadata == OPTIONAL:
            hint, _ = typing.get_args(hint)
            found[path + name] = f"{in_words(hint)}, optional"
        else:
            found[path + name] = in_words(hint)
        items = "[]" if typing.get_origin(hint) is tuple else ""
        for inner in typing.get_args(hint) or (hint,):
            if dataclasses.is_dataclass(inner):
                found |= defined(inner, f"{path}{name}{items}.")
    return found


@pytest.mark.parametrize(("section", "kind"), SECTIONS.items())
def test_every_field_is_on_the_page_with_its_type_and_no_other(section: str, kind: Any) -> None:
    common = shown("Every kind")
    assert common.pop("digest") == "string"
    assert common == defined(Contract)
    own = {path: type_ for path, type_ in defined(kind).items() if path not in defined(Contract)}
    assert shown(section) == own


def test_the_page_states_the_limits() -> None:
    assert f"`{LABELS}`" in PAGE
    assert f"3 to {MAX_LABELS:,}" in PAGE
    assert f"{MAX_REASON} characters" in PAGE
    assert f"1 to {MAX_TABLE_ROWS} thresholds" in PAGE
    assert f"`{VIEWS[1]}` or `{VIEWS[2]}`" in PAGE


@pytest.mark.parametrize(
    "row", re.findall(r"^\| (`\w+8`|`float32`)(.*?) \| (.*?) ?\| (.*) \|$", PAGE, re.M)
)
def test_the_page_s_pixels_are_those_that_a_model_gets(row: tuple[str, str, str, str]) -> None:
    dtype, levels, ends, shown = row[0].strip("`"), row[1], row[2].strip("`"), row[3]
    image = ImageInput(
        "image", (1, 8, 6, 3), dtype, "RGB", "exif", "pillow-bilinear-v1", "stretch",
        tuple(json.loads(ends)) if ends else None,
    )  # fmt: skip
    scales, zeros = ((1 / 255,), (-128,)) if levels else ((), ())
    assert levels in ("", ", scale 1/255, zero point -128")
    table = input_table(image, TensorInfo("image", image.shape, dtype, scales, zeros, 0, 0))
    made = np.arange(256) if table is None else table
    numbers = [float(number) for number in shown.split(", ")]
    assert made[[0, 128, 255]].tolist() == pytest.approx(numbers, abs=5e-6)
