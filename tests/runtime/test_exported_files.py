"""Files in every recipe, made elsewhere with TensorFlow, in the interpreter at hand here."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
from pathlib import Path
from typing import Any

import pytest

from lesionlite_runtime import Classifier
from lesionlite_runtime.container import split_members
from lesionlite_runtime.interpreter import BACKENDS, installed_backends

ROOT = Path(__file__).resolve().parents[2]
# Kernel sets differ by up to .05 in int8 and dynamic files (docs/recipes.md), and by rounding alone
# in float ones.
TOLERANCE = {"float32": 1e-5, "float16": 1e-5, "dynamic": 0.06, "int8": 0.06}


PACKAGES = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}


@pytest.fixture(scope="module")
def exported() -> Path:
    """The folder made by `tests.exported_files`; skips the test where there is none."""
    named = os.environ.get("LESIONLITE_EXPORTED")
    if named is None:
        pytest.skip("LESIONLITE_EXPORTED names no folder made by tests.exported_files")
    return Path(named)


@pytest.mark.parametrize("recipe", TOLERANCE)
def test_every_recipe_runs_here_with_the_scores_of_litert(recipe: str, exported: Path) -> None:
    expected = json.loads((exported / "scores.json").read_text())[recipe]
    classifier = Classifier(exported / f"{recipe}.tflite")
    for name, score in expected.items():
        result = classifier.classify(ROOT / "samples" / "drawn" / name)
        assert result.score == pytest.approx(score, abs=TOLERANCE[recipe])
    assert len(expected) >= 6


def run_once(module: Any, flatbuffer: bytes) -> None:
    """Load the model and run it on what its input holds.

    Raises:
        ValueError: when an operator, or an operator's version, is unknown here.
    """
    interpreter = module.Interpreter(model_content=flatbuffer)
    interpreter.allocate_tensors()
    interpreter.invoke()


@pytest.mark.parametrize("backend", PACKAGES)
def test_a_file_loads_here_if_the_export_said_so(backend: str, exported: Path) -> None:
    if backend not in installed_backends():
        pytest.skip(f"{backend} is not installed")
    version = importlib.metadata.version(PACKAGES[backend])
    module = importlib.import_module(f"{BACKENDS[backend]}.interpreter")
    recorded = json.loads((exported / "runtimes.json").read_text())
    assert {f"{recipe}.tflite" for recipe in TOLERANCE} < set(recorded)
    for name, said in recorded.items():
        loads = said["loads"].get(f"{PACKAGES[backend]} {version}")
        if loads is None:
            pytest.skip(f"the tables have no {PACKAGES[backend]} {version}")
        flatbuffer, _ = split_members((exported / name).read_bytes())
        if loads:
            run_once(module, flatbuffer)
        else:
            with pytest.raises(ValueError, match=f"{said['operator']}.*{said['operator_version']}"):
                run_once(module, flatbuffer)


def test_the_export_said_which_file_tflite_runtime_does_not_load(exported: Path) -> None:
    recorded = json.loads((exported / "runtimes.json").read_text())
    loads = {name: said["loads"]["tflite-runtime 2.14.0"] for name, said in recorded.items()}
    assert [name for name in loads if not loads[name]] == ["dynamic_by_tensorflow.tflite"]
