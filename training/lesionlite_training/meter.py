"""How many bytes of a long transfer are done, on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Protocol

Tell = Callable[[int], None]
"""Called with the number of bytes that are done by now."""


class Meter(Protocol):
    """Whoever wants to know how far a transfer is."""

    def bar(self, label: str, total: int) -> contextlib.AbstractContextManager[Tell]:
        """A block that tells how many of ``total`` bytes are done."""


def _say_nothing(done: int) -> None:
    del done


class SilentMeter:
    """A meter that says nothing."""

    @contextlib.contextmanager
    def bar(self, label: str, total: int) -> Iterator[Tell]:
        """A block without a word."""
        del label, total
        yield _say_nothing


class TerminalMeter:
    """A bar with speed and time left on a terminal, a line elsewhere."""

    @contextlib.contextmanager
    def bar(self, label: str, total: int) -> Iterator[Tell]:
        """A bar of ``total`` bytes behind ``label`` while the block runs."""
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        console = Console(file=sys.stderr, highlight=False)
        if not console.is_terminal:
            console.print(f"{label} ({total:,} bytes) ...", markup=False, soft_wrap=True)
            yield _say_nothing
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(label, total=total)
            yield lambda done: progress.update(task, completed=done)
