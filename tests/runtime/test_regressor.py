"""A regression: y within the range, and a refusal outside of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.interpreter import installed_backends
from lesionlite_runtime.regressor import Regressor


@pytest.mark.parametrize("x", [-10, -10.0, 0, 0.5, 10, 10.5])
def test_y_is_given_within_the_range_ends_included(regression_file: Path, x: float) -> None:
    regressor = Regressor(regression_file)
    assert regressor.predict(x) == 2 * x - 1
    assert regressor.backend == installed_backends()[0]


@pytest.mark.parametrize("x", [-10.001, 10.501, 1e300, math.inf, -math.inf, math.nan])
def test_x_outside_the_range_is_refused(regression_file: Path, x: float) -> None:
    with pytest.raises(UnusableInput, match=r"lies outside the model's range -10 to 10\.5; pass"):
        Regressor(regression_file).predict(x)


def test_a_classifier_is_no_regression(classifier_file: Path) -> None:
    with pytest.raises(UnusableInput, match=r"model for binary_classification, not a regression"):
        Regressor(classifier_file)


def test_a_model_that_gives_no_number_is_refused(tiny_regression: Any, tmp_path: Path) -> None:
    spec = tiny_regression.spec()
    spec["buffers"][2]["data"] = np.float32("nan").tobytes()
    path = tmp_path / "nan.tflite"
    path.write_bytes(tiny_regression.file(spec))
    with pytest.raises(UnusableInput, match=r"the model gave nan for x = 1; export it anew"):
        Regressor(path).predict(1)


def test_a_model_of_two_values_is_refused_at_the_door(tiny_regression: Any, tmp_path: Path) -> None:
    spec = tiny_regression.spec()
    spec["buffers"][1]["data"] = np.float32([2, 3]).tobytes()
    spec["buffers"][2]["data"] = np.float32([-1, -1]).tobytes()
    for number, shape in ((1, [2, 1]), (2, [2]), (3, [1, 2])):
        spec["subgraphs"][0]["tensors"][number]["shape"] = shape
    path = tmp_path / "two.tflite"
    path.write_bytes(tiny_regression.file(spec))
    with pytest.raises(UnusableInput, match=r"output is float32 \[1, 2\], and float32 \[1, 1\] in"):
        Regressor(path)


def test_each_backend_can_be_named(regression_file: Path) -> None:
    for name in installed_backends():
        assert Regressor(regression_file, backend=name).backend == name
