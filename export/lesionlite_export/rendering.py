"""Evidence as text for people."""

from __future__ import annotations

import os
from collections.abc import Iterator

from lesionlite_export.gate import WORDS, AnyParity, Verdict
from lesionlite_export.labels_parity import LabelScoreParity
from lesionlite_export.parity import ModelFigures, ScoreParity
from lesionlite_export.statistics import proportion, share
from lesionlite_runtime.contract_fields import Interval
from lesionlite_runtime.errors import printable


def parity_lines(parity: AnyParity, verdict: Verdict) -> Iterator[str]:
    """The comparison and the verdict, a line each."""
    if isinstance(parity, ScoreParity):
        yield from _score_lines(parity)
    elif isinstance(parity, LabelScoreParity):
        yield from _label_lines(parity)
    else:
        yield f"values     {len(parity.x)} points from {parity.x[0]:g} to {parity.x[-1]:g}"
        for name, value in parity.measures().items():
            yield f"{'':<10} {WORDS[name]}: {value:.6g}"
    for name, limit in verdict.limits.items():
        if limit is not None and name in verdict.would_pass:
            value = verdict.would_pass[name]
            sign = "within" if value <= limit else "OVER"
            yield f"limit      {name} {value:.4g}: {sign} {limit:g}"
        elif limit is None:
            yield f"limit      {name}: not gated"
    yield f"proof      {'passed' if verdict else 'FAILED'}"


def interval_text(interval: Interval | None) -> str:
    """``0.792 (0.767 to 0.816)``."""
    if interval is None:
        return "not defined (one label only)"
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _score_lines(parity: ScoreParity) -> Iterator[str]:
    flips = int(parity.flipped.sum())
    rate = share(parity.flipped, parity.clusters)
    errors = abs(parity.errors)
    yield f"images     {parity.n}, {parity.positives} of them labelled 1"
    yield f"threshold  {parity.threshold:.4f}"
    yield (
        f"decisions  {flips} of {parity.n} flipped, {100 * rate.value:.1f} % "
        f"(95 % interval {100 * rate.low:.1f} to {100 * rate.high:.1f} %): "
        f"{parity.newly_missed.sum()} newly missed, {parity.newly_referred.sum()} newly referred"
    )
    for file, flipped, keras, tflite in zip(
        parity.files, parity.flipped, parity.score_keras, parity.score_tflite, strict=True
    ):
        if flipped:
            yield f"{'':<10} {printable(os.fspath(file))}: Keras {keras:.4f}, file {tflite:.4f}"
    yield (
        f"scores     mean error {errors.mean():.4f}, largest {errors.max():.4f}, "
        f"bias {parity.errors.mean():+.4f}"
    )
    yield from _figure_lines("Keras", parity.figures_keras())
    yield from _figure_lines("file", parity.figures_tflite())
    difference = parity.auc_difference()
    if difference is not None:
        value, low, high = difference
        yield f"difference AUC {value:+.4f} (95 % interval {low:+.4f} to {high:+.4f})"


def _label_lines(parity: LabelScoreParity) -> Iterator[str]:
    flips = int(parity.flipped.sum())
    rate = proportion(flips, parity.n)
    yield f"images     {parity.n} of {len(parity.label_names)} labels"
    yield (
        f"decisions  {flips} of {parity.n} flipped, {100 * rate.value:.1f} % "
        f"(95 % interval {100 * rate.low:.1f} to {100 * rate.high:.1f} %)"
    )
    names = ("no label", *parity.label_names)
    for file, flipped, keras, tflite in zip(
        parity.files, parity.flipped, parity.decisions_keras, parity.decisions_tflite, strict=True
    ):
        if flipped:
            yield (
                f"{'':<10} {printable(os.fspath(file))}: Keras {printable(names[keras + 1])}, "
                f"file {printable(names[tflite + 1])}"
            )
    errors = parity.largest_errors
    yield f"scores     mean error {errors.mean():.4f}, largest {errors.max():.4f}"
    for name, decisions in (("Keras", parity.decisions_keras), ("file", parity.decisions_tflite)):
        right = proportion(int((decisions == parity.labels).sum()), parity.n)
        yield f"{name:<10} accuracy {interval_text(right)}"


def _figure_lines(name: str, figures: ModelFigures) -> Iterator[str]:
    yield (
        f"{name:<10} AUC {interval_text(figures.auc)}, "
        f"sensitivity {interval_text(figures.operating.sensitivity)}, "
        f"specificity {interval_text(figures.operating.specificity)}"
    )
