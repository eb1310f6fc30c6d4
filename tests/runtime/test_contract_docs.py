"""docs/contract.md against the contract's own fields."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from pathlib import Path
from typing import Any

import pytest

from lesionlite_runtime.codec import OPTIONAL
from lesionlite_runtime.contract import ClassifierContract, Contract, RegressionContract

PAGE = (Path(__file__).parents[2] / "docs" / "contract.md").read_text("utf-8")
SECTIONS = {"Image classifier": ClassifierContract, "Regression": RegressionContract}
WORDS = {
    str: "string",
    int: "integer",
    float: "number",
    types.NoneType: "null",
    tuple[int, ...]: "list of integers",
    tuple[float, ...]: "list of numbers",
    tuple[str, ...]: "list of strings",
}


def shown(section: str) -> dict[str, str]:
    """Path to type of the fields in the table of a section."""
    text = PAGE.partition(f"### {section}\n")[2].partition("\n#")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]+?) \|", text, re.MULTILINE))


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
    common = shown("Both kinds")
    assert common.pop("digest") == "string"
    assert common == defined(Contract)
    own = {path: type_ for path, type_ in defined(kind).items() if path not in defined(Contract)}
    assert shown(section) == own
