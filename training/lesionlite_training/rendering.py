"""What a training has to say, as lines for people, as JSON, and as a CSV of scores."""

from __future__ import annotations

import csv
import io
import shlex
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lesionlite_export.rendering import interval_text
from lesionlite_export.statistics import interval_json
from lesionlite_runtime.codec import to_json
from lesionlite_runtime.errors import printable
from lesionlite_runtime.threshold_table import table_lines
from lesionlite_training import lesion, linear
from lesionlite_training.calibration import Measured
from lesionlite_training.evaluation.csv_files import bare_scores_csv
from lesionlite_training.originals import unusable_json
from lesionlite_training.trial import Trial

TRAINING_SCHEMA = "lesionlite.training/1"


def linear_lines(trained: linear.Trained) -> Iterator[str]:
    """Line, loss, range, time and path, a line each."""
    low, high = trained.contract.input.range
    unit = f" ({trained.contract.output.unit})" if trained.contract.output.unit else ""
    sign = "-" if trained.intercept < 0 else "+"
    yield f"line       y = {trained.slope:.6g} x {sign} {abs(trained.intercept):.6g}{unit}"
    yield (
        f"loss       {trained.loss:.3g} after {trained.epochs} epochs on {len(trained.points.x)} "
        f"points; the least squares line has {trained.best_loss:.3g}"
    )
    yield f"range      x from {low:g} to {high:g}"
    yield f"time       {trained.seconds:.2f} s"
    yield _saved(trained)


def linear_json(trained: linear.Trained) -> dict[str, Any]:
    """The object of schema ``lesionlite.training/1`` for a regression."""
    return {
        **_head(trained),
        "n": len(trained.points.x),
        "epochs": trained.epochs,
        "slope": trained.slope,
        "intercept": trained.intercept,
        "loss": trained.loss,
        "best_loss": trained.best_loss,
        "range": list(trained.contract.input.range),
        "unit": trained.contract.output.unit,
        "seconds": round(trained.seconds, 3),
    }


def lesion_lines(trained: lesion.Trained, scores: Path | None) -> Iterator[str]:
    """Counts, out-of-fold figures, threshold with its table, and paths, a line each."""
    threshold, folds = trained.contract.threshold, trained.fold_aucs
    chosen_on = threshold.chosen_on
    yield f"images     {chosen_on.n}, {chosen_on.positives} of them labelled 1"
    if trained.camera_files.folder is not None:
        yield f"originals  {trained.camera_files.note}"
    yield (
        f"AUC        {interval_text(trained.auc)} out of fold; mean of {len(folds)} folds "
        f"{statistics.mean(folds):.3f} ± {statistics.stdev(folds):.3f}"
    )
    for views, area in trained.views_aucs.items():
        yield f"{'':<10} {interval_text(area)} with {views} views of each image averaged"
    yield f"threshold  {threshold.value:.4f} by {threshold.rule}; out of fold:"
    yield f"{'':<10} sensitivity {interval_text(threshold.sensitivity)}"
    yield f"{'':<10} specificity {interval_text(threshold.specificity)}"
    if threshold.table is not None:
        yield "others     the same scores, for other thresholds (* the chosen one):"
        for line in table_lines(to_json(threshold.table), threshold.value):
            yield f"{'':<10} {line}"
    if trained.calibration is not None:
        yield from _calibration_lines(trained.calibration)
    if scores is not None:
        yield f"scores     {printable(str(scores))}"
    yield _saved(trained)


def trial_lines(tried: Trial) -> Iterator[str]:
    """The figures of a trial, a line for each number of views."""
    yield f"images     {len(tried.labels)} held out by {tried.folds} folds"
    for views, scores in tried.scores().items():
        folds = " ".join(f"{area:.4f}" for area in tried.fold_aucs(scores))
        name = "1 view" if views == 1 else f"{views} views"
        yield f"{name:<10} AUC {interval_text(tried.auc(scores))}; folds {folds}"


def lesion_json(trained: lesion.Trained, scores: Path | None) -> dict[str, Any]:
    """The object of schema ``lesionlite.training/1`` for an image classifier."""
    threshold, folds = trained.contract.threshold, trained.fold_aucs
    return {
        **_head(trained),
        "n": threshold.chosen_on.n,
        "positives": threshold.chosen_on.positives,
        "auc": interval_json(trained.auc),
        "fold_aucs": {
            "values": list(folds),
            "mean": statistics.mean(folds),
            "sd": statistics.stdev(folds),
        },
        "views_aucs": {str(n): interval_json(area) for n, area in trained.views_aucs.items()},
        "threshold": {
            "value": threshold.value,
            "rule": threshold.rule,
            "sensitivity": to_json(threshold.sensitivity),
            "specificity": to_json(threshold.specificity),
            "table": to_json(threshold.table),
        },
        "grouping": trained.grouping.to_json(),
        "calibration": None if trained.calibration is None else trained.calibration.to_json(),
        "scores": None if scores is None else str(scores),
        **unusable_json(trained.unusable, trained.camera_files),
    }


def scores_csv(trained: lesion.Trained, *, labels: bool = True) -> bytes:
    """Image id (the file's stem), fold, label and out-of-fold score: no pixels, no folders.

    Without ``labels``, id and score alone.
    """
    held_out = trained.out_of_fold
    images = [prepared.image for prepared in trained.images]
    if not labels:
        return bare_scores_csv(images, held_out.scores)
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(["image_id", "fold", "label", "score"])
    for image, fold, score in zip(images, held_out.folds, held_out.scores, strict=True):
        table.writerow([image.path.stem, int(fold), image.label, float(score)])
    return stream.getvalue().encode()


def next_line(model: Path, data: Path | None = None) -> str:
    """The command that exports ``model``."""
    words = ["lesionlite", "export", str(model)]
    if data is not None:
        words += ["--data", str(data)]
    return (
        f"next       {printable(shlex.join([*words, '--out', str(model.with_suffix('.tflite'))]))}"
    )


def _calibration_lines(measured: Measured) -> Iterator[str]:
    line, before, after = measured.calibration, measured.before, measured.after
    intercept = f" {line.intercept:+.4f}" if line.intercept else ""
    shown = f"logit x {line.slope:.4f}{intercept}"
    yield f"calibrated by {line.kind}: {shown}; on images outside the fit:"
    yield f"{'':<10} Brier score {before.brier:.4f} before, {after.brier:.4f} after"
    yield f"{'':<10} calibration error {before.ece:.4f} before, {after.ece:.4f} after"


def _head(trained: linear.Trained | lesion.Trained) -> dict[str, Any]:
    return {
        "schema": TRAINING_SCHEMA,
        "task": trained.contract.task,
        "file": str(trained.path),
        "model": trained.contract.model_id,
    }


def _saved(trained: linear.Trained | lesion.Trained) -> str:
    return f"saved      {printable(str(trained.path))}, model {trained.contract.model_id}"
