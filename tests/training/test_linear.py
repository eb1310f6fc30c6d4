"""The compiled training of a line: the weights of Keras's own ``fit``, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlite_runtime.container import read_contract
from lesionlite_runtime.errors import LesionliteError, UnusableInput, UsageError
from lesionlite_training import linear
from lesionlite_training.linear import EXAMPLES, Trained, least_squares_loss, train_linear
from lesionlite_training.points import Points, example_points

pytestmark = pytest.mark.tensorflow
EPOCHS = 40


def noisy_points() -> Points:
    """More points than Keras's batch of 32, around y = 3x + 1."""
    generator = np.random.default_rng(0)
    x = generator.uniform(-3, 3, 50)
    return Points("csv", x, 3 * x + 1 + generator.normal(0, 0.3, 50), None)


POINTS = {**{name: example.points for name, example in EXAMPLES.items()}, "noisy": noisy_points()}


def train(points: Points, out: Path, **settings: Any) -> Trained:
    settings = {"epochs": EPOCHS, "value_range": points.span, **settings}
    return train_linear(points, out, **settings)


def compiled_network() -> Any:
    """The network that the compiled training starts from, compiled as a user would.

    ``jit_compile`` is off, as by default on a CPU; on a GPU it would sum in another order.
    """
    import keras

    x = keras.Input((1,))
    y = keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(seed=0))(x)
    network = keras.Model(x, y)
    network.compile(keras.optimizers.SGD(linear.LEARNING_RATE), "mse", jit_compile=False)
    return network


def float32_columns(points: Points) -> tuple[Any, Any]:
    return points.x.astype(np.float32)[:, None], points.y.astype(np.float32)[:, None]


def line_of(network: Any) -> tuple[float, float]:
    kernel, bias = network.get_weights()
    return float(kernel[0, 0]), float(bias[0])


@pytest.mark.parametrize("name", POINTS)
def test_the_weights_are_those_of_fit_bit_for_bit(tmp_path: Path, name: str) -> None:
    points = POINTS[name]
    trained = train(points, tmp_path / "m.keras")
    network = compiled_network()
    x, y = float32_columns(points)
    network.fit(x, y, epochs=EPOCHS, batch_size=len(x), shuffle=False, verbose=0)
    assert (trained.slope, trained.intercept) == line_of(network)


def test_fit_with_its_defaults_differs_by_rounding_alone(tmp_path: Path) -> None:
    """Shuffled points are summed in another order."""
    points = POINTS["hello"]
    trained = train(points, tmp_path / "m.keras")
    network = compiled_network()
    network.fit(*float32_columns(points), epochs=EPOCHS, verbose=0)
    assert (trained.slope, trained.intercept) == pytest.approx(line_of(network), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "x", "y"), [("hello", 10, 19), ("hello", -3, -7), ("house", 7, 400)]
)
def test_a_full_run(tmp_path: Path, name: str, x: float, y: float) -> None:
    trained = train(POINTS[name], tmp_path / "m.keras", epochs=EXAMPLES[name].epochs)
    assert trained.slope * x + trained.intercept == pytest.approx(y, abs=0.001)
    assert trained.seconds < 5


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_full_run_ends_at_the_weights_of_fit(tmp_path: Path, name: str) -> None:
    """One epoch of n batches of all points: n epochs' steps, without 60 ms each in between."""
    import tensorflow as tf

    epochs = EXAMPLES[name].epochs
    trained = train(POINTS[name], tmp_path / "m.keras", epochs=epochs)
    network = compiled_network()
    batches = tf.data.Dataset.from_tensors(float32_columns(POINTS[name])).repeat(epochs)
    network.fit(batches, epochs=1, shuffle=False, verbose=0)
    assert (trained.slope, trained.intercept) == line_of(network)


def test_training_in_pieces_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(POINTS["noisy"], tmp_path / "whole.keras")
    monkeypatch.setattr(linear, "_EPOCHS_AT_ONCE", 7)
    pieces = train(POINTS["noisy"], tmp_path / "pieces.keras")
    assert (pieces.slope, pieces.intercept) == (whole.slope, whole.intercept)


def test_the_same_seed_gives_the_same_network_and_another_one_another(tmp_path: Path) -> None:
    first, again, other = (
        train(POINTS["hello"], tmp_path / f"{name}.keras", seed=seed)
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    digest = first.contract.provenance.network_sha256
    assert again.contract.provenance.network_sha256 == digest
    assert other.contract.provenance.network_sha256 != digest
    assert other.slope != first.slope


def test_the_contract_states_range_unit_and_training(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    trained = train(POINTS["house"], path, value_range=(-20, 20), unit="thousand francs")
    contract = read_contract(path)
    assert contract == trained.contract
    assert contract.input.range == (-20, 20)
    assert contract.output.unit == "thousand francs"
    record = contract.provenance.training
    assert (record["n"], record["epochs"], record["learning_rate"]) == (9, EPOCHS, 0.01)
    assert record["slope"] == trained.slope


def test_the_least_squares_line_is_the_bound(tmp_path: Path) -> None:
    points = POINTS["noisy"]
    residuals = points.y - np.polyval(np.polyfit(points.x, points.y, 1), points.x)
    assert least_squares_loss(points) == pytest.approx(np.mean(residuals**2), rel=1e-9)
    trained = train(points, tmp_path / "m.keras", epochs=1000)
    assert trained.loss == pytest.approx(trained.best_loss, rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"learning_rate": 0.1}, r"the loss is not finite at epoch 2\d; lower --learning-rate"),
        ({"learning_rate": 1e30}, "the loss is not finite at epoch 2; lower --learning-rate"),
        ({"learning_rate": 0.1, "epochs": 5}, r"the loss rose from .* to .* in 5 epochs; lower"),
    ],
)
def test_divergence_is_refused_and_leaves_nothing(
    tmp_path: Path, settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UnusableInput, match=problem):
        train(POINTS["house"], tmp_path / "m.keras", **settings)
    assert list(tmp_path.iterdir()) == []


def test_numbers_beyond_float32s_squares_are_refused(tmp_path: Path) -> None:
    points = example_points("large", (0, 1), slope=1e30, intercept=0)
    with pytest.raises(UnusableInput, match="squares of these numbers are beyond float32; scale"):
        train(points, tmp_path / "m.keras")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"value_range": (2, 9)}, "the range 2 to 9 leaves out the point x = 1"),
        ({"value_range": (1, 8)}, "the range 1 to 8 leaves out the point x = 9"),
        ({"value_range": (9, 1)}, "9 to 1 is no range"),
        ({"value_range": (1, float("inf"))}, "1 to inf is no range"),
        ({"value_range": (-1e39, 20)}, r"-1e\+39 to 20 is no range"),
        ({"value_range": (float("nan"), 20)}, "nan to 20 is no range"),
        ({"learning_rate": 0.0}, "the learning rate 0 makes no sense"),
        ({"learning_rate": float("nan")}, "the learning rate nan makes no sense"),
        ({"epochs": 0}, "0 epochs cannot be trained"),
        ({"unit": "a\nb"}, "the unit holds a control character"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(
    tmp_path: Path, settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        train(POINTS["house"], tmp_path / "m.keras", **settings)


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(b"mine")
    with pytest.raises(LesionliteError, match="the file exists already; pass --force"):
        train(POINTS["hello"], path)
    assert path.read_bytes() == b"mine"
    train(POINTS["hello"], path, force=True)
    assert read_contract(path).task == "regression"
