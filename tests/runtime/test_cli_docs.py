"""docs/cli.md against the command line: its options, its codes, its schemas and its examples.

``python tests/runtime/test_cli_docs.py`` writes the examples anew, after a model has changed, and
what follows from the code: commands, findings, the schema of results of several labels.
"""

from __future__ import annotations

import copy
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from lesionlite_runtime import errors
from lesionlite_runtime.cli import BUG, INTERRUPTED, ROUTES
from lesionlite_runtime.interpreter import BACKENDS, installed_backends
from lesionlite_runtime.pixels import IMAGE_SUFFIXES
from lesionlite_runtime.result import LABELS_RESULT_SCHEMA, SITE_THRESHOLD, UNPROVED

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "cli.md"
EXAMPLE = re.compile(r"```console\n\$ (lesionlite [^\n]*)\n```\n\n```json\n(.*?)\n```", re.DOTALL)
ONE_LINE = 500
FINDINGS = [UNPROVED, SITE_THRESHOLD]
ABOUT_LABELS = """A model of three labels or more gives a label and the score of each, and takes no
`--threshold`. `decision` is null where every score is under its label's threshold."""
SCORE_ERROR = 0.06  # what kernels of another processor may make of an int8 model
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


def written_by(line: str) -> Any:
    """The JSON value that the command ``line`` writes, run at the root of the repository."""
    _, *arguments = shlex.split(line)
    outcome = subprocess.run(
        [sys.executable, "-m", "lesionlite_runtime", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    return json.loads(outcome.stdout)


def write_examples() -> None:
    """Run every example and put what it writes into the page."""

    def rewritten(match: re.Match[str]) -> str:
        value = written_by(match[1])
        line = json.dumps(value)
        shown = line if len(line) <= ONE_LINE else json.dumps(value, indent=2)
        return f"```console\n$ {match[1]}\n```\n\n```json\n{shown}\n```"

    PAGE.write_text(EXAMPLE.sub(rewritten, PAGE.read_text("utf-8")), "utf-8")


def write_what_follows_from_the_code() -> None:
    """Put commands that the page lacks, the findings and the schema for several labels into it."""
    page = PAGE.read_text("utf-8")
    table, *rest = page.partition("\n## Exit codes")
    named = re.findall(r"`([a-z]+)`", table)
    for name, route in ROUTES.items():
        if name not in named:
            does = f"{route.help[0].lower()}{route.help[1:].rstrip('.')}"
            needs = f"`lesionlite[{route.extra}]`" if route.extra else "the base install"
            table += f"| `{name}` | {does} | {needs} |\n"
    page = "".join((table, *rest))
    enum = f'"findings": {{"type": "array", "items": {{"enum": {json.dumps(FINDINGS)}}}}},'
    page = re.sub(r'"findings": \{"type": "array", .*\},', enum, page)
    PAGE.write_text(page, "utf-8")
    result = schemas()["lesionlite.result/1"]
    block = f"```json\n{in_lines(labels_schema(result))}\n```"
    old = re.compile(
        r'```json\n\{\n  "\$schema": [^\n]*\n  "title": "lesionlite.labels_res.*?\n```', re.S
    )
    if old.search(page):
        page = old.sub(lambda _: block, page)
    else:
        before, heading, after = page.partition("\n## predict\n")
        page = f"{before}\n{ABOUT_LABELS}\n\n{block}\n{heading}{after}"
    PAGE.write_text(page, "utf-8")


def labels_schema(result: dict[str, Any]) -> dict[str, Any]:
    """The schema of a result of several labels, from that of a result: scores, and a label."""
    schema = copy.deepcopy(result)
    score = schema["properties"]["score"]
    changed = {
        "schema": {"const": LABELS_RESULT_SCHEMA},
        "decision": {"type": ["string", "null"]},
        "score": {"type": "object", "additionalProperties": score},
    }
    names = {"score": "scores"}
    schema["title"] = LABELS_RESULT_SCHEMA
    schema["properties"] = {
        names.get(name, name): changed.get(name, value)
        for name, value in schema["properties"].items()
        if name != "threshold"
    }
    schema["oneOf"][0]["required"] = [
        names.get(name, name) for name in schema["oneOf"][0]["required"] if name != "threshold"
    ]
    return schema


def in_lines(schema: dict[str, Any]) -> str:
    """``schema`` as JSON, a line for each of its keys and properties."""

    def lines(value: dict[str, Any], indent: str, deep: tuple[str, ...]) -> str:
        items = [
            f"{indent}  {json.dumps(key)}: "
            + (lines(item, f"{indent}  ", ()) if key in deep else json.dumps(item))
            for key, item in value.items()
        ]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"

    return lines(schema, "", ("properties",))


def examples() -> dict[str, Any]:
    """Command line to the JSON value that the page shows behind it."""
    return {line: json.loads(shown) for line, shown in EXAMPLE.findall(PAGE.read_text("utf-8"))}


def schemas() -> dict[str, Any]:
    """The JSON Schemas on the page by their title."""
    blocks = re.findall(r"```json\n(.*?)\n```", PAGE.read_text("utf-8"), re.DOTALL)
    return {s["title"]: s for s in map(json.loads, blocks) if "$schema" in s}


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any], path: str = "$") -> list[str]:
    """What is wrong with ``value`` under the part of JSON Schema that the page uses."""
    known = {
        "$schema", "$defs", "$ref", "title", "type", "const", "enum", "pattern", "minimum",
        "maximum", "required", "properties", "additionalProperties", "items", "oneOf",
    }  # fmt: skip
    assert set(schema) <= known, f"{path}: the schema uses {set(schema) - known}"
    if "$ref" in schema:
        return faults(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, path)
    return [
        *_plain_faults(value, schema, path),
        *(_object_faults(value, schema, root, path) if isinstance(value, dict) else ()),
        *(
            fault
            for i, item in enumerate(value if isinstance(value, list) else ())
            for fault in faults(item, schema.get("items", {}), root, f"{path}[{i}]")
        ),
    ]


