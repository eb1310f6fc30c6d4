"""Which cause is told from which figures, and which layers are named at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lesionlite_export.layers.apart import PARTS
from lesionlite_export.layers.causes import CODES, damage_of, likely_cause
from lesionlite_export.layers.constants import Bias, StoredConstants, Weights
from lesionlite_export.layers.findings import findings
from lesionlite_export.layers.measure import Measured
from lesionlite_export.layers.numbers import as_stored
from lesionlite_export.layers.pairing import Feed, Pair
from lesionlite_export.layers.spread import Spread
from lesionlite_export.layers.tally import Tally
from lesionlite_runtime.graph import Graph, OperatorInfo, TensorInfo

WEIGHTS = Weights("int8", 16, 0.0, 0, None, 0.01, False, 0)
SIGNAL = 1000.0


def tensor(dtype: str = "int8", scale: float = 0.1, zero: int = 0) -> TensorInfo:
    quantized = dtype != "float32"
    return TensorInfo(
        "t", (1, 64), dtype, (scale,) if quantized else (), (zero,) if quantized else (), 0, 0
    )


def graph_of(rows: list[Measured], dtype: str = "int8") -> Graph:
    """A chain: row i reads tensor i and writes tensor i + 1."""
    operators = tuple(OperatorInfo("CONV_2D", 1, (i,), (i + 1,), 0, None) for i in range(len(rows)))
    return Graph((tensor(dtype),) * (len(rows) + 1), operators, {"x": 0}, {"y": len(rows)})


def row(
    number: int = 0,
    part: str = "constants",
    own: float = 0.01,
    carried: float = 0.0,
    weights: Weights | None = WEIGHTS,
    bias: Bias | None = None,
    spread: Spread | None = None,
) -> Measured:
    """A row whose own noise over signal is ``own``, nearly all of it by ``part``."""
    pair = Pair(number, number, number + 1, number + 1, (Feed(0, number, number),), ())
    noise = own * SIGNAL
    parts = {p: noise if p == part else noise / 100 for p in PARTS}
    return Measured(
        pair,
        StoredConstants({}, None, weights, bias),
        added=Tally(64, SIGNAL, noise, SIGNAL, SIGNAL, 1.0),
        parts=parts,
        spread=spread,
        carried=carried,
    )


def spread_of(values: Any, scale: float = 0.1, zero: int = 0) -> Spread:
    spread = Spread(tensor(scale=scale, zero=zero))
    reals = np.asarray(values, np.float32)
    spread.add(reals, as_stored(reals, spread.tensor))
    return spread


def noise_of(spread: Spread, factor: float) -> float:
    """Noise of ``factor`` times what rounding to its levels makes, over the row's signal."""
    return factor * spread.tensor.scales[0] ** 2 / 12 * spread.n / SIGNAL


GENERATOR = np.random.default_rng(0)
WIDE = GENERATOR.uniform(-12, 12, 4000)


@pytest.mark.parametrize(
    ("weights", "code"),
    [
        (WEIGHTS, "weights_rounding"),
        (replace(WEIGHTS, per_tensor=True, zeroed=0.4), "per_tensor_weights"),
        (replace(WEIGHTS, zeroed=0.4), "coarse_weights"),
        (replace(WEIGHTS, dtype="float16"), "weights_rounding"),
    ],
)
def test_causes_in_the_weights(weights: Weights, code: str) -> None:
    found = row(weights=weights)
    assert likely_cause("constants", found, graph_of([found]), None).code == code


@pytest.mark.parametrize(
    ("spread", "factor", "method", "code"),
    [
        (spread_of(WIDE), 1.0, "min_max", "output_rounding"),
        (spread_of(WIDE / 3), 1.0, "min_max", "wide_range"),
        (spread_of([*WIDE / 8, -12.0, 12.0]), 1.0, "min_max", "outlier_range"),
        (spread_of(WIDE * 1.5), 50.0, "min_max", "not_covered"),
        (spread_of(WIDE * 1.5), 50.0, None, "not_covered"),
        (spread_of(WIDE * 1.5), 50.0, "percentile_99.9", "clipped"),
        (spread_of(WIDE * 1.5), 50.0, "mse", "clipped"),
        (spread_of(WIDE, zero=60), 50.0, "min_max", "zero_point"),
        (spread_of(WIDE, zero=-60), 50.0, "mse", "zero_point"),
    ],
)
def test_causes_in_the_range(spread: Spread, factor: float, method: str | None, code: str) -> None:
    found = row(part="range", own=noise_of(spread, factor), spread=spread)
    cause = likely_cause("range", found, graph_of([found]), method)
    assert (cause.code, cause.damage) == (code, False)


