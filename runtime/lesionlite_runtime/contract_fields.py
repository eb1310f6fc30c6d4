"""The fields of a contract, as frozen dataclasses, and what each may hold."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from lesionlite_runtime.codec import OPTIONAL, FieldFault, JsonObject
from lesionlite_runtime.pixels import RESIZE_METHODS

MAX_INPUT_SIDE = 4096
MAX_TABLE_ROWS = 64


@dataclass(frozen=True)
class ImageInput:
    """The input of an image classifier: uint8 RGB ``[1, H, W, 3]``, values 0 to 255."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    color: str
    orientation: str
    resize: str
    fit: str

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return self.shape[1]

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return self.shape[2]


@dataclass(frozen=True)
class ValueInput:
    """The input of a regression: one float32 ``[1, 1]`` within ``range`` (both ends included)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    range: tuple[float, ...]


@dataclass(frozen=True)
class ScoreOutput:
    """The output of a classifier: float32 ``[1, 1]`` from 0 to 1, the score of ``score_of``.

    ``labels`` are in index order; ``classes`` maps each class folder of the training set to the
    index of its label.
    """

    name: str
    dtype: str
    labels: tuple[str, ...]
    score_of: str
    classes: Mapping[str, int]


@dataclass(frozen=True)
class ValueOutput:
    """The output of a regression: one float32 ``[1, 1]`` in ``unit``."""

    name: str
    dtype: str
    unit: str


@dataclass(frozen=True)
class Interval:
    """A proportion or an AUC with its two-sided 95 % interval, all within 0 to 1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ChosenOn:
    """The scores that a threshold was chosen on."""

    kind: str
    n: int
    positives: int


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold with its figures on the scores of `Threshold.chosen_on`."""

    threshold: float
    sensitivity: Interval
    specificity: Interval


@dataclass(frozen=True)
class Threshold:
    """``score >= value`` decides for ``score_of``; chosen once, at training, by ``rule``.

    ``table`` has thresholds that an app may offer beside it, the lowest first; None where the
    contract has no such key.
    """

    value: float
    rule: str
    chosen_on: ChosenOn
    sensitivity: Interval
    specificity: Interval
    table: tuple[OperatingPoint, ...] | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class Provenance:
    """Where the model comes from: digest of the Keras network, training data, recipe, tools."""

    network_sha256: str
    backbone: str
    training: JsonObject
    calibration: JsonObject | None
    recipe: str | None
    tools: Mapping[str, str]


@dataclass(frozen=True)
class Parity:
    """What the gate measured on the proof images when the file was exported (classifiers)."""

    n: int
    positives: int
    flips: int
    newly_missed: int
    auc_difference: float | None
    mean_score_error: float
    max_score_error: float
    limits: Mapping[str, float | None]


@dataclass(frozen=True)
class RegressionParity:
    """What the gate measured over the range of x when the file was exported (regressions).

    Relative errors are fractions of the largest ``|y|`` of the Keras model over the range.
    """

    n: int
    max_absolute_error: float
    mean_absolute_error: float
    max_relative_error: float
    mean_relative_error: float
    limits: Mapping[str, float | None]


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
    require_value("input.dtype", image.dtype, "uint8")
    require_value("input.color", image.color, "RGB")
    require_value("input.orientation", image.orientation, "exif")
    require_value("input.resize", image.resize, *RESIZE_METHODS)
    require_value("input.fit", image.fit, "stretch")


def check_score_output(output: ScoreOutput) -> None:
    """Refuse labels and classes that do not make a decision between two."""
    require_value("output.dtype", output.dtype, "float32")
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


def check_threshold(threshold: Threshold) -> None:
    """Refuse a threshold or its figures outside 0 to 1, and a table that is out of order."""
    require(0 <= threshold.value <= 1, "threshold.value", "must lie in 0 to 1")
    _check_figures("threshold", threshold)
    check_counts("threshold.chosen_on", threshold.chosen_on.n, threshold.chosen_on.positives)
    if threshold.table is not None:
        _check_table(threshold.table)


def _check_table(table: Sequence[OperatingPoint]) -> None:
    path = "threshold.table"
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
        for end in ("value", "low", "high"):
            place = f"{path}.{name}.{end}"
            require(0 <= getattr(interval, end) <= 1, place, "must lie in 0 to 1")


def check_counts(path: str, n: int, positives: int) -> None:
    """Refuse more positives than there are images."""
    require(0 <= positives <= n, f"{path}.positives", "must lie in 0 to n")
