"""Running both models on the same inputs: the evidence that `parity` and `gate` judge."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lesionlite_export.keras_model import BATCH, KerasModel, keras_outputs
from lesionlite_export.manifest import Manifest, read_images
from lesionlite_export.parity import ScoreParity, ValueParity, score_parity
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.representative import PreparedImage, Unusable, prepare, usable_images
from lesionlite_runtime.classifier import Classifier
from lesionlite_runtime.container import AnyContract, read_contract
from lesionlite_runtime.contract import ClassifierContract, RegressionContract, regression_contract
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.regressor import Regressor

GRID = 1001


@dataclass(frozen=True)
class Verified:
    """A comparison, what to know of it, and the images that could not be used."""

    parity: ScoreParity | ValueParity
    warnings: tuple[str, ...]
    unusable: tuple[Unusable, ...]


@dataclass(frozen=True)
class Prepared:
    """The images of a set as tensors, and those that could not be used."""

    images: tuple[PreparedImage, ...]
    unusable: tuple[Unusable, ...]


def prepare_all(
    manifest: Manifest, image_input: ImageInput, label: str, report: Reporter
) -> Prepared:
    """Every image of ``manifest`` as the network's input.

    Raises:
        UnusableInput: when none can be used.
    """
    items = report.track(prepare(manifest.images, image_input), label, len(manifest.images))
    return Prepared(*usable_images(items, manifest.source))


def prepare_both_labels(
    manifest: Manifest, image_input: ImageInput, label: str, report: Reporter
) -> Prepared:
    """As `prepare_all`, for a proof: a set of one label has no AUC, and misses nothing.

    Raises:
        UnusableInput: when none can be used, or those that can have one label only.
    """
    manifest.needs_both_labels()
    prepared = prepare_all(manifest, image_input, label, report)
    Manifest(manifest.source, tuple(p.image for p in prepared.images)).needs_both_labels()
    return prepared


def compare_classifiers(
    model: KerasModel, classifier: Classifier, images: Sequence[PreparedImage], report: Reporter
) -> ScoreParity:
    """Scores of both models for ``images``, at the threshold of the file's contract."""
    keras: list[float] = []
    chunks = keras_outputs(model.network, (p.pixels for p in images))
    for chunk in report.track(chunks, "Scoring with Keras", -(-len(images) // BATCH)):
        keras += chunk.tolist()
    tracked = report.track(images, "Scoring with the .tflite", len(images))
    tflite = [classifier.score(p.pixels[np.newaxis]) for p in tracked]
    return score_parity(
        [os.fspath(p.image.path) for p in images],
        [p.image.label for p in images],
        keras,
        tflite,
        classifier.threshold,
    )


def compare_regressions(model: KerasModel, regressor: Regressor, points: int = GRID) -> ValueParity:
    """Values of both models on an even grid over the contract's range."""
    low, high = regression_contract(model.contract, model.path).input.range
    x = np.linspace(low, high, points)
    inputs = (np.array([value], np.float32) for value in x)
    y_keras = np.concatenate(list(keras_outputs(model.network, inputs, points)))
    y_tflite = np.array([regressor.predict(float(value)) for value in x])
    return ValueParity(x, y_keras, y_tflite)


def verify_model(
    model: KerasModel,
    tflite: str | os.PathLike[str],
    data: str | os.PathLike[str] | None,
    *,
    classes: Mapping[str, int] | None = None,
    backend: str | None = None,
    threads: int = 1,
    report: Reporter | None = None,
) -> Verified:
    """Compare ``model`` with the file ``tflite`` on the images of ``data``.

    Args:
        model: as loaded by `load_keras`.
        tflite: path of the file.
        data: manifest CSV, or a folder in the ISIC layout, whose ``valid`` is taken; None for a
            regression.
        classes: label of each class folder; by default those of the file's contract.
        backend: see `lesionlite_runtime.Classifier`.
        threads: likewise.
        report: who is told of the progress.

    Raises:
        UnusableInput: when the file is refused at the door, or the images cannot be used.
        UsageError: when a classifier is given no data.
    """
    report = report or Silent()
    contract = read_contract(tflite)
    warnings = _origin_warnings(model, contract, os.fspath(tflite))
    if isinstance(contract, RegressionContract):
        regressor = Regressor(tflite, backend=backend)
        return Verified(compare_regressions(model, regressor), warnings, ())
    if data is None:
        raise UsageError("there are no images to compare the models on", "pass --data CSV")
    classifier = Classifier(tflite, backend=backend, threads=threads)
    _check_same_input(model, contract, os.fspath(tflite))
    manifest = read_images(data, "valid", classes or contract.output.classes)
    prepared = prepare_both_labels(manifest, contract.input, "Reading images", report)
    parity = compare_classifiers(model, classifier, prepared.images, report)
    return Verified(parity, warnings, prepared.unusable)


def _origin_warnings(model: KerasModel, contract: AnyContract, file: str) -> tuple[str, ...]:
    origin = contract.provenance.network_sha256
    if origin == model.contract.provenance.network_sha256:
        return ()
    return (
        f"{file} was made from another network ({origin[:12]}) than {model.path} "
        f"({model.contract.provenance.network_sha256[:12]}): this compares two models",
    )


def _check_same_input(model: KerasModel, contract: ClassifierContract, file: str) -> None:
    theirs = model.contract
    if not isinstance(theirs, ClassifierContract):
        raise UnusableInput(f"this is a classifier, and {model.path} a regression", "", file)
    if theirs.input != contract.input:
        raise UnusableInput(
            f"it wants other pixels than {model.path} (see `lesionlite inspect`)",
            "compare models with the same input",
            file,
        )
    if dict(theirs.output.classes) != dict(contract.output.classes):
        raise UnusableInput(
            f"its label map is not that of {model.path} (see `lesionlite inspect`)",
            "compare models with the same classes",
            file,
        )
