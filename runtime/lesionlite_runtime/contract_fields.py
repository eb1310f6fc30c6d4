"""The fields of a contract, as frozen dataclasses; `contract_checks` says what they may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lesionlite_runtime.codec import OPTIONAL, JsonObject


@dataclass(frozen=True)
class ImageInput:
    """The input of an image classifier: pixels ``[1, H, W, 3]``, uint8 0 to 255 as they are.

    ``range`` is None then. Else it says what the pixels 0 and 255 become: float32 values, or the
    real values that an integer input stands for by its scale and zero point.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    color: str
    orientation: str
    resize: str
    fit: str
    range: tuple[float, ...] | None = field(default=None, metadata=OPTIONAL)

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
class Quantization:
    """An integer ``q`` stands for ``scale * (q - zero_point)``."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class ScoreOutput:
    """The output of a classifier: float32 ``[1, 1]`` from 0 to 1, the score of ``score_of``.

    ``labels`` are in index order; ``classes`` maps each class folder of the training set to the
    index of its label. ``units`` is 2 where the output is ``[1, 2]``, a number for each label, and
    None for ``[1, 1]``. An integer output has its ``quantization``.
    """

    name: str
    dtype: str
    labels: tuple[str, ...]
    score_of: str
    classes: Mapping[str, int]
    units: int | None = field(default=None, metadata=OPTIONAL)
    quantization: Quantization | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class LabelsOutput:
    """The output of a classifier of several labels: ``[1, labels]``, each from 0 to 1.

    ``classes`` maps each class folder of the data to the index of its label.
    """

    name: str
    dtype: str
    labels: tuple[str, ...]
    classes: Mapping[str, int]
    quantization: Quantization | None = field(default=None, metadata=OPTIONAL)


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

    Its figures are those on the scores of ``chosen_on``, and None where its maker gave none.

    ``table`` has thresholds that an app may offer beside it, the lowest first; None where the
    contract has no such key. ``quantized`` is the least integer output that decides for
    ``score_of``, where the output is an integer.
    """

    value: float
    rule: str
    chosen_on: ChosenOn
    sensitivity: Interval | None
    specificity: Interval | None
    table: tuple[OperatingPoint, ...] | None = field(default=None, metadata=OPTIONAL)
    quantized: int | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class ViewsThreshold:
    """The threshold for the mean score of ``views`` turned and flipped copies of an image."""

    views: int
    threshold: Threshold


@dataclass(frozen=True)
class SiteThreshold:
    """A threshold that decides in place of the locked one, which stays in the contract.

    The gate has not compared decisions at it.
    """

    value: float
    reason: str
    quantized: int | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class LabelThresholds:
    """The score that each label needs to be decided for; ``rule`` says where they come from."""

    values: Mapping[str, float]
    rule: str


@dataclass(frozen=True)
class Provenance:
    """Where the model comes from: digest of the Keras network, training data, recipe, tools.

    ``views`` is the number of turned and flipped copies that the graph averages, None for one;
    ``runs_on`` what is known of runtimes and accelerators; ``draft`` what the maker of a model that
    lesionlite did not train said of it (see `lesionlite_runtime.draft`).
    """

    network_sha256: str
    backbone: str
    training: JsonObject
    calibration: JsonObject | None
    recipe: str | None
    tools: Mapping[str, str]
    views: int | None = field(default=None, metadata=OPTIONAL)
    runs_on: JsonObject | None = field(default=None, metadata=OPTIONAL)
    draft: JsonObject | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class Parity:
    """What the gate measured on the proof images when the file was exported (classifiers).

    ``reference`` is the model id of the file that it was compared with, where that was no Keras
    model.
    """

    n: int
    positives: int
    flips: int
    newly_missed: int
    auc_difference: float | None
    mean_score_error: float
    max_score_error: float
    limits: Mapping[str, float | None]
    reference: str | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class LabelsParity:
    """Likewise for a classifier of several labels."""

    n: int
    flips: int
    accuracy_difference: float
    mean_score_error: float
    max_score_error: float
    limits: Mapping[str, float | None]
    reference: str | None = field(default=None, metadata=OPTIONAL)


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
    reference: str | None = field(default=None, metadata=OPTIONAL)
