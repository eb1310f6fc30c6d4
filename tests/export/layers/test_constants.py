"""Constants against the float32 ones: roundings, and what is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lesionlite_export.layers.constants import StoredConstants, stored_constants
from lesionlite_export.layers.pairing import Constant, Feed, Pair
from lesionlite_runtime.graph import Graph, OperatorInfo, TensorInfo

CHANNELS, TAPS, INPUT_SCALE = 4, 12, 0.05
Array = NDArray[Any]


def constants_of(
    weights: tuple[Array, Array],
    scales: Array,
    bias: tuple[Array, Array],
    bias_scales: Array | None = None,
    name: str = "FULLY_CONNECTED",
    zero: int = 0,
) -> StoredConstants:
    """What is found of one operator: pairs of float32 and stored values, with their scales."""
    reference = b"".join(a[0].astype("<f4").tobytes() for a in (weights, bias))
    stored = b"".join(a[1].tobytes() for a in (weights, bias))
    exact = [
        TensorInfo("x", (1, TAPS), "float32", (), (), 0, 0),
        TensorInfo("w", weights[0].shape, "float32", (), (), 0, weights[0].size * 4),
        TensorInfo("b", bias[0].shape, "float32", (), (), weights[0].size * 4, bias[0].size * 4),
    ]
    made = scales * INPUT_SCALE if bias_scales is None else bias_scales
    held = [
        TensorInfo("x", (1, TAPS), "int8", (INPUT_SCALE,), (0,), 0, 0),
        TensorInfo(
            "w",
            weights[1].shape,
            str(weights[1].dtype),
            tuple(scales) if weights[1].dtype == np.int8 else (),
            (zero,) * len(scales) if weights[1].dtype == np.int8 else (),
            0,
            weights[1].nbytes,
        ),
        TensorInfo(
            "b",
            bias[1].shape,
            str(bias[1].dtype),
            tuple(made) if bias[1].dtype == np.int32 else (),
            (0,) * len(made) if bias[1].dtype == np.int32 else (),
            weights[1].nbytes,
            bias[1].nbytes,
        ),
    ]
    operator = OperatorInfo(name, 1, (0, 1, 2), (3,), 0, None)
    pair = Pair(0, 0, 3, 3, (Feed(0, 0, 0),), (Constant(1, 1, 1), Constant(2, 2, 2)))
    graphs = [Graph(tuple(t), (operator,), {}, {}) for t in (exact, held)]
    return stored_constants(reference, graphs[0], stored, graphs[1], pair)


def rounded(seed: int, per_channel: bool = True) -> dict[str, Any]:
    """Weights and bias as a quantizer rounds them."""
    generator = np.random.default_rng(seed)
    spread = generator.uniform(0.1, 3, (CHANNELS, 1))
    weights = (generator.normal(size=(CHANNELS, TAPS)) * spread).astype(np.float32)
    bias = generator.normal(size=CHANNELS).astype(np.float32)
    largest = np.abs(weights).max(1) if per_channel else np.abs(weights).max().reshape(1)
    scales = largest.astype(np.float64) / 127
    integers = np.rint(weights / scales[:, None]).astype(np.int8)
    return {
        "weights": (weights, integers),
        "scales": scales,
        "bias": (bias, np.rint(bias / (scales * INPUT_SCALE)).astype(np.int32)),
    }


@given(st.integers(0, 50), st.booleans())
def test_rounded_constants_are_no_others(seed: int, per_channel: bool) -> None:
    found = constants_of(**rounded(seed, per_channel))
    assert found.weights is not None
    assert found.bias is not None
    assert (found.weights.changed, found.weights.scale_ratio) == (0.0, None)
    assert found.weights.per_tensor is not per_channel
    assert (found.bias.changed, found.bias.overflow, found.bias.input_ratio) == (False, 0, None)


@given(st.integers(0, 50), st.data())
def test_an_integer_two_levels_off_is_found_where_it_is(seed: int, data: st.DataObject) -> None:
    parts = rounded(seed)
    weights, integers = parts["weights"]
    row, column = data.draw(st.integers(0, CHANNELS - 1)), data.draw(st.integers(0, TAPS - 1))
    step = -3 if integers[row, column] > 0 else 3
    integers[row, column] += step
    found = constants_of(**parts).weights
    assert found is not None
    assert found.changed == pytest.approx(1 / weights.size)
    assert (found.changed_channels, found.channels) == (1, CHANNELS)


@given(st.integers(0, 50))
def test_roundings_to_the_neighbouring_level_pass(seed: int) -> None:
    """Quantizers that round for the effect on the output go up where down is nearer."""
    parts = rounded(seed)
    weights, _ = parts["weights"]
    exact = weights / parts["scales"][:, None]
    other = np.where(exact > np.rint(exact), np.ceil(exact), np.floor(exact))
    parts["weights"] = weights, np.clip(other, -127, 127).astype(np.int8)
    found = constants_of(**parts).weights
    assert found is not None
    assert found.changed == 0


@given(st.integers(0, 50), st.floats(0.5, 0.93) | st.floats(1.08, 2))
def test_a_scale_that_is_not_the_one_rounded_at(seed: int, ratio: float) -> None:
    parts = rounded(seed)
    stated = parts["scales"] * INPUT_SCALE
    parts["scales"] = parts["scales"] * ratio
    found = constants_of(**parts, bias_scales=stated)
    assert found.weights is not None
    assert found.bias is not None
    assert found.weights.scale_ratio == pytest.approx(ratio, rel=0.01)
    assert found.bias.input_ratio is None  # the weights' scale says it all


@given(st.integers(0, 50), st.floats(0.2, 0.98) | st.floats(1.02, 5))
def test_a_bias_tells_that_the_inputs_scale_was_another(seed: int, ratio: float) -> None:
    parts = rounded(seed)
    bias, _ = parts["bias"]
    stated = parts["scales"] * INPUT_SCALE / ratio
    parts["bias"] = bias, np.rint(bias / stated).astype(np.int32)
    found = constants_of(**parts, bias_scales=stated).bias
    assert found is not None
    assert found.input_ratio == pytest.approx(ratio, rel=1e-3)


def test_a_misstated_bias_scale_that_nothing_reads_is_no_input_scale() -> None:
    parts = rounded(0)
    found = constants_of(**parts, bias_scales=parts["scales"] * INPUT_SCALE * 10).bias
    assert found is not None
    assert found.input_ratio is None


def test_sums_beyond_32_bits_are_counted_and_their_bias_taken_as_it_should_be() -> None:
    parts = rounded(0)
    weights, integers = parts["weights"]
    bias, stored = parts["bias"]
    scales = parts["scales"].copy()
    bias[1], scales[1] = -3.0, 1e-9
    weights[1] = integers[1] * 1e-9
    stored[1] = -(2**31)
    found = constants_of((weights, integers), scales, (bias, stored))
    assert found.bias is not None
    assert found.bias.overflow == 1
    assert found.bias_reals is not None
    assert found.bias_reals == pytest.approx(bias, abs=0.05)


@pytest.mark.parametrize(("factor", "changed"), [(1.0, False), (1.001, True)])
def test_constants_in_floating_point(factor: float, changed: bool) -> None:
    parts = rounded(0)
    weights, bias = parts["weights"][0], parts["bias"][0]
    halves = (weights.astype(np.float16) * np.float16(1.0)).astype(np.float16)
    halves[2, 3] *= np.float16(1 + 2 * (factor - 1))
    held = constants_of(
        (weights, halves), parts["scales"], (bias, (bias * factor).astype(np.float32))
    )
    assert held.weights is not None
    assert held.bias is not None
    assert ((held.weights.changed > 0), held.bias.changed) == (changed, changed)
    assert held.operands[1] == pytest.approx(weights, rel=0.01)


def test_a_zero_point_of_weights() -> None:
    found = constants_of(**rounded(0), zero=3).weights
    assert found is not None
    assert found.zero_point == 3


def test_an_operand_of_another_operator_may_have_one() -> None:
    """The factor of a MUL is an activation like any other."""
    parts = rounded(0)
    weights, integers = parts["weights"]
    shifted = np.clip(integers.astype(int) + 3, -128, 127).astype(np.int8)
    inside = np.abs(integers) < 120
    kept = np.where(inside, weights, 0).astype(np.float32)
    found = constants_of(
        (kept, np.where(inside, shifted, 3).astype(np.int8)),
        parts["scales"],
        parts["bias"],
        name="MUL",
        zero=3,
    ).weights
    assert found is not None
    assert (found.zero_point, found.changed) == (0, 0)


def test_depthwise_channels_are_the_last_axis() -> None:
    parts = rounded(0)
    weights, integers = (a.T.reshape(1, 3, 4, CHANNELS) for a in parts["weights"])
    integers = integers.copy()
    integers[0, 1, 1, 2] = -integers[0, 1, 1, 2] - 50
    found = constants_of(
        (weights, integers), parts["scales"], parts["bias"], name="DEPTHWISE_CONV_2D"
    ).weights
    assert found is not None
    assert (found.channels, found.changed_channels) == (CHANNELS, 1)
    assert found.changed == pytest.approx(1 / weights.size)
    assert replace(found, changed=0.0).per_tensor is False
