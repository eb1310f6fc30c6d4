"""Whether the file decides alike in every backend: what fails, and what would have passed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lesionlite_export.gate import round_up
from lesionlite_export.matrix.pairs import Pair
from lesionlite_export.matrix.process import CRASHED, INVALID, MISSING, REFUSED, TIMED_OUT
from lesionlite_export.matrix.row_result import RowResult
from lesionlite_export.matrix.tolerances import WORDS
from lesionlite_runtime.errors import LesionliteError, MissingHere, ProofFailed

_SHOWN = 3
_FAULTS = (CRASHED, TIMED_OUT, INVALID)
_FAULTS_WHERE_NAMED = (MISSING, REFUSED)


@dataclass(frozen=True)
class Tolerated:
    """The pairs of one kind against their tolerance.

    Attributes:
        kind: name of the tolerance.
        limit: of the largest difference; None where the kind is not gated.
        pairs: number of pairs of this kind.
        bit_equal: how many of them are equal to the bit.
        worst: the pair that is furthest apart; None where there is no pair.
        largest: how far: the difference, of a regression as a fraction of the largest ``|y|``.
    """

    kind: str
    limit: float | None
    pairs: int
    bit_equal: int
    worst: Pair | None
    largest: float

    @property
    def passed(self) -> bool:
        """Whether no pair is further apart than the limit."""
        return self.limit is None or self.largest <= self.limit

    @property
    def failures(self) -> tuple[str, ...]:
        """A sentence, unless it passed."""
        if self.passed or self.worst is None:
            return ()
        return (
            f"{self.worst.a} and {self.worst.b} ({WORDS[self.kind]}) are {self.largest:.3g} apart, "
            f"over the tolerance {self.limit:g}",
        )

    def to_json(self) -> dict[str, Any]:
        """The entry in ``tolerances``."""
        return {
            "kind": self.kind,
            "limit": self.limit,
            "pairs": self.pairs,
            "bit_equal": self.bit_equal,
            "largest": self.largest,
            "worst": None if self.worst is None else [self.worst.a, self.worst.b],
            "passed": self.passed,
        }


@dataclass(frozen=True)
class MatrixVerdict:
    """What was judged.

    Attributes:
        limits: of every gated row against the reference.
        tolerances: the pairs of rows by their kind.
        failures: a sentence each.
        would_pass: the smallest limits and tolerances that would have passed.
        lacking: whether it failed for nothing but interpreters that are not here.
    """

    limits: Mapping[str, float | None]
    tolerances: tuple[Tolerated, ...]
    failures: tuple[str, ...]
    would_pass: Mapping[str, float]
    lacking: bool

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    def to_json(self) -> dict[str, Any]:
        """The keys that the verdict adds to the object."""
        return {
            "passed": self.passed,
            "limits": dict(self.limits),
            "tolerances": [item.to_json() for item in self.tolerances],
            "failures": list(self.failures),
            "would_pass": dict(self.would_pass),
        }

    def error(self, file: str) -> LesionliteError:
        """The failures in one sentence, with the options that would have passed."""
        shown = list(self.failures[:_SHOWN])
        if len(self.failures) > _SHOWN:
            shown.append(f"and {len(self.failures) - _SHOWN} more")
        if self.lacking:
            return MissingHere(", ".join(shown), "name a Python that has it by --python", file)
        remedy = "ship it for backends that pass, and name those by --row"
        options = [
            f"--{'tolerance' if name in WORDS else 'limits'} {name}={round_up(value):g}"
            for name, value in self.would_pass.items()
            if self._over(name, value)
        ]
        if options:
            remedy += f"; of the limits, `{' '.join(options)}` would have passed"
        return ProofFailed(f"the proof failed: {', '.join(shown)}", remedy, file)

    def _over(self, name: str, value: float) -> bool:
        limits = {**self.limits, **{item.kind: item.limit for item in self.tolerances}}
        limit = limits.get(name)
        return limit is not None and value > limit


def judge_matrix(
    rows: Sequence[RowResult],
    pairs: Sequence[Pair],
    tolerances: Mapping[str, float | None],
    limits: Mapping[str, float | None],
    *,
    named: bool,
    scale: float = 1.0,
) -> MatrixVerdict:
    """The verdict.

    It fails for a row that crashed, ran out of time or gave no scores, and where ``named``, since
    the user asked for it, for one that is missing or refuses the file; for a row that was given
    every input and is over one of ``limits`` against the reference; for two rows that are further
    apart than the tolerance of their kind; and where no row has scores.

    Args:
        rows: what was run.
        pairs: of them.
        tolerances: limit for each kind of pair; None where it is not gated.
        limits: what the rows were judged by, for the record.
        named: whether the user named the rows.
        scale: what differences are fractions of, see `Subject.scale`.
    """
    nothing = not any(row.done for row in rows)
    faulty = _FAULTS + (_FAULTS_WHERE_NAMED if named or nothing else ())
    faults = [row for row in rows if row.outcome.status in faulty]
    over = _over_limits(rows)
    judged = tuple(_tolerated(kind, limit, pairs, scale) for kind, limit in tolerances.items())
    over += [failure for item in judged for failure in item.failures]
    return MatrixVerdict(
        dict(limits),
        judged,
        (*(f"{row.name}: {row.outcome.reason}" for row in faults), *over),
        _would_pass(rows, judged),
        lacking=bool(faults) and not over and all(r.outcome.status == MISSING for r in faults),
    )


def _over_limits(rows: Sequence[RowResult]) -> list[str]:
    """What gated rows fail, those together that fail the same."""
    names: dict[str, list[str]] = {}
    for row in rows:
        if row.gated and row.against_keras is not None:
            for failure in row.against_keras.failures:
                names.setdefault(failure, []).append(row.name)
    return [f"{' '.join(failed)}: {failure}" for failure, failed in names.items()]


def _tolerated(kind: str, limit: float | None, pairs: Sequence[Pair], scale: float) -> Tolerated:
    mine = [pair for pair in pairs if pair.kind == kind]
    worst = max(mine, key=lambda pair: pair.max_difference, default=None)
    largest = 0.0 if worst is None else worst.max_difference / scale
    return Tolerated(kind, limit, len(mine), sum(pair.bit_equal for pair in mine), worst, largest)


def _would_pass(rows: Sequence[RowResult], judged: Sequence[Tolerated]) -> dict[str, float]:
    found = {item.kind: item.largest for item in judged if item.pairs}
    for row in rows:
        if row.gated and row.against_keras is not None:
            for name, value in row.against_keras.would_pass.items():
                found[name] = max(value, found.get(name, 0.0))
    return found
