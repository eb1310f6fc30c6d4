"""A ``.tflite`` as the model to compare with, or, in float32, to export from.

No TensorFlow is needed then.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_runtime.contract import AnyContract, RegressionContract
from lesionlite_runtime.door import DeviceModel, open_model
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.graph import Graph
from lesionlite_runtime.image_model import ImageModel
from lesionlite_runtime.interpreter import open_backend

_NARROW = frozenset({"int8", "uint8", "int16", "int4", "int2", "uint4", "float16", "bfloat16"})


@dataclass(frozen=True)
class TfliteModel:
    """A file with its contract, as opened from ``path``."""

    path: str
    contract: AnyContract
    opened: DeviceModel

    @property
    def flatbuffer(self) -> bytes:
        """The model's bytes, without what is appended to them."""
        return self.opened.flatbuffer


def load_tflite(path: str | os.PathLike[str]) -> TfliteModel:
    """The ``.tflite`` at ``path``, of any recipe.

    Raises:
        UnusableInput: when the file is refused at the door.
    """
    opened = open_model(path)
    return TfliteModel(opened.path, opened.contract, opened)


def refuse_quantized(model: TfliteModel) -> None:
    """Refuse a file whose weights or activations are no float32 any more.

    Raises:
        UnusableInput: when it is one.
    """
    narrow = _narrow(model.opened.graph)
    if narrow:
        raise UnusableInput(
            f"this file is quantized already ({narrow} of its tensors are)",
            "export from the float32 file or the .keras that it was made from",
            model.path,
        )


def is_quantized(graph: Graph) -> bool:
    """Whether a graph's weights or activations are no float32 any more."""
    return _narrow(graph) > 0


def _narrow(graph: Graph) -> int:
    return sum(
        tensor.dtype in _NARROW and (bool(tensor.scales) or tensor.is_constant)
        for tensor in graph.tensors
    )


def tflite_outputs(
    model: TfliteModel, inputs: Iterable[NDArray[Any]]
) -> Iterator[NDArray[np.float64]]:
    """The file's output for each input: float64 ``[1]``, or ``[1, units]`` of several.

    Args:
        model: the file.
        inputs: pixels ``[H, W, 3]``, or values ``[1]``.
    """
    if isinstance(model.contract, RegressionContract):
        backend = open_backend(model.opened)
        for value in inputs:
            yield np.asarray(backend.invoke(value[np.newaxis].astype(np.float32)), np.float64)
        return
    images = ImageModel(model.opened, model.contract, None, 1)
    for pixels in inputs:
        outputs = images.outputs(pixels[np.newaxis])
        yield outputs if len(outputs) == 1 else outputs[np.newaxis]
