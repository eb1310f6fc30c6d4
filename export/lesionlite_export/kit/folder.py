"""The folder of a kit: it appears whole or not at all."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from lesionlite_export.kit.manifest import MANIFEST_NAME, Kit
from lesionlite_export.kit.readme import readme
from lesionlite_runtime.errors import MissingHere, UsageError


def check_kit_path(out: Path, force: bool) -> None:
    """Refuse, before any work, a folder that a kit could not be written to at the end.

    Raises:
        UsageError: when something lies there that is no kit, or a kit and ``force`` is off, or the
            folder above is missing.
    """
    if not out.parent.is_dir():
        raise UsageError("the folder for it does not exist", "make it first", out)
    if not out.exists() or _is_empty(out):
        return
    if not out.is_dir() or not (out / MANIFEST_NAME).is_file():
        raise UsageError("something else than a kit lies there", "name another folder", out)
    if not force:
        raise UsageError("there is a kit already", "pass --force to replace it", out)


def write_kit(out: Path, kit: Kit, files: Mapping[str, bytes], force: bool) -> None:
    """Write the folder ``out``: ``kit.json``, its README, and ``files`` by their path in it.

    Raises:
        UsageError: see `check_kit_path`.
        MissingHere: when the disk is full or the folder cannot be written.
    """
    check_kit_path(out, force)
    members = {MANIFEST_NAME: kit.to_bytes(), "README.md": readme(kit).encode(), **files}
    with _beside(out) as aside:
        new = aside / "new"
        for name, data in members.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if out.exists():
            out.rename(aside / "old")  # in one step, so that no half of a kit is ever there
        new.rename(out)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


@contextlib.contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` to work in, removed at the end."""
    try:
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
            yield Path(folder)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MissingHere(
            f"the kit cannot be written ({reason})", "free some space or name another folder", out
        ) from error
