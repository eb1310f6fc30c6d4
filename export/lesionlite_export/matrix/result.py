"""The matrix as a result: rows, pairs of rows, and the verdict on them."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import Any

import numpy as np

from lesionlite_export.matrix.pairs import KERAS, Pair
from lesionlite_export.matrix.row_result import RowResult
from lesionlite_export.matrix.subject import Subject, Table
from lesionlite_export.matrix.verdict import MatrixVerdict
from lesionlite_export.representative import Unusable

MATRIX_SCHEMA = "lesionlite.matrix/1"


@dataclass(frozen=True)
class Matrix:
    """The same file in every backend; true when the verdict is.

    Attributes:
        subject: the file, its inputs and the reference's scores.
        rows: in the order of `rows.VARIANTS`.
        pairs: of the reference with each row that has scores, then of any two such rows.
        verdict: what was judged, and how.
        seed: of the sample that slow rows were given; None where every row was given every input.
        warnings: what to know of the comparison.
        unusable: the images that could not be used.
    """

    subject: Subject
    rows: tuple[RowResult, ...]
    pairs: tuple[Pair, ...]
    verdict: MatrixVerdict
    seed: int | None
    warnings: tuple[str, ...]
    unusable: tuple[Unusable, ...]

    def __bool__(self) -> bool:
        return self.verdict.passed

    def pair(self, a: str, b: str) -> Pair | None:
        """The pair of the rows ``a`` and ``b``, in either order; None where one has no scores."""
        return next((pair for pair in self.pairs if {pair.a, pair.b} == {a, b}), None)

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.matrix/1`` (docs/backends.md)."""
        contract = self.subject.model.contract
        return {
            "schema": MATRIX_SCHEMA,
            "model": contract.model_id,
            "task": contract.task,
            "n": self.subject.n,
            "positives": self.subject.positives,
            "threshold": self.subject.threshold,
            "quantized": self.subject.quantized,
            "scale": self.subject.scale,
            "seed": self.seed,
            "machine": {
                "system": platform.system(),
                "architecture": platform.machine(),
                "cores": os.cpu_count(),
            },
            "rows": [row.to_json() for row in self.rows],
            "pairs": [pair.to_json() for pair in self.pairs],
            **self.verdict.to_json(),
            "warnings": list(self.warnings),
            "unusable": [
                {"file": str(item.image.path), "message": str(item.error)} for item in self.unusable
            ],
        }

    def columns(self) -> dict[str, Any]:
        """A column a name, a row an input; no number where a backend was not given the input."""
        subject, labels = self.subject, self.subject.label_names
        if subject.is_regression:
            found: dict[str, Any] = {"x": [float(name) for name in subject.inputs]}
        else:
            true = subject.labels if labels is None else [labels[i] for i in subject.labels]
            found = {"filepath": list(subject.inputs), "label": true}
        word = "y" if subject.is_regression else "score"
        tables = {KERAS: subject.reference}
        tables |= {row.name: self._whole(row) for row in self.rows if row.done}
        for name, table in tables.items():
            for i, column in enumerate(table.T):
                suffix = "" if labels is None else f"_{labels[i]}"
                found[f"{word}_{name}{suffix}"] = column
        return found

    def _whole(self, row: RowResult) -> Table:
        table = np.full(self.subject.reference.shape, np.nan)
        table[list(row.numbers)] = row.scores
        return table
