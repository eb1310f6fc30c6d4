"""Two models on the same inputs, side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.gate import unscored_sentence
from lesionlite_export.labels_parity import LabelScoreParity, label_score_parity
from lesionlite_export.parity import ScoreParity, ValueParity, score_parity
from lesionlite_export.progress import Reporter
from lesionlite_export.reference import (
    Outcome,
    Reference,
    reference_outcomes,
    tflite_outcomes,
)
from lesionlite_export.representative import DigestedImage, PreparedImage, Unusable
from lesionlite_export.sample import cluster
from lesionlite_export.source import Source, outputs_of
from lesionlite_export.statistics import Clusters
from lesionlite_runtime.contract import (
    ClassifierContract,
    LabelsContract,
    image_contract,
    regression_contract,
)
from lesionlite_runtime.door import DeviceModel, open_model
from lesionlite_runtime.errors import LesionliteError, ProofFailed
from lesionlite_runtime.regressor import Regressor

GRID = 1001


@dataclass(frozen=True)
class Paired:
    """Images with the outputs of both sides, and those that one of them has none for.

    ``unscored`` counts the images that the file alone gave no score for.
    """

    images: tuple[DigestedImage, ...]
    reference: tuple[Outcome, ...]
    file: tuple[Outcome, ...]
    unusable: tuple[Unusable, ...]
    unscored: int


def pair_outputs(
    reference: Reference,
    opened: DeviceModel,
    images: Sequence[PreparedImage],
    report: Reporter,
    *,
    backend: str | None = None,
    threads: int = 1,
) -> Paired:
    """The outputs of ``reference`` and of the file ``opened`` for each of ``images``.

    Raises:
        ProofFailed, UnusableInput: see `pair_outcomes`.
    """
    contract = image_contract(opened.contract, opened.path)
    labels = contract.output.labels if isinstance(contract, LabelsContract) else ()
    theirs = reference_outcomes(reference, images, labels, report, backend=backend, threads=threads)
    ours = tflite_outcomes(opened, images, report, "Scoring with the .tflite", backend, threads)
    return pair_outcomes(images, theirs, ours, opened.path)


def pair_outcomes(
    images: Sequence[DigestedImage],
    theirs: Sequence[Outcome],
    ours: Sequence[Outcome],
    file: str,
) -> Paired:
    """The ``images`` that both the reference's outcomes and those of ``file`` are numbers for.

    Raises:
        ProofFailed: when there is none, and the reference has one that the file has not.
        UnusableInput: when the reference has none either; it is the fault of the first image.
    """
    kept: list[tuple[DigestedImage, Outcome, Outcome]] = []
    unusable: list[Unusable] = []
    unscored = 0
    for image, one, other in zip(images, theirs, ours, strict=True):
        if isinstance(one, LesionliteError):
            unusable.append(Unusable(image.image, one))
        elif isinstance(other, LesionliteError):
            unusable.append(Unusable(image.image, other))
            unscored += 1
        else:
            kept.append((image, one, other))
    if not kept and unscored:
        first = next(one for one in ours if isinstance(one, LesionliteError))
        raise ProofFailed(
            f"the proof failed: {unscored_sentence(unscored)}, and a score for no image "
            f"({first.problem})",
            "choose another recipe",
            file,
        )
    if not kept:
        raise unusable[0].error
    paired, left, right = zip(*kept, strict=True)
    return Paired(paired, left, right, tuple(unusable), unscored)


def parity_of(
    paired: Paired,
    opened: DeviceModel,
    clusters: Clusters | None,
    reference_threshold: float | None = None,
    decided: NDArray[np.int64] | None = None,
) -> ScoreParity | LabelScoreParity:
    """The scores of ``paired`` at the thresholds of the contract of ``opened``.

    ``reference_threshold``, or of several labels ``decided``, is what the reference decides by, or
    for, where that is of its own (`ScoreParity`, `LabelScoreParity`).
    """
    files = [os.fspath(image.image.path) for image in paired.images]
    labels = [image.image.label for image in paired.images]
    theirs, ours = np.array(paired.reference), np.array(paired.file)
    contract = opened.contract
    if isinstance(contract, LabelsContract):
        names, thresholds = contract.output.labels, contract.threshold
        return label_score_parity(files, names, labels, theirs, ours, thresholds, clusters, decided)
    assert isinstance(contract, ClassifierContract)
    threshold = contract.decision_threshold
    other = None if reference_threshold == threshold else reference_threshold
    scores = theirs[:, -1].tolist(), ours[:, -1].tolist()  # the second of two labels
    return score_parity(files, labels, *scores, threshold, other, clusters)


def compare_images(
    source: Source,
    tflite: str | os.PathLike[str],
    images: Sequence[PreparedImage],
    report: Reporter,
    *,
    backend: str | None = None,
    threads: int = 1,
) -> ScoreParity | LabelScoreParity:
    """Scores of the reference and of the file at ``tflite``, at the thresholds of its contract.

    Raises:
        UnusableInput: when an image has no score by one of them, or a lesion has two patients.
    """
    clusters = cluster([image.image for image in images]).of_image
    opened = open_model(tflite)
    paired = pair_outputs(source, opened, images, report, backend=backend, threads=threads)
    if paired.unusable:
        raise paired.unusable[0].error
    return parity_of(paired, opened, clusters)


def compare_regressions(source: Source, regressor: Regressor, points: int = GRID) -> ValueParity:
    """Values of both models on an even grid over the contract's range."""
    low, high = regression_contract(source.contract, source.path).input.range
    x = np.linspace(low, high, points)
    inputs = (np.array([value], np.float32) for value in x)
    y_keras = np.concatenate(list(outputs_of(source, inputs)))
    y_tflite = np.array([regressor.predict(float(value)) for value in x])
    return ValueParity(x, y_keras, y_tflite)
