"""Options that both kinds of training have."""

from __future__ import annotations

import click

from lesionlite_export.commands.options import path_type
from lesionlite_training.configuration import MAX_SEED

out_option = click.option("-o", "--out", type=path_type, required=True, help="Path of the .keras.")
seed_option = click.option(
    "--seed",
    type=click.IntRange(0, MAX_SEED),
    default=0,
    show_default=True,
    help="Seed of what is drawn at random.",
)
