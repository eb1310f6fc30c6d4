"""Batches of training examples: what an epoch shows, and two loaders that show it.

Order and augmentation depend on seed, epoch and image alone, so both loaders give the same batches,
and a run that goes on from a checkpoint sees what it would have seen without the break.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lesionlite_runtime.errors import LesionliteError

Batch: TypeAlias = tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]
"""Inputs ``[batch, ...]``, targets ``[batch, k]`` and weights ``[batch]``."""
Read: TypeAlias = Callable[[int, np.random.Generator], NDArray[Any]]
"""The network's input for an example, changed at random by the generator."""
Loader: TypeAlias = Callable[["Examples", int, int], Generator[Batch]]
_AHEAD = 3


@dataclass(frozen=True)
class Examples:
    """Training examples and how they are read.

    Attributes:
        read: see `Read`.
        targets: float32 ``[n, k]``.
        weights: float32 ``[n]``.
        batch: examples in a batch; an epoch leaves out the rest that fills none.
        seed: of order and augmentation.
    """

    read: Read
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]
    batch: int
    seed: int

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return len(self.targets) // self.batch

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The examples of ``epoch``, int64 ``[steps * batch]``."""
        generator = np.random.default_rng((self.seed, epoch, 0))
        return generator.permutation(len(self.targets))[: self.steps * self.batch]

    def example(self, epoch: int, index: int) -> NDArray[Any]:
        """The input for example ``index`` as ``epoch`` shows it."""
        return self.read(index, np.random.default_rng((self.seed, epoch, 1 + index)))


def numpy_batches(examples: Examples, first: int, last: int) -> Generator[Batch]:
    """The batches of the epochs from ``first`` to before ``last``, read ahead by threads."""
    waiting: deque[Future[Batch]] = deque()

    def batch(epoch: int, chosen: NDArray[np.int64]) -> Batch:
        inputs = np.stack([examples.example(epoch, int(index)) for index in chosen])
        return inputs, examples.targets[chosen], examples.weights[chosen]

    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        for epoch in range(first, last):
            for chosen in examples.order(epoch).reshape(examples.steps, examples.batch):
                waiting.append(pool.submit(batch, epoch, chosen))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def tf_data_batches(examples: Examples, first: int, last: int) -> Generator[Batch]:
    """As `numpy_batches`, by a ``tf.data`` pipeline."""
    import tensorflow as tf

    faults: list[LesionliteError] = []  # TensorFlow would make errors of its own of them
    shown = examples.steps * examples.batch
    sample = examples.example(first, 0)

    def order(epoch: Any) -> Any:
        indices = tf.numpy_function(lambda e: examples.order(int(e)), [epoch], tf.int64)
        indices.set_shape([shown])
        return tf.data.Dataset.from_tensor_slices(indices).map(lambda index: (epoch, index))

    def read(epoch: Any, index: Any) -> NDArray[Any]:
        try:
            return examples.example(int(epoch), int(index))
        except LesionliteError as fault:
            faults.append(fault)
            raise

    def load(epoch: Any, index: Any) -> Any:
        inputs = tf.numpy_function(read, [epoch, index], sample.dtype)
        inputs.set_shape(sample.shape)
        return inputs, index

    dataset = (
        tf.data.Dataset.range(first, last)
        .flat_map(order)
        .map(load, num_parallel_calls=os.cpu_count() or 1, deterministic=True)
        .batch(examples.batch, drop_remainder=True)
        .prefetch(_AHEAD)
    )
    try:
        for inputs, chosen in dataset.as_numpy_iterator():
            yield inputs, examples.targets[chosen], examples.weights[chosen]
    except tf.errors.OpError as error:
        raise faults[0] if faults else error from error


def loader_of(keras_backend: str) -> Loader:
    """``tf.data`` where Keras runs on TensorFlow, else the NumPy loader."""
    return tf_data_batches if keras_backend == "tensorflow" else numpy_batches
