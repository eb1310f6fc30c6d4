"""A model on degraded copies of the images that it is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.progress import Reporter
from lesionlite_export.sample import Sample
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.pixels import decode, image_tensor
from lesionlite_training.evaluation.degradations import Degradation, Pixels
from lesionlite_training.evaluation.paired import PairedFigures, compare
from lesionlite_training.evaluation.scorer import Score


@dataclass(frozen=True)
class DegradedFigures:
    """A degradation, and the figures on copies with it beside those on the photos themselves."""

    name: str
    level: str
    figures: PairedFigures

    def to_json(self) -> dict[str, Any]:
        """Name, level and figures."""
        return {"name": self.name, "level": self.level, **self.figures.to_json()}


@dataclass(frozen=True)
class Robustness:
    """The figures on the photos themselves, and a row for each degradation."""

    undegraded: PairedFigures
    rows: tuple[DegradedFigures, ...]

    def to_json(self) -> dict[str, Any]:
        """Both as JSON."""
        return {
            "undegraded": self.undegraded.to_json(),
            "rows": [row.to_json() for row in self.rows],
        }


def measure_robustness(
    score: Score,
    image_input: ImageInput,
    images: Sequence[LabelledImage],
    sample: Sample,
    threshold: float,
    degradations: Sequence[Degradation],
    report: Reporter,
) -> Robustness:
    """Score each image and its degraded copies.

    Args:
        score: the model.
        image_input: what its contract makes of a photo, here after the degradation.
        images: n of them, that can be read.
        sample: their labels and clusters; its scores are not used, for `Score` gives equal scores
            of equal tensors in one call alone.
        threshold: score from which on to refer.
        degradations: see `DEGRADATIONS`.
        report: who is told of the progress.

    Raises:
        UnusableInput: when an image can no longer be read.
    """
    label = f"Scoring {len(degradations)} degraded copies of each image"
    found = []
    for image in report.track(images, label, len(images)):
        photo = decode(image.path)
        copies = [photo, *(degradation.apply(photo) for degradation in degradations)]
        found.append(score([network_input(copy, image_input) for copy in copies]))
    undegraded, *degraded = np.array(found).T.copy()
    reference = Sample(sample.labels, undegraded, sample.clusters)
    return Robustness(
        compare(reference, undegraded, threshold),
        tuple(
            DegradedFigures(one.name, one.level, compare(reference, scores, threshold))
            for one, scores in zip(degradations, degraded, strict=True)
        ),
    )


def network_input(photo: Pixels, image_input: ImageInput) -> Pixels:
    """The tensor of a decoded photo, uint8 ``[H, W, 3]``.

    Raises:
        UnusableInput: when the photo is too small to decide on.
    """
    return image_tensor(
        photo, image_input.height, image_input.width, image_input.resize, image_input.fit
    )
