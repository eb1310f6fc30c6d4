"""docs/data.md against the commands: what they write keeps the schemas that stand there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lesionlite_export.drawn import draw_lesion
from lesionlite_training.check import CHECK_SCHEMA, check_manifests
from lesionlite_training.datasets import FETCH_SCHEMA, Fetched, FetchedSplit
from lesionlite_training.duplicates import COARSE_LIMIT, FINE_LIMIT
from lesionlite_training.unpack import MAX_RATIO

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text("utf-8")
TYPES: dict[str, type] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
WORDS = {"$ref", "type", "const", "enum", "minimum", "items", "required", "properties"} | {
    "additionalProperties",
    "$schema",
    "title",
    "$defs",
}


def schemas() -> dict[str, Any]:
    blocks = re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)
    return {schema["title"]: schema for schema in map(json.loads, blocks)}


def hold(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> None:
    """Fail where ``value`` does not keep the part of JSON Schema that the page uses."""
    assert set(schema) <= WORDS
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    kinds = schema.get("type", list(TYPES))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    assert type(value) in [TYPES[kind] for kind in kinds]
    assert value in schema.get("enum", [value])
    assert value == schema.get("const", value)
    if "minimum" in schema:
        assert value >= schema["minimum"]
    if isinstance(value, dict):
        assert set(schema.get("required", ())) <= set(value)
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, schema["additionalProperties"])
            assert inner is not False, name
            hold(item, inner, root)
    if isinstance(value, list):
        for item in value:
            hold(item, schema["items"], root)


def test_a_check_keeps_its_schema(tmp_path: Path) -> None:
    pytest.importorskip("imagehash", reason="it comes with the extra training")
    drawing = Image.fromarray(draw_lesion(0, "nevus", (64, 80)))
    drawing.save(tmp_path / "a.png")
    drawing.save(tmp_path / "b.png")
    drawing.save(tmp_path / "c.jpg", quality=60)
    (tmp_path / "d.jpg").write_bytes(b"x")
    (tmp_path / "one.csv").write_text("filepath,label\na.png,0\nb.png,1\nd.jpg,1\n")
    (tmp_path / "two.csv").write_text("filepath,label\nc.jpg,0\n")
    body = check_manifests([tmp_path / "one.csv", tmp_path / "two.csv"]).to_json()
    assert [copy["kind"] for copy in body["copies"]] == ["equal", "near"]
    schema = schemas()[CHECK_SCHEMA]
    hold(json.loads(json.dumps(body)), schema, schema)


def test_a_fetch_keeps_its_schema(tmp_path: Path) -> None:
    split = FetchedSplit("train", tmp_path / "train", {"nevus": 3}, was_there=False)
    body = Fetched("isic2017", tmp_path, (split,)).to_json()
    schema = schemas()[FETCH_SCHEMA]
    hold(json.loads(json.dumps(body)), schema, schema)


def test_the_page_has_the_limits_of_the_code() -> None:
    assert f"at most {COARSE_LIMIT} of 64 bits **and** at most {FINE_LIMIT} of 256" in PAGE
    assert f"over {MAX_RATIO} times its size" in PAGE
