"""Whether proof images leave the range that calibration saw, at the network's last feature layer.

In how many features a representative image lies outside the range of the others says in how many an
image of the same kind lies outside the range of all: 2 in n of them on average, fewer where images
share an extreme (the 0 of a ReLU). Proof images that do so in more, by three standard errors of the
difference, are not of the same kind. Features go together, and one odd image leaves the range in
many: so the error is that of images' shares (Welch's, for unequal variances), and not of features
counted one by one.
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
_STANDARD_ERRORS = 3.0
Features = NDArray[np.float32]


@dataclass(frozen=True)
class SharesOutside:
    """Shares of features that lie outside the range of representative images, means over images.

    Attributes:
        expected: of a representative image, outside the range of the others.
        found: of a proof image, outside the range of all of them.
        standard_error: of the difference of the two.
    """

    expected: float
    found: float
    standard_error: float

    @property
    def limit(self) -> float:
        """The share that proof images of the same kind are let have."""
        return self.expected + _STANDARD_ERRORS * self.standard_error


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


def shares_outside(representative: Features, proof: Features) -> SharesOutside:
    """How the features of ``proof`` lie to those of ``representative``.

    Args:
        representative: float32 ``[images, features]``, two images or more.
        proof: float32 ``[images, features]``, two images or more.
    """
    order = np.sort(representative, axis=0)
    # Only the least of all lies below the second least, and only if no other is as small.
    expected = ((representative < order[1]) | (representative > order[-2])).mean(axis=1)
    found = ((proof < order[0]) | (proof > order[-1])).mean(axis=1)
    error = np.sqrt(expected.var(ddof=1) / len(expected) + found.var(ddof=1) / len(found))
    return SharesOutside(float(expected.mean()), float(found.mean()), float(error))


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
    shares = shares_outside(calibrated, proved)
    if shares.found <= shares.limit:
        return []
    return [
        f"{100 * shares.found:.1f} % of the proof images' last features lie outside the range that "
        f"calibration saw (of images of the same kind it would be {100 * shares.limit:.1f} % at "
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
