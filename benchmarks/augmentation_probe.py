"""What each change of augmentation costs a logistic head on frozen features, out of fold.

    python benchmarks/augmentation_probe.py --data isic2017 --write docs/training-log.md

Four copies of each image, changed in one way, pass through the frozen backbone; a head is fitted on
those of four folds and scores the untouched images of the fifth. Whatever a change takes from the
features that the head could use is missing from its AUC: a first look at an augmentation, in
minutes where fine-tuning takes hours. Differences to the first row are paired (DeLong). No proof
image is looked at. Prints Markdown, and with --write puts it between the markers of that page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from pages import markdown_table, put, write_option

from lesionlite_export.keras_model import keras_outputs
from lesionlite_export.manifest import DEFAULT_CLASSES, read_isic_split
from lesionlite_export.progress import Reporter, reporter
from lesionlite_export.statistics import auc, auc_difference
from lesionlite_training.augment import PRESETS, Augmentation
from lesionlite_training.configuration import Settings
from lesionlite_training.head import fit_head
from lesionlite_training.lesion_setup import Setup, set_up
from lesionlite_training.pixel_cache import cache_folder
from lesionlite_training.readers import pixel_reader

COPIES = 4
FLIPS = PRESETS["flips"]
PEREZ = PRESETS["perez2018"]
ROWS: Mapping[str, Augmentation] = {
    "quarter turns and flips": FLIPS,
    "any turn": replace(FLIPS, turn=PEREZ.turn),
    "crops of 0.8 to 1": replace(FLIPS, crop=0.8, aspect=1.1),
    "crops of 0.4 to 1": replace(FLIPS, crop=PEREZ.crop, aspect=PEREZ.aspect),
    "colour ± 10 %, hue ± 0.02": replace(
        FLIPS, brightness=0.1, contrast=0.1, saturation=0.1, hue=0.02
    ),
    "colour ± 30 %, hue ± 0.1": replace(
        FLIPS, brightness=0.3, contrast=0.3, saturation=0.3, hue=PEREZ.hue
    ),
    "blur and JPEG": replace(FLIPS, blur=0.008, jpeg=0.5),
    "`perez2018-camera`": PRESETS["perez2018-camera"],
    "`half-mild-camera`": PRESETS["half-mild-camera"],
}
Scores = NDArray[np.float64]


@click.command()
@click.option("--backbone", default="efficientnet_lite0_multilevel", show_default=True)
@click.option("--data", type=click.Path(path_type=Path), required=True, help="ISIC layout.")
@write_option
def main(backbone: str, data: Path, write: Path | None) -> None:
    """Print what each change costs."""
    report = reporter(False)
    manifest = read_isic_split(data, "train")
    setup = set_up(manifest, DEFAULT_CLASSES, Settings(backbone), cache_folder(), report)
    plain = _features(setup, Augmentation(), 1, "the images as they are", report)
    rows = []
    first: Scores | None = None
    for name, augmentation in ROWS.items():
        scores = _out_of_fold(setup, _features(setup, augmentation, COPIES, name, report), plain)
        first = scores if first is None else first
        rows.append((name, _auc(setup, scores), *_less(setup, scores, first)))
    table = markdown_table(("each image changed by", "AUC, one view", "less the first"), rows)
    click.echo(table)
    if write is not None:
        put(write, __file__, table)


def _features(
    setup: Setup, augmentation: Augmentation, copies: int, name: str, report: Reporter
) -> NDArray[np.float32]:
    """Frozen features of changed copies of each image: float32 ``[n, copies, features]``."""
    reader: Any = pixel_reader(setup.images, setup.image_input, augmentation, setup.cache, report)
    read, count = reader(None, False), len(setup.images)
    pixels = (
        read(i, np.random.default_rng((i, copy)))
        for i in report.track(range(count), f"Features by {name}", count)
        for copy in range(copies)
    )
    found = list(keras_outputs(setup.network, pixels))
    return np.concatenate(found).reshape(count, copies, -1).astype(np.float32)


def _out_of_fold(setup: Setup, changed: NDArray[np.float32], plain: NDArray[np.float32]) -> Scores:
    scores = np.zeros(len(setup.labels))
    for number in np.unique(setup.folds):
        inside, outside = setup.folds != number, setup.folds == number
        head = fit_head(changed[inside], setup.labels[inside], setup.settings.regularization)
        scores[outside] = head.scores(plain[outside, 0])
    return scores


def _auc(setup: Setup, scores: Scores) -> str:
    found = auc(setup.labels, scores)
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _less(setup: Setup, scores: Scores, first: Scores) -> tuple[str]:
    found = auc_difference(setup.labels, scores, first)
    return ("{:+.3f} ({:+.3f} to {:+.3f})".format(*found),)


if __name__ == "__main__":
    main()
