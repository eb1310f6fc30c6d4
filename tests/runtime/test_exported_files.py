"""Files in every recipe, made elsewhere with TensorFlow, in the interpreter at hand here."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lesionlite_runtime import Classifier

ROOT = Path(__file__).resolve().parents[2]
# Kernel sets differ by up to .05 in int8 and dynamic files (docs/recipes.md), and by rounding alone
# in float ones.
TOLERANCE = {"float32": 1e-5, "float16": 1e-5, "dynamic": 0.06, "int8": 0.06}


@pytest.mark.parametrize("recipe", TOLERANCE)
def test_every_recipe_runs_here_with_the_scores_of_litert(recipe: str) -> None:
    named = os.environ.get("LESIONLITE_EXPORTED")
    if named is None:
        pytest.skip("LESIONLITE_EXPORTED names no folder made by tests.exported_files")
    expected = json.loads(Path(named, "scores.json").read_text())[recipe]
    classifier = Classifier(Path(named, f"{recipe}.tflite"))
    for name, score in expected.items():
        result = classifier.classify(ROOT / "samples" / "drawn" / name)
        assert result.score == pytest.approx(score, abs=TOLERANCE[recipe])
    assert len(expected) >= 6
