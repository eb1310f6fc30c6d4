"""Output files that must not replace what the same run reads, or one another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lesionlite_runtime.errors import UsageError

Named = Mapping[str, Path | None]


def check_apart(outputs: Named, inputs: Named) -> None:
    """Refuse, whatever ``--force`` says, an output that is an input or another output.

    Args:
        outputs: by the option that names them; None for what is not wanted.
        inputs: likewise, what is read.

    Raises:
        UsageError: when two are one file, also by a link.
    """
    seen = [(name, path) for name, path in inputs.items() if path is not None]
    for name, path in outputs.items():
        if path is None:
            continue
        for other, taken in seen:
            if _same(path, taken):
                raise UsageError(f"{other} and {name} name the same file", "name two", path)
        seen.append((name, path))


def _same(one: Path, other: Path) -> bool:
    try:
        return one.resolve() == other.resolve() or one.samefile(other)
    except (OSError, RuntimeError, ValueError):  # one is not there, a loop of links, no path at all
        return False
