"""What a file is made from or compared with: a Keras model, or another ``.tflite``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.brought_keras import load_brought_keras
from lesionlite_export.brought_tflite import load_brought_tflite
from lesionlite_export.keras_model import BATCH, KerasModel, keras_outputs, load_keras
from lesionlite_export.tflite_model import TfliteModel, load_tflite, tflite_outputs
from lesionlite_runtime.container import (
    TFLITE_IDENTIFIER,
    keras_members,
    split_members,
)
from lesionlite_runtime.contract import CONTRACT_MEMBER
from lesionlite_runtime.draft import AnyDraft
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.files import read_file

Source = KerasModel | TfliteModel
HDF5_SUFFIXES = (".h5", ".hdf5")


def load_source(
    path: str | os.PathLike[str], draft: AnyDraft | None = None, *, allow_code: bool = False
) -> Source:
    """The model at ``path``: with its contract, or by a draft of one where it carries none.

    Args:
        path: a ``.keras`` or ``.tflite``; with a draft, also an ``.h5`` or a SavedModel's folder.
        draft: what the maker of a model without a contract knows of it.
        allow_code: run the code of Lambda layers.

    Raises:
        MissingHere: when a package that the model needs is missing.
        UnusableInput: when it is refused; see `load_keras`, `load_tflite` and the loaders of
            `brought_keras` and `brought_tflite`.
        UsageError: when there is a draft and the model carries a contract.
    """
    file = os.fspath(path)
    carries = carries_contract(Path(path))
    if draft is None:
        if not carries:
            raise UnusableInput(
                "this model carries no contract (lesionlite.json), or was cut off at its end",
                "copy it anew, or pass --contract for one that lesionlite did not make "
                "(docs/bring-your-own.md)",
                file,
            )
        if Path(path).suffix == ".tflite":
            return load_tflite(path)
        return load_keras(path, allow_code=allow_code)
    if carries:
        raise UsageError("this model carries a contract of its own", "leave out --contract", file)
    if Path(path).suffix == ".tflite":
        return load_brought_tflite(path, draft)
    return load_brought_keras(path, draft, allow_code=allow_code)


def carries_contract(path: Path) -> bool:
    """Whether the model at ``path`` has a contract inside."""
    if path.is_dir() or path.suffix in HDF5_SUFFIXES:
        return False
    data = read_file(path)
    if data[4:8] == TFLITE_IDENTIFIER:
        return CONTRACT_MEMBER in split_members(data, os.fspath(path))[1]
    return CONTRACT_MEMBER in keras_members(data, os.fspath(path))


def outputs_of(source: Source, inputs: Iterable[NDArray[Any]]) -> Iterator[NDArray[np.float64]]:
    """The model's outputs, some inputs at a time: float64 ``[n]``, or ``[n, units]`` of several."""
    if isinstance(source, TfliteModel):
        return tflite_outputs(source, inputs)
    return keras_outputs(source.network, inputs, _batch_of(source))


def chunks_of(source: Source, n: int) -> int:
    """How many arrays `outputs_of` gives for ``n`` inputs."""
    return n if isinstance(source, TfliteModel) else -(-n // _batch_of(source))


def name_of(source: Source) -> str:
    """What the reference is called in reports."""
    return "the reference" if isinstance(source, TfliteModel) else "Keras"


def _batch_of(source: KerasModel) -> int:
    """How many images the network takes at once: 1 where its maker fixed that."""
    return source.network.inputs[0].shape[0] or BATCH
