"""A client's pixels against ours."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.clients.findings import Findings, Pixels

Pair = tuple[NDArray[Any], NDArray[Any]]


def compare_pixels(
    findings: Findings, client: str, what: str, images: str, pairs: Iterable[Pair], limit: int
) -> None:
    """Note a row for pairs of the client's pixels and ours, if there is one."""
    n = values = different = largest = 0
    total = 0.0
    for theirs, ours in pairs:
        apart = np.abs(theirs.astype(float) - ours)
        n, values = n + 1, values + apart.size
        different += int(np.count_nonzero(apart))
        total += float(apart.sum())
        largest = max(largest, math.ceil(apart.max()))
    if n:
        share, mean = different / values, total / values
        findings.pixels.append(Pixels(client, what, images, n, share, mean, largest, limit))
