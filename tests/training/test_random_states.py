"""The random numbers within a network: where they start, and that their state is found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlite_training.random_states import random_states, set_seed

pytestmark = pytest.mark.tensorflow


def network() -> Any:
    import keras

    x = image = keras.Input((8,))
    inner = keras.Sequential([keras.Input((8,)), keras.layers.Dropout(0.5)])
    x = keras.layers.Dropout(0.5)(keras.layers.Dense(8)(inner(x)))
    return keras.Model(image, x)


def test_the_same_seed_gives_the_same_weights_and_the_same_dropout() -> None:
    shown = []
    for seed in (1, 1, 2):
        set_seed(seed)
        made = network()
        shown.append(np.asarray(made(np.ones((2, 8), np.float32), training=True)))
    assert np.array_equal(shown[0], shown[1])
    assert not np.array_equal(shown[0], shown[2])


def test_the_states_are_found_and_move_and_can_be_set_back() -> None:
    made, ones = network(), np.ones((2, 8), np.float32)
    states = random_states(made)
    assert len(states) == 2
    assert len(made.weights) == 2
    before = [np.asarray(state).copy() for state in states]
    first = np.asarray(made(ones, training=True))
    second = np.asarray(made(ones, training=True))
    assert not np.array_equal(first, second)
    for state, value in zip(states, before, strict=True):
        state.assign(value)
    assert np.array_equal(np.asarray(made(ones, training=True)), first)


def test_a_network_without_dropout_has_none(tiny_backbone: Path) -> None:
    import keras

    assert random_states(keras.saving.load_model(tiny_backbone)) == []


def test_on_another_backend_the_seed_holds_and_tensorflow_is_not_imported() -> None:
    pytest.importorskip("jax")
    program = (
        "import sys\n"
        "import numpy as np\n"
        "from lesionlite_training.random_states import set_seed\n"
        "import keras\n"
        "made = []\n"
        "for seed in (1, 1, 2):\n"
        "    set_seed(seed)\n"
        "    made.append(np.asarray(keras.initializers.GlorotUniform()((4, 4))))\n"
        "print(np.array_equal(made[0], made[1]), np.array_equal(made[0], made[2]))\n"
        "print('tensorflow' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "False", "False"]
