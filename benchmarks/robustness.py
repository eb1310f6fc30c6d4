"""Two tables of docs/evaluation.md: degraded copies, and originals beside the images.

    python benchmarks/robustness.py --data isic2017 --originals fullres --write docs/evaluation.md

What `lesionlite evaluate --robustness` says of the shipped int8 file on the proof images, and what
`--originals` says on all images of --data that have a photo of the same name in that folder. Prints
Markdown, and with --write puts it between the markers of that page.
"""

from __future__ import annotations

from pathlib import Path

import click
from pages import markdown_table, put, write_option

from lesionlite_export.manifest import DEFAULT_CLASSES, LabelledImage, Manifest, read_isic_split
from lesionlite_export.progress import reporter
from lesionlite_runtime.classifier import shipped_model
from lesionlite_runtime.photos import image_files
from lesionlite_training.evaluate import evaluate_model
from lesionlite_training.evaluation.degradations import DEGRADATIONS
from lesionlite_training.evaluation.paired_rendering import (
    ORIGINALS_COLUMNS,
    ROBUSTNESS_COLUMNS,
    originals_rows,
    robustness_rows,
)


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="ISIC layout.")
@click.option("--originals", type=click.Path(path_type=Path), help="Photos of the same names.")
@click.option("--model", type=click.Path(path_type=Path), help="By default the shipped file.")
@write_option
def main(data: Path, originals: Path | None, model: Path | None, write: Path | None) -> None:
    """Print what degraded copies and originals do to the scores."""
    path, report = model or shipped_model(), reporter(False)
    proof = read_isic_split(data, "valid")
    robustness = evaluate_model(path, proof, degradations=DEGRADATIONS, report=report).robustness
    assert robustness is not None
    tables = {"copies": markdown_table(ROBUSTNESS_COLUMNS, robustness_rows(robustness))}
    if originals is not None:
        listed = _with_originals(data, originals)
        found = evaluate_model(path, listed, originals=originals, report=report).originals
        assert found is not None
        tables["originals"] = markdown_table(ORIGINALS_COLUMNS, originals_rows(found))
    for part, table in tables.items():
        click.echo(f"{table}\n")
        if write is not None:
            put(write, __file__, table, part)


def _with_originals(data: Path, originals: Path) -> Manifest:
    """The images of all splits that have an original; `leaks.csv` does not matter here."""
    names = {path.stem for path in image_files([originals])}
    images = [
        LabelledImage(path, DEFAULT_CLASSES[path.parent.name], path.parent.name)
        for path in image_files([data])
        if path.stem in names
    ]
    return Manifest(str(data), tuple(images))


if __name__ == "__main__":
    main()
