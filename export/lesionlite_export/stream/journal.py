"""The journal of a stream: finished chunks in an SQLite file, with all that they depend on.

A chunk is written whole, in one transaction, so that a kill at any time leaves whole ones. The
header says what the rows are of; another model, other images or another version are refused. Each
chunk has a digest over the header, its number and its rows: what SQLite does not notice, a changed
byte within a row, is noticed by that.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.reference import Outcome
from lesionlite_export.representative import Unusable
from lesionlite_export.stream.rows import ScoredImage
from lesionlite_runtime.codec import canonical_json
from lesionlite_runtime.errors import LesionliteError, MissingHere, UnusableInput, UsageError

SCHEMA = "lesionlite.journal/2"
APPLICATION_ID = 0x6C65736A
Rows = Sequence[ScoredImage | Unusable]
_KINDS = {kind.__name__: kind for kind in (UnusableInput, UsageError, MissingHere, LesionliteError)}
_TABLES = """
CREATE TABLE header (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE runs (run INTEGER PRIMARY KEY, began TEXT DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE chunks (
    number INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs,
    rows TEXT NOT NULL,
    sha256 TEXT NOT NULL
);
"""


class Journal:
    """An open journal, which no other process can open as well."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, run: int, header: Mapping[str, str]
    ) -> None:
        self._path = path
        self._connection = connection
        self._run = run
        self._header = canonical_json(dict(header))

    def _digest(self, number: int, text: str) -> str:
        whole = b"\n".join((self._header, str(number).encode(), text.encode()))
        return hashlib.sha256(whole).hexdigest()

    def chunks(self, listed: Mapping[int, Sequence[LabelledImage]]) -> Iterator[tuple[int, Rows]]:
        """The finished chunks, in order.

        Args:
            listed: the images of every chunk.

        Raises:
            UnusableInput: when one cannot be read.
        """
        query = "SELECT number, rows, sha256 FROM chunks ORDER BY number"
        try:
            for number, text, digest in self._connection.execute(query):
                if digest != self._digest(number, text):
                    raise _torn(self._path)
                rows = json.loads(text)
                images = listed[number]
                yield (
                    number,
                    [_row(row, image) for row, image in zip(rows, images, strict=True)],
                )
        except (sqlite3.DatabaseError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _torn(self._path) from error

    def add(self, number: int, rows: Rows) -> None:
        """Keep a finished chunk, in place of what an earlier run kept of it.

        Raises:
            UnusableInput: when it cannot be written.
        """
        text = json.dumps([_json(row) for row in rows])
        try:
            with self._connection:
                self._connection.execute(
                    "INSERT OR REPLACE INTO chunks (number, run, rows, sha256) VALUES (?, ?, ?, ?)",
                    (number, self._run, text, self._digest(number, text)),
                )
        except sqlite3.Error as error:
            raise UnusableInput(
                f"the journal cannot be written ({error})",
                "make room for it; the same command goes on from what it has",
                self._path,
            ) from error


@contextlib.contextmanager
def open_journal(path: Path, header: Mapping[str, str]) -> Iterator[Journal]:
    """The journal at ``path``, new or that of an earlier run, open until the block is left.

    Args:
        path: the file.
        header: what its rows depend on, by name.

    Raises:
        UnusableInput: when the file is torn or no journal, or another run has it open.
        UsageError: when it is the journal of something else.
    """
    try:
        connection = sqlite3.connect(path, timeout=0.5)
    except sqlite3.Error as error:
        raise UnusableInput(
            f"the journal cannot be opened ({error})", "check the path and its folder", path
        ) from error
    with contextlib.closing(connection):
        try:
            yield Journal(path, connection, _begin(path, connection, header), header)
        except sqlite3.OperationalError as error:
            raise UnusableInput(
                f"the journal cannot be used ({error})",
                "wait for the run that has it open, or check the path and its permissions",
                path,
            ) from error
        except sqlite3.DatabaseError as error:
            raise _torn(path) from error


def _begin(path: Path, connection: sqlite3.Connection, header: Mapping[str, str]) -> int:
    """Check or write the header; the number of this run."""
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables and not application:
        for statement in _TABLES.split(";")[:-1]:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.executemany("INSERT INTO header VALUES (?, ?)", header.items())
    elif application != APPLICATION_ID:
        raise UnusableInput(
            "this SQLite file is no journal of lesionlite", "name another file", path
        )
    else:
        if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise _torn(path)
        _check_header(path, dict(connection.execute("SELECT name, value FROM header")), header)
    run = connection.execute("INSERT INTO runs DEFAULT VALUES").lastrowid
    connection.commit()
    assert run is not None
    return run


def _check_header(path: Path, found: Mapping[str, str], header: Mapping[str, str]) -> None:
    names = [*header, *(name for name in found if name not in header)]
    other = [name for name in names if found.get(name) != header.get(name)]
    if other:
        raise UsageError(
            f"this is the journal of something else ({', '.join(other)} "
            f"{'differs' if len(other) == 1 else 'differ'})",
            "name another journal, or delete this one to begin anew",
            path,
        )


def _torn(path: Path) -> UnusableInput:
    return UnusableInput(
        "this is no journal of lesionlite, or a damaged one",
        "name another file, or delete this one to begin anew",
        path,
    )


def _json(row: ScoredImage | Unusable) -> dict[str, Any]:
    if isinstance(row, Unusable):
        return {"fault": _fault_json(row.error)}
    outcomes = [
        {"fault": _fault_json(one)} if isinstance(one, LesionliteError) else one.tolist()
        for one in row.outcomes
    ]
    return {
        "sha256": row.sha256,
        "file_sha256": row.file_sha256,
        "kind": row.kind,
        "outcomes": outcomes,
    }


def _fault_json(error: LesionliteError) -> list[str | None]:
    return [type(error).__name__, error.problem, error.remedy, error.file]


def _row(row: Mapping[str, Any], image: LabelledImage) -> ScoredImage | Unusable:
    if "fault" in row:
        return Unusable(image, _fault(row["fault"]))
    outcomes: list[Outcome] = [
        _fault(one["fault"]) if isinstance(one, dict) else np.array(one, np.float64)
        for one in row["outcomes"]
    ]
    file = row["file_sha256"]
    return ScoredImage(
        image,
        str(row["sha256"]),
        None if file is None else str(file),
        str(row["kind"]),
        tuple(outcomes),
    )


def _fault(fields: Sequence[Any]) -> LesionliteError:
    kind, problem, remedy, file = fields
    return _KINDS[kind](problem, remedy, file)
