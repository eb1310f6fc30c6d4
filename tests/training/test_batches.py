"""Batches: both loaders show the same, whatever the epoch they start from."""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import replace

import numpy as np
import pytest

from lesionlite_runtime.errors import UnusableInput
from lesionlite_training.batches import (
    _AHEAD,
    Batch,
    Examples,
    Loader,
    loader_of,
    numpy_batches,
    tf_data_batches,
)


def examples(n: int = 11, batch: int = 4, seed: int = 3) -> Examples:
    """Inputs that tell which example they are, with noise in the place of augmentation."""

    def read(index: int, generator: np.random.Generator) -> np.ndarray:
        return np.array([[index, generator.integers(1000)]], np.uint8 if n < 200 else np.int64)

    targets = np.arange(n, dtype=np.float32)[:, np.newaxis]
    return Examples(read, targets, np.linspace(1, 2, n, dtype=np.float32), batch, seed)


def equal(one: list[Batch], two: list[Batch]) -> bool:
    return len(one) == len(two) and all(
        a.dtype == b.dtype and np.array_equal(a, b)
        for left, right in zip(one, two, strict=True)
        for a, b in zip(left, right, strict=True)
    )


def test_an_epoch_shows_each_example_once_and_leaves_out_the_rest() -> None:
    batches = list(numpy_batches(examples(), 0, 1))
    assert [len(inputs) for inputs, _, _ in batches] == [4, 4]
    shown = np.concatenate([inputs[:, 0, 0] for inputs, _, _ in batches])
    assert len(set(shown.tolist())) == 8
    targets = np.concatenate([t[:, 0] for _, t, _ in batches])
    assert np.array_equal(shown, targets)
    weights = np.concatenate([w for _, _, w in batches])
    assert np.array_equal(weights, examples().weights[shown])


def test_epochs_differ_in_order_and_in_augmentation() -> None:
    one = list(numpy_batches(examples(), 0, 1))
    two = list(numpy_batches(examples(), 1, 2))
    assert not np.array_equal(one[0][1], two[0][1])
    noise = [
        {int(i[0]): int(i[1]) for inputs, _, _ in batches for i in inputs[:, 0]}
        for batches in (one, two)
    ]
    common = noise[0].keys() & noise[1].keys()
    assert any(noise[0][key] != noise[1][key] for key in common)


def test_seeds_differ() -> None:
    one = next(numpy_batches(examples(seed=0), 0, 1))
    two = next(numpy_batches(examples(seed=1), 0, 1))
    assert not np.array_equal(one[1], two[1])


def test_a_later_start_shows_what_the_whole_run_shows() -> None:
    whole = list(numpy_batches(examples(), 0, 5))
    assert equal(list(numpy_batches(examples(), 3, 5)), whole[6:])


@pytest.mark.tensorflow
def test_tf_data_shows_what_numpy_shows() -> None:
    whole = list(numpy_batches(examples(), 0, 3))
    assert equal(list(tf_data_batches(examples(), 0, 3)), whole)
    assert equal(list(tf_data_batches(examples(), 2, 3)), whole[4:])


@pytest.mark.tensorflow
@pytest.mark.parametrize("loader", [numpy_batches, tf_data_batches])
def test_a_fault_of_ours_comes_through(loader: Loader) -> None:
    """TensorFlow would make one of its own of it."""

    def read(index: int, generator: np.random.Generator) -> np.ndarray:
        if index == 7:
            raise UnusableInput("the image is gone", "", "7.jpg")
        return np.zeros(1, np.uint8)

    broken = replace(examples(), read=read)
    with pytest.raises(UnusableInput) as caught:
        list(loader(broken, 0, 3))
    assert str(caught.value) == "7.jpg: the image is gone"


@pytest.mark.tensorflow
@pytest.mark.parametrize("loader", [numpy_batches, tf_data_batches])
def test_memory_is_bounded_by_what_is_read_ahead(loader: Loader) -> None:
    """A loader that reads a whole epoch before the first batch is used would hold it all."""
    asked: list[int] = []
    changed = threading.Condition()

    def read(index: int, generator: np.random.Generator) -> np.ndarray:
        with changed:
            asked.append(index)
            changed.notify()
        return np.zeros(1, np.uint8)

    n, batch = 4000, 4
    many = Examples(read, np.zeros((n, 1), np.float32), np.ones(n, np.float32), batch, 0)
    # One in use, those waiting, one in the making; an example for each thread; one for its shape.
    most = batch * (1 + _AHEAD + 1) + 2 * (os.cpu_count() or 1) + 1
    most *= 2  # how far TensorFlow is ahead differs by a batch or two with the load
    assert most < n / 10
    with contextlib.closing(loader(many, 0, 2)) as batches:
        for used in (0, batch):
            next(batches)
            limit = most + used
            with changed:
                assert not changed.wait_for(lambda limit=limit: len(asked) > limit, timeout=1)


def test_tensorflow_gets_tf_data_and_the_others_numpy() -> None:
    assert loader_of("tensorflow") is tf_data_batches
    assert loader_of("jax") is numpy_batches
    assert loader_of("torch") is numpy_batches
