"""docs/conformance.md against the code: schema, mistakes, README of a kit."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.export.conformance.small_kit import SCORES, small_kit

from lesionlite_export.conformance.judge import judge_results
from lesionlite_export.conformance.lines import KNOWN
from lesionlite_export.kit.manifest import KitFolder
from lesionlite_export.kit.readme import TEMPLATE, readme

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "conformance.md"
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "null": (type(None),),
}


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> KitFolder:
    return small_kit(tmp_path_factory.mktemp("small") / "kit")


def schema() -> dict[str, Any]:
    block = re.search(r'```json\n(\{\n  "\$schema".*?)\n```', PAGE.read_text("utf-8"), re.DOTALL)
    assert block is not None
    return dict(json.loads(block[1]))


def faults(value: Any, rule: dict[str, Any], root: dict[str, Any], path: str = "$") -> list[str]:
    """What is wrong with ``value`` under the part of JSON Schema that the page uses."""
    if "$ref" in rule:
        return faults(value, root["$defs"][rule["$ref"].removeprefix("#/$defs/")], root, path)
    names = rule.get("type", list(TYPES))
    kinds = [k for name in ([names] if isinstance(names, str) else names) for k in TYPES[name]]
    found = []
    if not isinstance(value, tuple(kinds)) and "enum" not in rule and "const" not in rule:
        found.append(f"{path} is no {names}")
    if value not in rule.get("enum", [value]) or rule.get("const", value) != value:
        found.append(f"{path} is {value!r}")
    if isinstance(value, str) and not re.search(rule.get("pattern", ""), value):
        found.append(f"{path} does not match")
    if isinstance(value, dict):
        properties, others = rule.get("properties", {}), rule.get("additionalProperties", {})
        found += [
            f"{path}.{name} is missing" for name in rule.get("required", ()) if name not in value
        ]
        for name, item in value.items():
            if name not in properties and others is False:
                found.append(f"{path}.{name} is unknown")
            else:
                found += faults(item, properties.get(name, others or {}), root, f"{path}.{name}")
    for i, item in enumerate(value if isinstance(value, list) else ()):
        found += faults(item, rule.get("items", {}), root, f"{path}[{i}]")
    return found


@pytest.mark.parametrize("changed", [{}, {"turned.png": 0.6}, {"plain.png": 0.3, "other.png": 0.1}])
def test_what_is_written_keeps_the_schema(
    changed: dict[str, float], kit: KitFolder, tmp_path: Path
) -> None:
    path = tmp_path / "results.jsonl"
    rows = [{"file": n, "score": s, "decision": "refer"} for n, s in (SCORES | changed).items()]
    path.write_text("\n".join(map(json.dumps, rows)))
    body = json.loads(json.dumps(judge_results(path, kit.path).to_json()))
    assert faults(body, schema(), schema()) == []
    assert list(body) == list(schema()["properties"])
    assert faults({**body, "more": 1}, schema(), schema())
    assert faults({**body, "kit": "ab"}, schema(), schema())


def test_the_readme_of_a_kit_is_filled_in(kit: KitFolder) -> None:
    text = (kit.path / "README.md").read_text("utf-8")
    assert text == readme(kit.kit)
    assert not re.search(r"@[A-Z]+@", text)
    assert kit.kit.digest in text
    for name in re.findall(
        r"^\| `([a-z_0-9`, ]+)` \|", text.partition("## Kotlin")[0], re.MULTILINE
    ):
        for part in re.split(r"`, `", name):
            assert part in KNOWN or (kit.path / part).exists() or part == "tensors/", part


def test_the_readme_s_lines_can_be_read(kit: KitFolder, tmp_path: Path) -> None:
    text = (kit.path / "README.md").read_text("utf-8")
    lines = re.findall(r"```json\n(.*?)\n```", text, re.DOTALL)
    path = tmp_path / "results.jsonl"
    path.write_text("\n".join(lines))
    judged = judge_results(path, kit.path)
    assert judged
    assert judged.problems == ()
    assert judged.pixels.equal == 1


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not here")
def test_the_readme_s_c_compiles(tmp_path: Path) -> None:
    template = ROOT / "export" / "lesionlite_export" / "kit" / TEMPLATE
    block = re.search(r"```c\n(.*?)\n```", template.read_text("utf-8"), re.DOTALL)
    assert block is not None
    (tmp_path / "line.c").write_text(block[1])
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    subprocess.run(["gcc", *flags, str(tmp_path / "line.c")], check=True)
