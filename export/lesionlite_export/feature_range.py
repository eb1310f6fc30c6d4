"""Whether proof images leave the range that calibration saw, at the network's last feature layer.

A new image of the same kind as ``n`` others falls below the least or above the greatest of them
with a probability of 2 / (n + 1) at most, in each feature. So proof images that leave the features'
ranges more often than that on average are not of the same kind. That is an average: the features of
few images, or few features, miss it by chance, and are not judged.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.activations import FloatModel
from lesionlite_export.progress import Reporter, Silent
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.graph import Graph

MIN_FEATURES, MIN_IMAGES = 100, 16
"""Fewer features, or images in either set, are not judged."""


@dataclass(frozen=True)
class FeatureRanges:
    """The range of each of the last features on ``n`` images: float32 ``[features]`` each."""

    n: int
    low: NDArray[np.float32]
    high: NDArray[np.float32]

    @property
    def chance(self) -> float:
        """The most that images of the same kind leave it on average, as a share of features."""
        return 2 / (self.n + 1)


def last_features(graph: Graph) -> int | None:
    """Number of the tensor that the head starts from; None where there is no head.

    The head is the first fully connected layer behind the last convolution.
    """
    names = [o.name for o in graph.operators]
    convolutions = [i for i, name in enumerate(names) if name in ("CONV_2D", "DEPTHWISE_CONV_2D")]
    if not convolutions:
        return None
    behind = graph.operators[convolutions[-1] + 1 :]
    return next((o.inputs[0] for o in behind if o.name == "FULLY_CONNECTED"), None)


def share_outside(ranges: FeatureRanges, features: NDArray[np.float32]) -> float:
    """Share of ``features``, ``[images, features]``, that lie outside their range."""
    return float(np.mean((features < ranges.low) | (features > ranges.high)))


def compare_features(
    float32: bytes,
    representative: Iterable[NDArray[Any]],
    proof: Iterable[NDArray[Any]],
    input_name: str,
    report: Reporter | None = None,
) -> list[str]:
    """A warning if the proof's last features leave the calibrated ranges more than chance allows.

    Args:
        float32: the float ``.tflite``.
        representative: inputs ``[1, ...]`` that calibrate.
        proof: inputs ``[1, ...]`` that the file is proved on.
        input_name: the signature's name for the input.
        report: who is told of the progress.

    Returns:
        One warning or none; none also for a network without convolutions, without a head or with
        few features, and for few images.

    Raises:
        UnusableInput: when there is no input of either kind.
    """
    model = FloatModel(float32, input_name)
    number = last_features(model.graph)
    if number is None:
        return []
    report = report or Silent()
    calibrated = _features(model, number, representative, "Features of representative", report)
    proved = _features(model, number, proof, "Features of proof", report)
    few = min(len(calibrated), len(proved)) < MIN_IMAGES
    if few or calibrated.shape[1] < MIN_FEATURES:
        return []
    ranges = FeatureRanges(len(calibrated), calibrated.min(0), calibrated.max(0))
    share = share_outside(ranges, proved)
    if share <= ranges.chance:
        return []
    return [
        f"{100 * share:.1f} % of the proof images' last features lie outside the range that "
        f"calibration saw (images of the same kind leave it by {100 * ranges.chance:.1f} % at "
        "most): calibrate on images like those that the file will see"
    ]


def _features(
    model: FloatModel,
    number: int,
    tensors: Iterable[NDArray[Any]],
    label: str,
    report: Reporter,
) -> NDArray[np.float32]:
    rows = []
    for tensor in report.track(tensors, f"{label} images", operator.length_hint(tensors)):
        model.run(tensor)
        rows.append(model.value(number).ravel())
    if not rows:
        raise UnusableInput("there is no image to compare features of", "pass one at least")
    return np.stack(rows)
