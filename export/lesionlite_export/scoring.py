"""Scores of labelled images by a ``.keras`` or a ``.tflite``."""

from __future__ import annotations

import os

import numpy as np

from lesionlite_export.keras_model import BATCH, keras_outputs, load_keras
from lesionlite_export.manifest import Manifest
from lesionlite_export.progress import Reporter
from lesionlite_export.statistics import Scores
from lesionlite_export.verification import Prepared, prepare_all
from lesionlite_runtime.classifier import Classifier
from lesionlite_runtime.container import read_contract
from lesionlite_runtime.contract import ClassifierContract, classifier_contract


def score_images(
    model: str | os.PathLike[str], manifest: Manifest, report: Reporter
) -> tuple[ClassifierContract, Prepared, Scores]:
    """The model's contract, the images that could be used, and their scores, float64 ``[n]``.

    Raises:
        UnusableInput: when the model is refused, is no classifier, or no image can be used.
    """
    contract = classifier_contract(read_contract(model), os.fspath(model))
    prepared = prepare_all(manifest, contract.input, "Reading images", report)
    images = prepared.images
    if contract.flatbuffer_sha256 is not None:
        classifier = Classifier(model)
        tracked = report.track(images, "Scoring", len(images))
        scores = [classifier.score(p.pixels[np.newaxis]) for p in tracked]
        return contract, prepared, np.array(scores, np.float64)
    network = load_keras(model).network
    chunks = keras_outputs(network, (p.pixels for p in images))
    tracked_chunks = report.track(chunks, "Scoring", -(-len(images) // BATCH))
    outputs = np.concatenate(list(tracked_chunks))
    return contract, prepared, outputs if outputs.ndim == 1 else outputs[:, -1]
