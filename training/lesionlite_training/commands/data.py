"""``lesionlite data``: fetch labelled images, list them in manifests, check and show them."""

from __future__ import annotations

import click

from lesionlite_training.commands import data_check, data_fetch, data_manifest, data_show


@click.group("data", no_args_is_help=False)
def command() -> None:
    """Fetch labelled images, list them in manifests, check and show them.

    Example: lesionlite data manifest isic2017 --label melanoma=1 --label nevus=0
    --label seborrheic_keratosis=0 --out isic2017
    """


for module in (data_fetch, data_manifest, data_check, data_show):
    command.add_command(module.command)
