"""Each epoch's figures as TensorBoard event files, one run a member."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lesionlite_runtime.errors import MissingHere, UsageError

FIGURES = ("loss", "validation_loss", "learning_rate")


class TensorBoardWatcher:
    """A `Watcher` that writes to ``folder/MEMBER``; Keras' backend does not matter."""

    def __init__(self, folder: Path) -> None:
        """Write below ``folder``, which is made with the first epoch.

        Raises:
            MissingHere: when TensorBoard is not installed.
            UsageError: when ``folder`` is a file.
        """
        try:
            from tensorboard.summary.writer import event_file_writer
        except ImportError as fault:
            raise MissingHere(
                "TensorBoard is not installed", "run: pip install 'lesionlite[tensorboard]'"
            ) from fault
        if folder.exists() and not folder.is_dir():
            raise UsageError("this is a file", "name a folder", folder)
        self._folder = folder
        self._open = event_file_writer.EventFileWriter
        self._member = ""
        self._writer: Any = None

    def __call__(self, member: str, row: dict[str, Any]) -> None:
        """Add the figures of one more epoch; they are on disk when this returns.

        Raises:
            MissingHere: when they cannot be written.
        """
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [
            Summary.Value(tag=name, simple_value=row[name]) for name in FIGURES if name in row
        ]
        event = Event(wall_time=time.time(), step=row["epoch"], summary=Summary(value=values))
        try:
            if member != self._member:
                if self._writer is not None:
                    self._writer.close()
                self._writer, self._member = self._open(str(self._folder / member)), member
            self._writer.add_event(event)
            self._writer.flush()
        except Exception as error:  # TensorFlow's own kinds where it is installed
            raise MissingHere(
                f"the event file cannot be written ({type(error).__name__})",
                "free some space, or leave out --tensorboard",
                self._folder / member,
            ) from error
