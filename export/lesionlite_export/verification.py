"""Running both models on the same inputs: the evidence that `parity` and `gate` judge."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lesionlite_export.keras_model import KerasModel
from lesionlite_export.labels_parity import LabelScoreParity, label_score_parity
from lesionlite_export.manifest import Manifest, read_images
from lesionlite_export.parity import ScoreParity, ValueParity, score_parity
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.representative import PreparedImage, Unusable, prepare, usable_images
from lesionlite_export.source import Source, chunks_of, name_of, outputs_of
from lesionlite_export.views import views_network
from lesionlite_runtime.classifier import Classifier
from lesionlite_runtime.container import read_contract
from lesionlite_runtime.contract import (
    AnyContract,
    ImageContract,
    LabelsContract,
    RegressionContract,
    regression_contract,
)
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.door import open_model
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.label_classifier import LabelClassifier
from lesionlite_runtime.regressor import Regressor

GRID = 1001


@dataclass(frozen=True)
class Verified:
    """A comparison, what to know of it, and the images that could not be used."""

    parity: ScoreParity | LabelScoreParity | ValueParity
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


def prepare_proof(
    manifest: Manifest, contract: ImageContract, label: str, report: Reporter
) -> Prepared:
    """As `prepare_all`, for a proof: a set of one label has no AUC, and misses nothing.

    Raises:
        UnusableInput: when none can be used, or those that can have one label only.
    """
    manifest.needs_both_labels()
    prepared = prepare_all(manifest, contract.input, label, report)
    Manifest(manifest.source, tuple(p.image for p in prepared.images)).needs_both_labels()
    return prepared


def compare_images(
    source: Source,
    tflite: str | os.PathLike[str],
    images: Sequence[PreparedImage],
    report: Reporter,
    *,
    backend: str | None = None,
    threads: int = 1,
) -> ScoreParity | LabelScoreParity:
    """Scores of the reference and of the file at ``tflite``, at the thresholds of its contract."""
    chunks = outputs_of(source, (p.pixels for p in images))
    label = f"Scoring with {name_of(source)}"
    reference = np.concatenate(list(report.track(chunks, label, chunks_of(source, len(images)))))
    opened = open_model(tflite)
    files = [os.fspath(p.image.path) for p in images]
    labels = [p.image.label for p in images]
    tracked = report.track(images, "Scoring with the .tflite", len(images))
    if isinstance(opened.contract, LabelsContract):
        model = LabelClassifier(opened, backend=backend, threads=threads)
        found = np.array([model.scores(p.pixels[np.newaxis]) for p in tracked])
        names, thresholds = opened.contract.output.labels, opened.contract.threshold
        return label_score_parity(files, names, labels, reference, found, thresholds)
    classifier = Classifier(opened, backend=backend, threads=threads)
    scores = [classifier.score(p.pixels[np.newaxis]) for p in tracked]
    first = reference if reference.ndim == 1 else reference[:, -1]
    return score_parity(files, labels, first.tolist(), scores, classifier.threshold)


def compare_regressions(source: Source, regressor: Regressor, points: int = GRID) -> ValueParity:
    """Values of both models on an even grid over the contract's range."""
    low, high = regression_contract(source.contract, source.path).input.range
    x = np.linspace(low, high, points)
    inputs = (np.array([value], np.float32) for value in x)
    y_keras = np.concatenate(list(outputs_of(source, inputs)))
    y_tflite = np.array([regressor.predict(float(value)) for value in x])
    return ValueParity(x, y_keras, y_tflite)


def verify_model(
    source: Source,
    tflite: str | os.PathLike[str],
    data: str | os.PathLike[str] | None,
    *,
    classes: Mapping[str, int] | None = None,
    backend: str | None = None,
    threads: int = 1,
    report: Reporter | None = None,
) -> Verified:
    """Compare ``source`` with the file ``tflite`` on the images of ``data``.

    Args:
        source: as loaded by `load_source`.
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
    warnings = _origin_warnings(source, contract, os.fspath(tflite))
    if isinstance(contract, RegressionContract):
        regressor = Regressor(tflite, backend=backend)
        return Verified(compare_regressions(source, regressor), warnings, ())
    if data is None:
        raise UsageError("there are no images to compare the models on", "pass --data CSV")
    open_model(tflite)  # refused now, not after the images are read
    _check_same_task(source, contract, os.fspath(tflite))
    source = _same_views(source, contract, os.fspath(tflite))
    manifest = read_images(
        data, "valid", classes or contract.output.classes, len(contract.output.labels)
    )
    prepared = prepare_proof(manifest, contract, "Reading images", report)
    parity = compare_images(
        source, tflite, prepared.images, report, backend=backend, threads=threads
    )
    return Verified(parity, warnings, prepared.unusable)


def _origin_warnings(source: Source, contract: AnyContract, file: str) -> tuple[str, ...]:
    origin = contract.provenance.network_sha256
    if origin == source.contract.provenance.network_sha256:
        return ()
    if contract.provenance.recipe is None:
        return (f"{file} was made by another converter, and does not say from what network",)
    return (
        f"{file} was made from another network ({origin[:12]}) than {source.path} "
        f"({source.contract.provenance.network_sha256[:12]}): this compares two models",
    )


def _check_same_task(source: Source, contract: ImageContract, file: str) -> None:
    theirs = source.contract
    if isinstance(theirs, RegressionContract) or theirs.task != contract.task:
        raise UnusableInput(
            f"this is a model for {contract.task}, and {source.path} one for {theirs.task}",
            "compare models of one kind",
            file,
        )
    # Name, type and order of the channels are the file's own affair: the photo's pixels are alike.
    own = {name: getattr(theirs.input, name) for name in ("name", "dtype", "range", "color")}
    if theirs.input != replace(contract.input, **own):
        raise UnusableInput(
            f"it wants other pixels than {source.path} (see `lesionlite inspect`)",
            "compare models with the same input",
            file,
        )
    same_labels = theirs.output.labels == contract.output.labels
    if not same_labels or dict(theirs.output.classes) != dict(contract.output.classes):
        raise UnusableInput(
            f"its label map is not that of {source.path} (see `lesionlite inspect`)",
            "compare models with the same classes",
            file,
        )


def _same_views(source: Source, contract: ImageContract, file: str) -> Source:
    """``source`` with as many views of each image as the file has."""
    wanted, has = contract.provenance.views or 1, source.contract.provenance.views or 1
    if wanted == has:
        return source
    if isinstance(source, KerasModel) and has == 1:
        return replace(source, network=views_network(source.network, wanted))
    raise UnusableInput(
        f"it averages {wanted} views of an image, and {source.path} {has}",
        "compare it with the .keras that it was made from",
        file,
    )
