"""A zip from the internet: nothing of it lands outside its folder or swells beyond what it says."""

from __future__ import annotations

import errno
import stat
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lesionlite_runtime.errors import LesionliteError, MissingHere, UnusableInput, printable
from lesionlite_training.fetch import CHUNK, check_space
from lesionlite_training.meter import Meter, SilentMeter, Tell

MAX_ENTRIES = 1_000_000
MAX_RATIO = 20
"""Photos hardly shrink in a zip; what grows twenty times is no archive of photos."""
_ALLOWANCE = 1 << 20
_JUNK = "__MACOSX"
_REMEDY = "get the archive from another place"
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# On one system or another these lead out of a folder or are no part of a name.
_RESERVED = set('\\:*?"<>|')


@dataclass(frozen=True)
class _Entry:
    info: zipfile.ZipInfo
    target: Path


def unpack_zip(archive: Path, folder: Path, meter: Meter | None = None) -> int:
    """Unpack the files of ``archive`` below ``folder``, which must exist and be empty.

    Hidden files and ``__MACOSX``, which file managers leave in archives, are passed over. Links,
    rights and dates are not taken over. Every file's checksum is checked.

    Returns:
        The number of files.

    Raises:
        UnusableInput: when it is no zip, or damaged, encrypted, or has an entry that is no plain
            file or folder, would land outside ``folder`` or on another one; or when it would swell
            to more than 20 times its size.
        MissingHere: when the disk has not enough room.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = _entries(archive, opened.infolist(), folder)
            total = sum(entry.info.file_size for entry in entries)
            check_space(folder, total)
            with (meter or SilentMeter()).bar(f"Unpacking {archive.name}", total) as tell:
                _extract_all(opened, entries, archive, tell)
    except LesionliteError:
        raise
    except Exception as error:
        # zipfile raises a dozen types for damaged data, UnicodeDecodeError and struct.error among
        # them, and OSError where a place in the file makes no sense.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise _disk_fault(folder, error) from error
        raise UnusableInput(
            f"this is no zip, or a damaged one ({printable(str(error))})",
            "delete it and download it once more",
            archive,
        ) from error
    return len(entries)


def _entries(archive: Path, infos: Sequence[zipfile.ZipInfo], folder: Path) -> list[_Entry]:
    """The files to unpack and where to, after every check that needs no unpacking."""

    def refuse(problem: str) -> UnusableInput:
        return UnusableInput(problem, _REMEDY, archive)

    if len(infos) > MAX_ENTRIES:
        raise refuse(f"there are {len(infos):,} entries in it, over {MAX_ENTRIES:,}")
    total = sum(info.file_size for info in infos)
    size = archive.stat().st_size
    if total > MAX_RATIO * size + _ALLOWANCE:
        raise refuse(f"its {size:,} bytes would swell to {total:,}")
    entries: list[_Entry] = []
    seen: set[str] = set()
    folders: set[str] = set()
    for info in infos:
        name = printable(info.filename)
        path = PurePosixPath(info.filename)
        if name != info.filename or _RESERVED & set(name):
            raise refuse(f"the entry {name} has an unsafe name")
        if path.is_absolute() or ".." in path.parts:
            raise refuse(f"the entry {name} does not stay in its folder")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise refuse(f"the entry {name} is a link or a device")
        if info.flag_bits & _ENCRYPTED:
            raise refuse(f"the entry {name} is encrypted")
        if info.compress_type not in _METHODS:
            raise refuse(f"the entry {name} is packed in an unusual way")
        if info.is_dir() or _is_junk(path):
            continue
        # A file system may hold one of A.jpg and a.jpg only.
        if str(path).casefold() in seen:
            raise refuse(f"the entry {name} stands there twice")
        seen.add(str(path).casefold())
        folders.update(str(parent).casefold() for parent in path.parents)
        entries.append(_Entry(info, folder / path))
    both = sorted(seen & folders)
    if both:
        raise refuse(f"the entry {printable(both[0])} is a file and a folder")
    return entries


def _is_junk(path: PurePosixPath) -> bool:
    return not path.parts or any(part == _JUNK or part.startswith(".") for part in path.parts)


def _extract_all(
    opened: zipfile.ZipFile, entries: Sequence[_Entry], archive: Path, tell: Tell
) -> None:
    done = 0
    for entry in entries:
        entry.target.parent.mkdir(parents=True, exist_ok=True)
        # "x": never through a link or onto a file, whatever the checks above have missed.
        with opened.open(entry.info) as source, entry.target.open("xb") as target:
            written = 0
            while chunk := source.read(CHUNK):
                written += len(chunk)
                target.write(chunk)
                tell(done + written)
        if written != entry.info.file_size:
            raise UnusableInput(
                f"the entry {printable(entry.info.filename)} is cut short", _REMEDY, archive
            )
        done += written


def _disk_fault(folder: Path, error: OSError) -> MissingHere:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return MissingHere(
        f"the archive cannot be unpacked ({(error.strerror or str(error)).lower()})",
        "free some space" if full else "check the archive and this folder",
        folder,
    )
