"""Whether a file and its reference can be compared, and what they are to each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from lesionlite_export.keras_model import KerasModel
from lesionlite_export.recorded import RecordedScores
from lesionlite_export.reference import Reference
from lesionlite_export.source import Source
from lesionlite_export.views import views_network
from lesionlite_runtime.contract import (
    AnyContract,
    ClassifierContract,
    ImageContract,
    LabelsContract,
    RegressionContract,
)
from lesionlite_runtime.errors import UnusableInput

R = TypeVar("R", bound=Reference)
KERAS, TFLITE, RECORDED = "keras", "tflite", "recorded"


@dataclass(frozen=True)
class Side:
    """One of the two that are compared.

    Attributes:
        kind: ``keras``, ``tflite`` or ``recorded``.
        file: path.
        model: id of the model; None where recorded scores do not say it.
        network_sha256: digest of the Keras network that it comes from, likewise.
        recipe: of the export; None where there was none, or nobody says.
        threshold: what it decides by; None for a regression and for several labels.
        thresholds: of several labels, what each needs; None where the highest score decides, and
            for recorded scores, which have their decisions with them.
        contract: digest of its contract; None for what is no ``.tflite``.
    """

    kind: str
    file: str
    model: str | None
    network_sha256: str | None
    recipe: str | None
    threshold: float | None
    thresholds: Mapping[str, float] | None = None
    contract: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON, but for the contract; ``thresholds`` where there are any."""
        own = {} if self.thresholds is None else {"thresholds": dict(self.thresholds)}
        return {
            "kind": self.kind,
            "file": self.file,
            "model": self.model,
            "network_sha256": self.network_sha256,
            "recipe": self.recipe,
            "threshold": self.threshold,
            **own,
        }

    @property
    def origin_unknown(self) -> bool:
        """Whether it is a file of another converter's, whose digest is of itself."""
        return self.kind == TFLITE and self.recipe is None


def file_side(contract: AnyContract, file: str) -> Side:
    """The ``.tflite`` that is verified."""
    return _side(TFLITE, contract, file, _threshold(contract), label_thresholds(contract))


def reference_side(reference: Reference, contract: AnyContract) -> Side:
    """What it is compared with.

    A Keras network decides by the thresholds of the file that was made from it. Every other
    reference has its own; recorded scores without a threshold take the file's.
    """
    own, labels = _threshold(contract), label_thresholds(contract)
    if isinstance(reference, RecordedScores):
        threshold = own if reference.threshold is None or own is None else reference.threshold
        return Side(
            RECORDED, reference.path, reference.model, reference.network_sha256, None, threshold
        )
    theirs = reference.contract
    if not isinstance(reference, KerasModel):
        return file_side(theirs, reference.path)
    if theirs.provenance.network_sha256 != contract.provenance.network_sha256:
        own, labels = _threshold(theirs, contract.provenance.views), label_thresholds(theirs)
    return _side(KERAS, theirs, reference.path, own, labels)


def same_network(reference: Side, file: Side) -> bool | None:
    """Whether both come from one Keras network; None where one of them does not say it."""
    if reference.network_sha256 is None:
        return True if reference.model == file.model else None
    if reference.network_sha256 == file.network_sha256:
        return True
    return None if reference.origin_unknown or file.origin_unknown else False


def label_thresholds(contract: AnyContract) -> Mapping[str, float] | None:
    """What each of several labels needs; None where the highest score decides, and for others."""
    if not isinstance(contract, LabelsContract) or contract.threshold is None:
        return None
    return contract.threshold.values


def origin_warnings(reference: Side, file: Side) -> Iterator[str]:
    """What to know of the two before anything else, a sentence each."""
    same = same_network(reference, file)
    for side in (reference, file):
        if same is None and side.origin_unknown:
            yield f"{side.file} was made by another converter, and does not say from what network"
    if same is False:
        yield (
            f"{file.file} was made from another network ({_short(file)}) than {reference.file} "
            f"({_short(reference)}): this compares two models"
        )
    theirs, own = reference.threshold, file.threshold
    if theirs is not None and own is not None and theirs != own:
        yield (
            f"{reference.file} decides at {theirs:.4f} and {file.file} at {own:.4f}: a flip is a "
            "difference of their own decisions"
        )
    if reference.kind != RECORDED and reference.thresholds != file.thresholds:
        yield (
            f"{reference.file} decides by {_rule(reference.thresholds)} and {file.file} by "
            f"{_rule(file.thresholds)}: a flip is a difference of their own decisions"
        )


