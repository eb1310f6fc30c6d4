"""Counts out of counts, and what they say of chance in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.statistics import Clusters, share
from lesionlite_runtime.contract_fields import Interval


@dataclass(frozen=True)
class Counted:
    """``count`` images of ``of``, as a share with its exact 95 % interval, see `share`."""

    count: int
    of: int
    rate: Interval

    def to_json(self) -> dict[str, Any]:
        """``count``, ``of``, ``rate``, ``low`` and ``high``."""
        return {
            "count": self.count,
            "of": self.of,
            "rate": self.rate.value,
            "low": self.rate.low,
            "high": self.rate.high,
        }


def counted(
    hits: NDArray[np.bool_], among: NDArray[np.bool_], clusters: Clusters | None
) -> Counted:
    """The ``hits`` ``[n]`` of the images that ``among`` ``[n]`` is true for."""
    chosen = hits[among]
    rate = share(chosen, None if clusters is None else clusters[among])
    return Counted(int(chosen.sum()), len(chosen), rate)


def cluster_words(among: NDArray[np.bool_], clusters: Clusters | None, plural: str | None) -> str:
    """What stands behind a number of the images ``among`` ``[n]``: `` of 60 patients``, or nothing.

    ``plural`` is what ``clusters`` are.
    """
    if clusters is None or plural is None:
        return ""
    return f" of {len(np.unique(clusters[among]))} {plural}"


def power_sentence(found: Counted, what: str, images: str) -> str:
    """What ``found`` leaves possible: ``0 flips in 148 images is compatible with ...``.

    Args:
        found: the count.
        what: what was counted, in the plural: ``flips``.
        images: what it was counted among, without the number: ``images``.
    """
    noun = what.removesuffix("s") if found.count == 1 else what
    low, high = (f"{100 * end:.1f}" for end in (found.rate.low, found.rate.high))
    rates = f"from {low} to {high} %" if found.count else f"up to {high} %"
    return f"{found.count} {noun} in {found.of} {images} is compatible with a rate {rates}"
