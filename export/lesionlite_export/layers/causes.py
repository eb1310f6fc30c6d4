"""Why a layer adds error, from what was measured and from what stands in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lesionlite_export.layers.apart import TERMS
from lesionlite_export.layers.measure import Measured
from lesionlite_export.layers.numbers import LEVELS, range_of
from lesionlite_export.layers.spread import Spread
from lesionlite_export.layers.tally import decibels
from lesionlite_runtime.graph import Graph

NOTABLE_DB = 40.0
"""A layer that keeps the signal 40 dB above its own error, 1 % in amplitude, is not named."""
# An error by clipping is told from one by rounding: a step's rounding makes step² / 12 on average.
_ROUNDING_VARIANCE = 1 / 12
_FAR_ABOVE = 4.0
# Of the range: values that lie this far beyond an end, with as much room at the other, lie beside.
_BESIDE = 0.02
_FEW_LEVELS = 64
_MANY_ZEROS = 0.25
_TIGHT = 0.5


@dataclass(frozen=True)
class Cause:
    """Why a layer is named.

    Attributes:
        code: one of `CODES`.
        damage: whether the file contradicts itself or the float32 weights.
        text: the cause with its figures, for people.
    """

    code: str
    damage: bool
    text: str

    @property
    def part(self) -> str | None:
        """The part of an operator's error that it makes, see `apart.PARTS`; None for an input's."""
        return CODES[self.code][0]


CODES: Mapping[str, tuple[str | None, str]] = {
    "weights_changed": ("constants", "weights that are not those of the float network, rounded"),
    "weights_scale": ("constants", "integers of the weights that were rounded at another scale"),
    "weights_zero_point": ("arithmetic", "a zero point of int8 weights that is not 0"),
    "bias_changed": ("constants", "a bias that is not that of the float network"),
    "output_scale": (
        "constants",
        "an output scale that is not the one that biases behind it were made for",
    ),
    "input_scale": (None, "its input's integers do not stand for the scaled pixels"),
    "zero_point": ("range", "a range that is wide enough and lies beside the values"),
    "not_covered": ("range", "values beyond the range that the calibration found"),
    "clipped": ("range", "a range that was chosen to cut values off"),
    "outlier_range": ("range", "a range that few values set"),
    "wide_range": ("range", "a range far wider than the values"),
    "per_tensor_weights": ("constants", "one scale for the weights of all channels"),
    "coarse_weights": ("constants", "a step of the weights that turns many into 0"),
    "weights_rounding": ("constants", "rounding of the weights"),
    "output_rounding": ("range", "rounding of the output"),
    "bias_overflow": ("arithmetic", "sums that do not fit in 32 bits"),
    "activations_rounding": ("arithmetic", "activations that are rounded while it runs"),
    "arithmetic": ("arithmetic", "a kernel that computes otherwise than the file says"),
}
"""By cause, the part of the error that it makes (see `apart.PARTS`), and what it is."""


INPUT_SCALE = Cause("input_scale", True, CODES["input_scale"][1])


def notable(ratio: float) -> bool:
    """Whether a ratio of noise to signal is above that of `NOTABLE_DB`."""
    level = decibels(ratio)
    return level is not None and level < NOTABLE_DB


def output_scale(ratio: float) -> Cause:
    """The cause where biases were made for another scale; ``ratio`` is the scale's to that one."""
    return Cause(
        "output_scale",
        True,
        f"the scale of its output is {ratio:.3g} times the one that the biases behind it were "
        "made for",
    )


def damage_of(row: Measured) -> Iterator[Cause]:
    """What of a layer contradicts the float32 network or the file itself."""
    weights, bias = row.constants.weights, row.constants.bias
    if weights is not None and weights.scale_ratio is not None:
        yield Cause(
            "weights_scale",
            True,
            f"the scale of its weights is {weights.scale_ratio:.3g} times the one that they were "
            f"rounded at, in {weights.changed_channels} of {weights.channels} channels",
        )
    elif weights is not None and weights.changed:
        yield Cause(
            "weights_changed",
            True,
            f"{_percent(weights.changed)} of its weights, in {weights.changed_channels} of "
            f"{weights.channels} channels, are not the float network's, rounded",
        )
    if weights is not None and weights.zero_point:
        yield Cause(
            "weights_zero_point", True, f"the zero point of its weights is {weights.zero_point}"
        )
    if bias is not None and (bias.changed or _bias_stands_out(row)):
        yield Cause("bias_changed", True, "its bias is not the float network's")
    # Behind a ReLU the least value is 0, and every quantizer puts it on the lowest level.
    if row.spread is not None and row.spread.low == 0 and _lies_beside(row.spread):
        yield _zero_point(row.spread, damage=True)


