"""What the fields of a contract may hold."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from itertools import pairwise

from lesionlite_runtime.codec import FieldFault
from lesionlite_runtime.contract_fields import (
    ImageInput,
    LabelsOutput,
    LabelThresholds,
    OperatingPoint,
    Quantization,
    ScoreOutput,
    SiteThreshold,
    Threshold,
)
from lesionlite_runtime.pixels import RESIZE_METHODS

MAX_INPUT_SIDE = 4096
MAX_TABLE_ROWS = 64
MAX_LABELS = 1000
MAX_RANGE = 1e6
MAX_REASON = 500
VIEWS = (1, 4, 8)
"""Copies of an image that a file may average: itself; both flips and the half turn too; all."""
INTEGER_LEVELS = {"uint8": (0, 255), "int8": (-128, 127)}


def require(condition: bool, path: str, problem: str) -> None:
    """Raise `FieldFault` for the field at ``path`` unless ``condition`` holds."""
    if not condition:
        raise FieldFault(path, problem)


def require_value(path: str, value: str, *allowed: str) -> None:
    """Raise `FieldFault` unless ``value`` is one of ``allowed``."""
    require(value in allowed, path, f"is {reprlib.repr(value)}, and must be {' or '.join(allowed)}")


def check_image_input(image: ImageInput) -> None:
    """Refuse an image input that the pixels code cannot make."""
    shape_fits = (
        len(image.shape) == 4
        and image.shape[0] == 1
        and image.shape[3] == 3
        and all(1 <= side <= MAX_INPUT_SIDE for side in image.shape[1:3])
    )
    require(shape_fits, "input.shape", f"must be [1, H, W, 3] with sides up to {MAX_INPUT_SIDE}")
    require_value("input.dtype", image.dtype, "uint8", "float32", "int8")
    require_value("input.color", image.color, "RGB", "BGR")
    require_value("input.orientation", image.orientation, "exif")
    require_value("input.resize", image.resize, *RESIZE_METHODS)
    require_value("input.fit", image.fit, "stretch")
    if image.range is None:
        require(image.dtype == "uint8", "input.range", "is missing, and uint8 alone needs none")
    else:
        ends = image.range
        fits = len(ends) == 2 and all(abs(end) <= MAX_RANGE for end in ends) and ends[0] < ends[1]
        require(fits, "input.range", f"must be [low, high], both within {MAX_RANGE:g}")


def check_score_output(output: ScoreOutput) -> None:
    """Refuse labels and classes that do not make a decision between two."""
    _check_output_type(output)
    require(output.units in (None, 2), "output.units", "must be 2, or not be there")
    require(
        len(output.labels) == 2 and output.labels[0] != output.labels[1],
        "output.labels",
        "must be two different labels",
    )
    require(
        output.score_of == output.labels[1], "output.score_of", "must be the second of the labels"
    )
    require(
        bool(output.classes) and set(output.classes.values()) <= {0, 1},
        "output.classes",
        "must map each class to 0 or 1",
    )


def check_labels_output(output: LabelsOutput) -> None:
    """Refuse labels that are not told apart, and classes of none of them."""
    _check_output_type(output)
    n = len(output.labels)
    require(
        3 <= n <= MAX_LABELS and len(set(output.labels)) == n,
        "output.labels",
        f"must be 3 to {MAX_LABELS} different labels",
    )
    require(
        all(0 <= index < n for index in output.classes.values()),
        "output.classes",
        "must map each class to the index of a label",
    )


def _check_output_type(output: ScoreOutput | LabelsOutput) -> None:
    require_value("output.dtype", output.dtype, "float32", "uint8", "int8")
    quantization = output.quantization
    require(
        (quantization is None) == (output.dtype == "float32"),
        "output.quantization",
        "must be there for an integer output, and for no other",
    )
    if quantization is not None:
        low, high = INTEGER_LEVELS[output.dtype]
        require(0 < quantization.scale <= 1, "output.quantization.scale", "must lie in 0 to 1")
        require(
            low <= quantization.zero_point <= high,
            "output.quantization.zero_point",
            f"must lie in {low} to {high}",
        )


def check_label_thresholds(thresholds: LabelThresholds, labels: Sequence[str]) -> None:
    """Refuse thresholds outside 0 to 1, or of other labels than ``labels``."""
    require(
        sorted(thresholds.values) == sorted(labels), "threshold.values", "must have every label"
    )
    for label, value in thresholds.values.items():
        require(0 <= value <= 1, f"threshold.values.{label}", "must lie in 0 to 1")


def check_quantized(path: str, value: float, quantized: int | None, output: ScoreOutput) -> None:
    """Refuse an integer threshold that decides otherwise than ``value``."""
    quantization = output.quantization
    require(
        (quantized is None) == (quantization is None),
        path,
        "must be there for an integer output, and for no other",
    )
    if quantization is not None:
        require(
            quantized == least_level(value, output.dtype, quantization),
            path,
            "is not the least integer that reaches the threshold",
        )


def least_level(threshold: float, dtype: str, quantization: Quantization) -> int | None:
    """The least integer of type ``dtype`` whose score reaches ``threshold``; None if none does."""
    low, high = INTEGER_LEVELS[dtype]
    levels = range(low, high + 1)
    # An integer that stands for less than 0 is a score of 0.
    return next((q for q in levels if max(dequantized(q, quantization), 0) >= threshold), None)


def dequantized(q: int, quantization: Quantization) -> float:
    """The real number that the integer ``q`` stands for."""
    return quantization.scale * (q - quantization.zero_point)


def check_site_threshold(site: SiteThreshold) -> None:
    """Refuse a threshold outside 0 to 1, or one without a reason."""
    require(0 <= site.value <= 1, "site_threshold.value", "must lie in 0 to 1")
    require(
        bool(site.reason.strip()) and len(site.reason) <= MAX_REASON,
        "site_threshold.reason",
        f"must say why, in {MAX_REASON} characters at most",
    )


def check_threshold(threshold: Threshold, path: str = "threshold") -> None:
    """Refuse a threshold or its figures outside 0 to 1, and a table that is out of order."""
    require(0 <= threshold.value <= 1, f"{path}.value", "must lie in 0 to 1")
    _check_figures(path, threshold)
    check_counts(f"{path}.chosen_on", threshold.chosen_on.n, threshold.chosen_on.positives)
    if threshold.table is not None:
        _check_table(threshold.table, f"{path}.table")


def _check_table(table: Sequence[OperatingPoint], path: str) -> None:
    require(0 < len(table) <= MAX_TABLE_ROWS, path, f"must have 1 to {MAX_TABLE_ROWS} rows")
    for i, row in enumerate(table):
        require(0 <= row.threshold <= 1, f"{path}[{i}].threshold", "must lie in 0 to 1")
        _check_figures(f"{path}[{i}]", row)
    for i, (row, above) in enumerate(pairwise(table), start=1):
        require(
            row.threshold < above.threshold, f"{path}[{i}].threshold", "must be over the row before"
        )
        falls = row.sensitivity.value >= above.sensitivity.value
        require(falls, f"{path}[{i}].sensitivity.value", "must not be over the row before")
        rises = row.specificity.value <= above.specificity.value
        require(rises, f"{path}[{i}].specificity.value", "must not be under the row before")


def _check_figures(path: str, point: Threshold | OperatingPoint) -> None:
    for name, interval in (
        ("sensitivity", point.sensitivity),
        ("specificity", point.specificity),
    ):
        for end in ("value", "low", "high") if interval is not None else ():
            place = f"{path}.{name}.{end}"
            require(0 <= getattr(interval, end) <= 1, place, "must lie in 0 to 1")


def check_counts(path: str, n: int, positives: int) -> None:
    """Refuse more positives than there are images."""
    require(0 <= positives <= n, f"{path}.positives", "must lie in 0 to n")
