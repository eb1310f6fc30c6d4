"""A model as a function from tensors to scores, for copies of images that are no files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.keras_model import keras_outputs, load_keras
from lesionlite_export.statistics import Scores
from lesionlite_runtime.classifier import Classifier
from lesionlite_runtime.container import read_contract
from lesionlite_runtime.contract import classifier_contract

Score = Callable[[Sequence[NDArray[np.uint8]]], Scores]
"""From the tensors of some images, uint8 ``[H, W, 3]`` each, to their scores, float64 ``[n]``."""


def open_scorer(model: str | os.PathLike[str]) -> Score:
    """The scores of the ``.keras`` or ``.tflite`` at ``model``.

    Equal tensors in one call get equal scores. (In two calls a Keras model's may differ in the
    seventh digit, with the number of tensors.)

    Raises:
        UnusableInput: when the model is refused, or is no classifier.
    """
    contract = classifier_contract(read_contract(model), os.fspath(model))
    if contract.flatbuffer_sha256 is not None:
        classifier = Classifier(model)
        return lambda tensors: np.array([classifier.score(t[np.newaxis]) for t in tensors])
    network = load_keras(model).network
    return lambda tensors: np.concatenate(list(keras_outputs(network, tensors, len(tensors))))
