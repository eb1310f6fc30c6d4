"""How a stream of images is run: where, and what keeps it over a kill."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StreamOptions:
    """How images are streamed; the figures are the same whatever it says.

    Attributes:
        workers: processes that read the images and run the files; 1 for this one alone.
        journal: SQLite file that keeps what was finished, and that a second run goes on from.
        dask: address of the scheduler of a Dask cluster, whose workers do it instead.
    """

    workers: int = 1
    journal: Path | None = None
    dask: str | None = None


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
