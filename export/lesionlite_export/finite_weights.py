"""Weights of a Keras network that are no numbers: nothing that is made of them would be one."""

from __future__ import annotations

from typing import Any

import numpy as np

from lesionlite_runtime.finite_weights import weights_fault


def check_network_weights(network: Any, file: str) -> None:
    """Refuse a Keras network with NaN or infinity in its weights; the layer is named.

    Raises:
        UnusableInput: see above.
    """
    for variable in network.weights:
        value = np.asarray(variable)
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise weights_fault(variable.path, value, file)
