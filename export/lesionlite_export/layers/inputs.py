"""What both networks are run on: a seeded sample of images, or the range of a regression."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.layers.result import Inputs
from lesionlite_export.manifest import read_images
from lesionlite_export.representative import Unusable, prepare, stratified_sample
from lesionlite_runtime.contract import AnyContract, ImageContract, RegressionContract
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.graph import Graph
from lesionlite_runtime.image_model import as_input, input_table

Value = NDArray[Any]
"""Pixels, uint8 ``[H, W, 3]``, or a regression's number, float32 ``[1]``."""


class Values:
    """Inputs that can be gone through again and again, one in memory at a time."""

    def __init__(self, make: Callable[[], Iterator[Value]], n: int, of: int, seed: int) -> None:
        self._make, self._n, self._of, self._seed = make, n, of, seed

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[Value]:
        return self._make()

    @property
    def unusable(self) -> tuple[Unusable, ...]:
        """Inputs that could not be read when they were last gone through."""
        return ()

    def facts(self) -> Inputs:
        """What they are, once they have been gone through."""
        return Inputs(self._n, self._of, self._seed, None)


class ImageValues(Values):
    """A stratified, seeded sample of the images of a manifest.

    Args:
        contract: says what pixels the network gets.
        data: manifest CSV, or a folder in the ISIC layout, whose ``valid`` is taken.
        size: number of images.
        seed: of the sample.
        classes: label of each class folder; by default those of the contract.
    """

    def __init__(
        self,
        contract: ImageContract,
        data: str | os.PathLike[str],
        size: int,
        seed: int,
        classes: Mapping[str, int] | None,
    ) -> None:
        output = contract.output
        self._manifest = read_images(data, "valid", classes or output.classes, len(output.labels))
        self._images = stratified_sample(self._manifest, size, seed)
        self._input = contract.input
        self._unusable: list[Unusable] = []
        self._digests: list[str] = []
        super().__init__(self._pixels, len(self._images), len(self._manifest.images), seed)

    @property
    def unusable(self) -> tuple[Unusable, ...]:
        """Images that could not be read when they were last gone through."""
        return tuple(self._unusable)

    def facts(self) -> Inputs:
        """What they are, once they have been gone through."""
        digest = hashlib.sha256("\n".join(self._digests).encode()).hexdigest()
        return Inputs(len(self._digests), self._of, self._seed, digest)

    def _pixels(self) -> Iterator[Value]:
        self._unusable, self._digests = [], []
        for item in prepare(self._images, self._input):
            if isinstance(item, Unusable):
                self._unusable.append(item)
            else:
                self._digests.append(item.sha256)
                yield item.pixels
        if not self._digests:
            raise UnusableInput(
                f"none of the {len(self._unusable)} images of the sample can be used "
                f"({self._unusable[0].error})",
                "correct the paths",
                self._manifest.source,
            )


def values_for(
    contract: AnyContract,
    data: str | os.PathLike[str] | None,
    size: int,
    seed: int,
    classes: Mapping[str, int] | None,
) -> Values:
    """The sample of images, or for a regression ``size`` even points of its range.

    Raises:
        UsageError: when a classifier is given no data.
        UnusableInput: when the manifest cannot be used.
    """
    if isinstance(contract, RegressionContract):
        low, high = contract.input.range
        points = np.linspace(low, high, size, dtype=np.float32)
        return Values(lambda: iter(points.reshape(-1, 1)), size, size, seed)
    if data is None:
        raise UsageError("there are no images to compare the layers on", "pass --data CSV")
    return ImageValues(contract, data, size, seed, classes)


def feed_for(contract: AnyContract, graph: Graph) -> Callable[[Value], NDArray[Any]]:
    """What makes a `Value` into the input of the network of ``contract``."""
    if isinstance(contract, RegressionContract):
        return lambda value: value[np.newaxis].astype(np.float32)
    image = contract.input
    table = input_table(image, graph.tensors[graph.inputs[image.name]])
    return lambda value: as_input(value[np.newaxis], image, table)
