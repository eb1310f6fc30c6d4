"""What is done where an image is read: its tensor, its digest, its kind, and the files' scores."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.image_kinds import image_kind
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.reference import Outcome, outcome
from lesionlite_export.representative import PreparedImage, Unusable, prepare
from lesionlite_runtime.contract import image_contract
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.door import DeviceModel
from lesionlite_runtime.image_model import ImageModel

_NO_PIXELS = np.empty((0, 0, 3), np.uint8)


class Stopped(Exception):
    """Nobody waits for the images any more."""


@dataclass(frozen=True)
class Plan:
    """What is done with each image.

    Attributes:
        image_input: how it is read.
        models: files that score it, each with ``threads`` threads of ``backend``.
        backend: see `lesionlite_runtime.Classifier`.
        threads: likewise.
        keep_pixels: whether its tensor is wanted as well, for a network elsewhere.
    """

    image_input: ImageInput
    models: tuple[DeviceModel, ...]
    backend: str | None = None
    threads: int = 1
    keep_pixels: bool = False


@dataclass(frozen=True)
class LookedAt:
    """An image that could be read, its tensor (empty where it is not wanted) and its scores."""

    image: LabelledImage
    pixels: NDArray[np.uint8]
    sha256: str
    file_sha256: str | None
    kind: str
    outcomes: tuple[Outcome, ...]


Found = list[LookedAt | Unusable]


class Looker:
    """Does what a plan says; each thread that asks has interpreters of its own."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._own = threading.local()

    def look(
        self, images: Sequence[LabelledImage], stopped: Callable[[], bool] = lambda: False
    ) -> Found:
        """What there is to say of each of ``images``, in order.

        Raises:
            MissingHere: when the backend is not installed.
            Stopped: as soon as ``stopped`` says so.
        """
        models = self._models()
        found: Found = []
        for item in prepare(images, self._plan.image_input):
            if stopped():
                raise Stopped
            found.append(item if isinstance(item, Unusable) else self._scored(item, models))
        return found

    def _models(self) -> Sequence[ImageModel]:
        plan = self._plan
        if not hasattr(self._own, "models"):
            self._own.models = [
                ImageModel(
                    opened,
                    image_contract(opened.contract, opened.path),
                    plan.backend,
                    plan.threads,
                )
                for opened in plan.models
            ]
        models: list[ImageModel] = self._own.models
        return models

    def _scored(self, item: PreparedImage, models: Sequence[ImageModel]) -> LookedAt:
        return LookedAt(
            item.image,
            item.pixels if self._plan.keep_pixels else _NO_PIXELS,
            item.sha256,
            item.file_sha256,
            image_kind(item.pixels),
            tuple(
                outcome(model, item, opened.path)
                for model, opened in zip(models, self._plan.models, strict=True)
            ),
        )
