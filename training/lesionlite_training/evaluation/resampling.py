"""Measures of a sample under many weightings of its images at once, and intervals from them.

scikit-learn gives the values (`figures`); here 2,000 of each are computed in array operations, one
for each resampling of the images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.sample import Sample
from lesionlite_export.statistics import CONFIDENCE, Scores
from lesionlite_runtime.contract_fields import Interval
from lesionlite_training.calibration import BINS

DRAWS = 2000
SEED = 0
SENSITIVITY_FLOOR = 0.8
SENSITIVITIES = (0.82, 0.89, 0.95)
"""Where the challenge of 2017 measured specificity."""
_BLOCK = 1 << 20
Floats = NDArray[np.float64]


def specificity_at(sensitivity: float) -> str:
    """The name of a measure: specificity where the sensitivity is first ``sensitivity``."""
    return f"specificity_at_{sensitivity:g}"


NEED_BOTH_LABELS = (
    "average_precision",
    "partial_auc",
    "balanced_accuracy",
    *map(specificity_at, SENSITIVITIES),
)
MEASURES = (*NEED_BOTH_LABELS, "brier", "expected_calibration_error")
LARGEST = {"partial_auc": 1 - SENSITIVITY_FLOOR}
"""The most that a measure can be, where that is not 1; the least is 0."""


def score_bins(scores: Scores) -> NDArray[np.int64]:
    """Which of `BINS` equal parts of 0 to 1 each score lies in; 1 lies in the last."""
    return np.minimum((scores * BINS).astype(np.int64), BINS - 1)


class Weighted:
    """The `MEASURES` of a sample at a threshold, where images count as weights say."""

    def __init__(self, sample: Sample, threshold: float) -> None:
        self._order = np.argsort(-sample.scores, kind="stable")
        scores, labels = sample.scores[self._order], sample.labels[self._order]
        self._positive = (labels == 1).astype(np.float64)
        # Images of one score stand or fall together.
        self._starts = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]])
        self._right = (scores >= threshold) == (labels == 1)
        self._squared = (scores - labels) ** 2
        self._bins = np.eye(BINS)[score_bins(scores)] * (scores - labels)[:, np.newaxis]

    def measures(self, weights: Floats) -> dict[str, Floats]:
        """Each measure for each row of ``weights``, float64 ``[rows, n]``, none of them negative.

        Those that need both labels are NaN in a row that has one alone.
        """
        cases, controls, found, wrong = self._counts(weights)
        weights = cases + controls
        total = weights.sum(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            sensitivity, false_rate = found / found[:, -1:], wrong / wrong[:, -1:]
            precision = np.nan_to_num(found / (found + wrong))
            right = (
                cases @ self._right / found[:, -1],
                controls @ self._right / wrong[:, -1],
            )
            steps = np.diff(sensitivity, axis=1, prepend=0.0)
            return {
                "average_precision": np.where(
                    wrong[:, -1] > 0, np.sum(steps * precision, axis=1), np.nan
                ),
                "partial_auc": _area_above(SENSITIVITY_FLOOR, sensitivity, false_rate),
                "balanced_accuracy": (right[0] + right[1]) / 2,
                **{
                    specificity_at(wanted): 1 - _first(false_rate, sensitivity >= wanted)
                    for wanted in SENSITIVITIES
                },
                "brier": weights @ self._squared / total,
                "expected_calibration_error": np.abs(weights @ self._bins).sum(1) / total,
            }

    def _counts(self, weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Weights of cases and controls by descending score, and their sums from each score on."""
        weights = weights[:, self._order]
        cases, controls = weights * self._positive, weights * (1 - self._positive)
        found = np.cumsum(np.add.reduceat(cases, self._starts, axis=1), axis=1)
        wrong = np.cumsum(np.add.reduceat(controls, self._starts, axis=1), axis=1)
        return cases, controls, found, wrong


def intervals(sample: Sample, threshold: float, values: Mapping[str, float]) -> dict[str, Interval]:
    """The interval of each of ``values``, measures of ``sample``: percentiles of the bootstrap.

    Images are drawn with replacement, or whole clusters where there are any (Rutter 2000, Academic
    Radiology 7:413), whatever their labels, so that the share of positives varies as it does from
    set to set; draws of one label alone say nothing of measures that need both. The same sample
    gives the same intervals. Where a label that a measure needs has fewer than two clusters, its
    interval is all that it can be.
    """
    measure = Weighted(sample, threshold).measures
    blocks = [measure(weights) for weights in _drawn_weights(sample)]
    found = {}
    for name, value in values.items():
        most = LARGEST.get(name, 1.0)
        if _clusters_of_rarest(sample, name in NEED_BOTH_LABELS) < 2:
            found[name] = Interval(value, 0.0, most)
            continue
        low, high = _percentiles(np.concatenate([block[name] for block in blocks]))
        if name == "expected_calibration_error":
            low, high = _for_calibration_error(sample, value, low, high)
        found[name] = Interval(value, max(0.0, min(low, value)), min(most, max(high, value)))
    return found


