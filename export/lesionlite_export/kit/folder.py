"""The folder of a kit: it appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from lesionlite_export.kit.manifest import (
    KIT_FAMILY,
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    README_NAME,
    Kit,
)
from lesionlite_export.kit.readme import readme
from lesionlite_runtime.codec import parse_json
from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError, printable
from lesionlite_runtime.files import read_file

_SHOWN = 3


def check_kit_path(out: Path, force: bool) -> None:
    """Refuse, before any work, a folder that a kit could not be written to at the end.

    With ``force`` a kit is replaced, but nothing else ever is: a folder whose manifest does not
    list all that lies in it stays as it is.

    Raises:
        UsageError: when something lies there that is no kit, or a kit and ``force`` is off; when
            the kit's folder holds a file of the user's, is the working folder or a mounted disk;
            or when the folder above is missing.
    """
    folder = _resolved(out)
    if not folder.parent.is_dir():
        raise UsageError("the folder for it does not exist", "make it first", out)
    if folder.is_dir() and (os.path.ismount(folder) or Path.cwd().is_relative_to(folder)):
        raise UsageError(
            "a kit cannot take the place of the working folder, of one above it, or of a disk",
            "name a folder in it",
            out,
        )
    if not folder.exists() or _is_empty(folder):
        return
    listed = _files_of_kit(folder)
    if listed is None:
        raise UsageError("something else than a kit lies there", "name another folder", out)
    if not force:
        raise UsageError("there is a kit already", "pass --force to replace it", out)
    foreign = _foreign(folder, listed)
    if foreign:
        shown = ", ".join(map(printable, foreign[:_SHOWN]))
        more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
        raise UsageError(
            f"beside the kit lies what is not the kit's: {shown}{more}",
            "move it elsewhere, or name another folder",
            out,
        )


def write_kit(out: Path, kit: Kit, files: Mapping[str, bytes], force: bool) -> None:
    """Write the folder ``out``: ``kit.json``, its README, and ``files`` by their path in it.

    Raises:
        UsageError: see `check_kit_path`.
        MissingHere: when the disk is full or the folder cannot be written.
    """
    check_kit_path(out, force)
    members = {MANIFEST_NAME: kit.to_bytes(), README_NAME: readme(kit).encode(), **files}
    out = _resolved(out)
    with _beside(out) as aside:
        new = aside / "new"
        for name, data in members.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if out.exists():
            out.rename(aside / "old")  # in one step, so that no half of a kit is ever there
        new.rename(out)


def _resolved(out: Path) -> Path:
    """``out`` without links: a kit is replaced where it lies, and ``.`` has a name."""
    try:
        return out.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links is one or the other
        raise UsageError("this is no valid path", "name another folder", out) from error


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _files_of_kit(folder: Path) -> set[Path] | None:
    """The files that the manifest in ``folder`` lists, itself included; None if that is no kit."""
    try:
        body = parse_json(read_file(folder / MANIFEST_NAME, MAX_MANIFEST_BYTES), None)
    except UnusableInput:
        return None
    # A kit of another version, or one that was edited, is a kit: only what it lists matters.
    if not isinstance(body, dict) or not str(body.get("schema")).startswith(KIT_FAMILY):
        return None
    images = body.get("images")
    listed = [
        image.get(key)
        for image in (images if isinstance(images, list) else [])
        if isinstance(image, dict)
        for key in ("file", "tensor")
    ]
    names = [name for name in listed if isinstance(name, str)]
    return {folder / name for name in (MANIFEST_NAME, README_NAME, *names)}


def _foreign(folder: Path, listed: set[Path]) -> list[str]:
    """What lies in ``folder`` and is neither ``listed`` nor a folder of what is."""
    known = listed | {parent for path in listed for parent in path.parents}
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path not in known
    )


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
