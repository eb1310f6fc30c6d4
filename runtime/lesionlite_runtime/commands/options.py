"""Options that mean the same in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lesionlite_runtime.interpreter import BACKENDS, MAX_THREADS


class PhotoPath(click.Path):
    """A path that stands for photos: whether it can be read is told of it beside the others."""

    def __init__(self) -> None:
        super().__init__(readable=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As a path; an empty one, as of a variable that is not set, is not this folder."""
        if value == "":
            self.fail("a path is empty", param, ctx)
        return super().convert(value, param, ctx)


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Write JSON to stdout in place of text."
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress, no notes.")
backend_option = click.option(
    "--backend",
    type=click.Choice(list(BACKENDS)),
    help="The interpreter; by default the first one installed.",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(1, MAX_THREADS),
    default=1,
    show_default=True,
    help="Interpreter threads.",
)
threshold_option = click.option(
    "--threshold", type=float, help="Score from which on to refer, 0 to 1; by default the model's."
)
