"""What TensorFlow and its converter print: kept off the terminal, at hand for an error."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO


@dataclass
class Noise:
    """The end of what was printed; filled when the block is left."""

    text: str = ""
    _limit: int = field(default=4000, repr=False)

    def fill(self, stream: IO[bytes]) -> None:
        """Take the last of what ``stream`` holds."""
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - self._limit))
        self.text = stream.read().decode("utf-8", "replace")


class _Redirected(io.TextIOBase):
    """A text stream to the log, and from the end of the block on to stderr.

    Loggers that are made while the block runs keep it for as long as the program lives.
    """

    def __init__(self, log: IO[bytes]) -> None:
        self._log: IO[str] | None = os.fdopen(
            os.dup(log.fileno()), "w", encoding="utf-8", errors="replace"
        )

    def write(self, text: str) -> int:
        """Write ``text`` where the stream leads now."""
        stream = self._log or sys.stderr
        return 0 if stream is None else stream.write(text)

    def flush(self) -> None:
        """Flush where the stream leads now."""
        stream = self._log or sys.stderr
        if stream is not None:
            stream.flush()

    def fileno(self) -> int:
        """The descriptor where the stream leads now."""
        return (self._log or sys.stderr).fileno()

    def writable(self) -> bool:
        """It is."""
        return True

    def end(self) -> None:
        """Lead to stderr from now on."""
        log, self._log = self._log, None
        if log is not None:
            log.close()


@contextlib.contextmanager
def native_noise_logged() -> Iterator[Noise]:
    """Send stdout and stderr, native code's included, to a log while the block runs.

    Python's own ``sys.stdout`` and ``sys.stderr`` go there as well, and warnings are not shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    noise = Noise()
    with tempfile.TemporaryFile() as log:
        for python_stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, ValueError):  # it may be None, or closed
                python_stream.flush()
        saved = [(stream, os.dup(stream)) for stream in (1, 2)]
        text = _Redirected(log)
        try:
            for stream, _ in saved:
                os.dup2(log.fileno(), stream)
            with (
                warnings.catch_warnings(),
                contextlib.redirect_stdout(text),
                contextlib.redirect_stderr(text),
            ):
                warnings.simplefilter("ignore")
                yield noise
        finally:
            text.end()
            for stream, copy in saved:
                os.dup2(copy, stream)
                os.close(copy)
            noise.fill(log)


@contextlib.contextmanager
def no_tracing_warnings() -> Iterator[None]:
    """TensorFlow takes one network after another for one that is traced again and again."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
