"""Any two rows of the matrix on the inputs that both were given, and each row and the reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.matrix.kernels import kind_of_pair
from lesionlite_export.matrix.row_result import RowResult
from lesionlite_export.matrix.subject import Subject, Table

KERAS = "keras"
"""Name of the reference among the pairs, and the kind of the pairs with it."""


@dataclass(frozen=True)
class Pair:
    """Two rows, or the reference and a row, on the inputs that both were given.

    Attributes:
        a: name of a row, or `KERAS`.
        b: name of a row.
        kind: `KERAS`, or the tolerance that the two are held to.
        n: number of inputs that both were given.
        bit_equal: whether every output is the same to the bit.
        max_difference: the largest difference of a score, or of y.
        mean_difference: the mean one; of several labels, of the largest difference of an image.
        flips: decisions that differ; None for a regression.
    """

    a: str
    b: str
    kind: str
    n: int
    bit_equal: bool
    max_difference: float
    mean_difference: float
    flips: int | None

    def to_json(self) -> dict[str, Any]:
        """The entry in ``pairs``."""
        return {
            "a": self.a,
            "b": self.b,
            "kind": self.kind,
            "n": self.n,
            "bit_equal": self.bit_equal,
            "max_difference": self.max_difference,
            "mean_difference": self.mean_difference,
            "flips": self.flips,
        }


@dataclass(frozen=True)
class _Side:
    """One of two: its scores, and the outputs that are to be equal to the bit."""

    name: str
    numbers: NDArray[np.int64]
    scores: Table
    outputs: Table


def pairs_of(subject: Subject, rows: Sequence[RowResult]) -> Iterator[Pair]:
    """The pairs of the reference with each of ``rows`` that has scores, then of any two of them."""
    done = [(row, _side(row)) for row in rows if row.done]
    for row, side in done:
        assert row.scores is not None
        keras = _Side(KERAS, np.arange(subject.n), subject.reference, subject.reference)
        scored = _Side(row.name, side.numbers, row.scores, row.scores)
        yield _pair(subject, keras, scored, KERAS)
    for i, (first, a) in enumerate(done):
        for second, b in done[i + 1 :]:
            kind = kind_of_pair((first.row, first.kernels), (second.row, second.kernels))
            yield _pair(subject, a, b, kind)


def _side(row: RowResult) -> _Side:
    assert row.scores is not None
    assert row.outcome.outputs is not None
    return _Side(row.name, np.array(row.numbers), row.scores, row.outcome.outputs)


def _pair(subject: Subject, a: _Side, b: _Side, kind: str) -> Pair:
    common, in_a, in_b = np.intersect1d(
        a.numbers, b.numbers, assume_unique=True, return_indices=True
    )
    scores_a, scores_b = a.scores[in_a], b.scores[in_b]
    apart = np.abs(scores_a - scores_b).max(axis=1)
    decided_a, decided_b = subject.decisions(scores_a), subject.decisions(scores_b)
    flips = None
    if decided_a is not None and decided_b is not None:
        flips = int(np.not_equal(decided_a, decided_b).sum())
    return Pair(
        a.name,
        b.name,
        kind,
        len(common),
        a.outputs[in_a].tobytes() == b.outputs[in_b].tobytes(),
        float(apart.max()),
        float(apart.mean()),
        flips,
    )
