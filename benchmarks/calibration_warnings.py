"""When calibration warns that proof images look unlike its own: the tables of docs/calibration.md.

    python benchmarks/calibration_warnings.py --data isic2017 --write docs/calibration.md

The first table compares a sample of the training images with the validation images, changed copies
of them, and drawings: the standardized difference of each figure, the share of the last features
that lie outside the range calibration saw, and the share that is let pass. The second says how
often two disjoint random sets of training images, alike by construction, raise a warning. Prints
Markdown, and with --write puts it between the markers of that page.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from pages import markdown_table, put, write_option

from lesionlite_export import convert
from lesionlite_export.activations import FloatModel
from lesionlite_export.drawn import write_drawn_dataset
from lesionlite_export.feature_range import last_features, shares_outside
from lesionlite_export.image_statistics import (
    FIGURES,
    difference_limit,
    set_statistics,
    standardized_differences,
)
from lesionlite_export.keras_model import load_keras
from lesionlite_export.manifest import LabelledImage, read_isic_split
from lesionlite_export.representative import PreparedImage, prepare, stratified_sample
from lesionlite_runtime.contract import classifier_contract
from lesionlite_runtime.contract_fields import ImageInput

SIZE = 200
SPLITS = 500
SETS = ((16, 30), (50, 50), (200, 30), (200, 148), (500, 148))
LUMA = np.array([0.299, 0.587, 0.114])
Pixels = NDArray[np.uint8]
Change = Callable[[NDArray[np.float64]], NDArray[np.float64]]

CHANGES: dict[str, Change] = {
    "unchanged": lambda x: x,
    "greyed": lambda x: np.repeat((x @ LUMA)[..., np.newaxis], 3, -1),
    "brightness × 0.5": lambda x: 0.5 * x,
    "brightness × 0.7": lambda x: 0.7 * x,
    "brightness × 0.85": lambda x: 0.85 * x,
    "brightness × 1.3": lambda x: 1.3 * x,
    "contrast × 0.5": lambda x: 128 + 0.5 * (x - 128),
    "contrast × 1.5": lambda x: 128 + 1.5 * (x - 128),
    "other white balance (R × 1.15, G × 0.95, B × 0.8)": lambda x: x * [1.15, 0.95, 0.8],
    "red and blue exchanged": lambda x: x[..., ::-1],
    "negative": lambda x: 255 - x,
    "noise of 10 levels": lambda x: x + np.random.default_rng(0).normal(0, 10, x.shape),
}


@dataclass(frozen=True)
class Looks:
    """A set of images: its pixels, and its last features, float32 ``[n, features]``."""

    pixels: Sequence[Pixels]
    features: NDArray[np.float32]


def looks(model: FloatModel, pixels: Sequence[Pixels]) -> Looks:
    """The set with the features that the network makes of it."""
    number = last_features(model.graph)
    assert number is not None
    rows = []
    for image in pixels:
        model.run(image[np.newaxis])
        rows.append(model.value(number).ravel())
    return Looks(pixels, np.stack(rows))


def comparison(name: str, first: Looks, second: Looks) -> Sequence[object]:
    """A row: how the second set looks beside the first, and what is warned of."""
    ours, theirs = set_statistics(first.pixels), set_statistics(second.pixels)
    differences = standardized_differences(ours, theirs)
    limit = difference_limit(ours.n, theirs.n)
    shares = shares_outside(first.features, second.features)
    warned = [figure for figure in FIGURES if abs(differences[figure]) > limit]
    warned += ["features"] if shares.found > shares.limit else []
    values = [f"{differences[figure]:+.2f}" for figure in FIGURES]
    outside = f"{shares.found:.2%}, {shares.limit:.2%}"
    return [name, theirs.n, *values, outside, ", ".join(warned) or "none"]


def false_alarms(train: Looks, n_first: int, n_second: int) -> Sequence[object]:
    """A row: how often two random sets of the same images raise a warning."""
    generator = np.random.default_rng(0)
    singles = [set_statistics([image]).mean for image in train.pixels]
    figures = np.array([[single[figure] for figure in FIGURES] for single in singles])
    alarms = {"figures": 0, "features": 0}
    for _ in range(SPLITS):
        order = generator.permutation(len(figures))
        first, second = order[:n_first], order[n_first : n_first + n_second]
        spread = np.sqrt((figures[first].var(0, ddof=1) + figures[second].var(0, ddof=1)) / 2)
        difference = np.abs(figures[second].mean(0) - figures[first].mean(0)) / spread
        alarms["figures"] += bool((difference > difference_limit(n_first, n_second)).any())
        features = shares_outside(train.features[first], train.features[second])
        alarms["features"] += features.found > features.limit
    counts = [f"{count} of {SPLITS}" for count in alarms.values()]
    return [n_first, n_second, f"{difference_limit(n_first, n_second):.2f}", *counts]


def pixels_of(images: Sequence[LabelledImage], image_input: ImageInput) -> list[Pixels]:
    """The images as the network's input."""
    items = prepare(images, image_input)
    return [item.pixels for item in items if isinstance(item, PreparedImage)]


def measure(model: Path, data: Path) -> str:
    """Both tables as Markdown."""
    loaded = load_keras(model)
    contract = classifier_contract(loaded.contract)
    network = FloatModel(convert.float32_tflite(loaded), contract.input.name)
    train = read_isic_split(data, "train", contract.output.classes)
    sample = looks(network, pixels_of(stratified_sample(train, SIZE, 0), contract.input))
    valid = read_isic_split(data, "valid", contract.output.classes)
    proof = pixels_of(valid.images, contract.input)
    rows = []
    for name, change in CHANGES.items():
        copies = [
            np.clip(np.rint(change(image.astype(np.float64))), 0, 255).astype(np.uint8)
            for image in proof
        ]
        rows.append(comparison(f"ISIC 2017 valid, {name}", sample, looks(network, copies)))
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder, "drawn")
        counts = {"melanoma": 10, "nevus": 20, "seborrheic_keratosis": 10}
        write_drawn_dataset(drawn, train=counts, valid=counts, seed=0)
        images = pixels_of(read_isic_split(drawn, "valid").images, contract.input)
    rows.append(comparison("drawings", sample, looks(network, images)))
    first = markdown_table(
        ["proof images", "n", *FIGURES, "features outside, let pass", "warned of"], rows
    )
    everything = looks(network, pixels_of(train.images, contract.input))
    head = ["representative", "proof", "limit of the figures", "warned by figures", "by features"]
    second = markdown_table(head, (false_alarms(everything, *sizes) for sizes in SETS))
    between = f"Of {SPLITS} random pairs of disjoint sets of ISIC 2017 train:"
    return f"{first}\n\n{between}\n\n{second}"


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="ISIC layout.")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    default=Path("samples/lesion.keras"),
    help="A .keras with a frozen or trained backbone.",
)
@write_option
def command(data: Path, model: Path, write: Path | None) -> None:
    """Print the tables for --model on the images of --data."""
    text = measure(model, data)
    click.echo(text)
    if write is not None:
        put(write, __file__, text)


if __name__ == "__main__":
    command()