def _plain_faults(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    given = schema.get("type", list(TYPES))
    names = [given] if isinstance(given, str) else given
    kinds = tuple(kind for name in names for kind in TYPES[name])
    if not isinstance(value, kinds) or (isinstance(value, bool) and "boolean" not in names):
        yield f"{path} is no {given}"
    if value not in schema.get("enum", [value]) or schema.get("const", value) != value:
        yield f"{path} is {value!r}"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{path} does not match"
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    if isinstance(value, int | float) and not low <= value <= high:
        yield f"{path} is out of range"


def _object_faults(
    value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], path: str
) -> Iterator[str]:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    yield from (
        f"{path}.{name} is missing" for name in schema.get("required", []) if name not in value
    )
    for name, item in value.items():
        if name not in properties and others is False:
            yield f"{path}.{name} is unknown"
        else:
            yield from faults(item, properties.get(name, others or {}), root, f"{path}.{name}")
    if "oneOf" in schema:
        fitting = [1 for branch in schema["oneOf"] if set(branch["required"]) <= set(value)]
        if len(fitting) != 1:
            yield f"{path} fits {len(fitting)} of the kinds"


def title_of(value: dict[str, Any]) -> str:
    """The title of the schema that ``value`` claims."""
    return str(value.get("schema", "prediction"))


def test_the_page_shows_every_schema_and_an_example_of_each() -> None:
    titles = {"lesionlite.result/1", "lesionlite.inspection/1", "prediction"}
    assert set(schemas()) == titles | {LABELS_RESULT_SCHEMA}  # no such model ships
    assert {title_of(value) for value in examples().values()} == titles
    assert len(examples()) == 4


@pytest.mark.parametrize("line", examples())
def test_an_example_and_what_is_written_today_keep_the_schema(line: str) -> None:
    for value in (examples()[line], written_by(line)):
        schema = schemas()[title_of(value)]
        assert faults(value, schema, schema) == []


