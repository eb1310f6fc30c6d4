"""What degraded copies and originals do to the scores, as rows of text.

JSON has the interval of every share as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lesionlite_export.paired_statistics import Difference
from lesionlite_runtime.contract_fields import Interval
from lesionlite_training.evaluation.originals import Originals
from lesionlite_training.evaluation.paired import PairedFigures
from lesionlite_training.evaluation.robustness import Robustness
from lesionlite_training.evaluation.tables import add_row, interval_text, plain_table

if TYPE_CHECKING:
    from rich.table import Table

ROBUSTNESS_COLUMNS = (
    "degraded copies",
    "AUC",
    "AUC difference, paired",
    "sensitivity",
    "specificity",
    "flips",
    "newly missed",
    "mean change",
)
ORIGINALS_COLUMNS = (
    "originals beside the images",
    "images",
    "mean change",
    "largest",
    "signed mean",
    "rank correlation",
    "flips",
    "newly missed",
)


def robustness_rows(robustness: Robustness) -> Iterator[tuple[str, ...]]:
    """A row of `ROBUSTNESS_COLUMNS` for the photos themselves, and one for each degradation."""
    yield "none", *_robustness_cells(robustness.undegraded)
    for row in robustness.rows:
        yield f"{row.name}, {row.level}", *_robustness_cells(row.figures)


def originals_rows(originals: Originals) -> Iterator[tuple[str, ...]]:
    """A row of `ORIGINALS_COLUMNS` for each version."""
    for row in originals.rows:
        figures = row.figures
        correlation = figures.rank_correlation
        yield (
            row.name,
            f"{figures.n}, {figures.positives} labelled 1",
            f"{figures.mean_difference:.4f}",
            f"{figures.max_difference:.4f}",
            f"{figures.bias:+.4f}",
            "not defined" if correlation is None else f"{correlation:.3f}",
            _flips(figures),
            str(figures.newly_missed),
        )


def robustness_table(robustness: Robustness) -> Table:
    """`robustness_rows` for a terminal."""
    table = plain_table(*ROBUSTNESS_COLUMNS)
    for row in robustness_rows(robustness):
        add_row(table, *row)
    return table


def originals_table(originals: Originals) -> Table:
    """`originals_rows` for a terminal."""
    table = plain_table(*ORIGINALS_COLUMNS)
    for row in originals_rows(originals):
        add_row(table, *row)
    return table


def _robustness_cells(figures: PairedFigures) -> Iterator[str]:
    yield interval_text(figures.auc)
    yield _difference_text(figures.auc_difference)
    yield _value(figures.sensitivity)
    yield _value(figures.specificity)
    yield _flips(figures)
    yield str(figures.newly_missed)
    yield f"{figures.mean_difference:.4f}"


def _difference_text(difference: Difference | None) -> str:
    if difference is None:
        return "not defined"
    return f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"


def _value(interval: Interval | None) -> str:
    return "not defined" if interval is None else f"{interval.value:.3f}"


def _flips(figures: PairedFigures) -> str:
    return f"{figures.flips} ({100 * figures.flip_rate.value:.1f} %)"
