"""The training loop: it learns, it can be killed at any moment, and it gives the same twice."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lesionlite_export.progress import Silent
from lesionlite_runtime.errors import UnusableInput
from lesionlite_training.batches import Examples
from lesionlite_training.checkpoints import Arrays, read_checkpoint
from lesionlite_training.configuration import FineTuning, Stage
from lesionlite_training.trainer import (
    BEST,
    CHECKPOINT,
    LOG,
    TRAINED,
    _best_epoch,
    _out_of_patience,
    train_member,
)

from .tiny_member import TUNING, N, member

pytestmark = pytest.mark.tensorflow
HERE = Path(__file__).parent


def train(folder: Path, tuning: FineTuning = TUNING, **settings: Any) -> Arrays:
    return train_member(member(**settings), tuning, folder, Silent())


def run_and_kill(folder: Path, kill_after: int, optimizer: str = "adamw") -> int:
    program = [
        sys.executable,
        str(HERE / "tiny_member.py"),
        str(folder),
        str(kill_after),
        optimizer,
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(program, capture_output=True, check=False, env=environment).returncode


def same(one: Arrays, two: Arrays) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Arrays:
    """The weights of a run without a break."""
    return train(tmp_path_factory.mktemp("whole"))


def test_it_learns_and_leaves_weights_and_log(tmp_path: Path) -> None:
    train(tmp_path)
    log = pd.read_csv(tmp_path / LOG)
    assert log["epoch"].tolist() == [1, 2, 3, 4, 5]
    assert log["loss"].iloc[-1] < log["loss"].iloc[0]
    assert log["size"].fillna(0).tolist() == [32, 32, 0, 0, 0]
    assert log["learning_rate"].iloc[-1] < 1e-3 < log["learning_rate"].max()
    assert {path.name for path in tmp_path.iterdir()} == {TRAINED, LOG}


def test_the_same_seed_gives_the_same_weights_and_another_one_others(
    tmp_path: Path, whole: Arrays
) -> None:
    assert same(train(tmp_path / "again"), whole)
    assert not same(train(tmp_path / "other", seed=1), whole)


# 6 steps of 8 images an epoch, and 16 that judge it: in the first epoch, the second and the fourth.
@pytest.mark.parametrize(
    "kill_after",
    [20, 130, pytest.param(250, marks=pytest.mark.slow)],
)
def test_a_killed_run_goes_on_to_the_same_weights(
    tmp_path: Path, whole: Arrays, kill_after: int
) -> None:
    assert run_and_kill(tmp_path, kill_after) == -signal.SIGKILL
    assert not (tmp_path / TRAINED).exists()
    assert (tmp_path / CHECKPOINT).exists() == (kill_after > 20)
    assert same(train(tmp_path), whole)


@pytest.mark.parametrize("optimizer", ["sgd", pytest.param("rmsprop", marks=pytest.mark.slow)])
def test_other_optimizers_go_on_as_well(tmp_path: Path, optimizer: str) -> None:
    tuning = replace(TUNING, optimizer=optimizer)
    assert run_and_kill(tmp_path / "killed", 130, optimizer) == -signal.SIGKILL
    assert same(train(tmp_path / "killed", tuning), train(tmp_path / "whole", tuning))


def test_a_finished_member_is_not_trained_again(tmp_path: Path) -> None:
    weights = train(tmp_path)

    def fail() -> None:
        raise AssertionError("an example was read")

    assert same(train(tmp_path, read_more=fail), weights)


def test_the_best_epoch_is_kept_and_patience_stops(tmp_path: Path) -> None:
    """A rate far too high: the loss on the validation images rises after some epoch."""
    tuning = replace(
        TUNING,
        learning_rate=3.0,
        schedule="constant",
        ema=0.0,
        patience=2,
        stages=(Stage(40),),
        optimizer="sgd",
        weight_decay=0.0,
    )
    weights = train(tmp_path, tuning)
    log = pd.read_csv(tmp_path / LOG)
    best = int(log["validation_loss"].idxmin())
    assert len(log) == best + 1 + tuning.patience < 40
    shorter = replace(tuning, stages=(Stage(best + 1),), warmup_steps=tuning.warmup_steps)
    assert same(train(tmp_path / "shorter", replace(shorter, patience=0)), weights)


def test_without_validation_the_last_average_is_kept(tmp_path: Path) -> None:
    weights = train(tmp_path / "average", judged=False)
    plain = train(tmp_path / "plain", replace(TUNING, ema=0.0), judged=False)
    assert not same(weights, plain)
    assert "validation_loss" not in pd.read_csv(tmp_path / "average" / LOG)


def test_a_loss_that_is_no_number_stops_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def poisoned() -> None:
        nonlocal calls
        calls += 1

    healthy = member(poisoned)

    def examples(size: int | None) -> Examples:
        good = healthy.examples(size)
        return replace(
            good,
            read=lambda index, generator: (
                good.read(index, generator) * np.float32(np.nan if calls > 100 else 1)
            ),
        )

    with pytest.raises(
        UnusableInput, match=r"nan at step \d of tiny, epoch \d.*lower the learning"
    ):
        train_member(replace(healthy, examples=examples), TUNING, tmp_path, Silent())
    assert read_checkpoint(tmp_path / CHECKPOINT).epoch >= 1


def interrupted(folder: Path) -> None:
    left = 20  # in the second epoch's 16 that judge it

    def interrupt() -> None:
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt

    judged = replace(member(), validation=member(interrupt).validation)
    with pytest.raises(KeyboardInterrupt):
        train_member(judged, TUNING, folder, Silent())


def test_ctrl_c_keeps_the_best_so_far(tmp_path: Path) -> None:
    interrupted(tmp_path)
    assert read_checkpoint(tmp_path / BEST).epoch >= 1


def kept() -> tuple[int, int]:
    """How many graphs of TensorFlow are held, and how many objects in all."""
    gc.collect()
    objects = gc.get_objects()
    return sum(type(one).__name__ == "FuncGraph" for one in objects), len(objects)


def test_a_member_that_is_done_is_let_go(tmp_path: Path) -> None:
    """Six of them are trained in one process."""
    train(tmp_path / "first")  # what is made once for all is made
    graphs, objects = kept()
    train(tmp_path / "second")
    more_graphs, more_objects = kept()
    assert more_graphs == graphs
    assert more_objects - objects < 1000


def test_fewer_images_than_a_batch_are_refused(tmp_path: Path) -> None:
    small = replace(member(), examples=lambda size: replace(member().examples(size), batch=N + 1))
    with pytest.raises(UnusableInput, match=f"{N} training images, fewer than a batch of {N + 1}"):
        train_member(small, TUNING, tmp_path, Silent())


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    for name in (CHECKPOINT, BEST):
        (tmp_path / name).write_bytes(b"cut off")
    with pytest.raises(UnusableInput, match=r"checkpoint\.npz: this checkpoint cannot be read"):
        train(tmp_path)


@pytest.mark.parametrize("removed", [CHECKPOINT, BEST])
def test_with_one_of_the_two_files_removed_a_member_begins_anew(
    tmp_path: Path, whole: Arrays, removed: str
) -> None:
    """The advice of the sentence above."""
    interrupted(tmp_path)
    (tmp_path / removed).unlink()
    assert same(train(tmp_path), whole)


def history(*rows: tuple[int | None, float]) -> list[dict[str, Any]]:
    return [
        {"epoch": i, "size": size, "validation_loss": loss}
        for i, (size, loss) in enumerate(rows, start=1)
    ]


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        ([(None, 0.5)], 1),
        ([(None, 0.5), (None, 0.4), (None, 0.4)], 2),
        # A loss on small images says nothing about one on larger ones.
        ([(32, 0.1), (32, 0.2), (None, 0.5)], 3),
        ([(32, 0.1), (None, 0.5), (None, 0.6)], 2),
        ([(None, 0.3), (32, 0.1), (None, 0.5)], 1),
    ],
)
def test_the_best_epoch_is_the_best_at_the_last_size(
    rows: list[tuple[int | None, float]], best: int
) -> None:
    assert _best_epoch(history(*rows)) == best


@pytest.mark.parametrize(
    ("losses", "is_over"),
    [
        ([0.5, 0.6], False),
        ([0.5, 0.6, 0.7], False),  # the first stage goes to its end
        ([0.5, 0.6, 0.7, 0.8], False),
        ([0.5, 0.6, 0.7, 0.8, 0.9], False),  # one epoch after the last stage's first
        ([0.5, 0.6, 0.7, 0.8, 0.9, 0.9], True),
        ([0.5, 0.6, 0.7, 0.8, 0.7, 0.9], False),
    ],
)
def test_patience_is_for_the_last_stage(losses: list[float], is_over: bool) -> None:
    tuning = replace(TUNING, stages=(Stage(3, 32), Stage(9)), patience=2)
    sizes = [32, 32, 32, *[None] * 9]
    rows = history(*zip(sizes, losses, strict=False))
    assert _out_of_patience(rows, tuning) == is_over
