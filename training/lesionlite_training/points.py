"""Points to put a line through: drawn from a formula, or read from a CSV."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lesionlite_runtime.errors import UnusableInput, printable
from lesionlite_runtime.files import read_file
from lesionlite_training.table import DECIMAL

COLUMNS = ("x", "y")
MAX_CSV_BYTES = 256 << 20


@dataclass(frozen=True)
class Points:
    """x and y, float64 ``[n]`` each, finite as float32 too, with two different x at least.

    They stay float64 up to the training, so that the lowest and highest x are those that a user
    wrote: as float32, 0.1 would lie below its own range.

    ``name`` goes into the contract; ``source`` is the file, or None for an example.
    """

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    source: str | None

    @property
    def span(self) -> tuple[float, float]:
        """The lowest and the highest x."""
        return float(self.x.min()), float(self.x.max())


def example_points(name: str, xs: Iterable[int], *, slope: float, intercept: float) -> Points:
    """The points of ``y = slope * x + intercept`` at ``xs``."""
    x = np.array(list(xs), np.float64)
    return Points(name, x, slope * x + intercept, None)


def read_points(path: str | os.PathLike[str]) -> Points:
    """The points in a CSV with the columns x and y (in either order), one point a line.

    Numbers are decimal with a point, as in ``-1.5`` or ``2e3``. Blank lines are passed over.

    Raises:
        UnusableInput: when the file cannot be read, has other columns, a line with more or fewer
            fields, a field that is no finite float32 number, or fewer than two different x; the
            line is named.
    """
    file = os.fspath(path)
    data = read_file(path, MAX_CSV_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _fault(file, line, "this is no UTF-8 text", "save it as CSV in UTF-8") from error
    rows = _rows(text, file)
    line, header = next(rows, (1, []))
    names = [name.strip() for name in header]
    if sorted(names) != sorted(COLUMNS):
        found = printable(", ".join(names)) or "none"
        raise _fault(
            file, line, f"the columns are {found}", "write x,y in the first line and commas between"
        )
    place = [names.index(column) for column in COLUMNS]
    values = [_point(row, place, file, number) for number, row in rows]
    x, y = np.array(values, np.float64).reshape(-1, 2).T.copy()
    if len(np.unique(x.astype(np.float32))) < 2:
        raise UnusableInput(
            f"its {len(x)} points have fewer than two different x", "add a point", file
        )
    return Points("csv", x, y, file)


def _rows(text: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, with the number of its (last) line."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _fault(
                file, reader.line_num, f"this is no CSV ({error})", "correct the line"
            ) from error
        if row:
            yield reader.line_num, row


def _point(row: list[str], place: list[int], file: str, line: int) -> list[float]:
    if len(row) != len(COLUMNS):
        raise _fault(file, line, f"the number of fields is {len(row)}, not 2", "write x,y")
    return [
        _number(row[i].strip(), column, file, line)
        for i, column in zip(place, COLUMNS, strict=True)
    ]


def _number(text: str, column: str, file: str, line: int) -> float:
    if not DECIMAL.fullmatch(text):
        shown = repr(printable(text[:40])) if text else "empty"
        raise _fault(file, line, f"{column} is {shown}, which is no number", "write it as 1.5, say")
    value = float(text)
    with np.errstate(over="ignore"):
        if not np.isfinite(np.float32(value)):
            raise _fault(file, line, f"{column} = {value:g} is beyond float32", "scale it down")
    return value


def _fault(file: str, line: int, problem: str, remedy: str) -> UnusableInput:
    return UnusableInput(f"line {line}: {problem}", remedy, file)
