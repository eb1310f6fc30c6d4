"""The head on frozen features: logistic regression, judged out of fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.progress import Reporter
from lesionlite_export.statistics import Labels, Scores
from lesionlite_runtime.errors import UnusableInput, UsageError

# docs/training.md has the fold AUCs that this strength was chosen by.
REGULARIZATION = 0.003
# A feature that hardly varies would get a huge weight for its small spread, and with it whatever
# int8 rounding does to that feature. The floor is in units of the feature itself (ReLU6: 0 to 6).
SPREAD_FLOOR = 0.05


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


@dataclass(frozen=True)
class OutOfFold:
    """Each image's score by a head that did not see it, and the fold that it was held out in."""

    scores: Scores
    folds: NDArray[np.int64]


def fit_head(
    features: NDArray[np.float32], labels: Labels, regularization: float = REGULARIZATION
) -> Head:
    """Logistic regression on standardized features, folded into weights for raw features.

    Args:
        features: float32 ``[n, views, features]``; each view of an image counts ``1 / views``.
        labels: int64 ``[n]``.
        regularization: scikit-learn's C, the inverse strength of the L2 penalty.
    """
    from sklearn.linear_model import LogisticRegression

    n, views, size = features.shape
    rows = features.reshape(n * views, size).astype(np.float64)
    mean, spread = rows.mean(0), np.maximum(rows.std(0), SPREAD_FLOOR)
    model = LogisticRegression(C=regularization, max_iter=1000)
    model.fit(
        (rows - mean) / spread,
        np.repeat(labels, views),
        sample_weight=np.full(n * views, 1 / views),
    )
    weights = model.coef_[0] / spread
    bias = float(model.intercept_[0] - weights @ mean)
    return Head(weights.astype(np.float32), bias)


def out_of_fold(
    features: NDArray[np.float32],
    labels: Labels,
    folds: int,
    seed: int,
    report: Reporter,
    regularization: float = REGULARIZATION,
) -> OutOfFold:
    """Scores of the upright view of each image by the head of the folds that it is not in.

    Raises:
        UnusableInput: when a label has fewer images than there are folds.
        UsageError: for fewer than 2 folds.
    """
    from sklearn.model_selection import StratifiedKFold

    if folds < 2:
        raise UsageError(f"{folds} folds are too few", "pass 2 or more")
    fewest = int(min(np.sum(labels == 0), np.sum(labels == 1)))
    if fewest < folds:
        raise UnusableInput(
            f"one label has {fewest} images, fewer than the {folds} folds",
            "add images, or pass fewer --folds",
        )
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    scores, fold_of = np.zeros(len(labels)), np.zeros(len(labels), np.int64)
    splits = list(splitter.split(np.zeros((len(labels), 1)), labels))
    for number, (inside, outside) in enumerate(report.track(splits, "Fitting folds", folds)):
        head = fit_head(features[inside], labels[inside], regularization)
        scores[outside] = head.scores(features[outside, 0])
        fold_of[outside] = number
    return OutOfFold(scores, fold_of)
