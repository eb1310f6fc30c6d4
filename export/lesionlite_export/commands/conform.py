"""``lesionlite conform``: whether a port makes of a kit what the model makes of it."""

from __future__ import annotations

from pathlib import Path

import click

from lesionlite_export.commands.options import path_type
from lesionlite_export.conformance.judge import judge_results
from lesionlite_export.conformance.rendering import conformance_lines
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.commands.options import json_option
from lesionlite_runtime.errors import printable


@click.command("conform")
@click.argument("results", metavar="RESULTS.jsonl", type=path_type)
@click.option("--kit", type=path_type, required=True, help="The folder of the kit.")
@click.option(
    "--family",
    metavar="NAME",
    help="Backends to judge by: xnnpack, builtin, other. By default the backend that the results "
    "name, or what the scores fit.",
)
@json_option
def command(results: Path, kit: Path, family: str | None, as_json: bool) -> None:
    """Judge what a port or a device made of a kit, and name the first stage that goes wrong.

    RESULTS.jsonl has a JSON object for each image: file and score at least. `lesionlite verify
    --record` writes a kit, whose README says the rest.

    Exit code 0: it conforms. 3: it does not. 4: it conforms in what came back; images, lines or all
    scores are missing. 5: neither a score nor pixels came back.

    Example: lesionlite conform results.jsonl --kit kit
    """
    judged = judge_results(results, kit, family=family)
    if as_json:
        click.echo(json_line(judged.to_json()))
    else:
        for line in conformance_lines(judged):
            click.echo(line)
    for problem in judged.problems:
        click.echo(f"lesionlite: {printable(str(results))}: {printable(problem)}", err=True)
    if not judged:
        raise judged.error()
    if not judged.is_whole:
        raise judged.incomplete()
