"""A classifier on the device: from a photo to a decision, without TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lesionlite_runtime.contract import ClassifierContract, classifier_contract
from lesionlite_runtime.door import DeviceModel, open_model
from lesionlite_runtime.errors import LesionliteError, UsageError
from lesionlite_runtime.image_model import ImageModel
from lesionlite_runtime.pixels import ImageSource
from lesionlite_runtime.result import (
    NO_REFERRAL,
    REFER,
    SITE_THRESHOLD,
    UNPROVED,
    Failure,
    Result,
)

SHIPPED = "models/lesion.int8.tflite"


def shipped_model() -> Path:
    """Path of the ``.tflite`` that ships in the package."""
    return Path(str(resources.files("lesionlite_runtime").joinpath(SHIPPED)))


class Classifier:
    """An image classifier with a threshold.

    Args:
        model: path of a ``.tflite`` that lesionlite exported, or one that is open already; the
            shipped one by default.
        threshold: score from which on the decision is ``refer``; the contract's by default.
        backend: ``litert`` or ``tflite-runtime``; the first one installed by default.
        threads: threads of the interpreter.

    Raises:
        UnusableInput: when the model is refused at the door, or is no image classifier.
        UsageError: for a threshold outside 0 to 1, an unknown backend, fewer than one thread.
        MissingHere: when no interpreter is installed.

    Several threads may use one: they decode side by side, and take turns in the interpreter.

    Example:
        >>> Classifier().classify("photo.jpg").decision
        'no_referral'
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | DeviceModel | None = None,
        *,
        threshold: float | None = None,
        backend: str | None = None,
        threads: int = 1,
    ) -> None:
        if not isinstance(model, DeviceModel):
            model = open_model(shipped_model() if model is None else model)
        opened = model
        self.contract: ClassifierContract = classifier_contract(opened.contract, opened.path)
        self.threshold = check_threshold(
            self.contract.decision_threshold if threshold is None else threshold
        )
        self._model = ImageModel(opened, self.contract, backend, threads)
        self._findings: tuple[str, ...] = () if self.contract.parity else (UNPROVED,)
        site = self.contract.site_threshold
        if site is not None and threshold is None:
            self._findings += (SITE_THRESHOLD,)

    @property
    def backend(self) -> str:
        """Name of the interpreter that runs the model."""
        return self._model.backend

    @property
    def model_id(self) -> str:
        """The first 12 hex digits of the SHA-256 of the model's FlatBuffer."""
        return self._model.model_id

    def tensor(self, source: ImageSource) -> NDArray[np.uint8]:
        """The pixels for a photo: uint8 RGB ``[1, H, W, 3]``; see `ImageModel.tensor`."""
        return self._model.tensor(source)

    def score(self, tensor: NDArray[np.uint8]) -> float:
        """The score, 0 to 1, of pixels, uint8 RGB ``[1, H, W, 3]``.

        Raises:
            UnusableInput: when the tensor has another shape or type, or the model gives no number.
        """
        return float(self._model.outputs(tensor)[-1])

    def classify(self, source: str | os.PathLike[str] | bytes, file: str | None = None) -> Result:
        """The decision for one photo: a path, or the bytes of an image file (named ``file``).

        Raises:
            UnusableInput: when the photo cannot be read or decoded; there is no score then.
        """
        invoked = self._model.invoke(source, file)
        score = float(invoked.outputs[-1])  # the second of two labels is the one it is of
        return Result(
            file=invoked.file,
            sha256=invoked.sha256,
            score=score,
            threshold=self.threshold,
            decision=REFER if score >= self.threshold else NO_REFERRAL,
            findings=self._findings,
            model=self.model_id,
            backend=self.backend,
            decode_ms=invoked.decode_ms,
            invoke_ms=invoked.invoke_ms,
        )

    def classify_many(self, paths: Iterable[str | os.PathLike[str]]) -> Iterator[Result | Failure]:
        """One `Result` or `Failure` a photo, in order; a bad photo never ends the batch."""
        for path in paths:
            try:
                yield self.classify(path)
            except LesionliteError as error:
                yield Failure(os.fspath(path), error, self.model_id, self.backend)


def check_threshold(threshold: float) -> float:
    """``threshold``, if it lies in 0 to 1.

    Raises:
        UsageError: when it does not.
    """
    if not 0 <= threshold <= 1:
        raise UsageError(f"the threshold {threshold} is out of range", "pass a number from 0 to 1")
    return threshold
