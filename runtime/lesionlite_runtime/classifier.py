"""A classifier on the device: from a photo to a decision, without TensorFlow."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lesionlite_runtime.contract import ClassifierContract, classifier_contract
from lesionlite_runtime.door import open_model
from lesionlite_runtime.errors import LesionliteError, UnusableInput, UsageError
from lesionlite_runtime.files import read_file
from lesionlite_runtime.interpreter import open_backend
from lesionlite_runtime.pixels import MAX_FILE_BYTES, ImageSource, image_tensor
from lesionlite_runtime.result import NO_REFERRAL, REFER, UNPROVED, Failure, Result

DEFAULT_MODEL = "models/lesion.int8.tflite"


def shipped_model() -> Path:
    """Path of the ``.tflite`` that ships in the package."""
    return Path(str(resources.files("lesionlite_runtime").joinpath(DEFAULT_MODEL)))


class Classifier:
    """An image classifier with a threshold.

    Args:
        model: path of a ``.tflite`` that lesionlite exported; the shipped one by default.
        threshold: score from which on the decision is ``refer``; the contract's by default.
        backend: ``litert`` or ``tflite-runtime``; the first one installed by default.
        threads: threads of the interpreter.

    Raises:
        UnusableInput: when the model is refused at the door, or is no image classifier.
        UsageError: for a threshold outside 0 to 1, an unknown backend, fewer than one thread.
        MissingHere: when no interpreter is installed.

    Example:
        >>> Classifier().classify("photo.jpg").decision
        'no_referral'
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        threshold: float | None = None,
        backend: str | None = None,
        threads: int = 1,
    ) -> None:
        opened = open_model(shipped_model() if model is None else model)
        self.contract: ClassifierContract = classifier_contract(opened.contract, opened.path)
        self.threshold = check_threshold(
            self.contract.threshold.value if threshold is None else threshold
        )
        self._backend = open_backend(opened, backend, threads)
        self._path = opened.path

    @property
    def backend(self) -> str:
        """Name of the interpreter that runs the model."""
        return self._backend.name

    @property
    def model_id(self) -> str:
        """The first 12 hex digits of the SHA-256 of the model's FlatBuffer."""
        return self.contract.model_id

    def tensor(self, source: ImageSource) -> NDArray[np.uint8]:
        """The model's input for a photo: uint8 ``[1, H, W, 3]``.

        ``source`` is a path, the bytes of an image file or a binary file object, or uint8 RGB
        pixels ``[h, w, 3]``.
        """
        image = self.contract.input
        pixels = image_tensor(source, image.height, image.width, image.resize, image.fit)
        return pixels[np.newaxis]

    def score(self, tensor: NDArray[np.uint8]) -> float:
        """The score, 0 to 1, of an input tensor, uint8 ``[1, H, W, 3]``.

        Raises:
            UnusableInput: when the tensor has another shape or type, or the model gives no number.
        """
        shape = tuple(self.contract.input.shape)
        if tensor.shape != shape or tensor.dtype != np.uint8:
            raise UnusableInput(
                f"the tensor is {tensor.dtype} {list(tensor.shape)}, not uint8 {list(shape)}",
                "make it with Classifier.tensor",
            )
        score = self._backend.invoke(tensor)
        if not math.isfinite(score) or not 0 <= score <= 1:
            raise UnusableInput(
                f"the model gave {score} in place of a score",
                "run `lesionlite verify` on it, or try another --backend",
                self._path,
            )
        return score

    def classify(self, source: str | os.PathLike[str] | bytes, file: str | None = None) -> Result:
        """The decision for one photo: a path, or the bytes of an image file (named ``file``).

        Raises:
            UnusableInput: when the photo cannot be read or decoded; there is no score then.
        """
        started = time.perf_counter()
        if isinstance(source, bytes):
            name, data = file or "<bytes>", source
        else:
            name = os.fspath(source)
            data = read_file(source, MAX_FILE_BYTES)
        try:
            tensor = self.tensor(data)
        except LesionliteError as error:
            raise type(error)(error.problem, error.remedy, name) from error
        decoded = time.perf_counter()
        score = self.score(tensor)
        done = time.perf_counter()
        return Result(
            file=name,
            sha256=hashlib.sha256(data).hexdigest(),
            score=score,
            threshold=self.threshold,
            decision=REFER if score >= self.threshold else NO_REFERRAL,
            findings=() if self.contract.parity else (UNPROVED,),
            model=self.model_id,
            backend=self.backend,
            decode_ms=(decoded - started) * 1000,
            invoke_ms=(done - decoded) * 1000,
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
