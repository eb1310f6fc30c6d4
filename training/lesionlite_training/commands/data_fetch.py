"""``lesionlite data fetch``: a data set from the internet."""

from __future__ import annotations

from pathlib import Path

import click

from lesionlite_export.commands.options import path_type
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.commands.options import json_option, quiet_option
from lesionlite_runtime.errors import UsageError


@click.command("fetch")
@click.argument("name", metavar="DATASET")
@click.option("--dest", type=path_type, help="Folder for it; by default the data set's name.")
@click.option(
    "--split", "splits", metavar="NAME", multiple=True, help="A split to fetch; by default all."
)
@click.option("--keep-archives", is_flag=True, help="Do not delete the zips once unpacked.")
@json_option
@quiet_option
def command(
    name: str,
    dest: Path | None,
    splits: tuple[str, ...],
    keep_archives: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Download and unpack DATASET (isic2017: three zips, 12.1 GB) into DEST/SPLIT/CLASS/.

    After a break, run it again: it goes on where it stopped. A zip that lies in DEST already is not
    downloaded.

    Example: lesionlite data fetch isic2017 --dest isic2017
    """
    from lesionlite_training.data_rendering import fetched_lines
    from lesionlite_training.datasets import DATASETS, fetch_dataset
    from lesionlite_training.meter import SilentMeter, TerminalMeter

    if name not in DATASETS:
        raise UsageError(f"there is no data set {name}", f"take {' or '.join(DATASETS)}")
    dataset = DATASETS[name]
    fetched = fetch_dataset(
        dataset,
        dest or Path(name),
        splits,
        keep_archives=keep_archives,
        meter=SilentMeter() if quiet else TerminalMeter(),
    )
    if as_json:
        click.echo(json_line(fetched.to_json()))
        return
    for line in fetched_lines(fetched, dataset.labels):
        click.echo(line)
