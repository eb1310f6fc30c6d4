"""``--plots`` and ``--report`` of ``lesionlite verify``: what they ask for, and its files."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
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
from lesionlite_export.plots_folder import check_matplotlib, check_plots_folder, write_plots
from lesionlite_export.progress import Reporter
from lesionlite_export.report.matrix import matrix_page
from lesionlite_export.report.render import check_jinja, page_html
from lesionlite_export.report.verification import verification_page
from lesionlite_export.verification_result import Verification
from lesionlite_runtime.errors import UsageError
from lesionlite_runtime.files import check_output_path, write_whole

_OPTIONS = (
    click.option(
        "--plots",
        metavar="FOLDER",
        type=path_type,
        help="Write pictures there, as PNG: scores, agreement, the photos that flipped; with "
        "--layers and --matrix theirs.",
    ),
    click.option(
        "--report",
        "report_path",
        metavar="FILE.html",
        type=path_type,
        help="Write verdict, figures and pictures there, as one page that needs no network.",
    ),
)


@dataclass(frozen=True)
class Pages:
    """What was asked for by ``--plots`` and ``--report``."""

    plots: Path | None
    report: Path | None
    force: bool

    @property
    def wanted(self) -> bool:
        """Whether anything was asked for."""
        return self.plots is not None or self.report is not None

    def files(self, *, layers: bool, matrix: bool) -> Mapping[str, Path | None]:
        """What is written with ``--layers`` or ``--matrix``, by option."""
        found: dict[str, Path | None] = {"--report": self.report}
        if self.plots is not None:
            for name in _pictures(layers, matrix):
                found[f"{name} of --plots"] = self.plots / name
        return found

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
            check_plots_folder(self.plots, _pictures(layers, matrix), self.force)
        if self.report is not None:
            check_output_path(self.report, self.force)
            check_matplotlib()
            check_jinja()

    def write(self, result: Verification, layers: LayerReport | None, report: Reporter) -> None:
        """Write what was asked for of a verification, whatever its verdict."""
        if not self.wanted:
            return
        with report.phase("Drawing"):
            pictures = [*verification_pictures(result)]
            if layers is not None:
                pictures.append(layer_picture(layers))
            self._write_plots(pictures)
            if self.report is not None:
                page = verification_page(result, layers, pictures)
                write_whole(self.report, page_html(page), self.force)

    def write_matrix(self, matrix: Matrix, report: Reporter) -> None:
        """Likewise of a matrix."""
        if not self.wanted:
            return
        with report.phase("Drawing"):
            picture = matrix_picture(matrix)
            self._write_plots([picture])
            if self.report is not None:
                page = matrix_page(matrix, [picture])
                write_whole(self.report, page_html(page), self.force)

    def _write_plots(self, pictures: list[Picture]) -> None:
        if self.plots is not None:
            write_plots(self.plots, {one.name: one.png for one in pictures}, self.force)


def _pictures(layers: bool, matrix: bool) -> tuple[str, ...]:
    return (BACKENDS,) if matrix else (*VERIFY_NAMES, *([LAYERS] if layers else []))


def page_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options of `Pages`, which reach ``command`` as one named ``pages``."""

    @functools.wraps(command)
    def wrapped(
        *args: Any, plots: Path | None, report_path: Path | None, force: bool, **others: Any
    ) -> None:
        command(*args, pages=Pages(plots, report_path, force), force=force, **others)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
