"""Loss, optimizer and rate: Keras' own classes, set as the configuration says, by arithmetic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lesionlite_training.configuration import FineTuning, Stage
from lesionlite_training.optimization import MOMENTUM, compile_network

pytestmark = pytest.mark.tensorflow
STEPS = 10
RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3)).astype(np.float32)


def network(units: int = 1) -> Any:
    import keras

    x = keras.Input((3,))
    return keras.Model(x, keras.layers.Dense(units, name="logits")(x))


def tuned(**changes: Any) -> FineTuning:
    plain: dict[str, Any] = {
        "optimizer": "sgd",
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup_steps": 0,
        "ema": 0.0,
        "stages": (Stage(4),),
        "learning_rate": 0.1,
    }
    return FineTuning(**{**plain, **changes})


def rates(**changes: Any) -> list[float]:
    """The learning rate at each step of a training of 4 epochs of 10 steps."""
    optimizer = compile_network(network(), tuned(**changes), STEPS)
    found = []
    for step in range(4 * STEPS + 1):
        optimizer.iterations.assign(step)
        found.append(float(optimizer.learning_rate))
    return found


def test_a_constant_rate_stays() -> None:
    assert rates() == pytest.approx([0.1] * 41, rel=1e-6)


def test_a_cosine_falls_to_nothing_at_the_last_step() -> None:
    wanted = [0.05 * (1 + math.cos(math.pi * step / 40)) for step in range(41)]
    assert rates(schedule="cosine") == pytest.approx(wanted, abs=1e-7)


def test_the_rate_rises_before_it_falls() -> None:
    found = rates(schedule="cosine", warmup_steps=8)
    assert found[:9] == pytest.approx([0.1 * step / 8 for step in range(9)], abs=1e-7)
    wanted = [0.05 * (1 + math.cos(math.pi * step / 32)) for step in range(33)]
    assert found[8:] == pytest.approx(wanted, abs=1e-7)
    flat = rates(warmup_steps=8)
    assert flat[4] == pytest.approx(0.05)
    assert flat[8:] == pytest.approx([0.1] * 33, rel=1e-5)


def test_the_rise_takes_half_of_a_short_training_at_most() -> None:
    found = rates(schedule="cosine", warmup_steps=1000)
    assert int(np.argmax(found)) == 20
    assert max(found) == pytest.approx(0.1)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop"])
def test_weight_decay_is_decoupled_and_spares_biases(optimizer: str) -> None:
    tuning = tuned(optimizer=optimizer, weight_decay=0.5)
    net = network()
    compile_network(net, tuning, STEPS)
    kernel, _ = net.get_weights()
    net.set_weights([kernel, np.array([2.0], np.float32)])
    # The weight of each example is 0: no gradient moves anything.
    net.train_on_batch(X, np.ones((6, 1), np.float32), sample_weight=np.zeros(6, np.float32))
    after, bias = net.get_weights()
    assert after == pytest.approx(kernel * (1 - 0.1 * 0.5), rel=1e-5)
    assert bias == pytest.approx([2.0])


def test_batch_norm_is_spared_from_weight_decay() -> None:
    import keras

    x = keras.Input((3,))
    y = keras.layers.Dense(1, name="logits")(keras.layers.BatchNormalization(name="bn")(x))
    net = keras.Model(x, y)
    optimizer = compile_network(net, tuned(weight_decay=0.5), STEPS)
    decayed = {v.name for v in net.trainable_variables if optimizer._use_weight_decay(v)}
    assert decayed == {"kernel"}


def gradient_steps(tuning: FineTuning, steps: int) -> tuple[Any, Any, list[np.ndarray]]:
    """Train on one batch for ``steps``; the kernel after each step."""
    net = network()
    optimizer = compile_network(net, tuning, STEPS)
    targets = (X[:, :1] > 0).astype(np.float32)
    kernels = []
    for _ in range(steps):
        net.train_on_batch(X, targets)
        kernels.append(np.asarray(net.trainable_variables[0]).copy())
    return net, optimizer, kernels


def test_the_moving_average_starts_from_the_first_step() -> None:
    net, optimizer, kernels = gradient_steps(tuned(ema=0.9), 3)
    optimizer.finalize_variable_values(net.trainable_variables)
    average = kernels[0]
    for kernel in kernels[1:]:
        average = 0.9 * average + 0.1 * kernel
    assert not np.allclose(average, kernels[-1])
    assert np.asarray(net.trainable_variables[0]).copy() == pytest.approx(average, abs=1e-6)


def test_without_an_average_the_last_weights_stay() -> None:
    net, optimizer, kernels = gradient_steps(tuned(), 3)
    optimizer.finalize_variable_values(net.trainable_variables)
    assert np.array_equal(np.asarray(net.trainable_variables[0]).copy(), kernels[-1])


def test_sgd_has_nesterovs_momentum() -> None:
    net = network()
    start = np.asarray(net.trainable_variables[0], np.float64)
    compile_network(net, tuned(), STEPS)
    targets = (X[:, :1] > 0).astype(np.float32)
    kernel, bias, speed, bias_speed = start, np.zeros(1), np.zeros((3, 1)), np.zeros(1)
    for _ in range(3):
        error = (1 / (1 + np.exp(-(X @ kernel + bias))) - targets) / len(X)
        down, bias_down = X.T @ error, error.sum(0)
        speed = MOMENTUM * speed - 0.1 * down
        bias_speed = MOMENTUM * bias_speed - 0.1 * bias_down
        kernel = kernel + MOMENTUM * speed - 0.1 * down
        bias = bias + MOMENTUM * bias_speed - 0.1 * bias_down
        net.train_on_batch(X, targets)
    assert np.asarray(net.trainable_variables[0]).copy() == pytest.approx(kernel, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", "AdamW"), ("sgd", "SGD"), ("rmsprop", "RMSprop")]
)
def test_the_optimizer_is_the_one_that_is_named(name: str, kind: str) -> None:
    assert type(compile_network(network(), tuned(optimizer=name), STEPS)).__name__ == kind


def loss(tuning: FineTuning, targets: np.ndarray, logits: np.ndarray) -> float:
    net = network(logits.shape[1])
    compile_network(net, tuning, STEPS)
    return float(net.loss(targets.astype(np.float32), logits.astype(np.float32)))


LOGITS = RNG.normal(size=(6, 3)) * 2
LABELS = np.array([[1.0], [0.0], [1.0], [0.95], [0.0], [1.0]])
SHARES = np.eye(3)[[0, 1, 2, 2, 1, 0]] * 0.9 + 0.1 / 3


def test_cross_entropy_of_labels() -> None:
    p = 1 / (1 + np.exp(-LOGITS[:, :1]))
    wanted = -(LABELS * np.log(p) + (1 - LABELS) * np.log(1 - p)).mean()
    assert loss(tuned(), LABELS, LOGITS[:, :1]) == pytest.approx(wanted, rel=1e-5)


def test_cross_entropy_of_classes() -> None:
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    wanted = -(SHARES * np.log(p)).sum(1).mean()
    assert loss(tuned(targets="classes"), SHARES, LOGITS) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 2.0, 3.5])
def test_focal_loss_of_labels(gamma: float) -> None:
    """Lin et al. 2017, equation 4: -(1 - p_t)^gamma log p_t."""
    hard = np.round(LABELS)
    p = 1 / (1 + np.exp(-LOGITS[:, :1]))
    p_t = np.where(hard == 1, p, 1 - p)
    wanted = -((1 - p_t) ** gamma * np.log(p_t)).mean()
    found = loss(tuned(loss="focal", focal_gamma=gamma), hard, LOGITS[:, :1])
    assert found == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_focal_loss_of_classes(gamma: float) -> None:
    hot = np.eye(3)[[0, 1, 2, 2, 1, 0]]
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    p_t = (hot * p).sum(1)
    wanted = -((1 - p_t) ** gamma * np.log(p_t)).mean()
    found = loss(tuned(targets="classes", loss="focal", focal_gamma=gamma), hot, LOGITS)
    assert found == pytest.approx(wanted, rel=1e-4)
