"""The same photos at another resolution: what a model makes of them, and what the pixels do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.progress import Reporter
from lesionlite_export.representative import Unusable
from lesionlite_export.sample import Sample, cluster
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import LesionliteError, UnusableInput, printable
from lesionlite_runtime.photos import image_files
from lesionlite_runtime.pixels import decode, resize
from lesionlite_training.evaluation.degradations import Pixels, jpeg
from lesionlite_training.evaluation.paired import PairedFigures, compare
from lesionlite_training.evaluation.robustness import network_input
from lesionlite_training.evaluation.scorer import Score

QUALITY = 75
VERSIONS = (
    "the original",
    "the original at the size of the image",
    f"the same as JPEG of quality {QUALITY}",
)
SEEN = (
    "images with an original may be among those that the model was trained on: the comparison says "
    "what other pixels do to a score, and nothing of how good the model is"
)


@dataclass(frozen=True)
class VersionFigures:
    """A version of the originals, and its figures beside those of the images themselves."""

    name: str
    figures: PairedFigures

    def to_json(self) -> dict[str, Any]:
        """Name and changes: the images may be ones that the model was trained on, see `SEEN`."""
        return {"name": self.name, **self.figures.changes_json()}


@dataclass(frozen=True)
class Originals:
    """A row for each of `VERSIONS`, and the originals that could not be used.

    The second and the third are controls: what the resolution does lies between the first and the
    second, what compressing the small image again does between the second and the third, and what
    neither explains between the third and none.
    """

    rows: tuple[VersionFigures, ...]
    unusable: tuple[Unusable, ...]

    def to_json(self) -> list[dict[str, Any]]:
        """The rows."""
        return [row.to_json() for row in self.rows]


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


def measure_originals(
    score: Score,
    image_input: ImageInput,
    pairs: Sequence[Pair],
    threshold: float,
    report: Reporter,
) -> Originals:
    """Score the images of ``pairs`` and each version of their originals.

    Args:
        score: the model.
        image_input: what its contract makes of a photo.
        pairs: one at least.
        threshold: score from which on to refer.
        report: who is told of the progress.

    Raises:
        UnusableInput: when no original can be used.
    """
    images, scores, unusable = [], [], []
    for pair in report.track(pairs, "Scoring the originals", len(pairs)):
        try:
            tensors = [network_input(photo, image_input) for photo in _versions(pair)]
        except LesionliteError as error:
            fault = type(error)(error.problem, error.remedy, error.file or pair.original)
            unusable.append(Unusable(replace(pair.image, path=pair.original), fault))
        else:
            images.append(pair.image)
            scores.append(score(tensors))
    if not images:
        raise UnusableInput(
            f"none of the {len(unusable)} originals can be used ({unusable[0].error})",
            "correct the photos",
        )
    of_image, *of_versions = np.array(scores).T.copy()
    labels = np.array([image.label for image in images], np.int64)
    reference = Sample(labels, of_image, cluster(images).of_image)
    rows = (
        VersionFigures(name, compare(reference, version, threshold))
        for name, version in zip(VERSIONS, of_versions, strict=True)
    )
    return Originals(tuple(rows), tuple(unusable))


def _versions(pair: Pair) -> Iterator[Pixels]:
    """The image itself, and the `VERSIONS` of its original."""
    image, original = decode(pair.image.path), decode(pair.original)
    small = resize(original, *image.shape[:2])
    yield from (image, original, small, jpeg(small, QUALITY))


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
