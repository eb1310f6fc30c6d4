"""``lesionlite data check``: what is wrong with a data set."""

from __future__ import annotations

from pathlib import Path

import click

from lesionlite_export.commands.options import force_option, path_type
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.commands.options import json_option, quiet_option
from lesionlite_runtime.errors import SomeInputsFailed


@click.command("check")
@click.argument("manifests", metavar="CSV...", type=path_type, nargs=-1, required=True)
@click.option(
    "--write-exclude",
    metavar="FILE",
    type=path_type,
    help="Write the images to leave out, as `data manifest --exclude` and leaks.csv take them.",
)
@force_option
@json_option
@quiet_option
def command(
    manifests: tuple[Path, ...],
    write_exclude: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find unreadable images, and copies within and across manifests; one CSV is one split.

    Copies have equal pixels; near-duplicates look the same by their perceptual hashes, also turned
    or mirrored. Patients and lesions in several splits are found where the manifests name them.
    Name the split that proves last: of copies, the one that stays is there.

    Example: lesionlite data check train.csv valid.csv --write-exclude copies.csv
    """
    from lesionlite_export.progress import reporter
    from lesionlite_runtime.files import check_output_path, write_whole
    from lesionlite_training.check import check_manifests
    from lesionlite_training.data_rendering import print_check
    from lesionlite_training.exclusion import excluded, exclusion_csv

    if write_exclude is not None:
        check_output_path(write_exclude, force)
    check = check_manifests(manifests, reporter(quiet))
    if as_json:
        click.echo(json_line(check.to_json()))
    else:
        print_check(check)
    if write_exclude is not None:
        items = excluded(check)
        write_whole(write_exclude, exclusion_csv(items, check), force)
        click.echo(f"{len(items)} images to leave out: {write_exclude}", err=as_json)
    for item in check.unreadable:
        click.echo(f"lesionlite: {item.error}", err=True)
    if check.unreadable:
        raise SomeInputsFailed(
            f"{len(check.unreadable)} images cannot be read", "see the reasons above"
        )
