"""The tables of operator versions, held to the interpreter at hand."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import pytest

from lesionlite_runtime.interpreter import BACKENDS
from lesionlite_runtime.operators import OPERATOR_NAMES

ROOT = Path(__file__).resolve().parents[2]
TABLES = json.loads(
    (ROOT / "export" / "lesionlite_export" / "runtimes" / "operator_versions.json").read_text()
)
PACKAGES = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}
NEWEST = 12


def loads(backend: str, flatbuffer: bytes) -> bool:
    """Whether the interpreter knows every operator that the file lists."""
    module = importlib.import_module(f"{BACKENDS[backend]}.interpreter")
    try:
        module.Interpreter(model_content=flatbuffer).allocate_tensors()
    except ValueError as error:
        if "Didn't find op" not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize("backend", PACKAGES)
def test_a_package_loads_the_versions_that_the_table_says(
    backend: str, tiny_regression: Any
) -> None:
    """An interpreter looks up every operator that a file lists, whether the graph has it or not."""
    pytest.importorskip(BACKENDS[backend])
    version = importlib.metadata.version(PACKAGES[backend])
    name = f"{PACKAGES[backend]} {version}"
    if name not in TABLES["packages"]:
        pytest.skip(f"the tables have no {name}")
    for operator, (first, last) in TABLES["packages"][name].items():
        number = OPERATOR_NAMES.index(operator)
        known = []
        for tried in range(1, max(NEWEST, last + 2)):
            spec = tiny_regression.spec()
            code = {"old_code": min(number, 127), "version": tried, "code": number}
            spec["operator_codes"].append(code)
            if loads(backend, tiny_regression.flatbuffer(spec)):
                known.append(tried)
        assert known == list(range(first, last + 1)), operator
