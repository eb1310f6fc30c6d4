"""``lesionlite inspect``: what a model file says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from lesionlite_runtime.codec import json_line
from lesionlite_runtime.commands.options import json_option
from lesionlite_runtime.errors import printable
from lesionlite_runtime.inspection import inspect
from lesionlite_runtime.threshold_table import table_lines

_LONGEST, _SHOWN = 1000, 40


@click.command("inspect")
@click.argument("model", type=click.Path(path_type=Path))
@json_option
def command(model: Path, as_json: bool) -> None:
    """Show a model's contract, digests, tensors and operators.

    Example: lesionlite inspect model.tflite
    """
    report = inspect(model)
    if as_json:
        click.echo(json_line(report))
        return
    for side in ("inputs", "outputs"):
        for tensor in report[side]:
            name = printable(tensor["name"])
            click.echo(f"{side[:-1]:<10} {name} {tensor['dtype']} {tensor['shape']}")
    if report["operators"]:
        counts = ", ".join(f"{name} {n}" for name, n in report["operators"].items())
        click.echo(f"{'operators':<10} {counts}")
    click.echo(f"{'file':<10} sha256 {report['file_sha256']}")
    click.echo("contract")
    threshold = dict(report["contract"]["threshold"] or {})
    table = threshold.pop("table", None)
    _show({**report["contract"], "threshold": threshold or None}, 1)
    if table is not None:
        click.echo("thresholds, on the scores that the contract's (*) was chosen on")
        for line in table_lines(table, threshold["value"]):
            click.echo(f"  {line}")


def _show(value: dict[str, Any], depth: int) -> None:
    for key, item in value.items():
        if isinstance(item, dict) and item:
            click.echo(f"{'  ' * depth}{printable(key)}")
            _show(item, depth + 1)
        else:
            shown = json.dumps(item, ensure_ascii=False)
            if len(shown) > _LONGEST:
                shown = f"{shown[:_SHOWN]}... ({len(shown)} characters, see --json)"
            click.echo(printable(f"{'  ' * depth}{key}: {shown}"))
