"""What a file is compared with, and the outputs of both sides, image by image.

An image that one side gives no number for is no end of the comparison: it has a fault in place of
outputs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.keras_model import KerasModel
from lesionlite_export.progress import Reporter
from lesionlite_export.recorded import RecordedScores, is_recorded, recorded_outcomes
from lesionlite_export.recorded_reading import read_recorded
from lesionlite_export.representative import ImageTensor
from lesionlite_export.source import (
    Source,
    carries_contract,
    chunks_of,
    load_source,
    name_of,
    outputs_of,
)
from lesionlite_runtime.container import read_contract
from lesionlite_runtime.contract import image_contract
from lesionlite_runtime.door import DeviceModel
from lesionlite_runtime.draft import draft_of_json, read_draft
from lesionlite_runtime.errors import LesionliteError, UnusableInput, UsageError
from lesionlite_runtime.image_model import ImageModel

Reference = Source | RecordedScores
Outcome = NDArray[np.float64] | LesionliteError
"""The outputs for an image, float64 ``[units]``, or why there are none."""


def load_reference(
    path: str | os.PathLike[str],
    tflite: str | os.PathLike[str] | None = None,
    draft_path: Path | None = None,
    *,
    allow_code: bool = False,
) -> Reference:
    """The model or the recorded scores at ``path``, by the ending of its name.

    A model without a contract is taken by the draft at ``draft_path``, or else by the one that
    stands in the contract of the file ``tflite`` that it is compared with.

    Raises:
        MissingHere, UnusableInput, UsageError: see `load_source`, `read_draft`, `read_recorded`.
    """
    if is_recorded(path):
        if draft_path is not None:
            raise UsageError("recorded scores need no draft", "leave out --contract", path)
        return read_recorded(path)
    draft = None if draft_path is None else read_draft(draft_path)
    if draft is None and tflite is not None and not carries_contract(Path(path)):
        stated = read_contract(tflite).provenance.draft
        draft = None if stated is None else draft_of_json(stated, os.fspath(tflite))
    return load_source(path, draft, allow_code=allow_code)


def reference_outcomes(
    reference: Reference,
    images: Sequence[ImageTensor],
    labels: Sequence[str],
    report: Reporter,
    *,
    backend: str | None = None,
    threads: int = 1,
) -> list[Outcome]:
    """What ``reference`` says of each image.

    Args:
        reference: a model or recorded scores.
        images: read by the contract of the file that is compared with it.
        labels: of the scores, in order; empty for a model of two labels.
        report: who is told of the progress.
        backend: of a ``.tflite``, see `lesionlite_runtime.Classifier`.
        threads: likewise.
    """
    if isinstance(reference, RecordedScores):
        return list(recorded_outcomes(reference, images, labels))
    label = f"Scoring with {name_of(reference)}"
    if isinstance(reference, KerasModel):
        return _keras_outcomes(reference, images, report, label)
    return tflite_outcomes(reference.opened, images, report, label, backend, threads)


def tflite_outcomes(
    opened: DeviceModel,
    images: Sequence[ImageTensor],
    report: Reporter,
    label: str,
    backend: str | None,
    threads: int,
) -> list[Outcome]:
    """What the file ``opened``, an image classifier, says of each image."""
    model = ImageModel(opened, image_contract(opened.contract, opened.path), backend, threads)
    return [
        outcome(model, image, opened.path) for image in report.track(images, label, len(images))
    ]


def outcome(model: ImageModel, image: ImageTensor, file: str) -> Outcome:
    """What ``model``, from ``file``, says of one image."""
    try:
        return model.outputs(image.pixels[np.newaxis])
    except UnusableInput as error:
        return _no_score(file, error.problem, image)


def _keras_outcomes(
    reference: KerasModel, images: Sequence[ImageTensor], report: Reporter, label: str
) -> list[Outcome]:
    chunks = outputs_of(reference, (image.pixels for image in images))
    outputs = np.concatenate(list(report.track(chunks, label, chunks_of(reference, len(images)))))
    rows = outputs[:, np.newaxis] if outputs.ndim == 1 else outputs
    return [
        row
        if np.isfinite(row).all()
        else _no_score(reference.path, f"the model gave {row[-1]} in place of a score", image)
        for row, image in zip(rows, images, strict=True)
    ]


def _no_score(file: str, problem: str, image: ImageTensor) -> UnusableInput:
    return UnusableInput(f"no score by {file} ({problem})", "check that model", image.image.path)
