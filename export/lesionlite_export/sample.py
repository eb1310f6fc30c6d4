"""What figures are of: labels and scores of images, and the clusters that the images stand in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.grouping import LESION, PATIENT, groups_of
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.statistics import Clusters, Labels, Scores

_PLURALS = {None: "images", PATIENT: "patients", LESION: "lesions"}


@dataclass(frozen=True)
class Sample:
    """Labels int64 ``[n]`` (0 or 1) and scores float64 ``[n]`` (0 to 1) of n images.

    ``clusters`` is None where each image stands for itself.
    """

    labels: Labels
    scores: Scores
    clusters: Clusters | None = None

    def where(self, mask: NDArray[np.bool_]) -> Sample:
        """The images that ``mask`` ``[n]`` is true for."""
        clusters = None if self.clusters is None else self.clusters[mask]
        return Sample(self.labels[mask], self.scores[mask], clusters)


@dataclass(frozen=True)
class Clustering:
    """Which images of a set belong together.

    ``by`` is ``patient_id`` or ``lesion_id``, whichever the manifest knows first, and None where no
    two images belong together; ``n`` counts the clusters, ``of_image`` numbers that of each image,
    None where ``by`` is.
    """

    by: str | None
    n: int
    of_image: Clusters | None

    @property
    def plural(self) -> str:
        """What the clusters are: ``patients`` or ``lesions``, and ``images`` where there are none.

        Where some images have a patient and others a lesion alone they are called patients.
        """
        return _PLURALS[self.by]

    def to_json(self) -> dict[str, Any]:
        """``by`` and ``n``."""
        return {"by": self.by, "n": self.n}


def cluster(images: Sequence[LabelledImage]) -> Clustering:
    """The clusters of ``images``, which are the groups that stay together in folds.

    They are those of patients where the manifest knows any, and of lesions where it knows no
    patient. Ids that no two images share cluster nothing.

    Raises:
        UnusableInput: when a lesion has two patients.
    """
    grouping = groups_of(images)
    if grouping.count == len(images):
        return Clustering(None, len(images), None)
    numbers = {group: number for number, group in enumerate(dict.fromkeys(grouping.groups))}
    of_image = np.array([numbers[group] for group in grouping.groups], np.int64)
    return Clustering(grouping.by[0], grouping.count, of_image)
