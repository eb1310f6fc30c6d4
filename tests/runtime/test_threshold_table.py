"""The table of thresholds as text."""

from __future__ import annotations

from lesionlite_runtime.threshold_table import table_lines

HALF = {"value": 0.5, "low": 0.25, "high": 0.75}
ALL = {"value": 1, "low": 0.9, "high": 1}


def test_a_line_for_each_row_and_a_mark_for_the_chosen_one() -> None:
    rows = [
        {"threshold": 0.12345678, "sensitivity": ALL, "specificity": HALF},
        {"threshold": 1, "sensitivity": HALF, "specificity": ALL},
    ]
    assert list(table_lines(rows, 0.12345678)) == [
        "threshold  sensitivity             specificity",
        "0.1235     1.000 (0.900 to 1.000)  0.500 (0.250 to 0.750)  *",
        "1.0000     0.500 (0.250 to 0.750)  1.000 (0.900 to 1.000)",
    ]


def test_a_tiny_threshold_is_not_shown_as_0() -> None:
    row = {"threshold": 0.0000312, "sensitivity": HALF, "specificity": HALF}
    _, line = table_lines([row], 0.5)
    assert line == "3.12e-05   0.500 (0.250 to 0.750)  0.500 (0.250 to 0.750)"
