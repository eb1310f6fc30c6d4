"""How much the resolution of a photo moves the score of a network that did not learn from it.

    python benchmarks/originals_folds.py --configuration training/lesion.toml --run lesion.run
        --data isic2017 --originals fullres --write docs/training-log.md

The run's folder has the weights of every fold (`lesionlite train lesion --run`). Each image that
has an original in a folder is scored by the network that held it out, as it is and in the versions
of `lesionlite evaluate --originals`. With --in-training the run had the same originals: each
network is then made with those of the other folds' images alone. Flips are at the threshold that
the configuration's rule chooses on all out-of-fold scores of the run. No proof image is looked at.
Prints Markdown, and with --write puts it between the markers of that page.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from pages import markdown_table, put, write_option

from lesionlite_export.keras_model import keras_outputs
from lesionlite_export.manifest import DEFAULT_CLASSES, read_isic_split
from lesionlite_export.progress import reporter
from lesionlite_training.configuration_file import read_configuration
from lesionlite_training.evaluation.originals import measure_originals
from lesionlite_training.fold_networks import fold_network, open_folds
from lesionlite_training.lesion_setup import set_up
from lesionlite_training.originals import find_originals
from lesionlite_training.pixel_cache import cache_folder
from lesionlite_training.threshold import choose_threshold

HEAD = (
    "version",
    "images",
    "mean change",
    "largest",
    "flips",
    "mean of the differences",
    "rank correlation",
)
path = click.Path(path_type=Path)


@click.command()
@click.option("--configuration", type=path, required=True, help="That the run was made with.")
@click.option("--run", type=path, required=True, help="Folder of the run.")
@click.option("--data", type=path, required=True, help="ISIC layout.")
@click.option("--originals", type=path, required=True, help="Folder of the camera's files.")
@click.option("--in-training", is_flag=True, help="The run was made with these originals.")
@click.option("--name", default="", help="Of the markers, where a page has several such tables.")
@write_option
def main(
    configuration: Path,
    run: Path,
    data: Path,
    originals: Path,
    in_training: bool,
    name: str,
    write: Path | None,
) -> None:
    """Print what the resolution of a photo does to scores out of fold."""
    report = reporter(False)
    settings = read_configuration(configuration)
    manifest = read_isic_split(data, "train")
    files = originals if in_training else None
    setup = set_up(manifest, DEFAULT_CLASSES, settings, cache_folder(), report, files)
    plan, kept = open_folds(setup, run, report)
    numbers = [int(number) for number in np.unique(setup.folds)]
    networks = {number: fold_network(setup, plan, kept, number) for number in numbers}
    scores = np.zeros(len(setup.images))
    for number, network in networks.items():
        held_out = np.flatnonzero(setup.folds == number)
        images = (setup.images[i].pixels for i in held_out)
        scores[held_out] = np.concatenate(list(keras_outputs(network, images))).ravel()
    threshold = choose_threshold(setup.labels, scores, settings.rule).value
    fold_of = {item.image.path: int(n) for item, n in zip(setup.images, setup.folds, strict=True)}
    pairs = find_originals(originals, [item.image for item in setup.images])
    turns = iter([networks[fold_of[pair.image.path]] for pair in pairs])

    def score(tensors: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """By the network whose turn it is: the pairs come in order."""
        return np.concatenate(list(keras_outputs(next(turns), tensors))).ravel()

    found = measure_originals(score, setup.image_input, pairs, threshold, report)
    if found.unusable:
        raise found.unusable[0].error
    rows = [
        (
            row.name,
            row.figures.n,
            f"{row.figures.mean_difference:.3f}",
            f"{row.figures.max_difference:.3f}",
            row.figures.flips,
            f"{row.figures.bias:+.3f}",
            f"{row.figures.rank_correlation:.3f}",
        )
        for row in found.rows
    ]
    table = markdown_table(HEAD, rows)
    click.echo(table)
    if write is not None:
        put(write, __file__, table, name)


if __name__ == "__main__":
    main()
