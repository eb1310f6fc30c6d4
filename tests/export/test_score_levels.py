"""The levels of a quantized score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export.keras_model import KerasModel
from lesionlite_export.make import make_tflite
from lesionlite_export.recipe import load_recipe
from lesionlite_export.score_levels import ScoreLevels, score_levels
from lesionlite_runtime.graph import Graph, OperatorInfo, TensorInfo, read_graph

STEP = 1 / 256


def tensor(dtype: str, scale: float | None = None, zero: int = 0) -> TensorInfo:
    scales, zeros = ((), ()) if scale is None else ((scale,), (zero,))
    return TensorInfo("t", (1, 1), dtype, scales, zeros, 0, 0)


def graph(tensors: Sequence[TensorInfo], last: str) -> Graph:
    """A graph whose last operator makes tensor 1 of tensor 0; the output is tensor 1."""
    operator = OperatorInfo(last, 1, (0,), (1,), 0, None)
    return Graph(tuple(tensors), (operator,), {"image": 0}, {"score": 1})


@pytest.mark.parametrize(
    ("threshold", "effective"),
    [
        (0.0921, 24 / 256),  # 23.6 levels
        (59 / 256, 59 / 256),
        (0.23, 59 / 256),
        (0.0, 0.0),
        (255 / 256, 255 / 256),
        (0.999, None),
    ],
)
@pytest.mark.parametrize(
    "tensors",
    [
        [tensor("int8", STEP, -128), tensor("float32")],
        [tensor("int8", STEP, -128), tensor("uint8", STEP, 0)],
    ],
)
def test_the_threshold_in_effect_is_the_least_level_that_reaches_it(
    tensors: list[TensorInfo], threshold: float, effective: float | None
) -> None:
    last = "DEQUANTIZE" if tensors[1].dtype == "float32" else "QUANTIZE"
    found = score_levels(graph(tensors, last), "score", threshold)
    assert found == ScoreLevels(256, STEP, effective)
    assert found.to_json() == {"count": 256, "step": STEP, "threshold": effective}
    scores = np.arange(256) * STEP
    decided = scores >= (effective if effective is not None else 2)
    assert np.array_equal(decided, scores >= threshold)


def test_a_level_below_zero_is_a_score_of_zero() -> None:
    found = score_levels(graph([tensor("float32"), tensor("uint8", STEP, 3)], "X"), "score", 0.0)
    assert found is not None
    assert found.threshold == 0.0


@pytest.mark.parametrize(
    "made",
    [
        graph([tensor("float32"), tensor("float32")], "LOGISTIC"),
        graph([tensor("int8", STEP, -128), tensor("float32")], "LOGISTIC"),
        graph([tensor("float16"), tensor("float32")], "DEQUANTIZE"),
        graph([tensor("int16", 1 / 65536), tensor("float32")], "DEQUANTIZE"),
    ],
)
def test_other_scores_have_no_few_levels(made: Graph) -> None:
    assert score_levels(made, "score", 0.5) is None


@pytest.mark.tensorflow
def test_recipes_with_a_float_head_have_none_and_int8_full_has(
    tiny_model: KerasModel, tiny_tensors: list[NDArray[Any]]
) -> None:
    def levels(recipe: str) -> ScoreLevels | None:
        made = make_tflite(tiny_model, load_recipe(recipe), tiny_tensors)
        return score_levels(read_graph(made), "score", 0.5)

    assert levels("float32") is levels("int8") is None
    full = levels("int8-full")
    assert full is not None
    assert (full.count, full.threshold) == (256, 0.5)
    assert full.step == pytest.approx(STEP)
