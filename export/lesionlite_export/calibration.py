"""Ranges of a network's activations on representative inputs: what a static quantizer works from.

Three ways to choose a range: the extremes (``min_max``), percentiles of all values on all inputs
(``percentile_99.9``, ``percentile_99.99``), and the range in which int8 has the least mean squared
error on them (``mse``). docs/calibration.md compares them. Pixels and their scaling, all that comes
before the first convolution, keep their extremes by any method: 256 levels need no choice.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.activations import FloatModel
from lesionlite_export.histogram import Histogram, least_squares_range, percentile_range
from lesionlite_export.progress import Reporter, Silent
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.graph import Graph

Ranges = dict[str, dict[str, NDArray[Any]]]
"""By tensor name, ``min`` and ``max``: float32 ``[1, ...]`` of the tensor's rank."""

DEFAULT_METHOD = "min_max"
_CHOOSERS: dict[str, Callable[[Histogram], tuple[float, float]]] = {
    DEFAULT_METHOD: lambda histogram: (histogram.low, histogram.high),
    "percentile_99.9": lambda histogram: percentile_range(histogram, 99.9),
    "percentile_99.99": lambda histogram: percentile_range(histogram, 99.99),
    "mse": least_squares_range,
}
METHODS = tuple(_CHOOSERS)
# XNNPACK's convolutions cut infinities off at the largest float32.
_INFINITE = 3e38
_CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})


def check_method(method: str, quantizer: str) -> None:
    """Refuse a calibration method that there is not, or that a recipe's quantizer does not allow.

    Args:
        method: one of `METHODS`.
        quantizer: of the recipe.

    Raises:
        UsageError: when it is unknown, or TFLiteConverter is to use another than ``min_max``.
    """
    if method not in METHODS:
        near = difflib.get_close_matches(method, METHODS, n=2) or METHODS
        raise UsageError(f"there is no calibration method {method!r}", f"pass {' or '.join(near)}")
    if method != DEFAULT_METHOD and quantizer == "tflite-converter":
        raise UsageError(
            f"TFLiteConverter calibrates by {DEFAULT_METHOD} alone, not by {method}",
            f"pass {DEFAULT_METHOD}, or a recipe that litert-quantizer makes",
        )


def calibrate(
    float32: bytes,
    tensors: Iterable[NDArray[Any]],
    input_name: str,
    method: str = DEFAULT_METHOD,
    report: Reporter | None = None,
) -> Ranges:
    """The range of every float32 activation of a network on representative inputs.

    Inputs are run one at a time, and memory does not grow with their number. The same inputs in any
    order give the same ranges. By ``min_max`` they are those of litert-quantizer's own calibrator
    with its ``min_max_update``, bit for bit.

    Args:
        float32: the float ``.tflite``.
        tensors: representative inputs of shape ``[1, ...]``.
        input_name: the signature's name for the input.
        method: one of `METHODS`.
        report: who is told of the progress.

    Returns:
        What litert-quantizer's ``Quantizer.quantize`` takes as the result of a calibration.

    Raises:
        UsageError: when there is no such method.
        UnusableInput: when there is no input, or an activation is NaN or infinite; its layer and
            the number of the input are named.
    """
    check_method(method, quantizer="")
    report = report or Silent()
    model = FloatModel(float32, input_name)
    wanted = model.activations
    histograms = {name: Histogram() for name in wanted}
    pixels = _before_first_convolution(model.graph)
    choosers = {
        name: _CHOOSERS[DEFAULT_METHOD if number in pixels else method]
        for name, number in wanted.items()
    }
    add = Histogram.add_extremes if method == DEFAULT_METHOD else Histogram.add
    tracked = report.track(tensors, "Calibrating", operator.length_hint(tensors))
    n = 0
    for n, tensor in enumerate(tracked, 1):
        model.run(tensor)
        for name, number in wanted.items():
            value = model.value(number)
            if not np.abs([value.min(), value.max()]).max() < _INFINITE:  # NaN fails, too
                raise UnusableInput(
                    f"the activations of {model.layer(number)} are not all finite on "
                    f"representative input {n}",
                    "train the network anew, or leave that input out",
                )
            add(histograms[name], value)
    if not n:
        raise UnusableInput("there is no representative input", "pass one at least")
    ranks = {name: len(model.graph.tensors[number].shape) for name, number in wanted.items()}
    return {
        name: _as_range(choosers[name](histogram), ranks[name])
        for name, histogram in histograms.items()
    }


def _before_first_convolution(graph: Graph) -> set[int]:
    """Numbers of the tensors made before the first convolution; none where there is none."""
    names = [operator.name for operator in graph.operators]
    first = next((i for i, name in enumerate(names) if name in _CONVOLUTIONS), 0)
    return {output for operator in graph.operators[:first] for output in operator.outputs}


def _as_range(ends: tuple[float, float], rank: int) -> dict[str, NDArray[Any]]:
    low, high = (np.full((1,) * rank, end, np.float32) for end in ends)
    return {"min": low, "max": high}
