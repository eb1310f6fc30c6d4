"""Files that are read with a limit, and files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError

MAX_MODEL_BYTES = 1 << 30
_DISK_FAULTS = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
}  # fmt: skip


def read_file(path: str | os.PathLike[str], max_bytes: int = MAX_MODEL_BYTES) -> bytes:
    """The bytes of the file at ``path``.

    Raises:
        UnusableInput: when it is missing, unreadable, no regular file, empty or over ``max_bytes``.
    """
    name = os.fspath(path)
    try:
        status = os.stat(path)  # noqa: PTH116 (str and PathLike alike)
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            # A pipe or a device could block or never end.
            raise UnusableInput("this is no regular file", "save it to a file first", name)
        if stat.S_ISDIR(status.st_mode) and not os.access(path, os.R_OK | os.X_OK):
            raise UnusableInput("the folder cannot be read", "check its permissions", name)
        with open(path, "rb") as stream:  # noqa: PTH123 (str and PathLike alike)
            # No more memory is asked for than the file needs: a device may not have max_bytes.
            data = stream.read(min(status.st_size, max_bytes) + 1)
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise UnusableInput(reason, "check the path and its permissions", name) from error
    except MemoryError as error:
        raise UnusableInput("there is not enough memory to read it", "free some", name) from error
    except ValueError as error:
        raise UnusableInput("this is no valid path", "check the path", name) from error
    if not data:
        raise UnusableInput("the file is empty", "copy or export it anew", name)
    if len(data) > max_bytes:
        raise UnusableInput(f"the file is over {max_bytes:,} bytes", "pass a smaller file", name)
    return data


def check_output_path(path: Path, force: bool = False) -> None:
    """Refuse, before any work, an output path that could not be written at the end.

    Raises:
        UsageError: when it exists and ``force`` is off, is a folder, a device or a pipe, or its
            folder is missing.
        MissingHere: when no file can be made in its folder.
    """
    _check_place(path, force)
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _unwritable(path, error) from error


def _check_place(path: Path, force: bool) -> None:
    # Asked once: between two questions another program may take the file away.
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        mode = None
    if mode is not None and stat.S_ISDIR(mode):
        raise UsageError("this is a folder", "name a file", path)
    if mode is not None and not stat.S_ISREG(mode):
        # The rename at the end would put a regular file in the place of a device for everyone.
        raise UsageError("this is no regular file", "name another file", path)
    if mode is not None and not force:
        raise UsageError("the file exists already", "pass --force to overwrite it", path)
    if not path.parent.is_dir():
        raise UsageError("the folder for it does not exist", "make it first", path)


@contextlib.contextmanager
def whole_file(path: Path, force: bool = False, *, sync: bool = True) -> Iterator[Path]:
    """A path beside ``path`` to write to: synced and renamed at the end, removed on any error.

    Args:
        path: where the file is to appear.
        force: overwrite what lies there.
        sync: wait for the disk. Without it the file is still whole for other programs, but may be
            empty after a loss of power.

    Raises:
        UsageError: see `check_output_path`.
        MissingHere: when the disk is full or the folder cannot be written.
    """
    _check_place(path, force)
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
    except OSError as error:
        raise _unwritable(path, error) from error
    beside = Path(name)
    try:
        yield beside
        if sync:
            with beside.open("rb") as stream:
                os.fsync(stream.fileno())
        os.chmod(beside, 0o666 & ~_umask())  # noqa: PTH101 (mkstemp's 0600 is for secrets)
        beside.replace(path)
    except OSError as error:
        if error.errno not in _DISK_FAULTS:
            raise
        raise _unwritable(path, error) from error
    finally:
        beside.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes, force: bool = False) -> None:
    """Write ``data`` to ``path`` so that the file appears whole or not at all."""
    with whole_file(path, force) as beside:
        beside.write_bytes(data)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unwritable(path: Path, error: OSError) -> MissingHere:
    reason = (error.strerror or str(error)).lower()
    return MissingHere(
        f"the file cannot be written ({reason})", "free some space or name another folder", path
    )
