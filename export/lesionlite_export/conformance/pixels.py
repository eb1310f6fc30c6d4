"""What came back of an image's pixels, against the right ones and those of each known mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.conformance.results import Returned
from lesionlite_export.conformance.votes import Distance, Evidence
from lesionlite_export.kit.manifest import KitFolder, KitImage, PixelTolerance
from lesionlite_export.kit.mistakes import (
    PixelMistake,
    byte_range_mistakes,
    pixel_mistakes,
)
from lesionlite_export.kit.photo import Photo
from lesionlite_runtime.errors import LesionliteError
from lesionlite_runtime.pixels import pixels_sha256

TENSOR, SAMPLES, DIGEST = "tensor", "samples", "digest"
EQUAL, WITHIN, WRONG, UNJUDGED = "equal", "within", "wrong", "unjudged"
_EXACT = PixelTolerance(mean=0.0, max=0)
_NOISE = 0.25  # of the distance from the right pixels

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class PixelCheck:
    """One image's pixels.

    Attributes:
        image: its name.
        kind: ``tensor``, ``samples`` or ``digest``, the best that came.
        status: ``equal``; ``within`` what another decoder may make of it; ``wrong``; ``unjudged``
            where a digest differs and a decoder may be why.
        mean: difference in grey levels, None for a digest.
        max: likewise, the largest.
        evidence: for a vote on mistakes; None unless ``wrong`` or ``equal``.
    """

    image: str
    kind: str
    status: str
    mean: float | None
    max: int | None
    evidence: Evidence | None

    @property
    def is_proof(self) -> bool:
        """Whether all of the pixels are known to be right; samples are a few of them."""
        return self.status == EQUAL and self.kind != SAMPLES


class PixelJudge:
    """Compares pixels with those that this machine makes of the kit's own images.

    A mistake's pixels are made only where what came back is not right.
    """

    def __init__(self, folder: KitFolder, problems: list[str]) -> None:
        self._folder = folder
        self._problems = problems
        self._changing = {
            image.name: frozenset(
                mistake.name
                for mistake in folder.kit.mistakes
                if any(scores[number] is not None for scores in mistake.scores.values())
            )
            for number, image in enumerate(folder.kit.images)
        }

    @cached_property
    def mistakes(self) -> tuple[PixelMistake, ...]:
        """Those that show in pixels, in the order of the stages."""
        return (*pixel_mistakes(), *byte_range_mistakes(self._folder.kit.input))

    def check(self, image: KitImage, returned: Returned) -> PixelCheck | None:
        """The check of one image; None where nothing came back of its pixels."""
        if returned.tensor is not None:
            photo = self._photo(image)
            if photo is not None:
                return self._by_values(image, TENSOR, returned.tensor, photo.tensor, photo)
        if returned.samples is not None:
            right = np.array(image.samples, np.uint8)
            return self._by_values(image, SAMPLES, returned.samples, right, None)
        if returned.pixels_sha256 is not None:
            return self._by_digest(image, returned.pixels_sha256)
        return None

    def _by_values(
        self, image: KitImage, kind: str, found: Pixels, right: Pixels, photo: Photo | None
    ) -> PixelCheck:
        apart = np.abs(found.astype(np.int16) - right)
        mean, largest = float(apart.mean()), int(apart.max())
        tolerance = tolerance_of(image, self._folder.kit.tolerances)
        if largest == 0:
            status = EQUAL
        elif mean <= tolerance.mean and largest <= tolerance.max:
            status = WITHIN
        else:
            status = WRONG
        evidence = None
        if status == WRONG:
            evidence = self._evidence(image, kind, found, mean, photo)
        elif status == EQUAL:
            changed = self._as_changed(image) if kind == TENSOR else {}
            evidence = Evidence(image.name, 0.0, 0.0, 0.0, changed)
        return PixelCheck(image.name, kind, status, mean, largest, evidence)

    def _evidence(
        self, image: KitImage, kind: str, found: Pixels, mean: float, photo: Photo | None
    ) -> Evidence:
        """Distances of wrong pixels, in units of that from the right ones."""
        tolerance = tolerance_of(image, self._folder.kit.tolerances)
        # Wrong by its largest difference alone, it is to count as wrong all the same.
        noise = min(tolerance.mean / mean, _NOISE)
        distances: dict[str, Distance] = {}
        for name, wrong in self._mistaken(photo or self._photo(image)):
            shown = wrong if kind == TENSOR else self._at_places(wrong)
            apart = np.abs(found.astype(np.int16) - shown)
            distances[name] = Distance(float(apart.mean()) / mean, noise)
        return Evidence(image.name, 1.0, noise, noise, distances)

    def _by_digest(self, image: KitImage, digest: str) -> PixelCheck:
        if digest == image.pixels_sha256:
            right = Evidence(image.name, 0.0, 0.0, 0.0, self._as_changed(image))
            return PixelCheck(image.name, DIGEST, EQUAL, None, None, right)
        distances = {
            name: Distance(float(pixels_sha256(wrong) != digest), 0.0)
            for name, wrong in self._mistaken(self._photo(image))
        }
        explained = any(found.is_met for found in distances.values())
        lossless = tolerance_of(image, self._folder.kit.tolerances) == _EXACT
        status = WRONG if explained or lossless else UNJUDGED
        evidence = Evidence(image.name, 1.0, 0.0, 0.0, distances)
        judged = evidence if status == WRONG else None
        return PixelCheck(image.name, DIGEST, status, None, None, judged)

    def _as_changed(self, image: KitImage) -> dict[str, Distance]:
        """The mistakes that would have changed a right image, each as far away as can be."""
        return {name: Distance(1.0, 0.0) for name in self._changing[image.name]}

    def _mistaken(self, photo: Photo | None) -> Iterator[tuple[str, Pixels]]:
        """What each mistake makes of the photo, by name."""
        if photo is None:
            return
        for mistake in self.mistakes:
            wrong = mistake.tensor(photo)
            if wrong is not None:
                yield mistake.name, wrong

    def _at_places(self, tensor: Pixels) -> Pixels:
        rows, columns = np.array(self._folder.kit.places).T
        return np.asarray(tensor[rows, columns])

    def _photo(self, image: KitImage) -> Photo | None:
        """The kit's own image, if this machine makes the recorded pixels of it."""
        try:
            photo = Photo(self._folder.image_bytes(image), self._folder.kit.input)
            same = pixels_sha256(photo.tensor) == image.pixels_sha256
        except LesionliteError as error:
            self._say(f"{image.name}: its pixels cannot be compared ({error})")
            return None
        if not same:
            self._say(
                f"{image.name}: its pixels cannot be compared here: this machine makes others of "
                "it than the one that recorded the kit (another LittleCMS, perhaps)"
            )
            return None
        return photo

    def _say(self, sentence: str) -> None:
        if sentence not in self._problems:
            self._problems.append(sentence)


def tolerance_of(image: KitImage, tolerances: Mapping[str, PixelTolerance]) -> PixelTolerance:
    """How far an image's pixels may lie off: not at all, unless decoders read it differently."""
    found = [tolerances[feature] for feature in image.features if feature in tolerances]
    if not found:
        return _EXACT
    return PixelTolerance(max(t.mean for t in found), max(t.max for t in found))


def sizes_swapped(images: Sequence[KitImage], results: Mapping[str, Returned]) -> list[str]:
    """Images whose upright picture came back with width and height swapped."""
    found = []
    for image in images:
        line = results[image.name].line if image.name in results else None
        if line is None or line.width is None or line.height is None:
            continue
        right = image.decoded
        if (line.width, line.height) == (right.height, right.width) != (right.width, right.height):
            found.append(image.name)
    return found
