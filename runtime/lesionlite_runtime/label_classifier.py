"""A classifier of several labels on the device."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from lesionlite_runtime.classifier import Classifier, shipped_model
from lesionlite_runtime.contract import LabelsContract
from lesionlite_runtime.contract_fields import LabelThresholds
from lesionlite_runtime.door import DeviceModel, open_model
from lesionlite_runtime.errors import LesionliteError, UnusableInput, UsageError
from lesionlite_runtime.image_model import ImageModel
from lesionlite_runtime.pixels import ImageSource
from lesionlite_runtime.result import LABELS_RESULT_SCHEMA, UNPROVED, Failure, LabelsResult


class LabelClassifier:
    """An image classifier of three labels or more.

    Args:
        model: path of a ``.tflite`` with its contract, or one that is open already.
        backend: ``litert`` or ``tflite-runtime``; the first one installed by default.
        threads: threads of the interpreter.

    Raises:
        UnusableInput: when the model is refused at the door, or has other outputs.
        UsageError: for an unknown backend, fewer than one thread.
        MissingHere: when no interpreter is installed.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | DeviceModel,
        *,
        backend: str | None = None,
        threads: int = 1,
    ) -> None:
        opened = model if isinstance(model, DeviceModel) else open_model(model)
        if not isinstance(opened.contract, LabelsContract):
            raise UnusableInput(
                f"this is a model for {opened.contract.task}, not of several labels",
                "use Classifier or Regressor",
                opened.path,
            )
        self.contract = opened.contract
        self._model = ImageModel(opened, self.contract, backend, threads)

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

    def scores(self, tensor: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The score of each label, float64 ``[labels]``, for pixels ``[1, H, W, 3]``.

        Raises:
            UnusableInput: see `ImageModel.outputs`.
        """
        return self._model.outputs(tensor)

    def classify(
        self, source: str | os.PathLike[str] | bytes, file: str | None = None
    ) -> LabelsResult:
        """The decision for one photo: a path, or the bytes of an image file (named ``file``).

        Raises:
            UnusableInput: when the photo cannot be read or decoded; there are no scores then.
        """
        invoked = self._model.invoke(source, file)
        labels = self.contract.output.labels
        decided = int(decide(invoked.outputs[np.newaxis], labels, self.contract.threshold)[0])
        return LabelsResult(
            file=invoked.file,
            sha256=invoked.sha256,
            scores=dict(zip(labels, invoked.outputs.tolist(), strict=True)),
            decision=None if decided < 0 else labels[decided],
            findings=() if self.contract.parity else (UNPROVED,),
            model=self.model_id,
            backend=self.backend,
            decode_ms=invoked.decode_ms,
            invoke_ms=invoked.invoke_ms,
        )

    def classify_many(
        self, paths: Iterable[str | os.PathLike[str]]
    ) -> Iterator[LabelsResult | Failure]:
        """One result or `Failure` a photo, in order; a bad photo never ends the batch."""
        for path in paths:
            try:
                yield self.classify(path)
            except LesionliteError as error:
                yield Failure(
                    os.fspath(path), error, self.model_id, self.backend, LABELS_RESULT_SCHEMA
                )


def open_classifier(
    model: str | os.PathLike[str] | None = None,
    *,
    threshold: float | None = None,
    backend: str | None = None,
    threads: int = 1,
) -> Classifier | LabelClassifier:
    """The classifier in the file ``model``, of two labels or more; see both classes.

    Raises:
        UnusableInput: when the model is refused at the door, or is no image classifier.
        UsageError: also for a threshold for a model of several labels.
        MissingHere: when no interpreter is installed.
    """
    opened = open_model(shipped_model() if model is None else model)
    if not isinstance(opened.contract, LabelsContract):
        return Classifier(opened, threshold=threshold, backend=backend, threads=threads)
    if threshold is not None:
        raise UsageError(
            "this model tells several labels apart and takes no threshold",
            "leave out --threshold",
            opened.path,
        )
    return LabelClassifier(opened, backend=backend, threads=threads)


def decide(
    scores: NDArray[np.float64], labels: tuple[str, ...], thresholds: LabelThresholds | None
) -> NDArray[np.int64]:
    """The index of the label that is decided for, -1 for none: int64 ``[n]``.

    Args:
        scores: ``[n, labels]``.
        labels: in index order.
        thresholds: the score that each label needs; None for the highest score alone. Of equal
            scores the first label wins.
    """
    if thresholds is None:
        return np.asarray(scores.argmax(1), np.int64)
    needed = np.array([thresholds.values[label] for label in labels])
    reached = np.where(scores >= needed, scores, -np.inf)
    return np.where(np.isneginf(reached).all(1), -1, reached.argmax(1)).astype(np.int64)
