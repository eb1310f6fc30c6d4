"""What a network learns from, one example at a time: kept features, or the pixels of an image."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.manifest import Manifest
from lesionlite_export.progress import Reporter
from lesionlite_export.representative import ImageTensor
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_training.augment import Augmentation, augment
from lesionlite_training.batches import Read
from lesionlite_training.features import FLIPS
from lesionlite_training.pixel_cache import cached_images

# Crops are cut from images a little larger than the network's, so that they stay sharp. Without
# crops, turns by a quarter and flips move pixels and change none.
MARGIN = 8 / 7
Reader: TypeAlias = Callable[[int | None, bool], Read]
"""From a side (None: the network's own) and whether images are shown as they are, to a `Read`."""


def feature_reader(features: NDArray[np.float32], augmentation: Augmentation) -> Reader:
    """Reads kept features: with flips a view drawn at random, else the upright one.

    Args:
        features: float32 ``[n, views, features]``.
        augmentation: whether to flip; it can ask for nothing else.
    """

    def reader(size: int | None, plain: bool) -> Read:
        del size

        def read(index: int, generator: np.random.Generator) -> NDArray[np.float32]:
            view = int(generator.integers(len(FLIPS))) if augmentation.flip and not plain else 0
            return np.asarray(features[index, view])

        return read

    return reader


def pixel_reader(
    images: Sequence[ImageTensor],
    image_input: ImageInput,
    augmentation: Augmentation,
    cache: Path | None,
    report: Reporter,
) -> Reader:
    """Reads images as uint8 ``[side, side, 3]``; each size that is asked for is decoded once.

    Args:
        images: at the size of ``image_input``.
        image_input: the contract's.
        augmentation: how images are changed at each showing.
        cache: folder for decoded images; None to hold them in memory.
        report: who is told of the decoding.
    """

    @functools.cache
    def images_at(side: int) -> Sequence[ImageTensor]:
        if side == image_input.height:
            return images
        sized = replace(image_input, shape=(1, side, side, 3))
        manifest = Manifest("", tuple(item.image for item in images))
        label = f"Reading images at {side} pixels"
        found = cached_images(manifest, sized, cache, label, report)
        if found.unusable:
            raise found.unusable[0].error
        return found.images

    def reader(size: int | None, plain: bool) -> Read:
        side = size or image_input.height
        if plain or augmentation == Augmentation():
            shown = images_at(side)
            return lambda index, _: shown[index].pixels
        larger = images_at(side if augmentation.crop == 1 else round(side * MARGIN))
        own = images_at(side) if augmentation.untouched else larger

        def read(index: int, generator: np.random.Generator) -> NDArray[np.uint8]:
            # Presets without it draw no number here, so what they show has not changed.
            if augmentation.untouched and generator.random() < augmentation.untouched:
                return augment(own[index].pixels, side, augmentation.turns_alone, generator)
            return augment(larger[index].pixels, side, augmentation, generator)

        return read

    return reader
