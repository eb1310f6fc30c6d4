"""Evidence as text for people."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import numpy as np

from lesionlite_export.gate import WORDS, AnyParity, Verdict
from lesionlite_export.labels_parity import LabelScoreParity
from lesionlite_export.parity import FLIPS, ModelFigures, ScoreParity
from lesionlite_export.statistics import share
from lesionlite_runtime.contract_fields import Interval
from lesionlite_runtime.errors import printable

MOST_SHOWN = 20


def parity_lines(parity: AnyParity, verdict: Verdict) -> Iterator[str]:
    """The comparison and the verdict, a line each."""
    yield from comparison_lines(parity)
    yield from limit_lines(verdict)
    yield verdict_line(verdict)


def comparison_lines(parity: AnyParity, reference: str = "Keras") -> Iterator[str]:
    """The comparison with ``reference``, a line each; the first `MOST_SHOWN` flips by name."""
    if isinstance(parity, ScoreParity):
        yield from _score_lines(parity, reference)
    elif isinstance(parity, LabelScoreParity):
        yield from _label_lines(parity, reference)
    else:
        yield f"values     {len(parity.x)} points from {parity.x[0]:g} to {parity.x[-1]:g}"
        for name, value in parity.measures().items():
            yield f"{'':<10} {WORDS[name]}: {value:.6g}"


def verdict_line(verdict: Verdict) -> str:
    """``proof      passed``."""
    return f"proof      {'passed' if verdict else 'FAILED'}"


def limit_lines(verdict: Verdict) -> Iterator[str]:
    """Each limit with the figure that it is set on."""
    for name, limit in verdict.limits.items():
        if limit is not None and name in verdict.would_pass:
            value = verdict.would_pass[name]
            sign = "within" if value <= limit else "OVER"
            yield f"limit      {name} {value:.4g}: {sign} {limit:g}"
        elif limit is None:
            yield f"limit      {name}: not gated"
        else:
            yield f"limit      {name}: not defined on these images"


def interval_text(interval: Interval | None) -> str:
    """``0.792 (0.767 to 0.816)``."""
    if interval is None:
        return "not defined (one label only)"
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _score_lines(parity: ScoreParity, reference: str) -> Iterator[str]:
    flips = int(parity.flipped.sum())
    rate = share(parity.flipped, parity.clusters)
    errors = abs(parity.errors)
    yield f"images     {parity.n}, {parity.positives} of them labelled 1"
    yield f"threshold  {parity.threshold:.4f}"
    if parity.threshold_keras != parity.threshold:
        yield f"{'':<10} {parity.threshold_keras:.4f} of {reference}"
    kinds = ", ".join(
        f"{getattr(parity, kind).sum()} {kind.replace('_', ' ')}"
        for kind in FLIPS
        if kind in ("newly_missed", "newly_referred") or getattr(parity, kind).any()
    )
    yield (
        f"decisions  {flips} of {parity.n} flipped, {100 * rate.value:.1f} % "
        f"(95 % interval {100 * rate.low:.1f} to {100 * rate.high:.1f} %): {kinds}"
    )
    yield from _flip_lines(
        f"{printable(os.fspath(file))}: {reference} {keras:.4f}, file {tflite:.4f}"
        for file, flipped, keras, tflite in zip(
            parity.files, parity.flipped, parity.score_keras, parity.score_tflite, strict=True
        )
        if flipped
    )
    yield (
        f"scores     mean error {errors.mean():.4f}, 99 % up to {np.percentile(errors, 99):.4f}, "
        f"largest {errors.max():.4f}, bias {parity.errors.mean():+.4f}"
    )
    yield from _figure_lines(reference, parity.figures_keras())
    yield from _figure_lines("file", parity.figures_tflite())
    difference = parity.auc_difference()
    if difference is not None:
        value, low, high = difference
        yield f"difference AUC {value:+.4f} (95 % interval {low:+.4f} to {high:+.4f})"


def _label_lines(parity: LabelScoreParity, reference: str) -> Iterator[str]:
    flips = int(parity.flipped.sum())
    rate = share(parity.flipped, parity.clusters)
    yield f"images     {parity.n} of {len(parity.label_names)} labels"
    yield (
        f"decisions  {flips} of {parity.n} flipped, {100 * rate.value:.1f} % "
        f"(95 % interval {100 * rate.low:.1f} to {100 * rate.high:.1f} %)"
    )
    names = ("no label", *parity.label_names)
    yield from _flip_lines(
        f"{printable(os.fspath(file))}: {reference} {printable(names[keras + 1])}, "
        f"file {printable(names[tflite + 1])}"
        for file, flipped, keras, tflite in zip(
            parity.files,
            parity.flipped,
            parity.decisions_keras,
            parity.decisions_tflite,
            strict=True,
        )
        if flipped
    )
    errors = parity.largest_errors
    yield f"scores     mean error {errors.mean():.4f}, largest {errors.max():.4f}"
    for name, right in ((reference, parity.right_keras), ("file", parity.right_tflite)):
        yield f"{name:<10} accuracy {interval_text(share(right, parity.clusters))}"


def _flip_lines(flips: Iterable[str]) -> Iterator[str]:
    lines = list(flips)
    for line in lines[:MOST_SHOWN]:
        yield f"{'':<10} {line}"
    if len(lines) > MOST_SHOWN:
        yield f"{'':<10} and {len(lines) - MOST_SHOWN} more"


def _figure_lines(name: str, figures: ModelFigures) -> Iterator[str]:
    counts = figures.operating
    positives = counts.true_positives + counts.false_negatives
    negatives = counts.true_negatives + counts.false_positives
    yield (
        f"{name:<10} AUC {interval_text(figures.auc)}, "
        f"sensitivity {interval_text(counts.sensitivity if positives else None)}, "
        f"specificity {interval_text(counts.specificity if negatives else None)}"
    )
