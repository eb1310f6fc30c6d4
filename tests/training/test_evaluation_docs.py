"""docs/evaluation.md against the command: its options, its files, and the keys of its JSON."""

from __future__ import annotations

import importlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from lesionlite_export.groups import AGE_LIMITS, FEWEST
from lesionlite_export.manifest import Manifest, read_isic_split
from lesionlite_export.representative import Unusable
from lesionlite_runtime.cli import ROUTES
from lesionlite_runtime.errors import UnusableInput
from lesionlite_training.evaluate import evaluate_model
from lesionlite_training.evaluation.csv_files import (
    BARE_COLUMNS,
    SCORE_COLUMNS,
    SUBMISSION_COLUMNS,
)
from lesionlite_training.evaluation.degradations import DEGRADATIONS
from lesionlite_training.evaluation.files import GALLERY, ROBUSTNESS
from lesionlite_training.evaluation.gallery import PER_ROW
from lesionlite_training.evaluation.originals import VERSIONS
from lesionlite_training.evaluation.paired_rendering import (
    ORIGINALS_COLUMNS,
    ROBUSTNESS_COLUMNS,
)
from lesionlite_training.evaluation.plots import PLOTS
from lesionlite_training.evaluation.predictive import DEFAULT_PREVALENCE
from lesionlite_training.evaluation.resampling import DRAWS
from lesionlite_training.evaluation.result import EVALUATION_SCHEMA

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text("utf-8")
WORDS: dict[type, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}


def section(title: str) -> str:
    """The text under a heading, up to the next one."""
    found = re.search(rf"^#+ {title}\n(.*?)(?=^#+ |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


def documented(title: str) -> dict[str, str]:
    """Key to type of the table under a heading."""
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]+?) \|", section(title), re.MULTILINE))


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Key to value of everything in ``value`` that is no object, but for intervals."""
    if isinstance(value, dict) and set(value) != {"value", "low", "high"}:
        inner = f"{path}." if path else ""
        return {k: v for key, item in value.items() for k, v in flat(item, inner + key).items()}
    return {path: value}


def fits(value: Any, words: str) -> bool:
    """Whether ``value`` is what the page's ``words`` for a type say."""
    if words == "interval":
        ends = value.values() if isinstance(value, dict) else [value]
        return value is None or (len(ends) == 3 and all(type(end) is float for end in ends))
    if words.startswith("list of "):
        if value is None:
            return words.endswith(" or null")
        if not isinstance(value, list):
            return False
        kind = {"objects": dict, "strings": str}[words.split()[2]]
        return isinstance(value, list) and all(isinstance(item, kind) for item in value)
    return WORDS[type(value)] in words.split(" or ")


def faults(body: dict[str, Any], wanted: dict[str, str]) -> list[str]:
    """What is wrong with ``body`` under the page's table."""
    found = flat(body)
    return [
        *(f"{key} is missing" for key in wanted.keys() - found.keys()),
        *(f"{key} is not documented" for key in found.keys() - wanted.keys()),
        *(
            f"{key} is {found[key]!r}, no {words}"
            for key, words in wanted.items()
            if key in found and not fits(found[key], words)
        ),
    ]


