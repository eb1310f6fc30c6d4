"""benchmarks/pages.py: a table goes between its own markers, and nowhere else."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import click
import pytest

ROOT = Path(__file__).parents[2]
PAGE = "# Title\n\n<!-- benchmarks/a.py -->\nold\n<!-- end -->\n\ntext\n"


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    """The module, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("pages", ROOT / "benchmarks" / "pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_table(pages: ModuleType) -> None:
    assert pages.markdown_table(["a", "b c"], [("1", 2), ("", "x")]) == (
        "| a | b c |\n|---|---|\n| 1 | 2 |\n|  | x |"
    )


def test_what_stood_between_the_markers_is_replaced(pages: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    other = "<!-- benchmarks/a.py two -->\nold\n<!-- end -->\n"
    page.write_text(PAGE + other)
    pages.put(page, "/somewhere/a.py", "| new |")
    assert page.read_text() == PAGE.replace("old", "| new |") + other
    pages.put(page, "a.py", "second", "two")
    assert page.read_text() == PAGE.replace("old", "| new |") + other.replace("old", "second")


@pytest.mark.parametrize(
    "text",
    [
        "no markers\n",
        PAGE.replace("a.py", "b.py"),
        PAGE.replace("<!-- end -->", ""),
        "<!-- end -->\n<!-- benchmarks/a.py -->\n",
        PAGE + PAGE,
    ],
)
def test_a_page_without_them_is_left_as_it_is(pages: ModuleType, text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(click.ClickException, match=r"does not have <!-- benchmarks/a\.py --> and"):
        pages.put(page, "a.py", "new")
    assert page.read_text() == text


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_every_marker_in_the_docs_is_of_a_benchmark(page: Path) -> None:
    text = page.read_text("utf-8")
    marks = re.findall("^<!-- (.*) -->$", text, re.MULTILINE)
    assert marks[1::2] == ["end"] * (len(marks) // 2)
    names = [mark.split()[0] for mark in marks[::2] if mark.startswith("benchmarks/")]
    assert [name for name in names if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda p: p.stem)
def test_what_a_benchmark_imports_is_there(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("lesionlite"):
            module = importlib.import_module(str(node.module))
            for name in node.names:
                assert hasattr(module, name.name) or importlib.util.find_spec(
                    f"{node.module}.{name.name}"
                ), f"{node.module} has no {name.name}"
