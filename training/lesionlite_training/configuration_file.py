"""Configurations as TOML files: the fields of `Settings`, by name."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from lesionlite_runtime.codec import FieldFault, from_json
from lesionlite_runtime.errors import UnusableInput, UsageError, printable
from lesionlite_runtime.files import read_file
from lesionlite_training.configuration import FineTuning, Settings, Stage

MAX_BYTES = 1 << 20


def read_configuration(path: Path) -> Settings:
    """The settings in a TOML file; what it does not name has its default.

    Raises:
        UnusableInput: when it is no TOML, or names an unknown field or a value that it cannot have.
    """
    try:
        table = tomllib.loads(read_file(path, MAX_BYTES).decode("utf-8"))
    except (ValueError, RecursionError) as error:  # a number of 5000 digits is no TOMLDecodeError
        raise UnusableInput(
            f"this is no TOML ({printable(str(error))})", "see docs/training.md", path
        ) from error
    try:
        _check_names(table)
        return from_json(Settings, table)
    except FieldFault as fault:
        raise UnusableInput(
            f"the configuration cannot be used: {fault}", "see docs/training.md", path
        ) from fault
    except UsageError as fault:
        raise UnusableInput(
            f"the configuration cannot be used: {fault.problem}", fault.remedy, path
        ) from fault


def _check_names(table: dict[str, Any]) -> None:
    """Refuse a name that no field has; the nearest one is told, which `from_json` does not."""
    tuning = table.get("fine_tuning")
    stages = tuning.get("stages") if isinstance(tuning, dict) else None
    tables: list[tuple[Any, Any, str]] = [
        (table, Settings, ""),
        (tuning, FineTuning, "fine_tuning."),
    ]
    if isinstance(stages, list):
        tables += [(s, Stage, f"fine_tuning.stages[{i}].") for i, s in enumerate(stages)]
    for found, kind, path in tables:
        known = [field.name for field in fields(kind)]
        for name in found if isinstance(found, dict) else ():
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                raise FieldFault(f"{path}{printable(name)}", f"is not known{hint}")
