"""How far two models agree, by the reference's score and by its distance from the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.counted import Counted, counted
from lesionlite_export.statistics import Clusters, Scores

SCORE_EDGES = tuple(round(0.1 * i, 1) for i in range(11))
MARGIN_EDGES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 1.0)
"""Distances from the threshold, in score."""


@dataclass(frozen=True)
class Band:
    """Images whose value lies in ``low`` to ``high``, the upper end left out but in the last band.

    Attributes:
        low: 0 to 1.
        high: 0 to 1.
        flips: how many of the images flipped.
        mean_error: mean absolute error of the score; None where the band is empty.
        max_error: the largest; likewise.
        bias: mean of file less reference; likewise.
    """

    low: float
    high: float
    flips: Counted
    mean_error: float | None
    max_error: float | None
    bias: float | None

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON; ``agreement`` is the share of images that did not flip."""
        rate = self.flips.rate
        agreement = {"value": 1 - rate.value, "low": 1 - rate.high, "high": 1 - rate.low}
        return {
            "low": self.low,
            "high": self.high,
            "n": self.flips.of,
            "flips": self.flips.count,
            "agreement": agreement if self.flips.of else None,
            "mean_error": self.mean_error,
            "max_error": self.max_error,
            "bias": self.bias,
        }


def bands(
    values: Scores,
    edges: Sequence[float],
    errors: Scores,
    flipped: NDArray[np.bool_],
    clusters: Clusters | None,
) -> tuple[Band, ...]:
    """The bands between ``edges`` that ``values`` ``[n]`` fall into.

    Args:
        values: what is banded, within the first and the last edge.
        edges: ascending.
        errors: ``[n]``, score of the file less that of the reference.
        flipped: ``[n]``.
        clusters: ``[n]``, or None.
    """
    last = len(edges) - 2
    found = []
    for place, (low, high) in enumerate(pairwise(edges)):
        inside = (values >= low) & ((values < high) | (place == last))
        own = errors[inside]
        absolute = np.abs(own)
        found.append(
            Band(
                low,
                high,
                counted(flipped, inside, clusters),
                float(absolute.mean()) if len(own) else None,
                float(absolute.max()) if len(own) else None,
                float(own.mean()) if len(own) else None,
            )
        )
    return tuple(found)
