"""Options of a stream of images: ``--workers``, ``--journal``, ``--dask``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lesionlite_export.commands.options import path_type
from lesionlite_export.stream.options import StreamOptions, usable_cores
from lesionlite_runtime.errors import UsageError

_OPTIONS = (
    click.option(
        "--workers",
        metavar="N",
        type=click.IntRange(1),
        help="Processes that read the images and run .tflite files; by default one a core. The "
        "figures do not depend on it.",
    ),
    click.option(
        "--journal",
        metavar="FILE.sqlite",
        type=path_type,
        help="Keep what is finished there; the same command goes on from it after a kill.",
    ),
    click.option(
        "--dask",
        metavar="ADDRESS",
        help="Read the images and run .tflite files on the Dask cluster of this scheduler, such as "
        "tcp://HOST:8786, in place of --workers.",
    ),
)


def stream_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options of a stream, which reach ``command`` as one `StreamOptions` named ``stream``."""

    @functools.wraps(command)
    def wrapped(
        *args: Any,
        workers: int | None,
        journal: Path | None,
        dask: str | None,
        **others: Any,
    ) -> None:
        if workers is not None and dask is not None:
            raise UsageError("--workers and --dask are two places to run", "pass one of them")
        asked = StreamOptions(workers or usable_cores(), journal, dask)
        command(*args, stream=asked, **others)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def check_stream(stream: StreamOptions, streams: bool, what: str) -> None:
    """Refuse, before any work, options of a stream where there is none.

    Args:
        stream: the options.
        streams: whether images are streamed.
        what: what does without.

    Raises:
        UsageError: when there is none.
    """
    for name, given in (("--journal", stream.journal), ("--dask", stream.dask)):
        if given is not None and not streams:
            raise UsageError(f"{name} is for scoring images, and {what}", "leave it out")
