"""CSV files that others wrote: rows by column name, each fault with its line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lesionlite_runtime.errors import UnusableInput, printable
from lesionlite_runtime.files import read_file

MAX_CSV_BYTES = 256 << 20
REMEDY = "pass the CSV as it was downloaded"
DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""A number; float() takes more than a CSV may hold: 1_000, nan, digits of other scripts."""


@dataclass(frozen=True)
class Table:
    """A CSV with a header: its column names, and each row with the number of its last line.

    Fields are stripped of the blanks around them; every row is as long as the header.
    """

    file: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]

    def column(self, names: Sequence[str]) -> int | None:
        """Where the first of ``names`` that is there stands; None where none is."""
        return next((self.columns.index(name) for name in names if name in self.columns), None)

    def fault(self, line: int, problem: str, remedy: str = REMEDY) -> UnusableInput:
        """The error for ``line``."""
        return UnusableInput(f"line {line}: {problem}", remedy, self.file)


def read_table(path: Path, remedy: str = REMEDY) -> Table:
    """The CSV at ``path``, in UTF-8; blank lines are passed over.

    Args:
        path: of the CSV.
        remedy: what to do where it is none.

    Raises:
        UnusableInput: when it cannot be read, is no CSV, has no header or a column twice, or a
            line with more or fewer fields than the header.
    """
    rows = _rows(path, read_file(path, MAX_CSV_BYTES), remedy)
    _, columns = next(rows, (1, ()))
    if not columns:
        raise UnusableInput("there is no header in it", remedy, path)
    twice = [name for name in columns if columns.count(name) > 1]
    if twice:
        raise UnusableInput(f"the column {printable(twice[0])!r} stands there twice", remedy, path)
    table = Table(path, columns, tuple(rows))
    for line, row in table.rows:
        if len(row) != len(columns):
            raise table.fault(
                line,
                f"there are {len(row)} fields, not {len(columns)}",
                "quote a field that holds a comma",
            )
    return table


def _rows(path: Path, data: bytes, remedy: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        for row in reader:
            if row:
                yield reader.line_num, tuple(field.strip() for field in row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnusableInput(
            f"this is no CSV in UTF-8 ({printable(str(error))})", remedy, path
        ) from error
