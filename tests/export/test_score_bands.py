"""Agreement by score and by distance from the threshold."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlite_export.score_bands import MARGIN_EDGES, SCORE_EDGES, bands
from lesionlite_export.statistics import proportion


def test_an_image_lies_in_the_band_that_it_begins() -> None:
    values = np.array([0.0, 0.1, 0.19, 0.95, 1.0])
    errors = np.array([0.01, -0.02, 0.04, 0.0, -0.1])
    flipped = np.array([False, True, False, False, True])
    found = bands(values, SCORE_EDGES, errors, flipped, None)
    assert [band.flips.of for band in found] == [1, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    second = found[1]
    assert (second.low, second.high, second.flips.count) == (0.1, 0.2, 1)
    assert second.mean_error == pytest.approx(0.03)
    assert second.max_error == pytest.approx(0.04)
    assert second.bias == pytest.approx(0.01)
    body = second.to_json()
    assert (body["n"], body["flips"]) == (2, 1)
    assert body["agreement"] == {
        "value": 0.5,
        "low": pytest.approx(1 - proportion(1, 2).high),
        "high": pytest.approx(1 - proportion(1, 2).low),
    }
    empty = found[2].to_json()
    assert (empty["n"], empty["agreement"], empty["mean_error"]) == (0, None, None)


@pytest.mark.parametrize("edges", [SCORE_EDGES, MARGIN_EDGES])
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_every_image_lies_in_one_band(edges: tuple[float, ...], scores: list[float]) -> None:
    values = np.array(scores)
    found = bands(values, edges, values * 0, values > 0.5, None)
    assert sum(band.flips.of for band in found) == len(scores)
    assert sum(band.flips.count for band in found) == int((values > 0.5).sum())
    assert [(band.low, band.high) for band in found] == list(pairwise(edges))
