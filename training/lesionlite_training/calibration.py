"""Calibration: a straight line on the logits, so that scores agree with observed shares.

It is fitted on out-of-fold scores and folded into the network's last layer: the score on the device
is the calibrated one. The line rises, so that no order of two scores and no AUC changes.
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lesionlite_export.statistics import Labels, Scores
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.resize import check_choice
from lesionlite_training.folds import OutOfFold

TEMPERATURE, PLATT, NONE = "temperature", "platt", "none"
CALIBRATIONS = (NONE, TEMPERATURE, PLATT)
BINS = 10
# Beyond it a float64 score is 1 and has no logit.
LOGIT_LIMIT = 36.0
# Under it every score would be the same to three digits.
MIN_SLOPE = 1e-5


@dataclass(frozen=True)
class Calibration:
    """``sigmoid(slope * logit(score) + intercept)``; the slope is over 0."""

    kind: str
    slope: float
    intercept: float

    def apply(self, scores: Scores) -> Scores:
        """The calibrated scores of ``scores``, float64 ``[n]``."""
        from scipy.special import expit

        return np.asarray(expit(self.slope * logits_of(scores) + self.intercept))


@dataclass(frozen=True)
class Agreement:
    """How well scores agree with labels: mean squared error, and expected calibration error."""

    brier: float
    ece: float


@dataclass(frozen=True)
class Measured:
    """A calibration, and the out-of-fold scores' agreement without and with one.

    ``after`` is of scores that were calibrated by the other folds' images alone.
    """

    calibration: Calibration
    before: Agreement
    after: Agreement

    def to_json(self) -> dict[str, Any]:
        """The record for the contract."""
        return {
            **asdict(self.calibration),
            "before": asdict(self.before),
            "after": asdict(self.after),
            "ece_bins": BINS,
        }


def logits_of(scores: Scores) -> Scores:
    """``log(score / (1 - score))``, within `LOGIT_LIMIT`."""
    from scipy.special import logit

    return np.clip(np.asarray(logit(scores)), -LOGIT_LIMIT, LOGIT_LIMIT)


def fit_calibration(labels: Labels, scores: Scores, kind: str) -> Calibration:
    """The calibration with the least cross-entropy on ``scores``.

    ``temperature`` has a slope alone, 1 / T (Guo, Pleiss, Sun and Weinberger 2017, ICML). ``platt``
    has an intercept too, and for targets (N1 + 1) / (N1 + 2) and 1 / (N0 + 2) in the place of 1 and
    0 (Platt 1999, Advances in Large Margin Classifiers), N1 and N0 counting the labels.

    Args:
        labels: int64 ``[n]``, 0 or 1.
        scores: float64 ``[n]``, 0 to 1, each from a model that did not see its image.
        kind: ``temperature`` or ``platt``.

    Raises:
        UnusableInput: when a label is missing, the scores do not rise with the labels, or (for a
            temperature) tell them apart so well that no slope is steep enough.
        UsageError: for another kind.
    """
    from sklearn.linear_model import LogisticRegression

    check_choice("calibration", kind, (TEMPERATURE, PLATT))
    cases = int(np.sum(labels == 1))
    if not 0 < cases < len(labels):
        raise UnusableInput("the images have one label only", "a calibration needs both")
    logits = logits_of(scores)
    if kind == TEMPERATURE and (np.where(labels == 1, logits, -logits) >= 0).all():
        raise UnusableInput(
            "the out-of-fold scores are on the right side of 0.5 for every image, and no "
            "temperature is too low for them",
            "pass --calibrate platt or none",
        )
    targets = labels.astype(np.float64)
    if kind == PLATT:
        controls = len(labels) - cases
        targets = np.where(labels == 1, (cases + 1) / (cases + 2), 1 / (controls + 2))
    # A target between 0 and 1 is a row of each label, weighted by it.
    model = LogisticRegression(
        C=np.inf, fit_intercept=kind == PLATT, solver="newton-cholesky", tol=1e-10
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scores that are all alike, which are refused below
        model.fit(
            np.tile(logits, 2)[:, np.newaxis],
            np.repeat([1, 0], len(labels)),
            sample_weight=np.concatenate([targets, 1 - targets]),
        )
    slope, intercept = float(model.coef_[0, 0]), float(np.ravel(model.intercept_)[0])
    if slope < MIN_SLOPE:
        raise UnusableInput(
            "the out-of-fold scores do not rise with the labels, and a calibration would turn "
            "them round",
            "pass --calibrate none, and look at the AUC",
        )
    return Calibration(kind, slope, intercept)


def measure_calibration(labels: Labels, held_out: OutOfFold, kind: str) -> Measured:
    """The calibration of all out-of-fold scores, and what one does to images outside its fit.

    Raises:
        UnusableInput: see `fit_calibration`.
    """
    crossed = np.zeros(len(labels))
    for fold in np.unique(held_out.folds):
        inside, outside = held_out.folds != fold, held_out.folds == fold
        by_others = fit_calibration(labels[inside], held_out.scores[inside], kind)
        crossed[outside] = by_others.apply(held_out.scores[outside])
    return Measured(
        fit_calibration(labels, held_out.scores, kind),
        agreement(labels, held_out.scores),
        agreement(labels, crossed),
    )


def calibrated(held_out: OutOfFold, calibration: Calibration) -> OutOfFold:
    """The out-of-fold scores as the calibrated model gives them; their order stays.

    Those of several views are left out: a mean of calibrated scores is not the calibrated mean.
    """
    return replace(held_out, scores=calibration.apply(held_out.scores), views={})


def agreement(labels: Labels, scores: Scores) -> Agreement:
    """Brier score and expected calibration error of ``scores``.

    The latter is the mean of ``|mean score - share of label 1|`` over `BINS` bins of equal width,
    weighted by their images (Naeini, Cooper and Hauskrecht 2015, AAAI).
    """
    bins = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, scores - labels, BINS)
    return Agreement(
        brier=float(np.mean((scores - labels) ** 2)),
        ece=float(np.abs(gaps).sum() / len(labels)),
    )


def fold_into(network: Any, calibration: Calibration) -> None:
    """Change the last layer of ``network`` so that its score is the calibrated one.

    Args:
        network: a Keras model whose output is a ``Dense(1, activation="sigmoid")``.
        calibration: its weights are multiplied by the slope, and the intercept is added.

    Raises:
        UnusableInput: when the network ends in another layer, or one without a bias that an
            intercept could be added to.
    """
    layer = _last_dense(network)
    if layer is None:
        raise UnusableInput(
            "the network does not end in one sigmoid unit (Dense(1, activation='sigmoid')), and "
            "no calibration can be folded into it",
            "end it in one, or pass --calibrate none",
        )
    kernel, *bias = layer.get_weights()
    if bias:
        bias = [bias[0] * calibration.slope + calibration.intercept]
    elif calibration.intercept:
        raise UnusableInput(
            "the network's last layer has no bias, and a calibration's intercept cannot be folded "
            "into it",
            "give it one, or pass --calibrate temperature",
        )
    layer.set_weights([kernel * calibration.slope, *bias])


def _last_dense(network: Any) -> Any:
    """The ``Dense(1, activation="sigmoid")`` whose output is the network's; None for another."""
    import keras

    for layer in network.layers:
        fits = (
            type(layer) is keras.layers.Dense
            and layer.units == 1
            and layer.activation is keras.activations.sigmoid
            and len(network.outputs) == 1
        )
        if fits and layer.output is network.outputs[0]:
            return layer
    return None
