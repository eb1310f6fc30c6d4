"""What the matrix is about: a file, its inputs, and what the reference makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.gate import AnyParity
from lesionlite_export.labels_parity import label_score_parity
from lesionlite_export.parity import ValueParity, score_parity
from lesionlite_runtime.contract import LabelsContract, RegressionContract
from lesionlite_runtime.door import DeviceModel
from lesionlite_runtime.image_model import scores_of
from lesionlite_runtime.label_classifier import decide

Table = NDArray[np.float64]


class InvalidOutputs(Exception):
    """A backend gave something that is no score; the message says for which input."""


@dataclass(frozen=True)
class Subject:
    """A file, its inputs, and the reference's scores of them.

    Attributes:
        model: the file behind the door.
        inputs: names of the inputs: the images' paths, or the points of a regression.
        labels: int64 ``[n]``, the true label of each image; all zero in a regression.
        reference: float64 ``[n, k]``: the score (k = 1), the score of each label, or y (k = 1).
        reference_name: what the reference is called in reports.
    """

    model: DeviceModel
    inputs: tuple[str, ...]
    labels: NDArray[np.int64]
    reference: Table
    reference_name: str

    @property
    def n(self) -> int:
        """Number of inputs."""
        return len(self.inputs)

    @property
    def positives(self) -> int | None:
        """Number of images labelled 1; None where there are no two labels."""
        contract = self.model.contract
        if isinstance(contract, LabelsContract | RegressionContract):
            return None
        return int(self.labels.sum())

    @property
    def threshold(self) -> float | None:
        """``score >= threshold`` decides; None where no one threshold does."""
        contract = self.model.contract
        if isinstance(contract, LabelsContract | RegressionContract):
            return None
        return contract.decision_threshold

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """The labels, where each has a score of its own."""
        contract = self.model.contract
        return contract.output.labels if isinstance(contract, LabelsContract) else None

    @property
    def is_regression(self) -> bool:
        """Whether there are no decisions."""
        return isinstance(self.model.contract, RegressionContract)

    @property
    def quantized(self) -> bool:
        """Whether the file holds integers that stand for other numbers, in weights or else."""
        return any(tensor.scales for tensor in self.model.graph.tensors)

    @property
    def scale(self) -> float:
        """What differences are fractions of: 1 for scores, the largest ``|y|`` of a regression."""
        if self.is_regression:
            return float(np.abs(self.reference).max()) or 1.0
        return 1.0

    def scores(self, outputs: Table, numbers: Sequence[int]) -> Table:
        """What outputs ``[m, units]`` of the inputs ``numbers`` mean: float64 ``[m, k]``.

        Raises:
            InvalidOutputs: when one is no number, or no score.
        """
        contract = self.model.contract
        if isinstance(contract, RegressionContract):
            values, valid = outputs, np.isfinite(outputs)
        else:
            values, valid = scores_of(outputs, contract.output.quantization)
        good = valid.all(axis=1)
        if not good.all():
            first = int(np.argmin(good))
            wrong = values[first][~valid[first]][0]
            raise InvalidOutputs(
                f"it gave {wrong:g} in place of {self._word} for {self.inputs[numbers[first]]}"
            )
        if isinstance(contract, RegressionContract):
            return values
        clipped = np.clip(values, 0.0, 1.0)
        return clipped if isinstance(contract, LabelsContract) else clipped[:, -1:]

    @property
    def _word(self) -> str:
        return "a number" if self.is_regression else "a score"

    def decisions(self, scores: Table) -> NDArray[np.int64] | None:
        """The decision for each of scores ``[m, k]``; None for a regression."""
        contract = self.model.contract
        if isinstance(contract, RegressionContract):
            return None
        if isinstance(contract, LabelsContract):
            return decide(scores, contract.output.labels, contract.threshold)
        return np.asarray(scores[:, 0] >= contract.decision_threshold, np.int64)

    def parity(self, scores: Table, numbers: Sequence[int]) -> AnyParity:
        """The comparison of scores ``[m, k]`` of the inputs ``numbers`` with the reference."""
        contract, chosen = self.model.contract, list(numbers)
        reference = self.reference[chosen]
        if isinstance(contract, RegressionContract):
            x = np.array([float(self.inputs[i]) for i in chosen])
            return ValueParity(x, reference[:, 0], scores[:, 0])
        files = [self.inputs[i] for i in chosen]
        labels = self.labels[chosen].tolist()
        if isinstance(contract, LabelsContract):
            names, thresholds = contract.output.labels, contract.threshold
            return label_score_parity(files, names, labels, reference, scores, thresholds)
        first, second = reference[:, 0].tolist(), scores[:, 0].tolist()
        return score_parity(files, labels, first, second, contract.decision_threshold)