@pytest.fixture(scope="module")
def body(
    shipped_model: Path, drawn_photos: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The JSON of the drawn photos, with classes, groups, clusters, a warning and a bad photo."""
    folder = tmp_path_factory.mktemp("photos")
    for path in drawn_photos:
        name = path.stem.removeprefix("synthetic_").rpartition("_")[0]
        target = folder / "valid" / name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    manifest = read_isic_split(folder, "valid")
    facts = [
        {"age": "41", "sex": "male", "site": "arm", "skin_type": "II", "patient_id": f"P{i % 4}"}
        for i in range(len(manifest.images))
    ]
    images = [replace(i, facts=f) for i, f in zip(manifest.images, facts, strict=True)]
    result = evaluate_model(
        shipped_model,
        Manifest(manifest.source, tuple(images)),
        degradations=DEGRADATIONS[:2],
        originals=drawn_photos[0].parent,
    )
    bad = Unusable(images[0], UnusableInput("this is no photo", "", images[0].path))
    return replace(result, unusable=(bad,)).to_json()


def test_every_key_is_on_the_page_with_its_type_and_no_other(body: dict[str, Any]) -> None:
    the_set, figures = documented("The set"), documented("The figures")
    assert the_set.pop("subgroups") == "object"
    assert the_set.pop("robustness") == "object or null"
    unusable = {f"unusable[].{key}": value for key, value in body["unusable"][0].items()}
    rest = {key: value for key, value in body.items() if key not in ("subgroups", "robustness")}
    assert faults(rest | unusable, the_set | figures) == []
    assert faults(rest | unusable | {"originals": None}, the_set | figures) == []
    assert set(body["subgroups"]) == {"age", "sex", "site", "skin_type"}
    for group in (group for groups in body["subgroups"].values() for group in groups):
        assert faults(group, documented("Each subgroup") | figures) == []
    assert len(body["classes"]) == 3
    for one in body["classes"]:
        assert faults(one, documented("Each class")) == []
    row = documented("Each degradation")
    for one in body["robustness"]["rows"]:
        assert faults(one, row) == []
    assert set(body["robustness"]) == {"undegraded", "rows"}
    del row["name"], row["level"]
    assert faults(body["robustness"]["undegraded"], row) == []
    assert len(body["originals"]) == 3
    for one in body["originals"]:
        assert faults(one, documented("Each version of the originals")) == []
    assert body["schema"] == EVALUATION_SCHEMA


@pytest.mark.parametrize(
    "change",
    [
        {"auc": 0.5},
        {"n": 6.0},
        {"seen_images": 1},
        {"extra": 1},
        {"warnings": [1]},
        {"model": 1},
        {"originals": 1.5},
    ],
)
def test_what_does_not_fit_the_page_is_found(body: dict[str, Any], change: dict[str, Any]) -> None:
    wanted = documented("The set") | documented("The figures")
    assert set(faults({**body, **change}, wanted)) - set(faults(body, wanted))


def test_the_page_names_every_option_and_no_other() -> None:
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `--"))
    command = importlib.import_module(ROUTES["evaluate"].module).command
    options = {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in parameter.opts
    }
    assert set(re.findall(r"`(--?[a-z-]+)`", rows)) == options


def test_the_page_names_every_file_and_column() -> None:
    files = section("Files")
    assert set(re.findall(r"^\| `([a-z_]+\.png)` \|", files, re.MULTILINE)) == {
        *PLOTS,
        GALLERY,
        ROBUSTNESS,
    }
    assert {f"`{name}`" in files for name in SCORE_COLUMNS} == {True}
    assert f"`{','.join(SUBMISSION_COLUMNS)}`" in files
    assert f"`{','.join(BARE_COLUMNS)}`" in files
    assert "the six surest photos" in files
    assert PER_ROW == 6


def test_the_page_has_the_numbers_that_are_in_force() -> None:
    assert f"| share of melanoma for PPV and NPV, {DEFAULT_PREVALENCE} by default |" in PAGE
    assert f"{DRAWS:,} times" in PAGE
    assert AGE_LIMITS == (30, 45, 60, 75)
    assert "under 30, 30 to 44, 45 to 59, 60 to 74 and from 75 on" in PAGE
    assert FEWEST == 10
    assert "fewer than ten images of a label" in PAGE


def test_the_tables_have_a_row_for_each_degradation_and_version() -> None:
    copies = [line for line in section("Degraded copies").splitlines() if line.startswith("| ")]
    assert copies[0] == f"| {' | '.join(ROBUSTNESS_COLUMNS)} |"
    names = [f"{one.name}, {one.level}" for one in DEGRADATIONS]
    start = copies.index(copies[0])
    assert [line.split(" | ")[0][2:] for line in copies[start + 1 :]][: len(names) + 1] == [
        "none",
        *names,
    ]
    rows = [line for line in section("Originals").splitlines() if line.startswith("| ")]
    assert rows[0] == f"| {' | '.join(ORIGINALS_COLUMNS)} |"
    assert [line.split(" | ")[0][2:] for line in rows[1:]] == list(VERSIONS)
    described = re.findall(r"^- \*\*(.+?)\*\*", section("Degraded copies"), re.MULTILINE)
    assert described == list(dict.fromkeys(one.name for one in DEGRADATIONS))
