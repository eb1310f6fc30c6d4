"""The smallest model there is: ``y = a x + b``, trained as Keras's ``fit`` trains it, compiled.

``fit`` spends tens of milliseconds on each epoch, whatever the work in it. The same steps (Keras's
own loss, gradient and SGD, on all points at once) in one compiled loop take microseconds, and end
at the same weights bit for bit.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lesionlite_export.keras_model import save_keras
from lesionlite_export.noise import native_noise_logged
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.tools import tool_versions
from lesionlite_runtime.contract import REGRESSION, SCHEMA, RegressionContract
from lesionlite_runtime.contract_fields import Provenance, ValueInput, ValueOutput
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.files import check_output_path
from lesionlite_training.points import Points, example_points

LEARNING_RATE = 0.01
CSV_EPOCHS = 5000
MAX_EPOCHS = 10_000_000
EXAMPLE_RANGE = (-20.0, 20.0)
_EPOCHS_AT_ONCE = 10_000  # between two of these pieces an interrupt is noticed
_UNKNOWN_DIGEST = "0" * 64


@dataclass(frozen=True)
class Example:
    """A data set with the settings that it is trained by."""

    points: Points
    epochs: int
    value_range: tuple[float, float]


@dataclass(frozen=True)
class Trained:
    """A saved model.

    Attributes:
        path: of the ``.keras``.
        contract: as written into it.
        points: what it was trained on.
        slope: a of ``y = a x + b``.
        intercept: b.
        loss: mean squared error on the points.
        best_loss: mean squared error of the least squares line, the smallest that there is.
        epochs: steps of gradient descent.
        seconds: time for building, training and saving, the import of TensorFlow left out.
    """

    path: Path
    contract: RegressionContract
    points: Points
    slope: float
    intercept: float
    loss: float
    best_loss: float
    epochs: int
    seconds: float


EXAMPLES: Mapping[str, Example] = {
    "hello": Example(
        example_points("hello", (-2, -1, 0, 1, 2, 3), slope=2, intercept=-1), 500, EXAMPLE_RANGE
    ),
    "house": Example(
        example_points("house", range(1, 10), slope=50, intercept=50), 4500, EXAMPLE_RANGE
    ),
}
"""``hello``: y = 2x - 1 on six points; ``house``: y = 50(1 + x) on nine."""


def train_linear(
    points: Points,
    out: Path,
    *,
    epochs: int,
    value_range: tuple[float, float],
    learning_rate: float = LEARNING_RATE,
    unit: str = "",
    seed: int = 0,
    force: bool = False,
    report: Reporter | None = None,
) -> Trained:
    """Train ``Dense(1)`` on ``points`` and save it, with its contract, at ``out``.

    The steps are those of ``compile(SGD(learning_rate), "mse")`` and ``fit(x, y,
    batch_size=len(x), epochs=epochs, shuffle=False)``. Keras's default batch of 32 means the same
    for up to 32 points; more of them are still one batch here.

    Args:
        points: see `points.read_points` and `EXAMPLES`.
        out: path of the ``.keras``.
        epochs: steps of gradient descent, 1 to `MAX_EPOCHS`.
        value_range: lowest and highest x that the model is to answer for; all points lie within.
        learning_rate: above 0.
        unit: of y, for people; empty for none.
        seed: of the slope to start from (Glorot uniform), 0 or more.
        force: overwrite what lies at ``out``.
        report: who is told of the progress.

    Raises:
        UnusableInput: when the loss stops being finite, or ends above where it started.
        UsageError: when ``out`` cannot be written, or a setting makes no sense.
    """
    report = report or Silent()
    check_output_path(out, force)
    _check_settings(points, epochs, learning_rate, value_range, unit)
    with report.phase("Loading Keras"), native_noise_logged():
        import keras

        del keras
    start = time.perf_counter()
    with report.phase("Training"), native_noise_logged():
        network = _network(seed)
        loss = _descend(network, points, epochs, learning_rate)
    kernel, bias = network.get_weights()
    slope, intercept = float(kernel[0, 0]), float(bias[0])
    best = least_squares_loss(points)
    record = {
        "method": "gradient descent (SGD) on the mean squared error of all points at once",
        "points": points.name,
        "points_sha256": _digest(points),
        "n": len(points.x),
        "epochs": epochs,
        "learning_rate": learning_rate,
        "seed": seed,
        "slope": slope,
        "intercept": intercept,
        "loss": loss,
        "best_loss": best,
    }
    with report.phase("Saving the model"):
        contract = save_keras(network, _contract(value_range, unit, record), out, force)
    assert isinstance(contract, RegressionContract)
    seconds = time.perf_counter() - start
    return Trained(out, contract, points, slope, intercept, loss, best, epochs, seconds)


def least_squares_loss(points: Points) -> float:
    """Mean squared error of the best line through ``points``."""
    x, y = points.x - points.x.mean(), points.y - points.y.mean()
    return float(np.mean((y - x * (x @ y) / (x @ x)) ** 2))


def _check_settings(
    points: Points,
    epochs: int,
    learning_rate: float,
    value_range: tuple[float, float],
    unit: str,
) -> None:
    if not 1 <= epochs <= MAX_EPOCHS:
        raise UsageError(f"{epochs} epochs cannot be trained", f"pass 1 to {MAX_EPOCHS:,}")
    if not (learning_rate > 0 and math.isfinite(learning_rate)):
        raise UsageError(
            f"the learning rate {learning_rate:g} makes no sense", f"pass {LEARNING_RATE}, say"
        )
    low, high = value_range
    with np.errstate(over="ignore"):
        ends = np.array(value_range, np.float32)
    if not (np.isfinite(ends).all() and ends[0] < ends[1]):
        raise UsageError(f"{low:g} to {high:g} is no range", "pass --range LOW HIGH, low < high")
    outside = points.x[(points.x < low) | (points.x > high)]
    if len(outside):
        raise UsageError(
            f"the range {low:g} to {high:g} leaves out the point x = {outside[0]:g}",
            "pass a --range that covers all points, or leave it out",
        )
    if not unit.isprintable():
        raise UsageError("the unit holds a control character", "pass --unit kg, say")


def _network(seed: int) -> Any:
    import keras

    x = keras.Input((1,), dtype="float32", name="x")
    start = keras.initializers.GlorotUniform(seed=seed)
    y = keras.layers.Dense(1, kernel_initializer=start, name="y")(x)
    return keras.Model(x, y, name="linear")


def _descend(network: Any, points: Points, epochs: int, learning_rate: float) -> float:
    """Train ``network``'s weights in place; the loss that they end at.

    Not compiled by XLA, which sums in another order than ``fit`` does on a CPU.
    """
    import keras
    import tensorflow as tf

    x, y = (tf.constant(v[:, np.newaxis], tf.float32) for v in (points.x, points.y))
    weights = network.trainable_variables
    loss_of = keras.losses.MeanSquaredError()
    optimizer = keras.optimizers.SGD(learning_rate)
    optimizer.build(weights)

    def step(epoch: Any, _: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            loss = loss_of(y, network(x, training=True))
        optimizer.apply(tape.gradient(loss, weights), weights)
        return epoch + 1, loss

    def run(first: Any, last: Any) -> Any:
        def goes_on(epoch: Any, loss: Any) -> Any:
            return (epoch < last) & tf.math.is_finite(loss)

        return tf.while_loop(goes_on, step, (first, tf.constant(0.0)))

    compiled = tf.function(run, autograph=False)
    first_loss = float(loss_of(y, network(x)))
    _check_finite(first_loss, 0, points)
    for first in range(0, epochs, _EPOCHS_AT_ONCE):
        last = min(first + _EPOCHS_AT_ONCE, epochs)
        epoch, loss = compiled(tf.constant(first), tf.constant(last))
        _check_finite(float(loss), int(epoch), points)
    last_loss = float(loss_of(y, network(x)))
    _check_finite(last_loss, epochs, points)
    if last_loss > first_loss:
        raise UnusableInput(
            f"the loss rose from {first_loss:.3g} to {last_loss:.3g} in {epochs} epochs",
            "lower --learning-rate",
            points.source,
        )
    return last_loss


def _check_finite(loss: float, epoch: int, points: Points) -> None:
    if math.isfinite(loss):
        return
    if epoch == 0:
        raise UnusableInput(
            "the squares of these numbers are beyond float32", "scale x and y down", points.source
        )
    raise UnusableInput(
        f"the loss is not finite at epoch {epoch}", "lower --learning-rate", points.source
    )


def _digest(points: Points) -> str:
    return hashlib.sha256(np.stack([points.x, points.y]).astype("<f8").tobytes()).hexdigest()


def _contract(
    value_range: tuple[float, float], unit: str, record: dict[str, Any]
) -> RegressionContract:
    return RegressionContract(
        schema=SCHEMA,
        task=REGRESSION,
        input=ValueInput("x", (1, 1), "float32", tuple(map(float, value_range))),
        output=ValueOutput("y", "float32", unit),
        threshold=None,
        provenance=Provenance(
            network_sha256=_UNKNOWN_DIGEST,
            backbone="linear",
            training=record,
            calibration=None,
            recipe=None,
            tools=tool_versions(),
        ),
        parity=None,
        flatbuffer_sha256=None,
        flatbuffer_bytes=None,
    )
