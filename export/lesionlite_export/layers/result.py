"""The result of a comparison layer by layer, and its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lesionlite_export.layers.causes import Cause
from lesionlite_export.layers.effect import Change
from lesionlite_export.representative import Unusable

LAYERS_SCHEMA = "lesionlite.layers/1"


@dataclass(frozen=True)
class OutputRange:
    """The levels of a quantized output, and the float network's values in them.

    Attributes:
        scale: step between two levels.
        zero_point: the level that stands for 0.
        low: the least number that a level stands for.
        high: the greatest.
        seen_low: the least value of the float network.
        seen_high: the greatest.
        clipped: share of its values beyond the range.
        levels: of 256 levels, how many the central 99.9 % of its values take.
    """

    scale: float
    zero_point: int
    low: float
    high: float
    seen_low: float
    seen_high: float
    clipped: float
    levels: int

    def to_json(self) -> dict[str, Any]:
        """By the attributes' names."""
        return dict(vars(self))


@dataclass(frozen=True)
class Layer:
    """One operator of the file against the float network's.

    Signal-to-noise ratios are in dB; None means that there is no error at all.

    Attributes:
        operator: its number in the file's graph.
        name: of the operator, such as ``CONV_2D``.
        layer: the Keras layer.
        layers: all Keras layers that are folded into it.
        tensor: name of its output tensor in the file.
        dtype: of that tensor.
        snr_db: of its output in the file's own run, errors from before included.
        cosine: likewise, between both outputs.
        max_error: likewise, the largest absolute error.
        input_snr_db: of the worst of its inputs in the file's own run.
        added_snr_db: of what it makes of the right input: the error that it adds.
        added_max_error: likewise, the largest absolute error.
        parts_db: by what makes it (see `measure.PARTS`), the ratio if that error were all.
        range: of a quantized output.
    """

    operator: int
    name: str
    layer: str
    layers: tuple[str, ...]
    tensor: str
    dtype: str
    snr_db: float | None
    cosine: float
    max_error: float
    input_snr_db: float | None
    added_snr_db: float | None
    added_max_error: float
    parts_db: dict[str, float | None]
    range: OutputRange | None

    def to_json(self) -> dict[str, Any]:
        """As docs/layers.md describes it."""
        return {
            "operator": self.operator,
            "name": self.name,
            "layer": self.layer,
            "layers": list(self.layers),
            "tensor": self.tensor,
            "dtype": self.dtype,
            "snr_db": self.snr_db,
            "cosine": self.cosine,
            "max_error": self.max_error,
            "input_snr_db": self.input_snr_db,
            "added": {
                "snr_db": self.added_snr_db,
                "max_error": self.added_max_error,
                "parts_db": self.parts_db,
            },
            "range": None if self.range is None else self.range.to_json(),
        }


@dataclass(frozen=True)
class NamedCause:
    """A cause, and what the part of the error that it makes does to the float network's score.

    ``change`` is None where it was not measured, or the cause is no part of the layer's own error.
    """

    cause: Cause
    change: Change | None

    def to_json(self) -> dict[str, Any]:
        """As docs/layers.md describes it."""
        return {**vars(self.cause), "score_change": _change_json(self.change)}


@dataclass(frozen=True)
class NamedLayer:
    """A layer that stands out.

    Attributes:
        layer: see `Layer`.
        causes: damage first, then the likely cause of most of the error, then of what reaches the
            score.
        jump: whether it adds at least as much error as it is given.
        most: whether no other layer adds as much, for its signal.
        change: what its error alone does to the float network's score; None where it was not
            measured.
    """

    layer: Layer
    causes: tuple[NamedCause, ...]
    jump: bool
    most: bool
    change: Change | None

    @property
    def damage(self) -> bool:
        """Whether the file contradicts itself or the float weights there."""
        return any(named.cause.damage for named in self.causes)

    def to_json(self) -> dict[str, Any]:
        """As docs/layers.md describes it."""
        return {
            "operator": self.layer.operator,
            "name": self.layer.name,
            "layer": self.layer.layer,
            "tensor": self.layer.tensor,
            "jump": self.jump,
            "most": self.most,
            "damage": self.damage,
            "causes": [named.to_json() for named in self.causes],
            "score_change": _change_json(self.change),
        }


@dataclass(frozen=True)
class Reference:
    """The float network that stands for the model.

    Attributes:
        file: the ``.keras`` or the float32 ``.tflite``.
        form: ``keras`` or ``tflite``.
        keras_difference: largest difference of the float32 file's output to Keras' on the same
            inputs; None where the reference is the file itself.
    """

    file: str
    form: str
    keras_difference: float | None


@dataclass(frozen=True)
class Inputs:
    """What was compared on.

    Attributes:
        n: inputs that were run.
        of: inputs that were to choose from.
        seed: of the sample.
        sha256: over the inputs' digests in order, see `representative.list_digest`; None for a
            regression's grid.
    """

    n: int
    of: int
    seed: int
    sha256: str | None


@dataclass(frozen=True)
class LayerReport:
    """A file against the float network, operator by operator.

    Attributes:
        file: the file.
        model_id: first 12 hex digits of its SHA-256.
        reference: the float network.
        kernels: what both ran in.
        inputs: what was compared on.
        layers: the operators in graph order.
        named: those that stand out, in graph order.
        unusable: images that could not be read.
    """

    file: str
    model_id: str
    reference: Reference
    kernels: str
    inputs: Inputs
    layers: tuple[Layer, ...]
    named: tuple[NamedLayer, ...]
    unusable: tuple[Unusable, ...] = ()

    @property
    def starts_at(self) -> NamedLayer | None:
        """The first layer that is damaged or jumps."""
        return next((named for named in self.named if named.damage or named.jump), None)

    def to_json(self) -> dict[str, Any]:
        """The object of the schema `LAYERS_SCHEMA`."""
        return {
            "schema": LAYERS_SCHEMA,
            "file": self.file,
            "model_id": self.model_id,
            "reference": vars(self.reference),
            "kernels": self.kernels,
            "inputs": vars(self.inputs),
            "starts_at": None if self.starts_at is None else self.starts_at.layer.layer,
            "damaged": [named.layer.layer for named in self.named if named.damage],
            "named": [named.to_json() for named in self.named],
            "layers": [layer.to_json() for layer in self.layers],
        }


def _change_json(change: Change | None) -> dict[str, float] | None:
    return None if change is None else {"mean": change.mean, "max": change.max}
