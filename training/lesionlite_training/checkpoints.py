"""The state of a training run on disk: one file each, whole or not at all, without pickles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.files import whole_file

Arrays = list[NDArray[Any]]
_KINDS = ("weight", "optimizer", "random")


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on.

    Attributes:
        epoch: epochs that are done.
        weights: of the network, in Keras' order.
        optimizer: the optimizer's variables, in Keras' order; empty for weights alone.
        history: one row of figures for each epoch that is done.
        random: states of the random generators in the network, such as dropout's.
    """

    epoch: int
    weights: Arrays
    optimizer: Arrays
    history: Sequence[dict[str, Any]]
    random: Arrays = field(default_factory=list)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``checkpoint``, in the place of an older one.

    Raises:
        MissingHere: when the disk is full.
    """
    kinds = (checkpoint.weights, checkpoint.optimizer, checkpoint.random)
    arrays = {
        f"{kind}{i}": np.asarray(a)
        for kind, found in zip(_KINDS, kinds, strict=True)
        for i, a in enumerate(found)
    }
    head = {
        "epoch": checkpoint.epoch,
        "history": list(checkpoint.history),
        "counts": [len(found) for found in kinds],
    }
    text = np.frombuffer(json.dumps(head).encode(), np.uint8)
    with whole_file(path, force=True) as beside, beside.open("wb") as stream:
        np.savez(stream, head=text, **arrays)  # type: ignore[arg-type]


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint at ``path``.

    Raises:
        UnusableInput: when it cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            head = json.loads(kept["head"].tobytes())
            weights, optimizer, random = (
                [kept[f"{kind}{i}"] for i in range(count)]
                for kind, count in zip(_KINDS, head["counts"], strict=True)
            )
            return Checkpoint(head["epoch"], weights, optimizer, head["history"], random)
    except Exception as error:  # a damaged archive raises many kinds
        raise UnusableInput(
            "this checkpoint cannot be read", "remove it, and the training begins there anew", path
        ) from error
