"""Which of the user's images go into a kit: those that a wrong pixel would decide otherwise."""

from __future__ import annotations

import numpy as np

from lesionlite_export.gate import AnyParity
from lesionlite_export.parity import ScoreParity

EACH_SIDE = 4


def nearest_images(parity: AnyParity, each_side: int = EACH_SIDE) -> list[str]:
    """The images whose scores by the file lie closest to the threshold, on each side of it.

    None of a model that has no threshold.
    """
    if not isinstance(parity, ScoreParity):
        return []
    away = parity.score_tflite - parity.threshold
    order = np.argsort(np.abs(away), kind="stable")
    above = [int(i) for i in order if away[i] >= 0][:each_side]
    below = [int(i) for i in order if away[i] < 0][:each_side]
    return [parity.files[i] for i in (*above, *below)]
