"""The rows, and whose Python runs them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lesionlite_export.matrix.rows import PYTHON_VARIABLES, VARIANTS, parse_pythons, rows_of
from lesionlite_runtime.errors import UsageError


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in PYTHON_VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another Python: a link to this one, as in a virtual environment."""
    path = tmp_path / "bin" / "python"
    path.parent.mkdir()
    path.symlink_to(sys.executable)
    return path


def test_all_rows() -> None:
    assert [row.name for row in rows_of(())] == [
        "litert-xnnpack/1",
        "litert-xnnpack/2",
        "litert-xnnpack/4",
        "litert-builtin/1",
        "litert-builtin/2",
        "litert-builtin/4",
        "litert-reference/1",
        "litert-reference/2",
        "litert-reference/4",
        "litert-compiled-model/1",
        "tflite-runtime/1",
        "tensorflow/1",
    ]
    assert {variant.backend for variant in VARIANTS.values()} == set(PYTHON_VARIABLES)


def test_named_rows_come_in_the_order_of_the_table() -> None:
    names = [row.name for row in rows_of(["tensorflow", "litert-builtin", "tensorflow"])]
    assert names == ["litert-builtin/1", "litert-builtin/2", "litert-builtin/4", "tensorflow/1"]


def test_the_time_limit_grows_with_the_images() -> None:
    limits = {row.name: row.seconds(148) for row in rows_of(())}
    assert limits["litert-xnnpack/1"] == 504.0
    assert limits["litert-reference/4"] == 3020.0
    assert limits["tensorflow/1"] == 744.0


def test_every_backend_is_looked_for_here_by_default() -> None:
    assert parse_pythons(()) == dict.fromkeys(PYTHON_VARIABLES, sys.executable)


def test_an_option_goes_before_a_variable(other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LESIONLITE_PYTHON_TFLITE_RUNTIME", str(other))
    found = parse_pythons(())
    assert found["tflite-runtime"] == str(other)  # the link itself, not what it leads to
    assert found["litert"] == sys.executable
    found = parse_pythons([f"tflite-runtime={sys.executable}", f"litert={other}"])
    assert found["tflite-runtime"] == sys.executable
    assert found["litert"] == str(other)


def test_a_python_relative_to_this_folder(other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(other.parent.parent)
    assert parse_pythons(["litert=bin/python"])["litert"] == str(other)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["tflite=python"], "--python tflite=python is not of the form BACKEND=PATH; name one of"),
        (["litert"], "--python litert is not of the form BACKEND=PATH"),
        (["litert="], "--python litert= is not of the form BACKEND=PATH"),
        (["litert=/no/python"], "--python litert: there is no program /no/python"),
        (["litert=sh", "litert=sh"], "--python names litert twice"),
    ],
)
def test_what_names_no_python_is_refused(texts: list[str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_pythons(texts)
    assert words in str(caught.value)


def test_a_variable_that_names_no_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LESIONLITE_PYTHON_LITERT", "/no/python")
    with pytest.raises(UsageError, match="LESIONLITE_PYTHON_LITERT: there is no program"):
        parse_pythons(())
