"""``lesionlite data manifest``: manifests of labelled images."""

from __future__ import annotations

from pathlib import Path

import click

from lesionlite_export.commands.options import force_option, parse_labels, path_type
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.commands.options import json_option
from lesionlite_runtime.errors import UsageError


@click.command("manifest")
@click.argument("folder", type=path_type)
@click.option(
    "--label",
    "labels",
    metavar="CLASS=0|1",
    multiple=True,
    required=True,
    help="Label of a class; one for each class.",
)
@click.option("--drop", metavar="CLASS", multiple=True, help="Class to leave out.")
@click.option(
    "--ground-truth",
    metavar="CSV",
    type=path_type,
    help="Classes of a flat folder. By default the *GroundTruth*.csv in it or beside it.",
)
@click.option(
    "--metadata",
    metavar="CSV",
    type=path_type,
    multiple=True,
    help="Age, sex, site, ids, licence of the images. By default the *metadata.csv in a flat "
    "folder.",
)
@click.option("--split", metavar="NAME", default="all", help="Name of a flat folder's one split.")
@click.option("--exclude", metavar="CSV", type=path_type, multiple=True, help="As leaks.csv.")
@click.option("--keep-leaks", is_flag=True, help="Do not leave out what leaks.csv names.")
@click.option("-o", "--out", type=path_type, required=True, help="Folder for the CSV files.")
@force_option
@json_option
def command(
    folder: Path,
    labels: tuple[str, ...],
    drop: tuple[str, ...],
    ground_truth: Path | None,
    metadata: tuple[Path, ...],
    split: str,
    exclude: tuple[Path, ...],
    keep_leaks: bool,
    out: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Write one CSV for each split of FOLDER/SPLIT/CLASS/, or all.csv for FOLDER/CLASS/.

    The images may also lie in FOLDER itself, as the ISIC challenges and isic-cli deliver them: a
    CSV then says their classes. Images that FOLDER/leaks.csv names (column image_id) are left out.
    OUT must be FOLDER or a folder above it, since a manifest's paths never leave its own folder.

    Example: lesionlite data manifest isic2017 --label melanoma=1 --label nevus=0
    --label seborrheic_keratosis=0 --out isic2017
    """
    from lesionlite_training.data_rendering import count_lines
    from lesionlite_training.manifest import Wanted, write_manifests

    if not out.is_dir():
        raise UsageError("there is no such folder", "make it first", out)
    if not split or Path(split).name != split:
        raise UsageError(f"--split {split} is no name for a file", "name it train, say")
    wanted = Wanted(frozenset(drop), split, ground_truth, metadata, keep_leaks, exclude)
    for count in write_manifests(folder, parse_labels(labels), out, force, wanted):
        if as_json:
            click.echo(json_line(count.to_json()))
        else:
            for line in count_lines(count, [path.name for path in exclude], keep_leaks):
                click.echo(line)
