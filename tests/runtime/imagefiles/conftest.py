"""What a damaged file may come to: refused by one sentence, or the pixels of the whole one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.pixels import decode


def _outcome(data: bytes, max_pixels: int = 100_000) -> NDArray[np.uint8] | None:
    """The pixels, or None where the file is refused by one sentence; a warning fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return decode(data, max_pixels=max_pixels)
        except UnusableInput as error:
            sentence = str(error)
    assert "\n" not in sentence
    return None


def _refusals(variants: Iterable[bytes], whole: NDArray[np.uint8]) -> tuple[int, int]:
    """How many variants of a file are refused, and how many give the pixels of the whole one.

    A variant that gives other pixels fails the test.
    """
    results = [_outcome(data) for data in variants]
    given = [pixels for pixels in results if pixels is not None]
    assert all(np.array_equal(pixels, whole) for pixels in given), "other pixels"
    return len(results) - len(given), len(given)


@pytest.fixture(scope="session")
def outcome() -> Callable[..., NDArray[np.uint8] | None]:
    """``_outcome`` for the tests."""
    return _outcome


@pytest.fixture(scope="session")
def refusals() -> Callable[..., tuple[int, int]]:
    """``_refusals`` for the tests."""
    return _refusals