@pytest.mark.parametrize("line", examples())
def test_an_example_is_what_the_command_writes(line: str) -> None:
    shown, written = examples()[line], written_by(line)
    assert list(written) == list(shown)
    for key, value in shown.items():
        if key in ("score", "y"):
            assert written[key] == pytest.approx(value, abs=SCORE_ERROR)
        elif key == "backend":
            assert written[key] == installed_backends()[0]
        elif not key.endswith("_ms"):
            assert written[key] == value, f"{key}: run python {Path(__file__).name}"


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"score": "0.5"},
        {"score": 1.5},
        {"score": True},
        {"decision": "ill"},
        {"sha256": "ab"},
        {"findings": ["other"]},
        {"findings": {}},
        {"error": {"code": "unusable_input", "message": "both"}},
        {"schema": "lesionlite.result/2"},
        {"model": None},
    ],
)
def test_the_schema_of_a_result_refuses_what_is_none(change: dict[str, Any]) -> None:
    line = next(line for line in examples() if "classify" in line)
    schema = schemas()["lesionlite.result/1"]
    assert faults({**examples()[line], **change}, schema, schema)
    missing = {k: v for k, v in examples()[line].items() if k != "score"}
    assert faults(missing, schema, schema)


def test_the_schema_of_several_labels_is_that_of_a_result_with_their_scores() -> None:
    assert schemas()[LABELS_RESULT_SCHEMA] == labels_schema(schemas()["lesionlite.result/1"])
    for title in ("lesionlite.result/1", LABELS_RESULT_SCHEMA):
        assert schemas()[title]["properties"]["findings"]["items"]["enum"] == FINDINGS


@pytest.mark.parametrize("values", [None, {"red": 1, "green": 1, "blue": 1}])
def test_results_of_several_labels_keep_their_schema(
    tiny_labels: Any, tmp_path: Path, drawn_photos: list[Path], values: dict[str, float] | None
) -> None:
    schema, body = schemas()[LABELS_RESULT_SCHEMA], tiny_labels.body()
    if values is not None:
        body |= {"threshold": {"values": values, "rule": "by hand"}, "parity": None}
    model, bad = tmp_path / "labels.tflite", tmp_path / "bad.jpg"
    model.write_bytes(tiny_labels.file(body=body))
    bad.write_text("no photo")
    for photo in (drawn_photos[0], bad):
        value = written_by(
            shlex.join(["lesionlite", "classify", str(photo), "-m", str(model), "--json"])
        )
        assert faults(value, schema, schema) == []
        assert ("error" in value) is (photo == bad)
        for change in ({"scores": {"red": 2}}, {"decision": 1}, {"threshold": 0.5}):
            assert faults({**value, **change}, schema, schema)


def test_a_site_s_threshold_keeps_the_schema_of_a_result(
    tiny_image_model: Any, tmp_path: Path, drawn_photos: list[Path]
) -> None:
    schema, model = schemas()["lesionlite.result/1"], tmp_path / "site.tflite"
    model.write_bytes(tiny_image_model(site={"value": 0.25, "reason": "few clinics"}).file())
    line = ["lesionlite", "classify", str(drawn_photos[0]), "-m", str(model), "--json"]
    value = written_by(shlex.join(line))
    assert value["findings"] == [SITE_THRESHOLD]
    assert faults(value, schema, schema) == []


def test_the_page_has_every_exit_code() -> None:
    section = PAGE.read_text("utf-8").partition("## Exit codes")[2].partition("\n## ")[0]
    shown = {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind.exit_code for kind in kinds if issubclass(kind, errors.LesionliteError)}
    assert shown == codes | {0, BUG, INTERRUPTED}


def test_the_page_names_every_command() -> None:
    table = PAGE.read_text("utf-8").partition("## Exit codes")[0]
    assert set(re.findall(r"`([a-z]+)`", table)) >= set(ROUTES)


def test_the_page_names_every_option_of_classify_and_no_other() -> None:
    section = PAGE.read_text("utf-8").partition("## classify")[2].partition("\n## ")[0]
    rows = "\n".join(line for line in section.splitlines() if line.startswith("| `-"))
    command = importlib.import_module(ROUTES["classify"].module).command
    options = {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in parameter.opts
    }
    assert set(re.findall(r"`(--?[a-z]+)`", rows)) == options
    assert {name for name in BACKENDS if f"`{name}`" in rows} == set(BACKENDS)


def test_the_page_names_every_suffix_of_an_image() -> None:
    shown = re.search(r"\((`\.jpg[^)]*)\)", PAGE.read_text("utf-8").replace("\n", " "))
    assert shown
    assert tuple(shown[1].strip("`").split()) == IMAGE_SUFFIXES


if __name__ == "__main__":
    write_what_follows_from_the_code()
    write_examples()
