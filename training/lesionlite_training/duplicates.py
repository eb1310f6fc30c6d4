"""The same image twice: by equal pixels, or nearly the same by perceptual hashes.

A perceptual hash keeps the signs of an image's slow waves. Two images are near-duplicates when both
of two hashes of them nearly agree: a coarse one of 64 bits, which many different lesions in the
middle of a photo share, and a fine one of 256, which sees the texture. docs/data.md has how the
limits were found, and what they find and miss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lesionlite_runtime.errors import MissingHere
from lesionlite_runtime.pixels import pixels_sha256

COARSE_SIDE, FINE_SIDE = 8, 16
COARSE_LIMIT, FINE_LIMIT = 8, 48
"""Bits that may differ, of 64 and of 256."""
UPRIGHT = "upright"
TURNS: tuple[tuple[str, Image.Transpose | None], ...] = (
    (UPRIGHT, None),
    ("mirrored", Image.Transpose.FLIP_LEFT_RIGHT),
    ("upside down, mirrored", Image.Transpose.FLIP_TOP_BOTTOM),
    ("turned by 90°", Image.Transpose.ROTATE_90),
    ("turned by 180°", Image.Transpose.ROTATE_180),
    ("turned by 270°", Image.Transpose.ROTATE_270),
    ("turned by 90°, mirrored", Image.Transpose.TRANSPOSE),
    ("turned by 270°, mirrored", Image.Transpose.TRANSVERSE),
)
# imagehash works on four times the side of its hash: what it is given is already of that size, so
# that turning it is exact, and a large photo is scaled once and not sixteen times.
_SIDE = 4 * FINE_SIDE
_BLOCK = 512

Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class Fingerprint:
    """What an image is compared by.

    Attributes:
        pixels: height, width and digest; equal for equal pixels only.
        coarse: bool ``[8, 64]``, the coarse hash in each of the eight `TURNS`.
        fine: bool ``[8, 256]``, the fine one.
    """

    pixels: tuple[int, int, str]
    coarse: Bits
    fine: Bits


@dataclass(frozen=True)
class NearPair:
    """Two near-duplicates by their places, the first before the second.

    ``bits`` of 256 differ between the first and the second, turned as ``turn`` says.
    """

    first: int
    second: int
    bits: int
    turn: str


def fingerprint(pixels: NDArray[np.uint8]) -> Fingerprint:
    """The fingerprint of an image.

    Args:
        pixels: uint8 ``[H, W, 3]`` as decoded.

    Raises:
        MissingHere: when imagehash is not installed.
    """
    imagehash = _imagehash()
    grey = Image.fromarray(pixels).convert("L")
    small = grey.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    views = [small if turn is None else small.transpose(turn) for _, turn in TURNS]
    coarse, fine = (
        np.array([imagehash.phash(view, side).hash.ravel() for view in views], np.bool_)
        for side in (COARSE_SIDE, FINE_SIDE)
    )
    height, width, _ = pixels.shape
    return Fingerprint((height, width, pixels_sha256(pixels)), coarse, fine)


def equal_groups(prints: Sequence[Fingerprint]) -> list[list[int]]:
    """The places of the images that have equal pixels, a group each, all of two or more."""
    places: dict[tuple[int, int, str], list[int]] = {}
    for place, found in enumerate(prints):
        places.setdefault(found.pixels, []).append(place)
    return [group for group in places.values() if len(group) > 1]


def near_pairs(prints: Sequence[Fingerprint]) -> list[NearPair]:
    """The pairs within both limits in one of the turns, in order; each pair once, at its nearest.

    Images of equal pixels are compared by the first of them alone.
    """
    later = {place for group in equal_groups(prints) for place in group[1:]}
    places = np.array([place for place in range(len(prints)) if place not in later], np.int64)
    if len(places) < 2:
        return []
    coarse = np.stack([prints[place].coarse for place in places])
    fine = np.stack([prints[place].fine for place in places])
    nearest: dict[tuple[int, int], NearPair] = {}
    for first, second, bits, turn in _within_limits(coarse, fine):
        pair = NearPair(int(places[first]), int(places[second]), bits, TURNS[turn][0])
        known = nearest.setdefault((pair.first, pair.second), pair)
        if bits < known.bits:
            nearest[pair.first, pair.second] = pair
    return [nearest[key] for key in sorted(nearest)]


def _within_limits(coarse: Bits, fine: Bits) -> Iterator[tuple[int, int, int, int]]:
    """Each first, second, bits and turn of a pair within both limits.

    A block of rows at a time against all later ones: the distances of all pairs at once would not
    fit into memory, and the fine hash is only looked at where the coarse one is near.
    """
    count = len(coarse)
    for start in range(0, count, _BLOCK):
        block = coarse[start : start + _BLOCK, 0].astype(np.float32)
        for turn in range(len(TURNS)):
            others = coarse[start:, turn].astype(np.float32)
            common = block @ others.T
            distance = block.sum(1)[:, np.newaxis] + others.sum(1) - 2 * common
            first, second = np.nonzero(distance <= COARSE_LIMIT)
            first, second = (start + side[first < second] for side in (first, second))
            bits = np.count_nonzero(fine[first, 0] != fine[second, turn], axis=1)
            for i in np.flatnonzero(bits <= FINE_LIMIT).tolist():
                yield int(first[i]), int(second[i]), int(bits[i]), turn


def _imagehash() -> Any:
    try:
        import imagehash
    except ImportError as error:
        raise MissingHere(
            "finding near-duplicates needs imagehash", "run pip install 'lesionlite[training]'"
        ) from error
    return imagehash
