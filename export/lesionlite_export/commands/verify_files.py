"""The files of a verification: checked before any work, written at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from lesionlite_export.csv_file import csv_bytes
from lesionlite_export.junit import junit_xml
from lesionlite_export.recorded_writing import reference_lines
from lesionlite_export.verification_result import Verification
from lesionlite_runtime.container import read_contract
from lesionlite_runtime.contract import RegressionContract
from lesionlite_runtime.errors import LesionliteError, UsageError
from lesionlite_runtime.files import check_output_path, write_whole


@dataclass(frozen=True)
class ResultFiles:
    """Where to write scores, verdict and the reference's scores; None for what is not wanted."""

    csv: Path | None
    junit: Path | None
    saved: Path | None
    force: bool

    @property
    def named(self) -> Mapping[str, Path | None]:
        """The paths by their options."""
        return {"--csv": self.csv, "--junit": self.junit, "--save-reference": self.saved}

    def check(self, tflite: Path) -> None:
        """Refuse, before any work, what could not be written at the end.

        Raises:
            UsageError: see `check_output_path`; also where ``tflite``, a regression, has no scores.
            UnusableInput: when ``tflite`` has no contract.
        """
        for path in self.named.values():
            if path is not None:
                check_output_path(path, self.force)
        if self.saved is not None and isinstance(read_contract(tflite), RegressionContract):
            raise UsageError(
                "a regression has no scores to save", "leave out --save-reference", tflite
            )

    def write(self, result: Verification) -> None:
        """Write all that can be written.

        Raises:
            LesionliteError: the first error; others are said on stderr.
        """
        contents: Mapping[str, Callable[[], bytes]] = {
            "--csv": lambda: csv_bytes(result.columns()),
            "--junit": lambda: junit_xml(result),
            "--save-reference": lambda: "".join(
                f"{line}\n" for line in reference_lines(result)
            ).encode(),
        }
        errors: list[LesionliteError] = []
        for name, path in self.named.items():
            if path is not None:
                try:
                    write_whole(path, contents[name](), self.force)
                except LesionliteError as error:
                    errors.append(error)
        for other in errors[1:]:
            click.echo(f"lesionlite: {other}", err=True)
        if errors:
            raise errors[0]
