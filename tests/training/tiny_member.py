"""A member small enough to train in a second, and a program that is killed while it trains it.

Run as ``python tiny_member.py FOLDER KILL_AFTER OPTIMIZER``: trains in FOLDER and kills itself, as
a power cut would, once KILL_AFTER examples have been read.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from lesionlite_export.progress import Silent
from lesionlite_training.batches import Examples
from lesionlite_training.configuration import FineTuning, Stage
from lesionlite_training.trainer import Member, train_member

N = 48
TUNING = FineTuning(
    augmentation="none",
    batch=8,
    learning_rate=0.01,
    warmup_steps=3,
    ema=0.9,
    stages=(Stage(2, 32), Stage(3)),
    validation=0.2,
)


def member(read_more: Any = lambda: None, *, judged: bool = True, seed: int = 0) -> Member:
    """Bright images against dark ones, with noise on each reading."""
    labels = np.arange(N) % 2
    base = np.random.default_rng(1).normal(labels[:, np.newaxis, np.newaxis, np.newaxis], 0.8)

    def read(size: int | None, index: int, generator: np.random.Generator) -> np.ndarray:
        read_more()
        shape = (size or 40, size or 40, 3)
        return (base[index] + generator.normal(0, 0.5, shape)).astype(np.float32)

    def build(size: int | None) -> Any:
        import keras

        image = keras.Input((size or 40, size or 40, 3))
        x = keras.layers.Conv2D(4, 3, name="conv")(image)
        x = keras.layers.BatchNormalization(name="bn")(x)
        x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
        return keras.Model(image, keras.layers.Dense(1, name="logits")(x))

    def validation(size: int | None) -> Any:
        generator = np.random.default_rng(7)
        for first in (0, 8):
            chosen = range(first, first + 8)
            targets = labels[list(chosen), np.newaxis].astype(np.float32)
            yield np.stack([read(size, i, generator) for i in chosen]), targets

    def examples(size: int | None) -> Examples:
        return Examples(
            lambda index, generator: read(size, index, generator),
            labels[:, np.newaxis].astype(np.float32),
            np.ones(N, np.float32),
            TUNING.batch,
            seed,
        )

    return Member("tiny", "tiny", build, None, examples, validation if judged else None, seed)


def main(folder: str, kill_after: str, optimizer: str) -> None:
    """See above."""
    left = int(kill_after)

    def count() -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    from dataclasses import replace

    tuning = replace(TUNING, optimizer=optimizer)
    train_member(member(count), tuning, Path(folder), Silent(), keep_every=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
