"""``python -m lesionlite_export.drawn`` writes a few drawings, such as those in samples/drawn."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lesionlite_export.drawn import DRAWN_KINDS, save_drawn
from lesionlite_runtime.errors import LesionliteError
from lesionlite_runtime.files import whole_file


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder.")
@click.option("--count", type=click.IntRange(1), default=2, show_default=True, help="Per kind.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="First seed.")
@click.option(
    "--size",
    nargs=2,
    type=click.IntRange(32, 4096),
    default=(384, 512),
    show_default=True,
    help="Height and width in pixels.",
)
@click.option("--force", is_flag=True, help="Overwrite files of the same names.")
def command(out: Path, count: int, seed: int, size: tuple[int, int], force: bool) -> None:
    """Draw skin lesions of every kind: synthetic pictures, no photographs."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for kind in DRAWN_KINDS:
            for number in range(seed, seed + count):
                with whole_file(out / f"synthetic_{kind}_{number:03d}.jpg", force) as path:
                    save_drawn(path, number, kind, size)
    except LesionliteError as fault:
        click.echo(f"lesionlite: {fault}", err=True)
        sys.exit(fault.exit_code)


if __name__ == "__main__":
    command(prog_name="python -m lesionlite_export.drawn")
