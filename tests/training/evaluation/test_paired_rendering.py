"""Degraded copies and originals as text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lesionlite_export.sample import Sample
from lesionlite_training.evaluation.degradations import DEGRADATIONS
from lesionlite_training.evaluation.originals import VERSIONS, Originals, VersionFigures
from lesionlite_training.evaluation.paired import PairedFigures, compare
from lesionlite_training.evaluation.paired_rendering import (
    ORIGINALS_COLUMNS,
    ROBUSTNESS_COLUMNS,
    originals_rows,
    robustness_rows,
)
from lesionlite_training.evaluation.rendering import print_evaluation
from lesionlite_training.evaluation.result import Evaluation
from lesionlite_training.evaluation.robustness import DegradedFigures, Robustness

LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
BEFORE = np.array([0.9, 0.8, 0.5, 0.2, 0.7, 0.5, 0.3, 0.2, 0.1, 0.0])
AFTER = np.array([0.9, 0.4, 0.6, 0.5, 0.7, 0.4, 0.6, 0.2, 0.1, 0.1])


@pytest.fixture
def figures() -> PairedFigures:
    return compare(Sample(LABELS, BEFORE), AFTER, 0.5)


def test_a_row_has_the_figures(figures: PairedFigures) -> None:
    same = compare(Sample(LABELS, BEFORE), BEFORE, 0.5)
    robustness = Robustness(same, (DegradedFigures("blur", "a little", figures),))
    none, row = robustness_rows(robustness)
    assert len(row) == len(none) == len(ROBUSTNESS_COLUMNS)
    area, difference = figures.auc, figures.auc_difference
    assert area is not None
    assert difference is not None
    assert row == (
        "blur, a little",
        f"{area.value:.3f} ({area.low:.3f} to {area.high:.3f})",
        f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})",
        "0.750",
        "0.667",
        "4 (40.0 %)",
        "1",
        "0.1300",
    )
    assert none[0] == "none"
    assert none[2:3] + none[5:] == ("+0.000 (+0.000 to +0.000)", "0 (0.0 %)", "0", "0.0000")


def test_a_row_of_originals(figures: PairedFigures) -> None:
    (row,) = originals_rows(Originals((VersionFigures("the original", figures),), ()))
    assert len(row) == len(ORIGINALS_COLUMNS)
    assert row == (
        "the original",
        "10, 4 labelled 1",
        "0.1300",
        "0.4000",
        "+0.0300",
        f"{figures.rank_correlation:.3f}",
        "4 (40.0 %)",
        "1",
    )


def test_what_cannot_be_said_is_not_defined() -> None:
    alone = compare(Sample(np.ones(10, np.int64), BEFORE), np.full(10, 0.5), 0.5)
    (_, row) = robustness_rows(Robustness(alone, (DegradedFigures("a", "b", alone),)))
    assert row[1:5] == ("not defined", "not defined", "1.000", "not defined")
    (row,) = originals_rows(Originals((VersionFigures("a", alone),), ()))
    assert row[5] == "not defined"


def test_each_degradation_stands_on_one_line(
    evaluation: Evaluation, figures: PairedFigures, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a log of 160 columns."""
    rows = tuple(DegradedFigures(one.name, one.level, figures) for one in DEGRADATIONS)
    versions = tuple(VersionFigures(name, figures) for name in VERSIONS)
    print_evaluation(
        replace(evaluation, robustness=Robustness(figures, rows), originals=Originals(versions, ()))
    )
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 160 for line in lines)
    cells = [[cell.strip() for cell in line.split("│")] for line in lines]
    for name in (*(f"{one.name}, {one.level}" for one in DEGRADATIONS), *VERSIONS):
        (row,) = [row for row in cells if row[1:2] == [name]]
        assert "0.1300" in row
