"""Progress on stderr: phases and counted steps."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import IO, Protocol, TypeVar

T = TypeVar("T")


class Reporter(Protocol):
    """Whoever wants to know how far a long call is."""

    def phase(self, label: str) -> contextlib.AbstractContextManager[None]:
        """Say that ``label`` goes on while the block runs."""

    def track(self, items: Iterable[T], label: str, total: int) -> Iterator[T]:
        """``items``, counted up to ``total`` under ``label``."""

    def say(self, line: str) -> None:
        """Tell ``line``, above a bar that may be running."""


class Silent:
    """A reporter that says nothing."""

    def phase(self, label: str) -> contextlib.AbstractContextManager[None]:
        """A block without a word."""
        del label
        return contextlib.nullcontext()

    def track(self, items: Iterable[T], label: str, total: int) -> Iterator[T]:
        """``items``."""
        del label, total
        yield from items

    def say(self, line: str) -> None:
        """Nothing."""
        del line


class Terminal:
    """Bars and spinners on a terminal, one line a phase elsewhere."""

    def __init__(self) -> None:
        from rich.console import Console

        # A stream of its own: stderr itself points to a log while a converter runs.
        self._stream: IO[str] = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8")
        self._console = Console(file=self._stream, highlight=False)

    @contextlib.contextmanager
    def phase(self, label: str) -> Iterator[None]:
        """A spinner beside ``label`` while the block runs."""
        if not self._console.is_terminal:
            self._console.print(f"{label} ...", markup=False)
            yield
            return
        with self._console.status(label):
            yield
        self._console.print(f"{label}: done", markup=False)

    def track(self, items: Iterable[T], label: str, total: int) -> Iterator[T]:
        """``items`` behind a bar with the time left."""
        if not self._console.is_terminal:
            self._console.print(f"{label} ({total}) ...", markup=False)
            yield from items
            return
        from rich.progress import track

        yield from track(items, label, total, console=self._console)

    def say(self, line: str) -> None:
        """``line`` on a line of its own."""
        self._console.print(line, markup=False, soft_wrap=True)


def reporter(quiet: bool) -> Reporter:
    """`Silent` if ``quiet``, else `Terminal`."""
    if quiet:
        return Silent()
    try:
        return Terminal()
    except (OSError, ValueError, AttributeError):  # stderr is closed, or no file
        return Silent()
