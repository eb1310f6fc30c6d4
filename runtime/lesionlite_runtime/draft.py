"""A draft: the part of a contract that only the maker of a model knows, as JSON that people write.

A network that lesionlite did not train says of its own what tensors it has. It does not say what
range its pixels have, whether its outputs are logits, which of them is which label, or where its
threshold lies. A draft says that, and nothing of it is guessed.
"""

from __future__ import annotations

import difflib
import json
import os
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lesionlite_runtime.codec import (
    OPTIONAL,
    FieldFault,
    JsonObject,
    from_json,
    parse_json,
    to_json,
)
from lesionlite_runtime.contract import (
    CLASSIFICATION,
    LABELS,
    MAX_CONTRACT_BYTES,
    MAX_FLOAT32,
    REGRESSION,
    SCHEMA,
    AnyContract,
    ClassifierContract,
    LabelsContract,
    RegressionContract,
)
from lesionlite_runtime.contract_checks import (
    MAX_RANGE,
    check_image_input,
    check_label_thresholds,
    check_labels_output,
    check_score_output,
    check_threshold,
    require,
    require_value,
)
from lesionlite_runtime.contract_fields import (
    ChosenOn,
    ImageInput,
    LabelsOutput,
    LabelThresholds,
    Provenance,
    ScoreOutput,
    Threshold,
    ValueInput,
    ValueOutput,
)
from lesionlite_runtime.draft_fields import (
    SIGMOID,
    SIGMOID_LOGITS,
    VALUES,
    DraftImage,
    DraftLabels,
    DraftScore,
    DraftThreshold,
    DraftUnit,
    DraftValue,
)
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.files import read_file

