"""The networks of a finished run's folds, for measuring them on what each of them held out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lesionlite_export.progress import Reporter
from lesionlite_runtime.errors import UsageError
from lesionlite_training.checkpoints import read_checkpoint
from lesionlite_training.fine_tuning import assembled
from lesionlite_training.lesion_setup import Run, Setup, open_plan
from lesionlite_training.plan import Plan, split
from lesionlite_training.runs import RECORD
from lesionlite_training.trainer import TRAINED
from lesionlite_training.training_set import TrainingSet


def open_folds(setup: Setup, run: Path, report: Reporter) -> tuple[Plan, TrainingSet]:
    """What the networks of a run's folds are put together from, beside their weights.

    Args:
        setup: of the run.
        run: the run's folder.
        report: who is told of the progress.

    Raises:
        UsageError: when there is no run in the folder, or another one than ``setup`` says; and see
            `open_plan`.
    """
    tuning = setup.settings.fine_tuning
    if tuning is None or not (run / RECORD).exists():
        raise UsageError("there is no run of a fine-tuning in this folder", "name one", run)
    return open_plan(setup, tuning, Run(run, resume=True), False, report)


def fold_network(setup: Setup, plan: Plan, data: TrainingSet, number: int) -> Any:
    """The network that did not see the fold ``number``, as it scored that fold.

    That is, if ``setup`` has the levels, copies and originals that the run was finished with: a
    run keeps none of these.

    Args:
        setup: of the run.
        plan: of `open_folds`.
        data: likewise.
        number: of the fold, from 0.

    Raises:
        UnusableInput: when the run has no such network, or it is damaged.
    """
    weights = read_checkpoint(plan.folder / f"fold-{number}" / TRAINED).weights
    learn, _ = split(plan, data, np.flatnonzero(setup.folds != number))
    return assembled(plan.backbone, plan.tuning, data, learn, plan.regularization, weights)
