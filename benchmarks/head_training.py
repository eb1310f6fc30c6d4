"""The table of docs/training.md: a head on features computed once, and the tutorial's way.

    python benchmarks/head_training.py --data isic2017 --write docs/training.md

The tutorial runs the frozen backbone over every image in every epoch. Here both ways go through
lesionlite's own trainer, with the same start, optimizer, batches and order, so that they end at the
same head; the images are decoded beforehand. Without --data the images are drawn. Prints Markdown,
and with --write puts it between the markers of that page.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from pages import markdown_table, put, write_option

from lesionlite_export.drawn import write_drawn_dataset
from lesionlite_export.manifest import Manifest, read_isic_split
from lesionlite_export.noise import native_noise_logged
from lesionlite_export.progress import Silent
from lesionlite_export.representative import stratified_sample
from lesionlite_training.backbones import get_backbone
from lesionlite_training.batches import Examples
from lesionlite_training.checkpoints import Arrays
from lesionlite_training.configuration import FineTuning, Stage
from lesionlite_training.features import features_of
from lesionlite_training.folds import assign_folds
from lesionlite_training.head import random_logits
from lesionlite_training.lesion_contract import image_input_of
from lesionlite_training.networks import scaled_backbone, set_trainable, training_network
from lesionlite_training.pixel_cache import cached_images
from lesionlite_training.trainer import Member, train_member

BATCH = 64
CLOSE = 1e-3
Build = Callable[[], Any]
Read = Callable[[int], NDArray[Any]]


@dataclass
class Clock:
    """A watcher that takes the time of each epoch, on the wall and of the processor."""

    losses: list[float] = field(default_factory=list)
    _marks: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._mark()

    def __call__(self, member: str, row: dict[str, Any]) -> None:
        """One more epoch is done."""
        del member
        self.losses.append(row["validation_loss"])
        self._mark()

    def _mark(self) -> None:
        self._marks.append((time.perf_counter(), time.process_time()))

    @property
    def epochs(self) -> NDArray[np.float64]:
        """Seconds of each epoch, float64 ``[epochs, 2]``."""
        return np.diff(np.array(self._marks), axis=0)


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="ISIC layout; drawn without it.")
@click.option("--images", default=400, show_default=True, help="A fifth of them judges the epochs.")
@click.option("--epochs", default=100, show_default=True)
@click.option("--backbone", "name", default="efficientnet_lite0", show_default=True)
@write_option
def main(data: Path | None, images: int, epochs: int, name: str, write: Path | None) -> None:
    """Print how long a head takes in both ways."""
    with tempfile.TemporaryDirectory() as folder:
        if data is None:
            data = Path(folder, "drawn")
            counts = {"melanoma": images // 5, "nevus": images - images // 5}
            write_drawn_dataset(data, train=counts, valid={}, seed=0, size=(256, 256))
        train = read_isic_split(data, "train")
        sample = Manifest(train.source, stratified_sample(train, images, 0))
        table = _compared(sample, epochs, name, Path(folder, "run"))
    click.echo(table)
    if write is not None:
        put(write, __file__, table)


def _compared(sample: Manifest, epochs: int, name: str, folder: Path) -> str:
    backbone = get_backbone(name)
    image_input = image_input_of(backbone, "pillow-bilinear-v1")
    images = cached_images(sample, image_input, None, "", Silent()).images
    pixels = np.stack([image.pixels for image in images])
    labels = np.array([image.image.label for image in images])
    judge = assign_folds(labels, 5, 0) == 0
    tuning = FineTuning(
        blocks=0,
        augmentation="none",
        head_start="random",
        optimizer="rmsprop",
        learning_rate=1e-3,
        weight_decay=0.0,
        schedule="constant",
        warmup_steps=0,
        ema=0.0,
        batch=BATCH,
        stages=(Stage(epochs),),
        validation=0.2,
    )
    head = [np.asarray(a) for a in random_logits(backbone.feature_size, 1, 0)]
    with native_noise_logged():
        network = scaled_backbone(backbone)

    def run(title: str, build: Build, start: Arrays, read: Read) -> Clock:
        member = _member(title, build, start, read, labels, judge)
        clock = Clock()
        train_member(member, tuning, folder / title, Silent(), clock, keep_every=float("inf"))
        return clock

    def frozen() -> Any:
        trained = training_network(scaled_backbone(backbone), 1)
        set_trainable(trained, backbone, 0, "frozen")
        return trained

    begun = np.array([time.perf_counter(), time.process_time()])
    features = features_of(network, images, None, Silent())
    once = np.array([time.perf_counter(), time.process_time()]) - begun
    ours = run("ours", lambda: _head_alone(backbone.feature_size), head, lambda i: features[i, 0])
    theirs = run("theirs", frozen, [*network.get_weights(), *head], lambda i: pixels[i])
    apart = float(np.abs(np.array(ours.losses) - theirs.losses).max())
    if apart > CLOSE:
        raise click.ClickException(f"the validation losses differ by {apart:.2g}")
    return _table(len(labels), int(judge.sum()), epochs, once, ours, theirs, apart)


def _table(
    n: int,
    judging: int,
    epochs: int,
    once: NDArray[np.float64],
    ours: Clock,
    theirs: Clock,
    apart: float,
) -> str:
    head = (
        f"{n - judging} images, {judging} more judge each epoch",
        "once",
        "an epoch",
        f"{epochs} epochs",
        "validation loss",
    )
    ways = [
        ("head on kept features, `--fine-tune head`", once, ours),
        ("backbone in every epoch, as in the tutorial", np.zeros(2), theirs),
    ]
    rows = []
    for title, before, clock in ways:
        each, total = np.median(clock.epochs, axis=0), before + clock.epochs.sum(0)
        seconds = (f"{a:.4g} s ({b:.4g} s)" for a, b in (before, each, total))
        rows.append((title, *seconds, f"{clock.losses[-1]:.4f}"))
    each = np.median(theirs.epochs, axis=0) / np.median(ours.epochs, axis=0)
    total = theirs.epochs.sum(0) / (once + ours.epochs.sum(0))
    ratios = (f"{a:.0f} x ({b:.0f} x)" for a, b in (each, total))
    rows.append(("ratio", "", *ratios, f"{apart:.1g} apart at most, in any epoch"))
    return markdown_table(head, rows)


def _member(
    title: str,
    build: Build,
    start: Arrays,
    read: Read,
    labels: NDArray[np.int64],
    judge: NDArray[np.bool_],
) -> Member:
    learn, held = np.flatnonzero(~judge), np.flatnonzero(judge)
    targets = labels[:, np.newaxis].astype(np.float32)

    def examples(size: int | None) -> Examples:
        del size
        weights = np.ones(len(learn), np.float32)
        return Examples(lambda index, _: read(int(learn[index])), targets[learn], weights, BATCH, 0)

    def validation(size: int | None) -> Iterator[tuple[NDArray[Any], NDArray[np.float32]]]:
        del size
        for first in range(0, len(held), BATCH):
            chosen = held[first : first + BATCH]
            yield np.stack([read(int(i)) for i in chosen]), targets[chosen]

    return Member(title, title, lambda _: build(), start, examples, validation, 0)


def _head_alone(size: int) -> Any:
    import keras

    features = keras.Input((size,), name="features")
    return training_network(keras.Model(features, features), 1)


if __name__ == "__main__":
    main()
