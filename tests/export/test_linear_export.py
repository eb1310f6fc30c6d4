"""Every recipe exports a line through the gate, is what it says it is, and keeps to its range."""

from __future__ import annotations

from pathlib import Path

import pytest

from lesionlite_export.conformity import operator_kinds
from lesionlite_export.gate import REGRESSION_LIMITS
from lesionlite_export.keras_model import load_keras
from lesionlite_export.parity import ValueParity
from lesionlite_export.publish import Exported, export_model
from lesionlite_export.recipe import load_recipe
from lesionlite_runtime.contract import RegressionContract
from lesionlite_runtime.contract_fields import RegressionParity
from lesionlite_runtime.door import open_model
from lesionlite_runtime.errors import ProofFailed, UnusableInput
from lesionlite_runtime.regressor import Regressor
from lesionlite_training.linear import EXAMPLES, train_linear
from lesionlite_training.points import example_points

pytestmark = pytest.mark.tensorflow
SAMPLES = Path(__file__).parents[2] / "samples" / "linear"
RECIPES = ("float32", "float16", "dynamic", "int8")
# Largest error over -20 to 20 that docs/linear-models.md states, in units of y, a little widened.
LARGEST_ERROR = {
    ("hello", "float32"): 1e-5,
    ("hello", "float16"): 0.002,
    ("hello", "dynamic"): 1e-4,
    ("hello", "int8"): 0.25,
    ("house", "float32"): 1e-3,
    ("house", "float16"): 0.01,
    ("house", "dynamic"): 1e-3,
    ("house", "int8"): 7.5,
}
KINDS = {
    "float32": [("FULLY_CONNECTED", "float32*float32")],
    "float16": [
        ("DEQUANTIZE", "float32"),
        ("FULLY_CONNECTED", "float32*float16"),
    ],
    "dynamic": [("FULLY_CONNECTED", "float32*int8")],
    "int8": [
        ("QUANTIZE", "int8"),
        ("FULLY_CONNECTED", "int8*int8"),
        ("DEQUANTIZE", "float32"),
    ],
}
ANSWERS = {"hello": {10: 19, -3: -7}, "house": {7: 400}}

Key = tuple[str, str]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[Key, Exported]:
    """Both examples in every recipe, each past the gate."""
    folder = tmp_path_factory.mktemp("linear")
    results = {}
    for name, example in EXAMPLES.items():
        keras = folder / f"{name}.keras"
        train_linear(example.points, keras, epochs=example.epochs, value_range=example.value_range)
        model = load_keras(keras)
        for recipe in RECIPES:
            out = folder / f"{name}.{recipe}.tflite"
            results[name, recipe] = export_model(model, load_recipe(recipe), out)
    return results


@pytest.mark.parametrize("key", LARGEST_ERROR, ids="-".join)
def test_a_recipe_keeps_its_stated_error_and_the_default_limit(
    exported: dict[Key, Exported], key: Key
) -> None:
    result = exported[key]
    assert isinstance(result.parity, ValueParity)
    measures = result.parity.measures()
    largest, relative = measures["max_absolute_error"], measures["max_relative_error"]
    assert largest is not None
    assert relative is not None
    assert largest <= LARGEST_ERROR[key]
    assert 2 * relative < REGRESSION_LIMITS["max_relative_error"]


@pytest.mark.parametrize("key", LARGEST_ERROR, ids="-".join)
def test_the_answers(exported: dict[Key, Exported], key: Key) -> None:
    regressor = Regressor(exported[key].path)
    for x, y in ANSWERS[key[0]].items():
        assert regressor.predict(x) == pytest.approx(y, abs=LARGEST_ERROR[key] + 0.001)


@pytest.mark.parametrize("key", LARGEST_ERROR, ids="-".join)
def test_a_file_computes_in_the_types_of_its_recipe(
    exported: dict[Key, Exported], key: Key
) -> None:
    graph = open_model(exported[key].path).graph
    kinds = [(operator.name, kind) for operator, kind in operator_kinds(graph)]
    assert kinds == KINDS[key[1]]
    operators = load_recipe(key[1]).operators["value"]
    assert {name: list(types) for name, types in operators.items()} == {
        name: [kind] for name, kind in KINDS[key[1]]
    }


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_range_travels_and_holds(exported: dict[Key, Exported], recipe: str) -> None:
    regressor = Regressor(exported["hello", recipe].path)
    contract = regressor.contract
    assert isinstance(contract, RegressionContract)
    assert contract.input.range == (-20, 20)
    assert isinstance(contract.parity, RegressionParity)
    calibrated = contract.provenance.calibration is not None
    assert calibrated == (recipe == "int8")
    for x in (-20.0, 20.0):
        assert regressor.predict(x) == pytest.approx(2 * x - 1, abs=0.25)
    for x in (-20.001, 20.001, float("nan"), float("inf")):
        with pytest.raises(UnusableInput, match="lies outside the model's range -20 to 20"):
            regressor.predict(x)


def test_int8_calibration_covers_the_range(exported: dict[Key, Exported]) -> None:
    graph = open_model(exported["hello", "int8"].path).graph
    quantize = next(operator for operator in graph.operators if operator.name == "QUANTIZE")
    tensor = graph.tensors[quantize.outputs[0]]
    (scale,), (zero,) = tensor.scales, tensor.zero_points
    assert scale == pytest.approx(40 / 255, rel=1e-6)
    lowest, highest = (scale * (limit - zero) for limit in (-128, 127))
    assert lowest == pytest.approx(-20, abs=scale)
    assert highest == pytest.approx(20, abs=scale)


def test_exporting_twice_gives_the_same_bytes(
    exported: dict[Key, Exported], tmp_path: Path
) -> None:
    first = exported["hello", "int8"].path
    again = tmp_path / first.name
    export_model(load_keras(first.with_name("hello.keras")), load_recipe("int8"), again)
    assert again.read_bytes() == first.read_bytes()


def test_a_line_that_int8_cannot_hold_is_not_published(tmp_path: Path) -> None:
    """Its b is stored in steps of (step of x) times (step of a), and a is next to nothing."""
    points = example_points("flat", (-2, -1, 0, 1, 2, 3), slope=0, intercept=3)
    keras, out = tmp_path / "flat.keras", tmp_path / "flat.tflite"
    train_linear(points, keras, epochs=5000, value_range=(-20, 20))
    with pytest.raises(ProofFailed, match=r"flat\.tflite: the proof failed: max_relative_error"):
        export_model(load_keras(keras), load_recipe("int8"), out)
    assert not out.exists()
    export_model(load_keras(keras), load_recipe("dynamic"), out)
    assert Regressor(out).predict(20) == pytest.approx(3, abs=1e-3)


def test_the_sample_is_the_export_of_its_keras() -> None:
    contract = Regressor(SAMPLES / "hello.int8.tflite").contract
    keras = load_keras(SAMPLES / "hello.keras").contract
    assert contract.provenance.network_sha256 == keras.provenance.network_sha256


@pytest.mark.parametrize(("x", "y"), [(10, 19), (-3, -7)])
def test_the_sample_answers(x: float, y: float) -> None:
    assert Regressor(SAMPLES / "hello.int8.tflite").predict(x) == pytest.approx(y, abs=0.25)
