"""``lesionlite contract attach``: a contract for a ``.tflite`` that somebody else made."""

from __future__ import annotations

from pathlib import Path

import click

from lesionlite_runtime.attach import attach_contract
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.commands.options import json_option
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.draft import read_draft
from lesionlite_runtime.errors import printable

path_type = click.Path(path_type=Path)


@click.command("attach")
@click.argument("model", metavar="MODEL.tflite", type=path_type)
@click.option(
    "--contract",
    "draft_path",
    type=path_type,
    required=True,
    help="Draft of the contract, as `lesionlite contract init` writes it.",
)
@click.option("-o", "--out", type=path_type, required=True, help="Path of the new .tflite.")
@click.option("--force", is_flag=True, help="Overwrite what lies at --out.")
@json_option
def command(model: Path, draft_path: Path, out: Path, force: bool, as_json: bool) -> None:
    """Give a .tflite that somebody else made a contract, so that lesionlite runs it.

    The network is not touched; an open batch is fixed to 1. The file is unproved: `lesionlite
    verify` compares it with the model that it was made from.

    Example: lesionlite contract attach theirs.tflite --contract contract.json --out model.tflite
    """
    done = attach_contract(model, read_draft(draft_path), out, force=force)
    if as_json:
        click.echo(json_line(done.to_json()))
        return
    contract = done.model.contract
    click.echo(f"{'written':<11}{printable(done.file)}")
    click.echo(f"{'model':<11}{contract.model_id}, {contract.task}")
    if isinstance(contract, ClassifierContract):
        own = contract.threshold
        click.echo(f"{'threshold':<11}{own.value:.6g}, {printable(own.rule)}")
    if done.fixed_batch:
        click.echo(f"{'batch':<11}it was open, and is 1 now")
    click.echo(f"{'proof':<11}none: every result of this file will say that it is unproved")
