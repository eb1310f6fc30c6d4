"""``lesionlite contract set-threshold``: a site's own threshold for a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from lesionlite_runtime.codec import json_line, to_json
from lesionlite_runtime.commands.options import json_option
from lesionlite_runtime.errors import UsageError, printable
from lesionlite_runtime.site_threshold import (
    SiteChange,
    clear_site_threshold,
    set_site_threshold,
)
from lesionlite_runtime.threshold_table import table_lines


@click.command("set-threshold")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--threshold", type=float, help="Score from which on to refer, 0 to 1.")
@click.option("--reason", help="Why, in 500 characters at most; it travels in the file.")
@click.option("--clear", is_flag=True, help="Take the site's threshold away again.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write another file; by default MODEL itself."
)
@click.option("--force", is_flag=True, help="Overwrite what lies at --out.")
@json_option
def command(
    model: Path,
    threshold: float | None,
    reason: str | None,
    clear: bool,
    out: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Give a .tflite a threshold of the site's own.

    It decides in place of the contract's, and every result says so. The network's bytes, and with
    them the model's id, stay. The proof at export compared decisions at the contract's own
    threshold alone.

    Example: lesionlite contract set-threshold model.tflite --threshold 0.2 --reason "few clinics"
    """
    if clear:
        if threshold is not None or reason is not None:
            raise UsageError("--clear takes no threshold and no reason", "leave them out")
        change = clear_site_threshold(model, out, force=force)
    elif threshold is None or reason is None:
        raise UsageError("there is no threshold or no reason", "pass --threshold and --reason")
    else:
        change = set_site_threshold(model, threshold, reason, out, force=force)
    if as_json:
        click.echo(json_line(change.to_json()))
        return
    for line in _lines(change):
        click.echo(line)


def _lines(change: SiteChange) -> Iterator[str]:
    own, site = change.contract.threshold, change.contract.site_threshold
    yield f"{'written':<11}{printable(change.file)}"
    yield f"{'model':<11}{change.model}, as before"
    if site is None:
        yield f"{'threshold':<11}{own.value:.6g}, the contract's own"
        return
    shown = f"{site.value:.6g}"
    yield f"{'threshold':<11}{shown}, set at the site; the contract's own is {own.value:.6g}"
    if site.quantized is not None:
        yield f"{'':<11}as the integer that the model gives: {site.quantized}"
    yield f"{'reason':<11}{printable(site.reason)}"
    proof = "it compared decisions at the contract's own threshold alone"
    yield f"{'proof':<11}{proof if change.contract.parity else 'none: this model is unproved'}"
    rows = [row for row in (change.below, change.above) if row is not None]
    if not rows:
        return
    if change.below == change.above:
        place, rows = "is this row", rows[:1]
    elif change.below is None:
        place = "lies under the lowest row"
    elif change.above is None:
        place = "lies over the highest row"
    else:
        place = "lies between these rows"
    scores = f"{own.chosen_on.n:,} {printable(own.chosen_on.kind)} scores"
    positives = f"{own.chosen_on.positives:,} positive"
    yield f"{'figures':<11}{shown} {place} of the contract's table ({scores}, {positives})"
    for line in table_lines([to_json(row) for row in rows], None):
        yield f"{'':<11}{line}"
