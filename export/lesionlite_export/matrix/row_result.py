"""What became of a row of the matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lesionlite_export.gate import Verdict
from lesionlite_export.matrix.kernels import Kernels
from lesionlite_export.matrix.process import DONE, Outcome
from lesionlite_export.matrix.rows import Row
from lesionlite_export.matrix.subject import Table


@dataclass(frozen=True)
class RowResult:
    """A row that was run.

    Attributes:
        row: the interpreter, its kernels and threads.
        numbers: which of the inputs it was given.
        seconds: its time limit.
        outcome: what its process gave.
        kernels: who computed what, by the interpreter's own list; None where there is none.
        scores: float64 ``[len(numbers), k]``, see `Subject.scores`; None without scores.
        against_keras: the limits of `verify` on it; None without scores.
        gated: whether it was given every input, so that `against_keras` counts for the verdict.
        newly_missed: images labelled 1 that the reference refers and this row does not; None
            without scores, or where there are not two labels.
        newly_referred: images labelled 0 the other way round, likewise.
    """

    row: Row
    numbers: tuple[int, ...]
    seconds: float
    outcome: Outcome
    kernels: Kernels | None = None
    scores: Table | None = None
    against_keras: Verdict | None = None
    gated: bool = False
    newly_missed: int | None = None
    newly_referred: int | None = None

    @property
    def name(self) -> str:
        """``VARIANT/THREADS``."""
        return self.row.name

    @property
    def done(self) -> bool:
        """Whether it has a score for every input that it was given."""
        return self.outcome.status == DONE

    def to_json(self) -> dict[str, Any]:
        """The entry in ``rows``."""
        outcome, kernels, verdict = self.outcome, self.kernels, self.against_keras
        return {
            "name": self.name,
            "backend": self.row.variant.backend,
            "asked_for": self.row.variant.kernels,
            "threads": self.row.threads,
            "status": outcome.status,
            "reason": outcome.reason,
            "n": len(self.numbers),
            "time_limit_s": self.seconds,
            "version": outcome.version,
            "python": outcome.python,
            "kernels": kernels and kernels.name,
            "delegate_partitions": kernels and kernels.partitions,
            "left_to_builtin_kernels": kernels and dict(kernels.left),
            "invoke_ms": outcome.invoke_ms,
            "keras": None
            if verdict is None
            else {
                "gated": self.gated,
                "passed": verdict.passed,
                "measures": dict(verdict.would_pass),
                "newly_missed": self.newly_missed,
                "newly_referred": self.newly_referred,
            },
        }
