"""Originals: a camera's own files of images that a data set has smaller and compressed.

Training uses them so that a head does not answer to the difference, evaluation to measure it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.manifest import LabelledImage, Manifest
from lesionlite_export.progress import Reporter
from lesionlite_export.representative import ImageTensor, Unusable
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import UnusableInput, printable
from lesionlite_runtime.photos import image_files
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

    Photos that have no image's name are passed over.

    Raises:
        UnusableInput: when there is none, a folder in it cannot be read, or a name stands for two
            images or two photos.
    """
    if not folder.is_dir():
        raise UnusableInput("there is no such folder", "name the folder of the originals", folder)
    wanted = {image.path.stem for image in images}
    photos = image_files([folder])
    closed = next((path for path in photos if path.is_dir()), None)
    if closed is not None:
        raise UnusableInput("the folder cannot be read", "check its permissions", closed)
    named = _by_stem((path for path in photos if path.stem in wanted), folder)
    listed = [image for image in images if image.path.stem in named]
    _by_stem((image.path for image in listed), folder)
    if not listed:
        raise UnusableInput(
            "no photo in it has the name of an image", "name the folder of their originals", folder
        )
    return tuple(Pair(image, named[image.path.stem]) for image in listed)


@dataclass(frozen=True)
class CameraFiles:
    """Originals of training images, as the network gets them.

    Attributes:
        places: int64 ``[p]``: of the image of each, among the training images.
        tensors: of each.
        unusable: originals that could not be read.
        same: how many were passed over that have their image's very pixels, and so show nothing.
        folder: where they lie; None where there are none.
    """

    places: NDArray[np.int64]
    tensors: tuple[ImageTensor, ...]
    unusable: tuple[Unusable, ...]
    same: int = 0
    folder: Path | None = None

    @property
    def note(self) -> str:
        """How many there are, and what became of the others."""
        lost = [f"{len(self.unusable)} more cannot be read"] if self.unusable else []
        if self.same:
            lost.append(f"{self.same} more with their image's very pixels")
        return ", ".join((f"{len(self.tensors)} of training images", *lost))


NO_FILES = CameraFiles(np.zeros(0, np.int64), (), ())


def read_camera_files(
    folder: Path,
    images: Sequence[ImageTensor],
    image_input: ImageInput,
    cache: Path | None,
    report: Reporter,
) -> CameraFiles:
    """The originals in ``folder`` of the images that a network is trained on.

    Args:
        folder: see `find_originals`.
        images: the training images.
        image_input: the contract's.
        cache: folder for decoded images; None for none.
        report: who is told of the progress.

    Raises:
        UnusableInput: see `find_originals`; or when none can be read.
    """
    pairs = find_originals(folder, [item.image for item in images])
    by_path = {pair.original: pair.image.path for pair in pairs}
    listed = Manifest(
        str(folder), tuple(LabelledImage(p.original, p.image.label, "") for p in pairs)
    )
    found = cached_images(listed, image_input, cache, "Reading the originals", report)
    place_of = {item.image.path: place for place, item in enumerate(images)}
    placed = [(place_of[by_path[item.image.path]], item) for item in found.images]
    other = [(place, item) for place, item in placed if item.sha256 != images[place].sha256]
    files = CameraFiles(
        np.array([place for place, _ in other], np.int64),
        tuple(item for _, item in other),
        found.unusable,
        len(placed) - len(other),
        folder,
    )
    report.say(f"originals: {files.note}")
    return files


def unusable_json(unusable: Iterable[Unusable], files: CameraFiles) -> dict[str, Any]:
    """The keys ``unusable`` and ``originals`` of a training's result; the latter null without."""
    images, originals = (
        [{"file": str(item.image.path), "message": str(item.error)} for item in items]
        for items in (unusable, files.unusable)
    )
    if files.folder is None:
        return {"unusable": images, "originals": None}
    told = {"n": len(files.tensors), "same": files.same, "unusable": originals}
    return {"unusable": images, "originals": told}


def check_camera_files(files: CameraFiles, learn: NDArray[np.int64], name: str) -> None:
    """Refuse too few originals of the images ``learn``, where there are any at all.

    Args:
        files: the originals.
        learn: places of the images that a network learns from.
        name: of the network, for people.

    Raises:
        UnusableInput: when there are fewer than `LEAST`.
    """
    count = int(np.isin(files.places, learn).sum())
    if files.folder is not None and count < LEAST:
        raise UnusableInput(
            f"{name} would learn from {count} originals in it, and {LEAST} are needed "
            f"({files.note})",
            "add originals, or train without",
            files.folder,
        )


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
