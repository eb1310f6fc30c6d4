"""Training by gradient descent, by Keras' own interface alone: any of its backends will do."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.progress import Reporter
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.files import write_whole
from lesionlite_training.batches import Batch, Examples, loader_of
from lesionlite_training.checkpoints import (
    Arrays,
    Checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from lesionlite_training.configuration import FineTuning, Stage
from lesionlite_training.optimization import compile_network
from lesionlite_training.random_states import random_states, set_seed
from lesionlite_training.training_set import check_batch

CHECKPOINT = "checkpoint.npz"
BEST = "best.npz"
TRAINED = "weights.npz"
LOG = "epochs.csv"
KEEP_SECONDS = 5.0
MOST_LINES = 20
_LOWER_RATE = "lower the learning rate, to a tenth, say"
_LEFT_OVER = ".*"  # of a run that was killed while it wrote


class Watcher(Protocol):
    """Whoever wants each epoch's figures beside the log, such as TensorBoard."""

    def __call__(self, member: str, row: dict[str, Any]) -> None:
        """One more epoch of ``member`` is done."""


@dataclass(frozen=True)
class Member:
    """One network to train: a fold's, or the final one.

    Attributes:
        name: for people, such as ``fold 1 of 5``.
        folder: name of its folder in the run's.
        build: the network with logits for images of a side (None: its own), trainable as wanted.
            The weights of all sizes are the same, in the same order.
        start: the weights to start from; None for those that ``build`` gives.
        examples: what it learns from, by side.
        validation: batches of inputs and targets that judge the epochs, by side; None for none.
        seed: of Keras' own random numbers, such as dropout's.
    """

    name: str
    folder: str
    build: Callable[[int | None], Any]
    start: Arrays | None
    examples: Callable[[int | None], Examples]
    validation: Callable[[int | None], Iterable[tuple[NDArray[Any], NDArray[np.float32]]]] | None
    seed: int


