"""``lesionlite data show``: a picture of some images of a manifest."""

from __future__ import annotations

from pathlib import Path

import click

from lesionlite_export.commands.options import force_option, path_type, seed_option
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.commands.options import json_option
from lesionlite_runtime.errors import SomeInputsFailed, printable


@click.command("show")
@click.argument("manifest", metavar="CSV", type=path_type)
@click.option(
    "-o", "--out", metavar="PNG", type=path_type, help="The picture; by default the CSV's name.png."
)
@seed_option
@force_option
@json_option
def command(manifest: Path, out: Path | None, seed: int, force: bool, as_json: bool) -> None:
    """Draw 25 images of a manifest with their classes, as a network gets them, into one PNG.

    Example: lesionlite data show train.csv --out batch.png --seed 1
    """
    from lesionlite_export.manifest import read_manifest
    from lesionlite_training.show import show_batch

    shown = show_batch(
        read_manifest(manifest), out or Path(f"{manifest.stem}.png"), seed=seed, force=force
    )
    if as_json:
        click.echo(json_line(shown.to_json()))
    else:
        click.echo(f"{printable(str(shown.path))}: {len(shown.images)} images")
    for item in shown.unusable:
        click.echo(f"lesionlite: {item.error}", err=True)
    if shown.unusable:
        raise SomeInputsFailed(
            f"{len(shown.unusable)} images could not be read and others were drawn instead",
            "see the reasons above",
        )
