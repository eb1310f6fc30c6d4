"""The networks of a finished run's folds, for measuring them on what each of them held out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lesionlite_export.progress import Reporter
from lesionlite_training.checkpoints import read_checkpoint
from lesionlite_training.fine_tuning import assembled
from lesionlite_training.lesion_setup import Setup, training_data, with_levels_of
from lesionlite_training.plan import Plan, split
from lesionlite_training.trainer import TRAINED
from lesionlite_training.training_set import TrainingSet


def fold_data(setup: Setup, report: Reporter) -> TrainingSet:
    """What the networks of all folds are put together from, beside their weights."""
    return with_levels_of(setup, training_data(setup), report)


def fold_network(setup: Setup, data: TrainingSet, run: Path, number: int) -> Any:
    """The network that did not see the fold ``number``, as it scored that fold.

    Args:
        setup: of the run; its settings fine-tune.
        data: of `fold_data`.
        run: the run's folder.
        number: of the fold, from 0.

    Raises:
        UnusableInput: when the run has no such network, or it is damaged.
    """
    tuning = setup.settings.fine_tuning
    assert tuning is not None  # a run is of fine-tuning
    weights = read_checkpoint(run / f"fold-{number}" / TRAINED).weights
    plan = Plan(
        setup.backbone,
        setup.image_input,
        tuning,
        setup.settings.seed,
        setup.settings.regularization,
        setup.cache,
        run,
    )
    learn, _ = split(plan, data, np.flatnonzero(setup.folds != number))
    return assembled(setup.backbone, tuning, data, learn, plan.regularization, weights)