def _percentiles(drawn: Floats) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def _for_calibration_error(
    sample: Sample, value: float, low: float, high: float
) -> tuple[float, float]:
    """The interval of a calibration error from the percentiles ``low`` and ``high`` of the draws.

    Few images in a bin differ from their scores by chance, so the error of a sample is too large,
    and a drawn one larger still. The lower end is therefore that of the basic bootstrap, twice the
    value less the upper percentile, and 0 where a model whose scores are probabilities could have
    given that value as well (resampled labels, Broecker and Smith 2007, Weather and Forecasting
    22:651). benchmarks/interval_coverage.py measures how often such intervals are right.
    """
    if value <= _chance_error(sample):
        return 0.0, max(high, 2 * value - low)
    return 2 * value - high, max(high, 2 * value - low)


def _chance_error(sample: Sample) -> float:
    """The calibration error that labels drawn by the scores themselves exceed in 2.5 % of draws.

    Images of one cluster are drawn together.
    """
    generator = np.random.default_rng(SEED)
    clusters, places = _clusters(sample)
    bins = np.eye(BINS)[score_bins(sample.scores)]
    errors = []
    for rows in _row_counts(len(sample.scores)):
        drawn = generator.random((rows, clusters))[:, places] < sample.scores
        errors.append(np.abs((sample.scores - drawn) @ bins).sum(1) / len(sample.scores))
    return _percentiles(np.concatenate(errors))[1]


def _drawn_weights(sample: Sample) -> Iterator[Floats]:
    """How often each image is drawn, float64 ``[rows, n]``, `DRAWS` rows in all."""
    generator = np.random.default_rng(SEED)
    clusters, places = _clusters(sample)
    for rows in _row_counts(len(places)):
        drawn = generator.integers(clusters, size=(rows, clusters))
        cells = (drawn + np.arange(rows)[:, np.newaxis] * clusters).ravel()
        counts = np.bincount(cells, minlength=rows * clusters).reshape(rows, clusters)
        yield counts[:, places].astype(np.float64)


def _row_counts(n: int) -> Iterator[int]:
    """Numbers of rows that make `DRAWS`, each few enough for an array of n columns."""
    at_once = max(1, _BLOCK // n)
    for start in range(0, DRAWS, at_once):
        yield min(at_once, DRAWS - start)


def _clusters(sample: Sample) -> tuple[int, NDArray[np.int64]]:
    """The number of clusters, and that of each image."""
    if sample.clusters is None:
        return len(sample.labels), np.arange(len(sample.labels))
    names, places = np.unique(sample.clusters, return_inverse=True)
    return len(names), places


def _clusters_of_rarest(sample: Sample, both_labels: bool) -> int:
    """How many clusters hold an image, or one of the label that fewest hold."""
    _, places = _clusters(sample)
    if not both_labels:
        return len(np.unique(places))
    return min(len(np.unique(places[sample.labels == label])) for label in (0, 1))


def _area_above(floor: float, sensitivity: Floats, false_rate: Floats) -> Floats:
    """The area between ROC curves ``[rows, points]`` and the line where sensitivity is floor."""
    ends = np.maximum(sensitivity - floor, 0.0)
    starts = np.concatenate([np.zeros((len(ends), 1)), ends[:, :-1]], axis=1)
    rises = np.diff(sensitivity, axis=1, prepend=0.0)
    widths = np.diff(false_rate, axis=1, prepend=0.0)
    # Of a stretch that crosses the line, only what lies above it counts.
    crosses = (starts == 0) & (ends > 0) & (rises > 0)
    above = np.where(crosses, ends / np.where(rises > 0, rises, 1.0), 1.0)
    area: Floats = np.sum(widths * above * (starts + ends) / 2, axis=1)
    return area


def _first(values: Floats, mask: NDArray[np.bool_]) -> Floats:
    """In each row the value where the mask is first true; NaN where it never is."""
    places = mask.argmax(1)[:, np.newaxis]
    taken = np.take_along_axis(values, places, axis=1)[:, 0]
    return np.where(mask.any(1), taken, np.nan)
