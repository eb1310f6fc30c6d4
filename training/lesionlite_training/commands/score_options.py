"""Options for a CSV of scores."""

from __future__ import annotations

import click

no_labels_option = click.option(
    "--no-labels",
    is_flag=True,
    help="With --scores: write image ids and scores alone, no folder and no label.",
)
