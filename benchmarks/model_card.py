"""The figures of docs/model-card.md: what `lesionlite` says of the shipped network and its files.

    python benchmarks/model_card.py --data isic2017 --write docs/model-card.md

Prints the output of each command as Markdown, and with --write puts it between the markers of that
page. The out-of-fold scores are those of samples/lesion.out-of-fold.csv.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
from pages import put, write_option

ROOT = Path(__file__).parents[1]
SCORES = "samples/lesion.out-of-fold.csv"
KERAS = "samples/lesion.keras"
SHIPPED = "runtime/lesionlite_runtime/models/lesion.int8.tflite"
COMMANDS = {
    "out-of-fold": ("evaluate", SCORES, "--data", "isic2017", "--at", "sensitivity=0.90"),
    "proof": ("evaluate", SHIPPED, "--data", "isic2017/valid.csv"),
    "parity": ("verify", KERAS, SHIPPED, "--data", "isic2017/valid.csv"),
}


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="ISIC layout.")
@write_option
def main(data: Path, write: Path | None) -> None:
    """Print what the commands of the model card say."""
    for part, command in COMMANDS.items():
        # The split `valid` of the folder is what valid.csv, made by `data manifest`, lists.
        places = {"isic2017": str(data), "isic2017/valid.csv": str(data)}
        arguments = [places.get(argument, argument) for argument in command]
        done = subprocess.run(
            [sys.executable, "-m", "lesionlite_runtime", *arguments, "--quiet"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise click.ClickException(f"{' '.join(command)}: {done.stderr.strip()}")
        shown = done.stdout.replace(str(data), "isic2017").rstrip()
        lines = [line.rstrip() for line in shown.splitlines()]
        text = "\n".join(("```", f"$ lesionlite {' '.join(command)}", *lines, "```"))
        click.echo(text)
        if write is not None:
            put(write, __file__, text, part)


if __name__ == "__main__":
    main()
