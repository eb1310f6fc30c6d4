"""Frozen features: each image through the backbone once, kept on disk between runs."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.keras_model import network_sha256
from lesionlite_export.progress import Reporter
from lesionlite_export.representative import ImageTensor
from lesionlite_runtime.errors import LesionliteError
from lesionlite_runtime.files import whole_file

BATCH = 32
Views: TypeAlias = tuple[tuple[int, ...], ...]
"""Axes of ``[H, W, 3]`` that each view of an image is flipped along."""
FLIPS: Views = ((), (0,), (1,), (0, 1))
"""The image itself, and three flips."""
UPRIGHT: Views = ((),)
"""The image itself."""


def features_of(
    backbone: Any,
    images: Sequence[ImageTensor],
    cache: Path | None,
    report: Reporter,
    views: Views = FLIPS,
) -> NDArray[np.float32]:
    """The features of each image in each of its views, float32 ``[n, views, features]``.

    Args:
        backbone: a Keras model from uint8 ``[batch, H, W, 3]`` to float32 ``[batch, features]``.
        images: the images.
        cache: folder to keep the features in, keyed by network and pixels; None for none.
        report: who is told of the progress.
        views: how the views of an image are flipped.
    """
    path = None if cache is None else cache / f"features-{_key(backbone, images, views)}.npz"
    if path is not None and (cached := _read(path, (len(images), len(views)))) is not None:
        return cached
    tensors = (np.flip(p.pixels, axes) for p in images for axes in views)
    count = len(images) * len(views)
    chunks = report.track(
        _run(backbone, tensors), "Computing features, once for each image", -(-count // BATCH)
    )
    features = np.concatenate(list(chunks)).reshape(len(images), len(views), -1)
    if path is not None:
        _write(path, features)
    return features


def _run(backbone: Any, views: Iterator[NDArray[np.uint8]]) -> Iterator[NDArray[np.float32]]:
    chunk: list[NDArray[np.uint8]] = []
    for view in views:
        chunk.append(view)
        if len(chunk) == BATCH:
            yield np.asarray(backbone.predict_on_batch(np.stack(chunk)))
            chunk = []
    if chunk:
        yield np.asarray(backbone.predict_on_batch(np.stack(chunk)))


def _key(backbone: Any, images: Sequence[ImageTensor], views: Views) -> str:
    digest = hashlib.sha256(f"{network_sha256(backbone)} {views}".encode())
    for image in images:
        digest.update(image.sha256.encode())
    return digest.hexdigest()[:32]


def _read(path: Path, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    """What is kept at ``path``; None for nothing, or a file that is damaged."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            features = np.asarray(kept["features"], np.float32)
    except Exception:  # NumPy and zipfile raise many kinds for a damaged archive
        return None
    fits = features.ndim == 3 and features.shape[:2] == shape
    return features if fits and np.isfinite(features).all() else None


def _write(path: Path, features: NDArray[np.float32]) -> None:
    """Keep ``features`` at ``path``; a cache that cannot be written is done without."""
    with contextlib.suppress(OSError, LesionliteError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, force=True) as beside:
            np.savez(beside, features=features)
