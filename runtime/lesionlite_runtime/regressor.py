"""A regression on the device: y for a number x within the contract's range."""

from __future__ import annotations

import math
import os

import numpy as np

from lesionlite_runtime.contract import RegressionContract, regression_contract
from lesionlite_runtime.door import open_model
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.interpreter import open_backend


class Regressor:
    """A model of one number of another.

    Args:
        model: path of a ``.tflite`` that lesionlite exported.
        backend: ``litert`` or ``tflite-runtime``; the first one installed by default.

    Raises:
        UnusableInput: when the model is refused at the door, or is no regression.
        MissingHere: when no interpreter is installed.
    """

    def __init__(self, model: str | os.PathLike[str], *, backend: str | None = None) -> None:
        opened = open_model(model)
        self.contract: RegressionContract = regression_contract(opened.contract, opened.path)
        self._backend = open_backend(opened, backend)
        self._path = opened.path

    @property
    def backend(self) -> str:
        """Name of the interpreter that runs the model."""
        return self._backend.name

    def predict(self, x: float) -> float:
        """Give y for ``x``.

        Raises:
            UnusableInput: when ``x`` is no number or outside the range that the contract states
                (calibration covered no more), or the model gives no number.
        """
        low, high = self.contract.input.range
        if not low <= x <= high:  # true for NaN, too
            raise UnusableInput(
                f"x = {x:g} lies outside the model's range {low:g} to {high:g}",
                "pass a value within the range, or train with another --range",
                self._path,
            )
        y = float(self._backend.invoke(np.array([[x]], np.float32))[0])
        if not math.isfinite(y):
            raise UnusableInput(f"the model gave {y} for x = {x:g}", "export it anew", self._path)
        return y
