"""Copies of images as another camera would have made them, for heads on frozen features.

A logistic head on thousands of features finds whatever tells the training images apart, how they
were compressed included. It learns what matters less from copies that differ in that alone.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from lesionlite_export.manifest import LabelledImage, Manifest
from lesionlite_export.progress import Reporter
from lesionlite_export.representative import ImageTensor
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.pixels import resize
from lesionlite_training.features import UPRIGHT, features_of
from lesionlite_training.pixel_cache import cached_images
from lesionlite_training.readers import MARGIN

Pixels = NDArray[np.uint8]
Copy = Callable[[Pixels, np.random.Generator], Pixels]


def blurred(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Gaussian blur with a standard deviation of 0.3 to 1.2 pixels."""
    sigma = float(generator.uniform(0.3, 1.2))
    return np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma)))


def compressed(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """JPEG of quality 40 to 90, by Pillow."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=int(generator.integers(40, 91)))
    return np.array(Image.open(stream))


def noisy(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Gaussian noise with a standard deviation of 0.5 to 2.5 of 255, of each channel its own.

    It gives back what JPEG takes away: colour from pixel to pixel, which a camera's file has.
    """
    noise = generator.normal(0, generator.uniform(0.5, 2.5), pixels.shape)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


def resampled(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Made smaller, to between half and 7/8 of its side, and as large as before."""
    height, width = pixels.shape[:2]
    share = generator.uniform(0.5, 0.875)
    small = resize(pixels, max(1, round(height * share)), max(1, round(width * share)))
    return resize(small, height, width)


def smoothed(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """The median of 3 by 3 pixels, which takes noise away and leaves edges."""
    del generator
    return np.array(Image.fromarray(pixels).filter(ImageFilter.MedianFilter(3)))


COPIES: Mapping[str, Copy] = {
    "blur": blurred,
    "jpeg": compressed,
    "noise": noisy,
    "resample": resampled,
    "median": smoothed,
}
"""The kinds of copies by their names in configurations."""


@dataclass(frozen=True)
class CopiedImage:
    """A copy of an image as the network gets it, made anew at every use.

    It is flipped along each axis by the toss of a coin, and the same each time: image and kind
    alone decide what it looks like.

    Attributes:
        larger: the image, a little larger than the network's.
        kind: one of `COPIES`.
        image_input: the contract's.
    """

    larger: ImageTensor
    kind: str
    image_input: ImageInput

    @property
    def image(self) -> LabelledImage:
        """The file and its label."""
        return self.larger.image

    @property
    def sha256(self) -> str:
        """Names the copy: it differs where the copy may."""
        named = f"{self._name} {self.image_input} {PIL.__version__}"
        return hashlib.sha256(named.encode()).hexdigest()

    @property
    def file_sha256(self) -> str | None:
        """Of the image's file."""
        return self.larger.file_sha256

    @property
    def pixels(self) -> Pixels:
        """uint8 ``[H, W, 3]``."""
        seed = hashlib.sha256(self._name.encode()).digest()[:8]
        generator = np.random.default_rng(int.from_bytes(seed, "big"))
        copy = COPIES[self.kind](self.larger.pixels, generator)
        axes = tuple(axis for axis in (0, 1) if generator.random() < 0.5)
        to = self.image_input
        return resize(np.ascontiguousarray(np.flip(copy, axes)), to.height, to.width, to.resize)

    @property
    def _name(self) -> str:
        return f"{self.larger.sha256} {self.kind}"


def features_with_copies(
    network: Any,
    images: Sequence[ImageTensor],
    image_input: ImageInput,
    kinds: Sequence[str],
    cache: Path | None,
    report: Reporter,
) -> NDArray[np.float32]:
    """The features of each image in its four flips, and of a copy of each kind behind them.

    Args:
        network: from pixels to features.
        images: at the size of ``image_input``.
        image_input: the contract's.
        kinds: names of `COPIES`.
        cache: folder for decoded images and features; None for none.
        report: who is told of the progress.

    Returns:
        float32 ``[n, 4 + kinds, features]``.

    Raises:
        UnusableInput: when an image can no longer be read.
    """
    plain = features_of(network, images, cache, report)
    if not kinds:
        return plain
    height, width = (round(side * MARGIN) for side in (image_input.height, image_input.width))
    sized = replace(image_input, shape=(1, height, width, 3))
    manifest = Manifest("", tuple(item.image for item in images))
    found = cached_images(manifest, sized, cache, "Reading images for their copies", report)
    if found.unusable:
        raise found.unusable[0].error
    made = [
        features_of(
            network,
            [CopiedImage(image, kind, image_input) for image in found.images],
            cache,
            report,
            UPRIGHT,
        )
        for kind in kinds
    ]
    return np.concatenate([plain, *made], axis=1)
