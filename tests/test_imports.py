"""The arrows between the rooms: training to export to runtime, and nothing heavy on the device."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {
    "lesionlite_runtime": ROOT / "runtime" / "lesionlite_runtime",
    "lesionlite_export": ROOT / "export" / "lesionlite_export",
    "lesionlite_training": ROOT / "training" / "lesionlite_training",
}
BELOW = {
    "lesionlite_runtime": {"lesionlite_runtime"},
    "lesionlite_export": {"lesionlite_runtime", "lesionlite_export"},
    "lesionlite_training": set(ROOMS),
}
DEVICE = {"numpy", "PIL", "click", "pillow_heif"}
HEAVY = {"tensorflow", "keras", "pandas", "sklearn", "scipy", "matplotlib", "rich"}
Import = tuple[str, int, bool]


def packages(node: ast.AST) -> list[str]:
    """The packages that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return ["." if node.level else str(node.module)]
    if isinstance(node, ast.Call) and node.args:
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        first = node.args[0]
        if name in ("import_module", "__import__") and isinstance(first, ast.Constant):
            return [str(first.value)]
    return []


def imports(source: str) -> Iterator[Import]:
    """(Top package, line, whether it happens when the module is imported) of every import."""

    def walk(node: ast.AST, at_import: bool) -> Iterator[Import]:
        for package in packages(node):
            yield package.split(".")[0] or ".", getattr(node, "lineno", 0), at_import
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, at_import and not lazy and not for_types)

    return walk(ast.parse(source), True)


def modules(room: str) -> list[Path]:
    """The Python files of a room."""
    found = sorted(ROOMS[room].rglob("*.py"))
    assert found
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_one_way(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {package}"
        for path in modules(room)
        for package, line, _ in imports(path.read_text("utf-8"))
        if package in set(ROOMS) - BELOW[room]
    ]
    assert not wrong


def test_the_runtime_imports_what_a_device_has() -> None:
    allowed = sys.stdlib_module_names | DEVICE | {"lesionlite_runtime"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {package}"
        for path in modules("lesionlite_runtime")
        for package, line, _ in imports(path.read_text("utf-8"))
        if package not in allowed
    ]
    assert not wrong
    assert not allowed & HEAVY


@pytest.mark.parametrize("room", ["lesionlite_export", "lesionlite_training"])
def test_a_command_imports_tensorflow_only_when_it_runs(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {package}"
        for path in sorted((ROOMS[room] / "commands").rglob("*.py"))
        for package, line, at_import in imports(path.read_text("utf-8"))
        if at_import and package in {"tensorflow", "keras"}
    ]
    assert not wrong


def test_no_room_imports_relatively() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for room in ROOMS
        for path in modules(room)
        for package, line, _ in imports(path.read_text("utf-8"))
        if package == "."
    ]
    assert not wrong


def test_every_kind_of_import_is_seen() -> None:
    source = """
import a.b, c
from d.e import f
from . import g
if TYPE_CHECKING:
    import h
try:
    import i
except ImportError:
    pass
class K:
    import j
    def method(self):
        import k
def function():
    from l import m
    importlib.import_module("n.o")
__import__("p")
"""
    seen = {package: at_import for package, _, at_import in imports(source)}
    early, late = {"a", "c", "d", ".", "i", "j", "p"}, {"h", "k", "l", "n"}
    assert seen == {**dict.fromkeys(early, True), **dict.fromkeys(late, False)}
