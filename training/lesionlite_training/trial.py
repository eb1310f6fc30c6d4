"""The first folds of a training, to compare configurations before one is trained in full."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lesionlite_export.manifest import Manifest
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.representative import Unusable
from lesionlite_export.statistics import Labels, Scores, auc, interval_json
from lesionlite_runtime.contract_fields import Interval
from lesionlite_runtime.errors import UsageError
from lesionlite_training.configuration import Settings
from lesionlite_training.fine_tuning import fine_tune
from lesionlite_training.folds import OutOfFold
from lesionlite_training.lesion_setup import Run, open_plan, set_up
from lesionlite_training.originals import NO_FILES, CameraFiles, unusable_json

TRIAL_SCHEMA = "lesionlite.trial/1"


@dataclass(frozen=True)
class Trial:
    """AUCs of the folds that were trained, and of their images together, by number of views.

    ``unusable`` are images and ``camera_files`` originals, of all folds.
    """

    folds: int
    labels: Labels
    held_out: OutOfFold
    unusable: tuple[Unusable, ...] = ()
    camera_files: CameraFiles = NO_FILES

    def scores(self) -> dict[int, Scores]:
        """The scores for 1, 4 and 8 views of each image."""
        return {1: self.held_out.scores, **self.held_out.views}

    def fold_aucs(self, scores: Scores) -> list[float]:
        """The AUC of each fold."""
        numbers = self.held_out.folds
        members = (numbers == number for number in np.unique(numbers))
        return [auc(self.labels[inside], scores[inside]).value for inside in members]

    def auc(self, scores: Scores) -> Interval:
        """The AUC of all images that were held out."""
        return auc(self.labels, scores)

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.trial/1``."""
        return {
            "schema": TRIAL_SCHEMA,
            "n": len(self.labels),
            "positives": int(self.labels.sum()),
            "folds": self.folds,
            "views": {
                str(views): {
                    "auc": interval_json(self.auc(scores)),
                    "fold_aucs": self.fold_aucs(scores),
                }
                for views, scores in self.scores().items()
            },
            **unusable_json(self.unusable, self.camera_files),
        }


def try_folds(
    manifest: Manifest,
    classes: Mapping[str, int],
    trial: int,
    settings: Settings,
    run: Run,
    *,
    cache: Path | None = None,
    force: bool = False,
    report: Reporter | None = None,
    originals: Path | None = None,
) -> Trial:
    """Train the first ``trial`` folds of `train_lesion`'s, and no network on all images.

    The state goes to the run's folder: `train_lesion` goes on from it.

    Raises:
        UsageError: when nothing is fine-tuned, or there are fewer folds.
        UnusableInput: see `train_lesion`.
    """
    report = report or Silent()
    if settings.fine_tuning is None:
        raise UsageError("a trial is of fine-tuning", "pass --fine-tune, or leave out --trial")
    if not 1 <= trial <= settings.folds:
        raise UsageError(f"there are {settings.folds} folds, not {trial}", "try fewer")
    setup = set_up(manifest, classes, settings, cache, report, originals)
    plan, data = open_plan(setup, settings.fine_tuning, run, force, report)
    held_out, _ = fine_tune(plan, data, setup.folds, report, trial)
    scored = np.isin(setup.folds, np.unique(setup.folds)[:trial])
    return Trial(trial, setup.labels[scored], held_out, setup.unusable, setup.camera_files)
