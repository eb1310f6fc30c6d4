"""``--plots`` and ``--report`` of ``lesionlite verify``: what they ask for, and its files."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lesionlite_export.commands.options import path_type
from lesionlite_export.layers.result import LayerReport
from lesionlite_export.matrix.result import Matrix
from lesionlite_export.pictures.catalogue import (
    BACKENDS,
    LAYERS,
    VERIFY_NAMES,
    Picture,
    layer_picture,
    matrix_picture,
    verification_pictures,
)
from lesionlite_export.plots_folder import check_plots_folder, write_plots
from lesionlite_export.progress import Reporter
from lesionlite_export.verification_result import Verification
from lesionlite_runtime.errors import UsageError

_OPTIONS = (
    click.option(
        "--plots",
        metavar="FOLDER",
        type=path_type,
        help="Write pictures there, as PNG: scores, agreement, the photos that flipped; with "
        "--layers and --matrix theirs.",
    ),
)


@dataclass(frozen=True)
class Pages:
    """What was asked for by ``--plots``."""

    plots: Path | None
    force: bool

    @property
    def wanted(self) -> bool:
        """Whether anything was asked for."""
        return self.plots is not None

    def check(self, *, layers: bool, matrix: bool, compared: bool) -> None:
        """Refuse, before any work, what cannot be done.

        Args:
            layers: whether ``--layers`` was asked for.
            matrix: whether ``--matrix`` was.
            compared: whether anything is compared at all.

        Raises:
            UsageError: when nothing is, or a file could not be written.
            MissingHere: when a library for it is missing, or the folder is read-only.
        """
        if not self.wanted:
            return
        if not compared:
            raise UsageError("--record alone compares nothing that a picture shows", "pass --data")
        if self.plots is not None:
            names = (BACKENDS,) if matrix else (*VERIFY_NAMES, *([LAYERS] if layers else []))
            check_plots_folder(self.plots, names, self.force)

    def write(self, result: Verification, layers: LayerReport | None, report: Reporter) -> None:
        """Write what was asked for of a verification, whatever its verdict."""
        if not self.wanted:
            return
        with report.phase("Drawing"):
            pictures = [*verification_pictures(result)]
            if layers is not None:
                pictures.append(layer_picture(layers))
            self._write_plots(pictures)

    def write_matrix(self, matrix: Matrix, report: Reporter) -> None:
        """Likewise of a matrix."""
        if not self.wanted:
            return
        with report.phase("Drawing"):
            self._write_plots([matrix_picture(matrix)])

    def _write_plots(self, pictures: list[Picture]) -> None:
        if self.plots is not None:
            write_plots(self.plots, {one.name: one.png for one in pictures}, self.force)


def page_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options of `Pages`, which reach ``command`` as one named ``pages``."""

    @functools.wraps(command)
    def wrapped(*args: Any, plots: Path | None, force: bool, **others: Any) -> None:
        command(*args, pages=Pages(plots, force), force=force, **others)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