def _bias_stands_out(row: Measured) -> bool:
    """Whether its bias, of int32, adds far more error than rounding and its correction do."""
    bias = row.constants.bias
    others = max(row.parts["weights"], row.parts["range"])
    return (
        bias is not None
        and bias.input_ratio is None
        and (row.constants.weights is None or row.constants.weights.scale_ratio is None)
        and row.parts["bias"] > _FAR_ABOVE * others
        and notable(row.part_ratio("bias"))
    )


def main_part(row: Measured) -> str:
    """The part that makes most of a layer's own error."""
    return max(TERMS, key=row.parts.__getitem__)


def likely_cause(part: str, row: Measured, graph: Graph, method: str | None) -> Cause:
    """The likeliest cause of one part of a layer's own error, if nothing is damaged.

    Args:
        part: one of `TERMS`.
        row: what was measured.
        graph: of the file.
        method: how the file's ranges were found, where its contract says.
    """
    if part == "constants":
        return _of_weights(row)
    if part == "range" and row.spread is not None:
        return _of_range(row.spread, row.parts["range"], method)
    return _of_arithmetic(row, graph)


def _of_weights(row: Measured) -> Cause:
    weights = row.constants.weights
    if weights is not None and weights.per_tensor:
        return Cause(
            "per_tensor_weights",
            False,
            f"one scale serves the weights of all its {weights.channels} channels; "
            f"{_percent(weights.zeroed)} of them became 0",
        )
    if weights is not None and weights.zeroed >= _MANY_ZEROS:
        return Cause(
            "coarse_weights",
            False,
            "its largest weights set a step at which "
            f"{_percent(weights.zeroed)} of the others became 0",
        )
    stored = "" if weights is None else f" to {weights.dtype}"
    return Cause("weights_rounding", False, f"its weights were rounded{stored}")


def _of_range(spread: Spread, noise: float, method: str | None) -> Cause:
    step = spread.tensor.scales[0]
    rounding = _ROUNDING_VARIANCE * step**2 * spread.n
    levels = spread.central_levels()
    taken = f"99.9 % of them take {levels} of 256 levels"
    if noise > _FAR_ABOVE * rounding and spread.clipped:
        if _lies_beside(spread):
            return _zero_point(spread, damage=False)
        cut = f"{_percent(spread.clipped)} of its values are cut off: {_range_text(spread)}"
        if method is not None and method != "min_max":
            return Cause("clipped", False, f"{cut}, chosen by {method}")
        return Cause("not_covered", False, f"{cut}, which the calibration did not cover")
    if spread.reach < _TIGHT:
        return Cause(
            "wide_range",
            False,
            f"its range is {1 / max(spread.reach, 1e-9):.3g} times as wide as its values; {taken}",
        )
    if levels <= _FEW_LEVELS:
        return Cause("outlier_range", False, f"few of its values set the range; {taken}")
    return Cause("output_rounding", False, f"its output was rounded to steps of {step:.3g}")


def _of_arithmetic(row: Measured, graph: Graph) -> Cause:
    bias, weights = row.constants.bias, row.constants.weights
    if bias is not None and bias.overflow and weights is not None:
        return Cause(
            "bias_overflow",
            False,
            f"the sums of {bias.overflow} of its {weights.channels} channels do not fit in 32 "
            "bits: weights near 0 make a step in which the bias is too large",
        )
    tensors = graph.tensors
    float_inputs = all(tensors[feed.tensor].dtype == "float32" for feed in row.pair.feeds)
    if float_inputs and weights is not None and weights.dtype in LEVELS:
        return Cause("activations_rounding", False, "its input is rounded to int8 while it runs")
    return Cause("arithmetic", False, "its kernel computes otherwise than its numbers say")


def _lies_beside(spread: Spread) -> bool:
    """Whether a range as wide as the values lies beside them."""
    ends = range_of(spread.tensor)
    assert ends is not None
    beyond = max(ends[0] - spread.low, spread.high - ends[1])
    return beyond > _BESIDE * spread.width and spread.reach < 1 + _BESIDE


def _zero_point(spread: Spread, damage: bool) -> Cause:
    return Cause(
        "zero_point",
        damage,
        "the zero point of its output is off: the range is wide enough, and lies beside the values "
        f"({_range_text(spread)}); {_percent(spread.clipped)} of them are cut off",
    )


def _range_text(spread: Spread) -> str:
    ends = range_of(spread.tensor)
    assert ends is not None
    return (
        f"they go from {spread.low:.3g} to {spread.high:.3g}, its range from {ends[0]:.3g} to "
        + (f"{ends[1]:.3g}")
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
