"""A picture of some images of a manifest with their classes as titles."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.manifest import LabelledImage, Manifest
from lesionlite_export.representative import Unusable
from lesionlite_runtime.errors import MissingHere, UnusableInput, printable
from lesionlite_runtime.files import check_output_path, write_whole
from lesionlite_runtime.pixels import image_tensor

SHOW_SCHEMA = "lesionlite.data_show/1"
SIDE = 5
PIXELS = 224
_INCHES = 2.0
_TITLE = 24


@dataclass(frozen=True)
class Shown:
    """A picture that was written: its images by rows, and those that could not be read."""

    path: Path
    images: tuple[LabelledImage, ...]
    unusable: tuple[Unusable, ...]

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.data_show/1``."""
        return {
            "schema": SHOW_SCHEMA,
            "file": str(self.path),
            "images": [
                {"file": os.fspath(image.path), "label": image.label, "class": image.class_name}
                for image in self.images
            ],
            "unusable": [
                {"file": os.fspath(u.image.path), "message": str(u.error)} for u in self.unusable
            ],
        }


def show_batch(manifest: Manifest, out: Path, *, seed: int = 0, force: bool = False) -> Shown:
    """Write a PNG of 25 images (or all, where there are fewer), drawn by ``seed``.

    Each is shown as a network gets it: squeezed to a square of 224 pixels. An image that cannot be
    read is passed over. The same manifest, seed and versions give the same file.

    Raises:
        UsageError: when ``out`` cannot be written.
        UnusableInput: when no image can be read.
        MissingHere: when matplotlib is not installed.
    """
    check_output_path(out, force)
    order = np.random.default_rng(seed).permutation(len(manifest.images)).tolist()
    images: list[LabelledImage] = []
    tensors: list[NDArray[np.uint8]] = []
    unusable: list[Unusable] = []
    for image in (manifest.images[place] for place in order):
        if len(images) == SIDE * SIDE:
            break
        try:
            tensors.append(image_tensor(image.path, PIXELS, PIXELS))
        except UnusableInput as error:
            unusable.append(Unusable(image, error))
        else:
            images.append(image)
    if not images:
        raise UnusableInput(
            "none of its images can be read", "check the files", manifest.source
        ) from unusable[0].error
    write_whole(out, _png(tensors, [_title(image) for image in images]), force)
    return Shown(out, tuple(images), tuple(unusable))


def _title(image: LabelledImage) -> str:
    """The class as words and the label, short enough to stand over its image."""
    words = printable(image.class_name).replace("_", " ")
    words = words if len(words) <= _TITLE else f"{words[: _TITLE - 1]}…"
    return f"{words} ({image.label})" if words else f"label {image.label}"


def _png(tensors: list[NDArray[np.uint8]], titles: list[str]) -> bytes:
    # Without pyplot: no window, and no state that a caller's own figures share. A figure of its own
    # draws PNG with Agg.
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingHere(
            "drawing needs matplotlib", "run pip install 'lesionlite[training]'"
        ) from error
    rows = -(-len(tensors) // SIDE)
    figure = Figure(figsize=(SIDE * _INCHES, rows * (_INCHES + 0.25)), layout="constrained")
    axes = figure.subplots(rows, SIDE, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, tensor, title in zip(axes, tensors, titles, strict=False):
        axis.imshow(tensor)
        axis.set_title(title, fontsize=8, parse_math=False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
