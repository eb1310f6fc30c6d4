"""Originals: a camera's own files of images that a data set has smaller and compressed.

Training uses them so that a head does not answer to the difference, evaluation to measure it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.manifest import LabelledImage, Manifest
from lesionlite_export.progress import Reporter
from lesionlite_export.representative import ImageTensor, Unusable
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import UnusableInput, printable
from lesionlite_runtime.photos import image_files
from lesionlite_training.folds import Folds
from lesionlite_training.pixel_cache import cached_images

LEAST = 5
"""Originals that a network must learn from, if it is to learn from any: docs/training-log.md."""


@dataclass(frozen=True)
class Pair:
    """A labelled image, and the photo of the same name at another resolution."""

    image: LabelledImage
    original: Path


def find_originals(folder: Path, images: Sequence[LabelledImage]) -> tuple[Pair, ...]:
    """The images that a photo in or below ``folder`` has the name of, but for the suffix.

    Raises:
        UnusableInput: when there is none, or a name stands for two images or two photos.
    """
    photos = _by_stem(image_files([folder]), folder)
    listed = [image for image in images if image.path.stem in photos]
    _by_stem((image.path for image in listed), folder)
    pairs = tuple(Pair(image, photos[image.path.stem]) for image in listed)
    if not pairs:
        raise UnusableInput(
            "no photo in it has the name of an image", "name the folder of their originals", folder
        )
    return pairs


@dataclass(frozen=True)
class CameraFiles:
    """Originals of training images, as the network gets them.

    Attributes:
        places: int64 ``[p]``: of the image of each, among the training images.
        tensors: of each.
        unusable: originals that could not be read.
    """

    places: NDArray[np.int64]
    tensors: tuple[ImageTensor, ...]
    unusable: tuple[Unusable, ...]


NO_FILES = CameraFiles(np.zeros(0, np.int64), (), ())


def read_camera_files(
    folder: Path,
    images: Sequence[ImageTensor],
    folds: Folds,
    image_input: ImageInput,
    cache: Path | None,
    report: Reporter,
) -> CameraFiles:
    """The originals in ``folder`` of the images that a network is trained on.

    Args:
        folder: see `find_originals`.
        images: the training images.
        folds: the fold of each.
        image_input: the contract's.
        cache: folder for decoded images; None for none.
        report: who is told of the progress.

    Raises:
        UnusableInput: see `find_originals`; and when a fold's network would learn from fewer than
            `LEAST` of them.
    """
    pairs = find_originals(folder, [item.image for item in images])
    by_path = {pair.original: pair.image.path for pair in pairs}
    listed = Manifest(
        str(folder), tuple(LabelledImage(p.original, p.image.label, "") for p in pairs)
    )
    found = cached_images(listed, image_input, cache, "Reading the originals", report)
    place_of = {item.image.path: place for place, item in enumerate(images)}
    places = np.array([place_of[by_path[item.image.path]] for item in found.images], np.int64)
    for fold in np.unique(folds):
        count = int((folds[places] != fold).sum())
        if count < LEAST:
            raise UnusableInput(
                f"without fold {fold + 1} there are {count} originals of training images in it, "
                f"and {LEAST} are needed",
                "add originals, or train without",
                folder,
            )
    return CameraFiles(places, found.images, found.unusable)


def _by_stem(paths: Iterable[Path], source: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        other = found.setdefault(path.stem, path)
        if other != path:
            raise UnusableInput(
                f"{printable(str(other))} and {printable(str(path))} have one name",
                "leave one of them out",
                source,
            )
    return found
