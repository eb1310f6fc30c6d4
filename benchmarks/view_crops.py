"""What centre crops add to the turned and flipped views of an image, on what each fold held out.

    python benchmarks/view_crops.py --configuration b.toml --run b.run --data isic2017
        --write docs/training-log.md

The run's folder has the weights of every fold (`lesionlite train lesion --run`). Each network
scores what its fold held out: the pixels of the contract, and squares from their middle, enlarged
to the same size, each in eight views. A row is a mean of scores; the difference is to one view and
to eight, paired (DeLong). No proof image is looked at. Prints Markdown, and with --write puts it
between the markers of that page.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from pages import markdown_table, put, write_option
from PIL import Image

from lesionlite_export.keras_model import keras_outputs
from lesionlite_export.manifest import DEFAULT_CLASSES, read_isic_split
from lesionlite_export.progress import Reporter, reporter
from lesionlite_export.statistics import auc, auc_difference
from lesionlite_export.views import pixel_views
from lesionlite_training.configuration_file import read_configuration
from lesionlite_training.fold_networks import fold_network, open_folds
from lesionlite_training.lesion_setup import Setup, set_up
from lesionlite_training.pixel_cache import cache_folder
from lesionlite_training.plan import Plan
from lesionlite_training.training_set import TrainingSet

SIDES = (224, 200, 176, 152)
HEAD = ("crops: side in pixels", "views of each", "runs", "AUC", "less 1 view", "less 8 views")
Scores = NDArray[np.float64]
# The scores have the shape [sides, views, images].
ROWS: tuple[tuple[str, str, Callable[[Scores], Scores]], ...] = (
    ("224", "1", lambda s: s[:1, :1]),
    ("224", "8", lambda s: s[:1]),
    ("224, 176", "1", lambda s: s[[0, 2], :1]),
    ("224, 200, 176, 152", "1", lambda s: s[:, :1]),
    ("224, 176", "4 each, others", lambda s: np.stack([s[0, :4], s[2, 4:]])),
    ("224, 176", "8", lambda s: s[[0, 2]]),
    ("224, 200, 176", "8", lambda s: s[:3]),
    ("224, 200, 176, 152", "8", lambda s: s),
)
path = click.Path(path_type=Path)


@click.command()
@click.option("--configuration", type=path, required=True, help="That the run was made with.")
@click.option("--run", type=path, required=True, help="Folder of the run.")
@click.option("--data", type=path, required=True, help="ISIC layout.")
@write_option
def main(configuration: Path, run: Path, data: Path, write: Path | None) -> None:
    """Print what crops add."""
    report = reporter(False)
    settings = read_configuration(configuration)
    manifest = read_isic_split(data, "train")
    setup = set_up(manifest, DEFAULT_CLASSES, settings, cache_folder(), report)
    plan, kept = open_folds(setup, run, report)
    scores = np.zeros((len(SIDES), 8, len(setup.images)))
    for number in np.unique(setup.folds):
        held_out = np.flatnonzero(setup.folds == number)
        scores[:, :, held_out] = _fold(setup, plan, kept, int(number), held_out, report)
    one, eight = scores[0, 0], scores[0].mean(0)
    rows = []
    for sides, views, choose in ROWS:
        chosen = choose(scores).reshape(-1, len(setup.images))
        mean = chosen.mean(0)
        differences = (auc_difference(setup.labels, mean, reference) for reference in (one, eight))
        rows.append(
            (
                sides,
                views,
                len(chosen),
                "{:.3f} ({:.3f} to {:.3f})".format(*_triple(setup.labels, mean)),
                *("{:+.3f} ({:+.3f} to {:+.3f})".format(*found) for found in differences),
            )
        )
    table = markdown_table(HEAD, rows)
    click.echo(table)
    if write is not None:
        put(write, __file__, table)


def _triple(labels: NDArray[np.int64], scores: Scores) -> tuple[float, float, float]:
    found = auc(labels, scores)
    return found.value, found.low, found.high


def _fold(
    setup: Setup,
    plan: Plan,
    data: TrainingSet,
    number: int,
    held_out: NDArray[np.int64],
    report: Reporter,
) -> Scores:
    """Scores ``[sides, views, held_out]`` of one fold's network."""
    network = fold_network(setup, plan, data, number)
    images = [setup.images[i].pixels for i in held_out]
    label = f"Scoring what fold {number + 1} held out"
    copies = (
        np.ascontiguousarray(view)
        for pixels in report.track(images, label, len(images))
        for side in SIDES
        for view in pixel_views(_middle(pixels, side))
    )
    found = np.concatenate(list(keras_outputs(network, copies)))
    return found.reshape(len(images), len(SIDES), -1).transpose(1, 2, 0)


def _middle(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The square of ``side`` in the middle of ``[H, W, 3]``, enlarged to the size of the whole."""
    whole = Image.fromarray(pixels)
    left, top = (whole.width - side) // 2, (whole.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(whole.resize(whole.size, Image.Resampling.BILINEAR, box=box))


if __name__ == "__main__":
    main()
