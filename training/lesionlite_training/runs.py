"""The folder of a fine-tuning run: what it trains, so that no other run goes on in it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from lesionlite_runtime.codec import canonical_json, parse_json
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.files import read_file, write_whole

RECORD = "run.json"
MEMBER_FOLDERS = ("fold-*", "final*")
MAX_BYTES = 1 << 20


def check_run(folder: Path, *, resume: bool, force: bool) -> None:
    """Refuse, before any work, a folder with a run that neither is to go on nor to be removed.

    Raises:
        UsageError: see above.
    """
    if (folder / RECORD).exists() and not resume and not force:
        raise UsageError(
            "there is a run in this folder",
            "pass --resume to go on with it, or --force to begin anew",
            folder,
        )


def open_run(folder: Path, record: dict[str, Any], *, resume: bool, force: bool) -> None:
    """Make ``folder`` ready for the run that ``record`` describes.

    Args:
        folder: of the run; it is made where it is missing.
        record: all that the trained weights depend on.
        resume: go on with the run in the folder, where there is one.
        force: remove the run in the folder, where there is one.

    Raises:
        UsageError: see `check_run`; also when the run to go on with is another one.
        UnusableInput: when the folder's record cannot be read, or the folder not be made.
        MissingHere: when the folder cannot be written.
    """
    check_run(folder, resume=resume, force=force)
    path = folder / RECORD
    if path.exists() and not force:
        kept = parse_json(read_file(path, MAX_BYTES), str(path))
        if not isinstance(kept, dict):
            raise UnusableInput("this is no record of a run", "name another folder", path)
        differing = _differing(kept, parse_json(canonical_json(record), None))
        if differing:
            raise UsageError(
                f"the run in this folder differs in {differing}",
                "go on with its settings, or pass --force to begin anew",
                path,
            )
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for pattern in MEMBER_FOLDERS:
            for member in folder.glob(pattern):
                shutil.rmtree(member)
    except OSError as error:
        raise UnusableInput(
            f"the folder of the run cannot be used ({(error.strerror or '').lower()})",
            "name another one with --run",
            folder,
        ) from error
    write_whole(path, canonical_json(record), force=True)


def _differing(kept: Any, wanted: Any, path: str = "") -> str:
    """The path of the first field in which the two differ; empty for none."""
    if isinstance(kept, dict) and isinstance(wanted, dict):
        for name in sorted({*kept, *wanted}):
            found = _differing(kept.get(name), wanted.get(name), f"{path}{name}.")
            if found:
                return found
        return ""
    return "" if kept == wanted else path.rstrip(".")
