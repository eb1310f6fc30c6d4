"""``lesionlite contract``: draft, attach or change what a model says of itself."""

from __future__ import annotations

import click

from lesionlite_runtime.commands import (
    contract_attach,
    contract_init,
    contract_set_threshold,
)


@click.group("contract", no_args_is_help=False)
def command() -> None:
    """Draft, attach or change what a model says of itself; its network stays as it is.

    Example: lesionlite contract set-threshold model.tflite --threshold 0.2 --reason "few clinics"
    """


for module in (contract_init, contract_attach, contract_set_threshold):
    command.add_command(module.command)
