"""Options that mean the same in every command."""

from __future__ import annotations

import click

from lesionlite_runtime.interpreter import BACKENDS

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
    "--threads", type=click.IntRange(1), default=1, show_default=True, help="Interpreter threads."
)
threshold_option = click.option(
    "--threshold", type=float, help="Score from which on to refer, 0 to 1; by default the model's."
)
