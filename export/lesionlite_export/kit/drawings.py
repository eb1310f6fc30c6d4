"""Drawings to make a kit's files of, chosen by what the model makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lesionlite_export.drawn import DRAWN_KINDS, draw_lesion
from lesionlite_export.progress import Reporter
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.pixels import MIN_SIDE

N_DRAWINGS = 30
_SEED = 7_000_000  # beyond the drawings of demo and tests
_HEIGHT, _WIDTH = 1.2, 1.6  # in units
_LARGEST_UNIT = 256  # pixels: a kit for a large input stays small all the same
_STEPS = 14
_SMOOTH = Image.Resampling.LANCZOS

Pixels = NDArray[np.uint8]
Score = Callable[[Pixels], float]


@dataclass(frozen=True)
class Drawings:
    """Drawings with the model's scores of them, those first whose score moves most easily.

    Attributes:
        pictures: uint8 ``[h, w, 3]`` each, somewhat larger than the network's input.
        exact: the same, of just the input's size.
        scores: of ``exact``.
        unit: pixels to a unit of size, about the longer side of the input.
    """

    pictures: tuple[Pixels, ...]
    exact: tuple[Pixels, ...]
    scores: tuple[float, ...]
    unit: int

    def sized(self, number: int, rows: float, columns: float) -> Pixels:
        """Drawing ``number`` (counted round) stretched to ``rows`` x ``columns`` units, or to more.

        No side is so short that there would be no decision on it.
        """
        picture = self.pictures[number % len(self.pictures)]
        unit = max(self.unit, (MIN_SIDE + 1) / min(rows, columns))
        width, height = round(columns * unit), round(rows * unit)
        return np.asarray(Image.fromarray(picture).resize((width, height), _SMOOTH))


def draw(target: ImageInput, score: Score, report: Reporter) -> Drawings:
    """The drawings for a network of the input ``target``; ``score`` is of its tensors.

    A score in the middle of 0 to 1 shows a wrong pixel best: at the ends the sigmoid is flat.
    """
    unit = min(max(target.height, target.width), _LARGEST_UNIT)
    size = (max(MIN_SIDE, round(_HEIGHT * unit)), max(MIN_SIDE, round(_WIDTH * unit)))
    found = []
    for number in report.track(range(N_DRAWINGS), "Drawing", N_DRAWINGS):
        kind = DRAWN_KINDS[number % len(DRAWN_KINDS)]
        picture = draw_lesion(_SEED + number, kind, size)
        exact = _stretched(picture, (target.width, target.height))
        found.append((score(exact), number, picture, exact))
    found.sort(key=lambda item: (abs(item[0] - 0.5), item[1]))
    return Drawings(
        tuple(picture for _, _, picture, _ in found),
        tuple(exact for _, _, _, exact in found),
        tuple(value for value, _, _, _ in found),
        unit,
    )


def near_threshold(
    drawings: Drawings, score: Score, threshold: float, count: int, away: float
) -> list[Pixels]:
    """Mixtures of two drawings whose scores lie close above the threshold, and close below.

    Args:
        drawings: to be mixed.
        score: of tensors.
        threshold: ``score >= threshold`` decides.
        count: how many are wanted on each side.
        away: the least distance from the threshold.

    Returns:
        uint8 ``[H, W, 3]``, ``2 * count`` at most; none where all drawings lie on one side.
    """
    ranked = sorted(range(len(drawings.scores)), key=lambda i: abs(drawings.scores[i] - threshold))
    above = [drawings.exact[i] for i in ranked if drawings.scores[i] >= threshold]
    below = [drawings.exact[i] for i in ranked if drawings.scores[i] < threshold]
    found: list[Pixels] = []
    for number in range(count if above and below else 0):
        pair = above[number % len(above)], below[number % len(below)]
        found += _closest(pair, score, threshold, away)
    return found


def _closest(
    pair: tuple[Pixels, Pixels], score: Score, threshold: float, away: float
) -> list[Pixels]:
    """The mixtures of a pair, on both sides, that halving the share comes closest with."""
    best: dict[bool, tuple[float, Pixels]] = {}
    low, high = 0.0, 1.0  # share of the drawing below the threshold
    for _ in range(_STEPS):
        share = (low + high) / 2
        mixed = np.rint(pair[0] * (1 - share) + pair[1] * share).astype(np.uint8)
        value = score(mixed)
        above = value >= threshold
        distance = abs(value - threshold)
        if away <= distance < best.get(above, (np.inf, mixed))[0]:
            best[above] = (distance, mixed)
        low, high = (share, high) if above else (low, share)
    return [best[above][1] for above in (True, False) if above in best]


def _stretched(picture: Pixels, size: tuple[int, int]) -> Pixels:
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
