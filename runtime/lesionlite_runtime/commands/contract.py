"""``lesionlite contract``: change or attach what a model says of itself, without TensorFlow."""

from __future__ import annotations

import click

from lesionlite_runtime.commands import contract_set_threshold


@click.group("contract", no_args_is_help=False)
def command() -> None:
    """Change or attach what a model says of itself; its network's bytes stay.

    Example: lesionlite contract set-threshold model.tflite --threshold 0.2 --reason "few clinics"
    """


for module in (contract_set_threshold,):
    command.add_command(module.command)