DRAFT_SCHEMA = "lesionlite.draft/1"
NOT_STATED = ChosenOn("not_stated", 0, 0)
"""What a contract says of the scores behind a threshold whose maker does not tell."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What every draft holds; ``name`` is what the network is called, ``training`` free in form."""

    schema: str
    task: str
    name: str
    training: JsonObject | None = field(default=None, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        require_value("schema", self.schema, DRAFT_SCHEMA)
        require(_KINDS.get(self.task) is type(self), "task", "does not fit this kind of draft")
        require(bool(self.name.strip()), "name", "is empty")

    def to_bytes(self) -> bytes:
        """The JSON text, for people."""
        return (json.dumps(to_json(self), indent=2, ensure_ascii=False) + "\n").encode("utf-8")


@dataclass(frozen=True, kw_only=True)
class ClassifierDraft(Draft):
    """The draft of an image classifier of two labels."""

    input: DraftImage
    output: DraftScore
    threshold: DraftThreshold

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_image(self.input)
        output = self.output
        require_value("output.values", output.values, *VALUES)
        require(output.units in (1, 2), "output.units", "must be 1 or 2")
        require(
            output.units == 2 or output.values in (SIGMOID, SIGMOID_LOGITS),
            "output.values",
            f"cannot be {output.values} of one number, which would always be 1",
        )
        _check_labels(output.labels, output.classes)
        require(len(output.labels) == 2, "output.labels", "must be two different labels")
        require_value("output.score_of", output.score_of, *output.labels)
        check_score_output(_score_output(self))
        check_threshold(_threshold(self.threshold))


@dataclass(frozen=True, kw_only=True)
class LabelsDraft(Draft):
    """The draft of an image classifier of three labels or more."""

    input: DraftImage
    output: DraftLabels
    threshold: LabelThresholds | None = field(default=None, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_image(self.input)
        require_value("output.values", self.output.values, *VALUES)
        _check_labels(self.output.labels, self.output.classes)
        check_labels_output(_labels_output(self))
        if self.threshold is not None:
            check_label_thresholds(self.threshold, self.output.labels)


@dataclass(frozen=True, kw_only=True)
class RegressionDraft(Draft):
    """The draft of a model of one number of another."""

    input: DraftValue
    output: DraftUnit

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_range("input.range", self.input.range, MAX_FLOAT32)


AnyDraft = ClassifierDraft | LabelsDraft | RegressionDraft
ImageDraft = ClassifierDraft | LabelsDraft
_KINDS: dict[str, type[ClassifierDraft] | type[LabelsDraft] | type[RegressionDraft]] = {
    CLASSIFICATION: ClassifierDraft,
    LABELS: LabelsDraft,
    REGRESSION: RegressionDraft,
}


def read_draft(path: str | os.PathLike[str]) -> AnyDraft:
    """The draft in the JSON file at ``path``.

    Raises:
        UnusableInput: when it cannot be read, or a field is missing, unknown, ill-typed, or
            contradicts another.
    """
    file = os.fspath(path)
    value = parse_json(read_file(path, MAX_CONTRACT_BYTES), file)
    if isinstance(value, dict) and value.get("schema") == SCHEMA:
        raise UnusableInput(
            "this is the contract of a finished file, not a draft",
            "write a draft with `lesionlite contract init` (docs/bring-your-own.md)",
            file,
        )
    return draft_of_json(value, file)


def draft_of_json(value: object, file: str | None) -> AnyDraft:
    """The draft in a JSON value that was read from ``file``.

    Raises:
        UnusableInput: see `read_draft`.
    """
    try:
        if not isinstance(value, dict):
            raise FieldFault("", "must be an object")
        task = value.get("task")
        if not isinstance(task, str) or task not in _KINDS:
            near = difflib.get_close_matches(str(task), _KINDS, n=1) or _KINDS
            raise FieldFault("task", f"is {reprlib.repr(task)}, and must be {' or '.join(near)}")
        return from_json(_KINDS[task], value)
    except FieldFault as fault:
        raise UnusableInput(
            f"the draft of the contract cannot be used: {fault}",
            "correct it (docs/bring-your-own.md has every field)",
            file,
        ) from fault


def contract_of_draft(draft: AnyDraft, network_sha256: str) -> AnyContract:
    """The contract that ``draft`` makes of a network in lesionlite's own form.

    That form takes uint8 RGB ``image`` and gives float32 ``score``, or takes ``x`` and gives ``y``.

    Args:
        draft: of the network.
        network_sha256: digest of the model as its maker gave it.
    """
    stated = to_json(replace(draft, training=None))
    head: dict[str, Any] = {
        "schema": SCHEMA,
        "task": draft.task,
        "provenance": Provenance(
            network_sha256, draft.name, draft.training or {}, None, None, {}, draft=stated
        ),
        "parity": None,
        "flatbuffer_sha256": None,
        "flatbuffer_bytes": None,
    }
    if isinstance(draft, ClassifierDraft):
        return ClassifierContract(
            **head,
            input=image_input(draft.input),
            output=_score_output(draft),
            threshold=_threshold(draft.threshold),
        )
    if isinstance(draft, LabelsDraft):
        return LabelsContract(
            **head,
            input=image_input(draft.input),
            output=_labels_output(draft),
            threshold=draft.threshold,
        )
    return RegressionContract(
        **head,
        input=ValueInput("x", (1, 1), "float32", draft.input.range),
        output=ValueOutput("y", "float32", draft.output.unit),
        threshold=None,
    )


def image_input(image: DraftImage) -> ImageInput:
    """The contract's input, in lesionlite's own form, for the network of ``image``."""
    return ImageInput("image", image.shape, "uint8", "RGB", "exif", image.resize, "stretch")


def _score_output(draft: ClassifierDraft) -> ScoreOutput:
    labels = draft.output.labels
    ordered = tuple(sorted(labels, key=lambda label: label == draft.output.score_of))
    classes = _class_indices(draft.output.classes, ordered)
    return ScoreOutput("score", "float32", ordered, draft.output.score_of, classes)


def _labels_output(draft: LabelsDraft) -> LabelsOutput:
    labels = draft.output.labels
    return LabelsOutput("score", "float32", labels, _class_indices(draft.output.classes, labels))


def _class_indices(classes: Mapping[str, str] | None, labels: Sequence[str]) -> dict[str, int]:
    if classes is None:
        return {label: index for index, label in enumerate(labels)}
    return {name: labels.index(label) for name, label in classes.items()}


def _threshold(stated: DraftThreshold) -> Threshold:
    chosen_on = stated.chosen_on or NOT_STATED
    return Threshold(stated.value, stated.rule, chosen_on, stated.sensitivity, stated.specificity)


def _check_image(image: DraftImage) -> None:
    check_image_input(image_input(image))
    require_value("input.color", image.color, "RGB", "BGR")
    _check_range("input.range", image.range, MAX_RANGE)
    for path, values in (("input.mean", image.mean), ("input.std", image.std)):
        fits = values is None or (len(values) == 3 and all(abs(v) <= MAX_RANGE for v in values))
        require(fits, path, f"must be three numbers within {MAX_RANGE:g}, one a channel")
    require(min(image.std or (1.0,)) >= 1 / MAX_RANGE, "input.std", "must be over 0")


def _check_range(path: str, ends: Sequence[float], limit: float) -> None:
    fits = len(ends) == 2 and all(abs(end) <= limit for end in ends) and ends[0] < ends[1]
    require(fits, path, f"must be [low, high], both within {limit:g}")


def _check_labels(labels: Sequence[str], classes: Mapping[str, str] | None) -> None:
    require(all(label.strip() for label in labels), "output.labels", "has an empty label")
    require(len(set(labels)) == len(labels), "output.labels", "has a label twice")
    for name, label in (classes or {}).items():
        require_value(f"output.classes.{name}", label, *labels)
