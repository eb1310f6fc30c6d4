"""The contract: what goes into a model, what comes out, and where its threshold lies.

It is written at training, travels in the ``.keras``, is extended at export, travels in the
``.tflite`` as the associated file ``lesionlite.json``, and every station reads it from there.
"""

from __future__ import annotations

import hashlib
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from lesionlite_runtime.codec import (
    FieldFault,
    JsonObject,
    canonical_json,
    from_json,
    parse_json,
    to_json,
)
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.pixels import RESIZE_METHODS

SCHEMA = "lesionlite.contract/1"
CONTRACT_MEMBER = "lesionlite.json"
MAX_CONTRACT_BYTES = 1 << 20
MAX_INPUT_SIDE = 4096
MAX_FLOAT32 = (2 - 2**-23) * 2.0**127
CLASSIFICATION = "binary_classification"
REGRESSION = "regression"
C = TypeVar("C", bound="Contract")
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


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
class Threshold:
    """``score >= value`` decides for ``score_of``; chosen once, at training, by ``rule``."""

    value: float
    rule: str
    chosen_on: ChosenOn
    sensitivity: Interval
    specificity: Interval


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


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What every contract holds; `ClassifierContract` and `RegressionContract` are the two kinds.

    ``flatbuffer_sha256`` and ``flatbuffer_bytes`` are of the ``.tflite`` bytes before the appended
    zip; both are null in a ``.keras``, and so are ``parity`` and ``provenance.recipe``.
    """

    schema: str
    task: str
    provenance: Provenance
    flatbuffer_sha256: str | None
    flatbuffer_bytes: int | None

    def __post_init__(self) -> None:
        _check_head(self)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON without the key ``digest``, lower-case hex."""
        return hashlib.sha256(canonical_json(to_json(self))).hexdigest()

    @property
    def model_id(self) -> str:
        """The first 12 digits of ``flatbuffer_sha256``; before export, of the network's digest."""
        return (self.flatbuffer_sha256 or self.provenance.network_sha256)[:12]

    def to_json(self) -> dict[str, Any]:
        """The JSON object, ``digest`` included."""
        return {**to_json(self), "digest": self.digest}

    def to_bytes(self) -> bytes:
        """The canonical JSON that travels in a file."""
        return canonical_json(self.to_json())

    @staticmethod
    def from_bytes(data: bytes, file: str | None = None) -> ClassifierContract | RegressionContract:
        """The contract in ``data``, checked field by field and against its own digest.

        Raises:
            UnusableInput: for an unknown schema version, a missing, unknown or ill-typed field, or
                a digest that does not fit; ``file`` is named in it.
        """
        try:
            return _from_json(parse_json(data, file))
        except FieldFault as fault:
            raise UnusableInput(
                f"the contract cannot be used: {fault}",
                "train or export the model anew with this version of lesionlite",
                file,
            ) from fault


@dataclass(frozen=True, kw_only=True)
class ClassifierContract(Contract):
    """The contract of an image classifier with two labels."""

    input: ImageInput
    output: ScoreOutput
    threshold: Threshold
    parity: Parity | None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_image_input(self.input)
        _check_score_output(self.output)
        _check_threshold(self.threshold)
        if self.parity is not None:
            _check_counts("parity", self.parity.n, self.parity.positives)


@dataclass(frozen=True, kw_only=True)
class RegressionContract(Contract):
    """The contract of a model of one number of another."""

    input: ValueInput
    output: ValueOutput
    threshold: None
    parity: RegressionParity | None

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.input.shape == (1, 1), "input.shape", "must be [1, 1]")
        _require_value("input.dtype", self.input.dtype, "float32")
        _require_value("output.dtype", self.output.dtype, "float32")
        ends = self.input.range
        range_fits = len(ends) == 2 and -MAX_FLOAT32 <= ends[0] < ends[1] <= MAX_FLOAT32
        _require(range_fits, "input.range", "must be [low, high], both within float32")


_KINDS: dict[str, type[ClassifierContract] | type[RegressionContract]] = {
    CLASSIFICATION: ClassifierContract,
    REGRESSION: RegressionContract,
}


def classifier_contract(contract: Contract, file: str | None = None) -> ClassifierContract:
    """``contract`` as one of an image classifier.

    Raises:
        UnusableInput: when the task is another.
    """
    if not isinstance(contract, ClassifierContract):
        raise UnusableInput(
            f"this is a model for {contract.task}, not an image classifier",
            "`lesionlite predict` runs a regression",
            file,
        )
    return contract


