"""Scores of labelled images by a ``.keras`` or a ``.tflite``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from lesionlite_export.keras_model import KerasModel, load_keras
from lesionlite_export.manifest import Manifest
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.reference import Outcome, reference_outcomes
from lesionlite_export.representative import Unusable
from lesionlite_export.statistics import Scores
from lesionlite_export.stream.header import journal_header, keras_digest
from lesionlite_export.stream.look import LookedAt, Plan
from lesionlite_export.stream.options import StreamOptions
from lesionlite_export.stream.rows import ScoredImage
from lesionlite_export.stream.run import Row, stream_images, usable
from lesionlite_runtime.container import read_contract
from lesionlite_runtime.contract import ClassifierContract, classifier_contract
from lesionlite_runtime.door import DeviceModel, open_model
from lesionlite_runtime.errors import LesionliteError


def score_images(
    model: str | os.PathLike[str],
    manifest: Manifest,
    report: Reporter,
    options: StreamOptions | None = None,
) -> tuple[ClassifierContract, tuple[ScoredImage, ...], tuple[Unusable, ...], Scores]:
    """The model's contract, the images that could be used, the others, and scores, float64 ``[n]``.

    Raises:
        UnusableInput: when the model is refused, is no classifier, gives no score for an image, or
            no image can be used.
        LesionliteError: see `stream_images`.
    """
    contract = classifier_contract(read_contract(model), os.fspath(model))
    keras, opened = _load(model, contract)
    plan = Plan(contract.input, opened, keep_pixels=keras is not None)

    def finish(images: Sequence[LookedAt]) -> Sequence[Outcome]:
        assert keras is not None
        outcomes = reference_outcomes(keras, images, (), Silent())
        _refuse_faults(outcomes)
        return outcomes

    def check(rows: Sequence[Row]) -> None:
        _refuse_faults([one for row in usable(rows) for one in row.outcomes])

    def header() -> Mapping[str, str]:
        digest = opened[0].file_sha256 if keras is None else keras_digest(keras)
        return journal_header("evaluate", manifest, plan, {"model": digest})

    rows, unusable = stream_images(
        manifest,
        plan,
        None if keras is None else finish,
        check,
        options or StreamOptions(),
        header,
        report,
        "Scoring",
    )
    outputs = np.array([row.outcomes[0] for row in rows], np.float64)
    return contract, rows, unusable, outputs[:, -1]  # the second of two labels


def _load(
    model: str | os.PathLike[str], contract: ClassifierContract
) -> tuple[KerasModel | None, tuple[DeviceModel, ...]]:
    if contract.flatbuffer_sha256 is not None:
        return None, (open_model(model),)
    return load_keras(model), ()


def _refuse_faults(outcomes: Sequence[Outcome]) -> None:
    for one in outcomes:
        if isinstance(one, LesionliteError):
            raise one