@pytest.mark.parametrize(
    ("bias", "inputs", "weights", "code"),
    [
        (Bias(overflow=3), "int8", WEIGHTS, "bias_overflow"),
        (None, "float32", WEIGHTS, "activations_rounding"),
        (Bias(), "int8", WEIGHTS, "arithmetic"),
        (None, "float32", None, "arithmetic"),
    ],
)
def test_causes_in_the_arithmetic(
    bias: Bias | None, inputs: str, weights: Weights | None, code: str
) -> None:
    found = row(part="arithmetic", bias=bias, weights=weights)
    assert likely_cause("arithmetic", found, graph_of([found], inputs), None).code == code


def test_a_relu_vouches_for_its_zero_point() -> None:
    values = np.maximum(WIDE, 0)
    beside = row(spread=spread_of(values, scale=12 / 255, zero=-128 + 40))
    signed = row(spread=spread_of(WIDE, zero=60))
    narrow = row(spread=spread_of(values, scale=6 / 255, zero=-128))
    right = row(spread=spread_of(values, scale=12 / 255, zero=-128))
    found = [[c.code for c in damage_of(r)] for r in (beside, signed, narrow, right)]
    assert found == [["zero_point"], [], [], []]


def test_a_bias_stands_out_by_far_more_than_rounding() -> None:
    found = row(part="bias", bias=Bias())
    assert [c.code for c in damage_of(found)] == ["bias_changed"]
    for explained in (
        row(part="bias", bias=Bias(input_ratio=2.0)),
        row(part="bias", bias=Bias(), weights=replace(WEIGHTS, scale_ratio=2.0, changed=0.5)),
        row(part="bias", own=1e-5, bias=Bias()),
        row(part="weights", bias=Bias()),
    ):
        assert "bias_changed" not in [c.code for c in damage_of(explained)]


def test_layers_that_add_less_than_they_are_given_are_not_named() -> None:
    rows = [row(0, own=0.02), row(1, own=0.01, carried=0.02), row(2, own=0.03, carried=0.02)]
    found = findings(rows, graph_of(rows), 0.0, None)
    assert [(f.row, f.jump, f.most) for f in found] == [(0, True, False), (2, True, True)]


def test_the_one_that_adds_most_is_named_behind_a_larger_error() -> None:
    rows = [row(0, own=0.02), row(1, own=0.03, carried=0.5), row(2, own=0.001, carried=0.5)]
    found = findings(rows, graph_of(rows), 0.0, None)
    assert [(f.row, f.jump, f.most) for f in found] == [(0, True, False), (1, False, True)]


def test_under_one_percent_nothing_is_named() -> None:
    rows = [row(0, own=0.9e-4), row(1, own=0.5e-4)]
    assert findings(rows, graph_of(rows), 0.0, None) == ()


def test_a_misled_bias_names_the_layer_in_front_and_not_its_own() -> None:
    rows = [
        row(0, own=1e-6),
        row(1, own=0.5, bias=Bias(input_ratio=2.0)),
        row(2, own=0.01, carried=0.5),
    ]
    found = findings(rows, graph_of(rows), 0.0, None)
    assert [(f.row, [c.code for c in f.causes], f.felt_at) for f in found] == [
        (0, ["output_scale"], 1),
        (2, ["weights_rounding"], 2),
    ]
    assert "2 times" in found[0].causes[0].text


@pytest.mark.parametrize(("ratio", "bias"), [(0.01, Bias()), (0.0, Bias(input_ratio=2.0))])
def test_an_input_that_does_not_stand_for_the_pixels(ratio: float, bias: Bias) -> None:
    rows = [row(0, own=1e-6, bias=bias), row(1, own=1e-6)]
    found = findings(rows, graph_of(rows), ratio, None)
    assert [(f.row, [c.code for c in f.causes]) for f in found] == [(0, ["input_scale"])]


def test_damage_comes_first_and_explains_its_own_part() -> None:
    weights = replace(WEIGHTS, changed=0.1, changed_channels=4)
    rows = [row(0, weights=weights)]
    (found,) = findings(rows, graph_of(rows), 0.0, None)
    assert [c.code for c in found.causes] == ["weights_changed"]
    assert "10 % of its weights, in 4 of 16 channels" in found.causes[0].text
    rows = [row(0, "range", 0.5, weights=weights, spread=spread_of(WIDE * 1.5))]
    (found,) = findings(rows, graph_of(rows), 0.0, None)
    assert [c.code for c in found.causes] == ["weights_changed", "not_covered"]


def test_every_cause_has_its_part() -> None:
    assert {part for part, _ in CODES.values()} <= {*PARTS, None}
