"""The same photos at another resolution: what a model makes of them, and what the pixels do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lesionlite_export.progress import Reporter
from lesionlite_export.representative import Unusable
from lesionlite_export.sample import Sample, cluster
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import LesionliteError, UnusableInput
from lesionlite_runtime.pixels import decode, resize
from lesionlite_training.evaluation.degradations import Pixels, jpeg
from lesionlite_training.evaluation.paired import PairedFigures, compare
from lesionlite_training.evaluation.robustness import network_input
from lesionlite_training.evaluation.scorer import Score
from lesionlite_training.originals import Pair

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
