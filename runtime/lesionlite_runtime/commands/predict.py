"""``lesionlite predict``: y for numbers x."""

from __future__ import annotations

from pathlib import Path

import click

from lesionlite_runtime.codec import json_line
from lesionlite_runtime.commands.options import backend_option, json_option
from lesionlite_runtime.errors import LesionliteError, SomeInputsFailed
from lesionlite_runtime.regressor import Regressor


@click.command("predict", context_settings={"ignore_unknown_options": True})
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("xs", metavar="X...", nargs=-1, required=True, type=float)
@backend_option
@json_option
def command(model: Path, xs: tuple[float, ...], backend: str | None, as_json: bool) -> None:
    """Run a regression on numbers; a value outside the model's range is refused.

    Example: lesionlite predict hello.tflite 10 -3
    """
    regressor = Regressor(model, backend=backend)
    faults: list[LesionliteError] = []
    for x in xs:
        try:
            y = regressor.predict(x)
        except LesionliteError as error:
            faults.append(error)
            click.echo(f"lesionlite: {error}", err=True)
            continue
        click.echo(json_line({"x": x, "y": y}) if as_json else f"{y:.6g}")
    if len(faults) == len(xs):
        raise type(faults[0])("no value could be used", "see the reason above")
    if faults:
        raise SomeInputsFailed(f"{len(faults)} of {len(xs)} values could not be used")
