"""The random numbers within a network, such as dropout's: where they start, and where they are."""

from __future__ import annotations

import random
from typing import Any


def set_seed(seed: int) -> None:
    """Seed what Keras draws initial weights and its layers' own seeds from."""
    import keras

    if keras.backend.backend() == "tensorflow":
        keras.utils.set_random_seed(seed)
    else:
        # Keras' own function would import TensorFlow, too, where that is installed.
        random.seed(seed)


def random_states(network: Any) -> list[Any]:
    """The variables of ``network`` that are no weights: each generator's seed and count."""
    weights = {id(variable) for variable in network.weights}
    return [variable for variable in network.variables if id(variable) not in weights]
