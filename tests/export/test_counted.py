"""Counts out of counts, and what they leave possible."""

from __future__ import annotations

import numpy as np
import pytest

from lesionlite_export.counted import counted, power_sentence
from lesionlite_export.statistics import proportion

HITS = np.array([True, False, True, True, False, False])
AMONG = np.array([True, True, True, False, False, True])


def test_only_hits_among_those_counted_count() -> None:
    found = counted(HITS, AMONG, None)
    assert (found.count, found.of, found.rate) == (2, 4, proportion(2, 4))
    assert found.to_json() == {
        "count": 2,
        "of": 4,
        "rate": 0.5,
        "low": proportion(2, 4).low,
        "high": proportion(2, 4).high,
    }


def test_clusters_follow_the_mask() -> None:
    clusters = np.array([0, 1, 0, 1, 1, 1])
    assert counted(HITS, AMONG, clusters).rate.low == pytest.approx(proportion(1, 2).low)
    none = counted(HITS, np.zeros(6, bool), clusters)
    assert (none.of, none.rate.low, none.rate.high) == (0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("count", "n", "what", "sentence"),
    [
        (0, 148, "flips", "0 flips in 148 images is compatible with a rate up to 2.5 %"),
        (1, 148, "flips", "1 flip in 148 images is compatible with a rate from 0.0 to 3.7 %"),
        (
            2,
            30,
            "newly missed",
            "2 newly missed in 30 images is compatible with a rate from 0.8 to 22.1 %",
        ),
    ],
)
def test_power_in_words(count: int, n: int, what: str, sentence: str) -> None:
    found = counted(np.arange(n) < count, np.ones(n, bool), None)
    assert power_sentence(found, what, "images") == sentence