def train_member(
    member: Member,
    tuning: FineTuning,
    folder: Path,
    report: Reporter,
    watcher: Watcher | None = None,
    keep_every: float = KEEP_SECONDS,
) -> Arrays:
    """The trained weights of ``member``, in the order of its network's.

    The state goes to ``folder``; a run that was killed goes on from there, and gives the weights
    that it would have given without the break.

    Args:
        member: what to train.
        tuning: how.
        folder: of this member's files: the checkpoint, the best weights, a log.
        report: who is told of the progress.
        watcher: see `Watcher`.
        keep_every: seconds after which the next epoch's end is kept.

    Raises:
        UnusableInput: when the loss is no longer a number, there are fewer images than a batch, or
            a checkpoint cannot be read.
        MissingHere: when the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / TRAINED).exists():
        return read_checkpoint(folder / TRAINED).weights
    states = _States(folder, keep_every)
    try:
        _run(member, tuning, states, report, watcher)
    except BaseException:
        states.keep()  # also on Ctrl-C, and when the loss has gone astray
        raise
    best, last = states.best, states.last
    assert best is not None
    assert last is not None
    write_whole(folder / LOG, _log(last.history), force=True)
    write_checkpoint(folder / TRAINED, replace(best, history=last.history))
    for path in (folder / CHECKPOINT, folder / BEST, *folder.glob(_LEFT_OVER)):
        path.unlink(missing_ok=True)
    return best.weights


class _States:
    """The last and the best state of a member, in memory and, now and then, on disk."""

    def __init__(self, folder: Path, keep_every: float) -> None:
        self._folder = folder
        self._keep_every = keep_every
        self._kept_at = time.monotonic()
        self._kept_epoch = -1
        self.last: Checkpoint | None = None
        self.best: Checkpoint | None = None
        if (folder / CHECKPOINT).exists() and (folder / BEST).exists():
            self.last = read_checkpoint(folder / CHECKPOINT)
            self.best = read_checkpoint(folder / BEST)
            self._kept_epoch = self.last.epoch

    def add(self, last: Checkpoint, best: Checkpoint | None) -> None:
        """One more epoch is done, and is the best one so far if ``best`` is given."""
        self.last, self.best = last, best or self.best
        if time.monotonic() - self._kept_at >= self._keep_every:
            self.keep()

    def keep(self) -> None:
        """Write what has changed."""
        if self.last is None or self.best is None or self.last.epoch == self._kept_epoch:
            return
        # Killed after this line, the run does some epochs again, and they come out the same.
        write_checkpoint(self._folder / BEST, self.best)
        write_checkpoint(self._folder / CHECKPOINT, self.last)
        write_whole(self._folder / LOG, _log(self.last.history), force=True)
        self._kept_at, self._kept_epoch = time.monotonic(), self.last.epoch


def _run(
    member: Member,
    tuning: FineTuning,
    states: _States,
    report: Reporter,
    watcher: Watcher | None,
) -> None:
    """Train epoch by epoch from the last state on."""
    import keras

    set_seed(member.seed)
    history = list(states.last.history) if states.last else []
    steps = _steps(member, tuning)
    left = (tuning.epochs - len(history)) * steps
    counter = report.track(range(left), f"Training {member.name}", left)
    while len(history) < tuning.epochs and not _out_of_patience(history, tuning):
        first = len(history)
        stage = tuning.stage_at(first)
        last = next(e for e in range(first, tuning.epochs + 1) if _ends(tuning, e, stage))
        network = member.build(stage.size)
        optimizer = compile_network(network, tuning, steps)
        _restore(network, optimizer, member.start, states.last)
        batches = loader_of(keras.backend.backend())(member.examples(stage.size), first, last)
        while len(history) < last and not _out_of_patience(history, tuning):
            begun, epoch = time.monotonic(), len(history) + 1
            place = f"{member.name}, epoch {epoch}"
            loss = _one_epoch(network, batches, steps, counter, place)
            current, values = network.get_weights(), _values(optimizer.variables)
            optimizer.finalize_variable_values(network.trainable_variables)
            averaged = network.get_weights()
            row = {
                "epoch": epoch,
                "size": stage.size,
                "learning_rate": float(optimizer.learning_rate),
                "loss": loss,
                **_validate(network, member, stage.size, place),
                "seconds": round(time.monotonic() - begun, 1),
            }
            network.set_weights(current)
            history.append(row)
            is_best = "validation_loss" not in row or _best_epoch(history) == epoch
            rows, chance = tuple(history), _values(random_states(network))
            states.add(
                Checkpoint(epoch, current, values, rows, chance),
                Checkpoint(epoch, averaged, [], rows) if is_best else None,
            )
            if epoch % math.ceil(tuning.epochs / MOST_LINES) == 0 or epoch == tuning.epochs:
                report.say(_line(member.name, row, tuning.epochs))
            if watcher is not None:
                watcher(member.folder, row)
        batches.close()
        keras.backend.clear_session()


def _one_epoch(
    network: Any, batches: Iterator[Batch], steps: int, counter: Iterator[int], place: str
) -> float:
    """Train for ``steps`` batches; returns the mean loss."""
    total = 0.0
    for step in range(steps):
        inputs, targets, weights = next(batches)
        loss = float(network.train_on_batch(inputs, targets, sample_weight=weights))
        if not math.isfinite(loss):
            raise UnusableInput(
                f"the loss is {loss} at step {step + 1} of {place}",
                _LOWER_RATE,
            )
        total += loss
        next(counter, None)
    return total / steps


def _steps(member: Member, tuning: FineTuning) -> int:
    """Batches in an epoch, which are the same at every size."""
    examples = member.examples(tuning.stages[0].size)
    check_batch(member.name, len(examples.targets), examples.batch)
    return examples.steps


def _restore(network: Any, optimizer: Any, start: Arrays | None, state: Checkpoint | None) -> None:
    if state is None:
        if start is not None:
            network.set_weights(start)
        return
    network.set_weights(state.weights)
    variables = [*optimizer.variables, *random_states(network)]
    for variable, value in zip(variables, [*state.optimizer, *state.random], strict=True):
        variable.assign(value)


def _values(variables: Iterable[Any]) -> Arrays:
    return [np.asarray(variable).copy() for variable in variables]


def _validate(network: Any, member: Member, size: int | None, place: str) -> dict[str, float]:
    if member.validation is None:
        return {}
    losses: list[float] = []
    counts: list[int] = []
    for inputs, targets in member.validation(size):
        logits = network.predict_on_batch(inputs)
        losses.append(float(network.loss(targets, logits)))
        counts.append(len(targets))
    loss = float(np.average(losses, weights=counts))
    if not math.isfinite(loss):
        raise UnusableInput(f"the validation loss is {loss} after {place}", _LOWER_RATE)
    return {"validation_loss": loss}


def _best_epoch(history: Sequence[dict[str, Any]]) -> int:
    """The first epoch, counted from 1, with the lowest validation loss at the size of the last one.

    Losses at two sizes cannot be compared, and the last size is the one that the network is for.
    """
    rows = [row for row in history if row["size"] == history[-1]["size"]]
    return int(min(rows, key=lambda row: row["validation_loss"])["epoch"])


def _out_of_patience(history: Sequence[dict[str, Any]], tuning: FineTuning) -> bool:
    """Whether the last stage has gone on for too long without a better epoch."""
    before = tuning.epochs - tuning.stages[-1].epochs
    if not tuning.patience or len(history) <= before:
        return False
    return len(history) - max(before, _best_epoch(history)) >= tuning.patience


def _ends(tuning: FineTuning, epoch: int, stage: Stage) -> bool:
    return epoch == tuning.epochs or tuning.stage_at(epoch) is not stage


def _log(history: Sequence[dict[str, Any]]) -> bytes:
    import pandas as pd

    return pd.DataFrame(history).to_csv(index=False, lineterminator="\n").encode()


def _line(name: str, row: dict[str, Any], epochs: int) -> str:
    judged = f", validation loss {row['validation_loss']:.4f}" if "validation_loss" in row else ""
    return (
        f"{name}: epoch {row['epoch']} of {epochs}, loss {row['loss']:.4f}{judged}, "
        f"{row['seconds']:.0f} s"
    )
