"""The head on frozen features: logistic regression, judged out of fold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.progress import Reporter
from lesionlite_export.statistics import Labels, Scores
from lesionlite_training.folds import Folds, OutOfFold

# docs/training.md has the fold AUCs that this strength was chosen by.
REGULARIZATION = 0.003
# A feature that hardly varies would get a huge weight for its small spread, and with it whatever
# int8 rounding does to that feature. The floor is in units of the feature itself (ReLU6: 0 to 6).
SPREAD_FLOOR = 0.05
_PART = 256  # rows that are changed at a time: features of every block take much memory


@dataclass(frozen=True)
class Head:
    """Weights float32 ``[features]`` and bias of ``sigmoid(features @ weights + bias)``."""

    weights: NDArray[np.float32]
    bias: float

    def scores(self, features: NDArray[np.float32]) -> Scores:
        """Scores float64 ``[n]`` of features ``[n, features]``."""
        logits = features.astype(np.float64) @ self.weights.astype(np.float64) + self.bias
        with np.errstate(over="ignore"):  # to infinity, and the score is 0
            return np.asarray(1.0 / (1.0 + np.exp(-logits)))


def fit_head(
    features: NDArray[np.float32], labels: Labels, regularization: float = REGULARIZATION
) -> Head:
    """Logistic regression on standardized features, folded into weights for raw features.

    Args:
        features: float32 ``[n, views, features]``; each view of an image counts ``1 / views``.
        labels: int64 ``[n]``.
        regularization: scikit-learn's C, the inverse strength of the L2 penalty.
    """
    kernel, bias = fit_logits(features, labels, 1, regularization)
    return Head(kernel[:, 0].astype(np.float32), float(bias[0]))


def fit_logits(
    features: NDArray[np.float32],
    answers: Labels,
    units: int,
    regularization: float,
    unheard: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As `fit_head`, for a sigmoid (``units`` 1) or a softmax over classes.

    Args:
        features: float32 ``[n, views, features]``.
        answers: int64 ``[n]``: labels for 1 unit, else the class, 0 to ``units - 1``, each of which
            must occur.
        units: logits wanted.
        regularization: see `fit_head`.
        unheard: a change of features, float64 ``[features]``, that logits shall not answer to; None
            for none.

    Returns:
        Kernel float64 ``[features, units]`` and bias float64 ``[units]``.
    """
    from sklearn.linear_model import LogisticRegression

    n, views, size = features.shape
    rows = features.reshape(n * views, size).astype(np.float64)
    mean, spread = rows.mean(0), np.maximum(rows.std(0), SPREAD_FLOOR)
    rows -= mean  # in place: features of every block take much memory
    rows /= spread
    if unheard is not None and (length := np.linalg.norm(unheard / spread)) > 0:
        # Where features do not vary along it, the penalty leaves no weight along it.
        direction = unheard / spread / length
        for at in range(0, len(rows), _PART):
            rows[at : at + _PART] -= np.outer(rows[at : at + _PART] @ direction, direction)
    model = LogisticRegression(C=regularization, max_iter=1000)
    model.fit(
        rows,
        np.repeat(answers, views),
        sample_weight=np.full(n * views, 1 / views),
    )
    kernel = (model.coef_ / spread).T
    bias = model.intercept_ - mean @ kernel
    if units == kernel.shape[1]:
        return kernel, bias
    # Of two classes scikit-learn fits the second one's logit alone; the first one's is 0.
    return np.column_stack([np.zeros(size), kernel]), np.array([0.0, bias[0]])


def random_logits(
    size: int, units: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A kernel ``[size, units]`` by Glorot and Bengio 2010 (uniform), and a bias of 0."""
    limit = math.sqrt(6 / (size + units))
    kernel = np.random.default_rng(seed).uniform(-limit, limit, (size, units))
    return kernel, np.zeros(units)


def out_of_fold(
    features: NDArray[np.float32],
    labels: Labels,
    folds: Folds,
    report: Reporter,
    regularization: float = REGULARIZATION,
) -> OutOfFold:
    """Scores of the upright view of each image by the head of the folds that it is not in.

    Args:
        features: float32 ``[n, views, features]``.
        labels: int64 ``[n]``.
        folds: int64 ``[n]``, from `assign_folds`.
        report: who is told of the progress.
        regularization: see `fit_head`.
    """
    scores = np.zeros(len(labels))
    numbers = np.unique(folds)
    for number in report.track(numbers, "Fitting folds", len(numbers)):
        inside, outside = folds != number, folds == number
        head = fit_head(features[inside], labels[inside], regularization)
        scores[outside] = head.scores(features[outside, 0])
    return OutOfFold(scores, folds)
