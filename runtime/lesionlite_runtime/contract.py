"""The contract: what goes into a model, what comes out, and where its threshold lies.

It is written at training, travels in the ``.keras``, is extended at export, travels in the
``.tflite`` as the associated file ``lesionlite.json``, and every station reads it from there.
"""

from __future__ import annotations

import hashlib
import re
import reprlib
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from lesionlite_runtime.codec import (
    OPTIONAL,
    FieldFault,
    canonical_json,
    from_json,
    parse_json,
    to_json,
)
from lesionlite_runtime.contract_checks import (
    VIEWS,
    check_counts,
    check_image_input,
    check_label_thresholds,
    check_labels_output,
    check_quantized,
    check_score_output,
    check_site_threshold,
    check_threshold,
    require,
    require_value,
)
from lesionlite_runtime.contract_fields import (
    ImageInput,
    LabelsOutput,
    LabelsParity,
    LabelThresholds,
    Parity,
    Provenance,
    RegressionParity,
    ScoreOutput,
    SiteThreshold,
    Threshold,
    ValueInput,
    ValueOutput,
    ViewsThreshold,
)
from lesionlite_runtime.errors import UnusableInput

SCHEMA = "lesionlite.contract/1"
CONTRACT_MEMBER = "lesionlite.json"
MAX_CONTRACT_BYTES = 1 << 20
MAX_FLOAT32 = (2 - 2**-23) * 2.0**127
CLASSIFICATION = "binary_classification"
LABELS = "multiclass_classification"
REGRESSION = "regression"
C = TypeVar("C", bound="Contract")
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What every contract holds.

    The kinds are `ClassifierContract`, `LabelsContract` and `RegressionContract`.
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
    def from_bytes(data: bytes, file: str | None = None) -> AnyContract:
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
    """The contract of an image classifier with two labels.

    ``views_thresholds`` stand in a ``.keras``: the thresholds of files that average several views.
    """

    input: ImageInput
    output: ScoreOutput
    threshold: Threshold
    parity: Parity | None
    site_threshold: SiteThreshold | None = field(default=None, metadata=OPTIONAL)
    views_thresholds: tuple[ViewsThreshold, ...] | None = field(default=None, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_image_input(self.input)
        check_score_output(self.output)
        check_threshold(self.threshold)
        deciding: list[tuple[str, Threshold | SiteThreshold]] = [("threshold", self.threshold)]
        if self.site_threshold is not None:
            check_site_threshold(self.site_threshold)
            deciding.append(("site_threshold", self.site_threshold))
        for i, other in enumerate(self.views_thresholds or ()):
            path = f"views_thresholds[{i}]"
            require(other.views in VIEWS[1:], f"{path}.views", f"must be one of {VIEWS[1:]}")
            check_threshold(other.threshold, f"{path}.threshold")
            deciding.append((f"{path}.threshold", other.threshold))
        for path, given in deciding:
            check_quantized(f"{path}.quantized", given.value, given.quantized, self.output)
        if self.parity is not None:
            check_counts("parity", self.parity.n, self.parity.positives)

    @property
    def decision_threshold(self) -> float:
        """The threshold that decides: the site's, or else the locked one."""
        return (self.site_threshold or self.threshold).value


@dataclass(frozen=True, kw_only=True)
class LabelsContract(Contract):
    """The contract of an image classifier of three labels or more.

    Without a ``threshold`` the label with the highest score is the decision; with one, the highest
    of those that reach theirs, and none where none does.
    """

    input: ImageInput
    output: LabelsOutput
    threshold: LabelThresholds | None
    parity: LabelsParity | None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_image_input(self.input)
        check_labels_output(self.output)
        if self.threshold is not None:
            check_label_thresholds(self.threshold, self.output.labels)


@dataclass(frozen=True, kw_only=True)
class RegressionContract(Contract):
    """The contract of a model of one number of another."""

    input: ValueInput
    output: ValueOutput
    threshold: None
    parity: RegressionParity | None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.input.shape == (1, 1), "input.shape", "must be [1, 1]")
        require_value("input.dtype", self.input.dtype, "float32")
        require_value("output.dtype", self.output.dtype, "float32")
        ends = self.input.range
        range_fits = len(ends) == 2 and -MAX_FLOAT32 <= ends[0] < ends[1] <= MAX_FLOAT32
        require(range_fits, "input.range", "must be [low, high], both within float32")


AnyContract = ClassifierContract | LabelsContract | RegressionContract
ImageContract = ClassifierContract | LabelsContract
_KINDS: dict[str, type[ClassifierContract] | type[LabelsContract] | type[RegressionContract]] = {
    CLASSIFICATION: ClassifierContract,
    LABELS: LabelsContract,
    REGRESSION: RegressionContract,
}


def classifier_contract(contract: Contract, file: str | None = None) -> ClassifierContract:
    """``contract`` as one of an image classifier.

    Raises:
        UnusableInput: when the task is another.
    """
    if not isinstance(contract, ClassifierContract):
        raise UnusableInput(
            f"this is a model for {contract.task}, not an image classifier of two labels",
            "`lesionlite classify` runs classifiers, `lesionlite predict` regressions",
            file,
        )
    return contract


def image_contract(contract: Contract, file: str | None = None) -> ImageContract:
    """``contract`` as one of an image classifier, of two labels or more.

    Raises:
        UnusableInput: when the task is another.
    """
    if not isinstance(contract, ClassifierContract | LabelsContract):
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


def _from_json(value: object) -> AnyContract:
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


def _check_head(contract: Contract) -> None:
    require_value("schema", contract.schema, SCHEMA)
    require(
        _KINDS.get(contract.task) is type(contract), "task", "does not fit this kind of contract"
    )
    digests = {
        "provenance.network_sha256": contract.provenance.network_sha256,
        "flatbuffer_sha256": contract.flatbuffer_sha256,
    }
    for path, digest in digests.items():
        require(
            digest is None or _HEX_DIGEST.match(digest) is not None,
            path,
            "must be 64 lower-case hex digits",
        )
    has_bytes = contract.flatbuffer_bytes is not None
    require(
        has_bytes == (contract.flatbuffer_sha256 is not None),
        "flatbuffer_bytes",
        "and flatbuffer_sha256 must both be given or both be null",
    )
