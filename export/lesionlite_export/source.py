"""What a file is made from or compared with: a Keras model, or another ``.tflite``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.keras_model import KerasModel, keras_outputs, load_keras
from lesionlite_export.tflite_model import TfliteModel, load_tflite, tflite_outputs

Source = KerasModel | TfliteModel


def load_source(path: str | os.PathLike[str]) -> Source:
    """The model at ``path``, by the ending of its name.

    Raises:
        UnusableInput: see `load_keras` and `load_tflite`.
    """
    return load_tflite(path) if Path(path).suffix == ".tflite" else load_keras(path)


def outputs_of(source: Source, inputs: Iterable[NDArray[Any]]) -> Iterator[NDArray[np.float64]]:
    """The model's outputs, some inputs at a time: float64 ``[n]``, or ``[n, units]`` of several."""
    if isinstance(source, TfliteModel):
        return tflite_outputs(source, inputs)
    return keras_outputs(source.network, inputs)