def check_comparable(reference: R, contract: AnyContract, file: str) -> tuple[R, tuple[str, ...]]:
    """``reference`` with as many views of each image as ``file`` has, and what to warn of.

    Two releases may have different numbers of views: a ``.tflite`` stays as it is.

    Raises:
        UnusableInput: when it does another task, wants other pixels, has other labels, or is a
            Keras model with more views than one, and not those of the file.
    """
    warnings = tuple(
        origin_warnings(reference_side(reference, contract), file_side(contract, file))
    )
    if isinstance(reference, RecordedScores):
        _check_recorded(reference, contract, file)
        return reference, warnings
    _check_same_task(reference, contract, file)
    if isinstance(contract, RegressionContract):
        return reference, warnings
    return cast(R, _with_same_views(reference, contract, file)), warnings


def _check_same_task(source: Source, contract: AnyContract, file: str) -> None:
    theirs = source.contract
    if theirs.task != contract.task:
        raise UnusableInput(
            f"this is a model for {contract.task}, and {source.path} one for {theirs.task}",
            "compare models of one kind",
            file,
        )
    if isinstance(theirs, RegressionContract) or isinstance(contract, RegressionContract):
        return
    # Name, type and order of the channels are the file's own affair: the photo's pixels are alike.
    same = replace(
        contract.input,
        dtype=theirs.input.dtype,
        range=theirs.input.range,
        color=theirs.input.color,
        name=theirs.input.name,
    )
    if theirs.input != same:
        raise UnusableInput(
            f"it wants other pixels than {source.path} (see `lesionlite inspect`)",
            "compare models with the same input",
            file,
        )
    same_labels = theirs.output.labels == contract.output.labels
    if not same_labels or dict(theirs.output.classes) != dict(contract.output.classes):
        raise _other_labels(source.path, file)


def _with_same_views(source: Source, contract: ImageContract, file: str) -> Source:
    wanted, has = contract.provenance.views or 1, source.contract.provenance.views or 1
    if wanted == has or not isinstance(source, KerasModel):
        return source
    if has == 1:
        return replace(source, network=views_network(source.network, wanted))
    raise UnusableInput(
        f"it averages {wanted} views of an image, and {source.path} {has}",
        "compare it with the .keras that it was made from",
        file,
    )


def _check_recorded(recorded: RecordedScores, contract: AnyContract, file: str) -> None:
    if isinstance(contract, RegressionContract):
        raise UnusableInput(
            f"this is a model for {contract.task}, and {recorded.path} has scores of images",
            "compare it with its .keras",
            file,
        )
    if isinstance(contract, LabelsContract):
        if sorted(recorded.labels) != sorted(contract.output.labels):
            raise _other_labels(recorded.path, file)
        return
    if recorded.labels or recorded.score_of not in (None, contract.output.score_of):
        raise _other_labels(recorded.path, file)


def _other_labels(reference: str, file: str) -> UnusableInput:
    return UnusableInput(
        f"its label map is not that of {reference} (see `lesionlite inspect`)",
        "compare models with the same classes",
        file,
    )


def _side(
    kind: str,
    contract: AnyContract,
    file: str,
    threshold: float | None,
    thresholds: Mapping[str, float] | None,
) -> Side:
    provenance = contract.provenance
    return Side(
        kind,
        file,
        contract.model_id,
        provenance.network_sha256,
        provenance.recipe,
        threshold,
        thresholds,
        contract.digest if kind == TFLITE else None,
    )


def _threshold(contract: AnyContract, views: int | None = None) -> float | None:
    """What ``contract`` decides by, for a file of so many ``views``."""
    if not isinstance(contract, ClassifierContract):
        return None
    for other in contract.views_thresholds or ():
        if other.views == views:
            return other.threshold.value
    return contract.decision_threshold


def _rule(thresholds: Mapping[str, float] | None) -> str:
    if thresholds is None:
        return "the highest score"
    return "thresholds (" + ", ".join(f"{name} {at:.4f}" for name, at in thresholds.items()) + ")"


def _short(side: Side) -> str:
    return str(side.network_sha256)[:12]
