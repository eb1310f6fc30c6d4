"""What ISIC's CSV files say of each image: ground truth, and metadata.

Ground truth has a column for each class with 0 or 1 in it (the challenges); metadata has age, sex,
site, ids, diagnosis and licence (``metadata.csv`` of isic-cli, or a challenge's file of its own).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

from lesionlite_runtime.errors import UnusableInput, printable
from lesionlite_training.table import Table, read_table

T = TypeVar("T")
ID_COLUMNS = ("isic_id", "image_id", "image", "image_name")
# The challenge of 2017 names two of its three classes; the third is neither.
NEITHER_COLUMNS = {"melanoma", "seborrheic_keratosis"}
NEITHER = "nevus"
UNKNOWN = "unknown"
_NOTHING = {"", UNKNOWN, "na", "n/a", "nan", "none", "null"}
_TRUTH = {"0": False, "0.0": False, "1": True, "1.0": True}
# From the most special to the most general; ``diagnosis`` is the older single column.
_DIAGNOSES = (*(f"diagnosis_{depth}" for depth in range(5, 0, -1)), "diagnosis")
_NUMBER = re.compile(r"\d{1,3}(\.\d+)?", re.ASCII)
OLDEST = 120


@dataclass(frozen=True)
class ImageFacts:
    """What metadata says of an image; a field is empty where it says nothing or "unknown".

    ``age`` is in years, ``sex`` female or male, the others are as they stand in the file.
    """

    lesion_id: str = ""
    patient_id: str = ""
    age: str = ""
    sex: str = ""
    site: str = ""
    skin_type: str = ""
    license: str = ""
    attribution: str = ""


FACTS = tuple(field.name for field in fields(ImageFacts))
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "lesion_id": ("lesion_id",),
    "patient_id": ("patient_id",),
    "age": ("age_approx", "age_approximate", "age"),
    "sex": ("sex",),
    "site": ("anatom_site_general", "anatom_site_general_challenge", "anatom_site_1"),
    "skin_type": ("fitzpatrick_skin_type", "skin_type"),
    "license": ("copyright_license", "license"),
    "attribution": ("attribution",),
}


@dataclass(frozen=True)
class Described:
    """An image's facts, and its diagnoses from the most special to the most general."""

    facts: ImageFacts
    diagnoses: tuple[str, ...]


def class_key(name: str) -> str:
    """What class names are compared by: ``Seborrheic keratosis`` is ``seborrheic_keratosis``."""
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")


def read_ground_truth(path: Path) -> dict[str, str]:
    """The class of each image id, from a CSV with one column a class.

    The classes are named as the columns are. In the file of 2017 (``melanoma``,
    ``seborrheic_keratosis``) an image of neither is a ``nevus``.

    Raises:
        UnusableInput: when it is no CSV, has no id or no class column, names an image twice, or
            has a line with a value other than 0 and 1, two classes, or none.
    """
    table = read_table(path)
    id_place = _id_column(table)
    classes = [(i, name) for i, name in enumerate(table.columns) if i != id_place]
    if not classes:
        raise UnusableInput("there is no column of a class in it", "see docs/data.md", path)
    neither = NEITHER if {name for _, name in classes} == NEITHER_COLUMNS else None
    truth: dict[str, str] = {}
    for line, row in table.rows:
        values = [(name, row[i]) for i, name in classes]
        odd = next((pair for pair in values if pair[1] not in _TRUTH), None)
        if odd is not None:
            raise table.fault(
                line, f"{printable(odd[0])} is {printable(odd[1][:40])!r}, not 0 or 1"
            )
        named = [name for name, value in values if _TRUTH[value]]
        if len(named) > 1 or not (named or neither):
            raise table.fault(line, f"{len(named)} classes are 1, not one of them")
        _add(truth, table, line, row[id_place], named[0] if named else str(neither))
    return truth


def read_metadata(path: Path) -> dict[str, Described]:
    """The facts and diagnoses of each image id.

    Raises:
        UnusableInput: when it is no CSV, has no id column, names an image twice, or has an age
            that is none or a sex other than female, male and unknown.
    """
    table = read_table(path)
    id_place = _id_column(table)
    places = {fact: table.column(names) for fact, names in _COLUMNS.items()}
    diagnoses = [table.columns.index(name) for name in _DIAGNOSES if name in table.columns]
    described: dict[str, Described] = {}
    for line, row in table.rows:
        values = {fact: _value(row[i]) for fact, i in places.items() if i is not None}
        values["age"] = _age(table, line, values.get("age", ""))
        values["sex"] = _sex(table, line, values.get("sex", ""))
        found = Described(
            ImageFacts(**values), tuple(text for i in diagnoses if (text := _value(row[i])))
        )
        _add(described, table, line, row[id_place], found)
    return described


def _id_column(table: Table) -> int:
    place = table.column(ID_COLUMNS)
    if place is None:
        raise UnusableInput(
            "there is no column of image ids in it",
            f"name it {', '.join(ID_COLUMNS[:-1])} or {ID_COLUMNS[-1]}",
            table.file,
        )
    return place


def _add(rows: dict[str, T], table: Table, line: int, name: str, value: T) -> None:
    if not name:
        raise table.fault(line, "the image id is empty")
    if name in rows:
        raise table.fault(
            line, f"the image {printable(name)} is named a second time", "leave one line out"
        )
    rows[name] = value


def _value(text: str) -> str:
    return "" if text.casefold() in _NOTHING else text


def _age(table: Table, line: int, text: str) -> str:
    """Years as a whole number or as they stand there; ``85+``, the archive's cap, is 85."""
    number = text.removesuffix("+")
    if not text:
        return ""
    if not _NUMBER.fullmatch(number) or float(number) > OLDEST:
        raise table.fault(line, f"the age is {printable(text[:40])!r}, which is none")
    return str(int(float(number))) if float(number).is_integer() else number


def _sex(table: Table, line: int, text: str) -> str:
    sex = text.casefold()
    if sex not in ("", "female", "male"):
        raise table.fault(line, f"the sex is {printable(text[:40])!r}, not female, male or unknown")
    return sex
