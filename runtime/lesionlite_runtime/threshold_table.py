"""The table of thresholds in a contract, as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def table_lines(rows: Sequence[Mapping[str, Any]], chosen: float | None) -> Iterator[str]:
    """A heading, and a line for each row of ``threshold.table``.

    Args:
        rows: as in the contract's JSON: ``threshold``, ``sensitivity`` and ``specificity``, the
            latter two with ``value``, ``low`` and ``high``.
        chosen: the threshold whose row is marked; None for no mark.
    """
    yield f"{'threshold':<11}{'sensitivity':<24}specificity"
    for row in rows:
        value = row["threshold"]
        shown = f"{value:.4f}" if value >= 0.001 else f"{value:.3g}"
        mark = "  *" if value == chosen else ""
        figures = f"{_interval(row['sensitivity']):<24}{_interval(row['specificity'])}"
        yield f"{shown:<11}{figures}{mark}"


def _interval(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"
