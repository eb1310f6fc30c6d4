"""Tables of plain text, and intervals in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lesionlite_export import rendering
from lesionlite_runtime.contract_fields import Interval
from lesionlite_runtime.errors import printable

if TYPE_CHECKING:
    from rich.table import Table


def interval_text(interval: Interval | None) -> str:
    """As in other texts; what cannot be said has no reason of its own here."""
    return "not defined" if interval is None else rendering.interval_text(interval)


def plain_table(*columns: str) -> Table:
    """A table without rows."""
    from rich.table import Table

    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def add_row(table: Table, *cells: str) -> None:
    """Add a row of plain text: names hold no markup and no escapes."""
    from rich.text import Text

    table.add_row(*(Text(printable(cell)) for cell in cells))
