"""Distillation: a network learns what a teacher says of each image, beside its label.

The teacher is a network of the same kind, trained before on the same images (born-again networks:
Furlanello et al. 2018, arXiv 1805.04770). It speaks by the mean of the turned and flipped views of
an image, so that one view learns what eight of them say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.keras_model import keras_outputs
from lesionlite_export.progress import Reporter
from lesionlite_export.representative import ImageTensor
from lesionlite_export.views import pixel_views
from lesionlite_runtime.contract_checks import VIEWS


def view_means(
    network: Any, images: Sequence[ImageTensor], name: str, report: Reporter
) -> NDArray[np.float64]:
    """The mean of what ``network`` says of the 8 turned and flipped copies of each image.

    Args:
        network: a Keras model from uint8 pixels to logits.
        images: of the network's size.
        name: the network's, for people.
        report: who is told of the progress.

    Returns:
        float64 ``[n, 1]`` by the logistic function of one logit, ``[n, k]`` by the softmax of k.
    """
    from scipy.special import expit, softmax

    copies = (
        np.ascontiguousarray(copy)
        for image in report.track(images, f"Asking {name}", len(images))
        for copy in pixel_views(image.pixels)
    )
    logits = np.concatenate(list(keras_outputs(network, copies))).reshape(
        len(images), VIEWS[-1], -1
    )
    said = expit(logits) if logits.shape[-1] == 1 else softmax(logits, axis=-1)
    return np.asarray(said.mean(axis=1), np.float64)


def distilled_targets(
    targets: NDArray[np.float32], means: NDArray[np.float64], share: float
) -> NDArray[np.float32]:
    """``targets`` and, for ``share`` of them, what the teacher says: float32 ``[n, k]``."""
    return np.asarray((1 - share) * targets + share * means, np.float32)