def regression_contract(contract: Contract, file: str | None = None) -> RegressionContract:
    """``contract`` as one of a regression.

    Raises:
        UnusableInput: when the task is another.
    """
    if not isinstance(contract, RegressionContract):
        raise UnusableInput(
            f"this is a model for {contract.task}, not a regression",
            "`lesionlite classify` runs an image classifier",
            file,
        )
    return contract


def with_flatbuffer(contract: C, flatbuffer: bytes) -> C:
    """``contract`` with the digest and length of the ``.tflite`` bytes that it travels with."""
    return replace(
        contract,
        flatbuffer_sha256=hashlib.sha256(flatbuffer).hexdigest(),
        flatbuffer_bytes=len(flatbuffer),
    )


def _from_json(value: object) -> ClassifierContract | RegressionContract:
    if not isinstance(value, dict):
        raise FieldFault("", "must be an object")
    schema, task = value.get("schema"), value.get("task")
    if schema != SCHEMA:
        raise FieldFault(
            "schema", f"is {reprlib.repr(schema)}, and this version reads {SCHEMA!r} alone"
        )
    if not isinstance(task, str) or task not in _KINDS:
        raise FieldFault("task", f"is {reprlib.repr(task)}, and must be one of {', '.join(_KINDS)}")
    if "digest" not in value:
        raise FieldFault("digest", "is missing")
    body = {key: item for key, item in value.items() if key != "digest"}
    contract = from_json(_KINDS[task], body)
    if value["digest"] != contract.digest:
        raise FieldFault("digest", "does not fit the rest of the contract, which was altered")
    return contract


def _require(condition: bool, path: str, problem: str) -> None:
    if not condition:
        raise FieldFault(path, problem)


def _require_value(path: str, value: str, *allowed: str) -> None:
    _require(
        value in allowed, path, f"is {reprlib.repr(value)}, and must be {' or '.join(allowed)}"
    )


def _check_head(contract: Contract) -> None:
    _require_value("schema", contract.schema, SCHEMA)
    _require(
        _KINDS.get(contract.task) is type(contract), "task", "does not fit this kind of contract"
    )
    digests = {
        "provenance.network_sha256": contract.provenance.network_sha256,
        "flatbuffer_sha256": contract.flatbuffer_sha256,
    }
    for path, digest in digests.items():
        _require(
            digest is None or _HEX_DIGEST.match(digest) is not None,
            path,
            "must be 64 lower-case hex digits",
        )
    has_bytes = contract.flatbuffer_bytes is not None
    _require(
        has_bytes == (contract.flatbuffer_sha256 is not None),
        "flatbuffer_bytes",
        "and flatbuffer_sha256 must both be given or both be null",
    )


def _check_image_input(image: ImageInput) -> None:
    shape_fits = (
        len(image.shape) == 4
        and image.shape[0] == 1
        and image.shape[3] == 3
        and all(1 <= side <= MAX_INPUT_SIDE for side in image.shape[1:3])
    )
    _require(shape_fits, "input.shape", f"must be [1, H, W, 3] with sides up to {MAX_INPUT_SIDE}")
    _require_value("input.dtype", image.dtype, "uint8")
    _require_value("input.color", image.color, "RGB")
    _require_value("input.orientation", image.orientation, "exif")
    _require_value("input.resize", image.resize, *RESIZE_METHODS)
    _require_value("input.fit", image.fit, "stretch")


def _check_score_output(output: ScoreOutput) -> None:
    _require_value("output.dtype", output.dtype, "float32")
    _require(
        len(output.labels) == 2 and output.labels[0] != output.labels[1],
        "output.labels",
        "must be two different labels",
    )
    _require(
        output.score_of == output.labels[1], "output.score_of", "must be the second of the labels"
    )
    _require(
        bool(output.classes) and set(output.classes.values()) <= {0, 1},
        "output.classes",
        "must map each class to 0 or 1",
    )


def _check_threshold(threshold: Threshold) -> None:
    _require(0 <= threshold.value <= 1, "threshold.value", "must lie in 0 to 1")
    for name in ("sensitivity", "specificity"):
        interval: Interval = getattr(threshold, name)
        for end in ("value", "low", "high"):
            path = f"threshold.{name}.{end}"
            _require(0 <= getattr(interval, end) <= 1, path, "must lie in 0 to 1")
    _check_counts("threshold.chosen_on", threshold.chosen_on.n, threshold.chosen_on.positives)


def _check_counts(path: str, n: int, positives: int) -> None:
    _require(0 <= positives <= n, f"{path}.positives", "must lie in 0 to n")
