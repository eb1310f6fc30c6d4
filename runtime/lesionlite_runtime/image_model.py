"""What image classifiers share on the device: from a photo to the network's outputs."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lesionlite_runtime.contract import ImageContract
from lesionlite_runtime.contract_checks import INTEGER_LEVELS
from lesionlite_runtime.contract_fields import ImageInput, Quantization
from lesionlite_runtime.door import DeviceModel
from lesionlite_runtime.errors import LesionliteError, UnusableInput
from lesionlite_runtime.files import read_file
from lesionlite_runtime.graph import TensorInfo
from lesionlite_runtime.interpreter import open_backend
from lesionlite_runtime.pixels import MAX_FILE_BYTES, ImageSource, image_tensor

# A sum of softmax outputs may miss 1 by rounding.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class Invoked:
    """The outputs for one photo, float64 ``[units]``, with its name, digest and times."""

    file: str
    sha256: str
    outputs: NDArray[np.float64]
    decode_ms: float
    invoke_ms: float


class ImageModel:
    """A model of images behind a contract, loaded in an interpreter."""

    def __init__(
        self, opened: DeviceModel, contract: ImageContract, backend: str | None, threads: int
    ) -> None:
        self._backend = open_backend(opened, backend, threads)
        self._path = opened.path
        self._image = contract.input
        self._quantization = contract.output.quantization
        self._units = opened.graph.tensors[opened.graph.outputs[contract.output.name]].shape[-1]
        self._table = input_table(
            contract.input, opened.graph.tensors[opened.graph.inputs[contract.input.name]]
        )
        self._model_id = contract.model_id

    @property
    def backend(self) -> str:
        """Name of the interpreter that runs the model."""
        return self._backend.name

    @property
    def model_id(self) -> str:
        """The first 12 hex digits of the SHA-256 of the model's FlatBuffer."""
        return self._model_id

    def tensor(self, source: ImageSource) -> NDArray[np.uint8]:
        """The pixels that the model gets for a photo: uint8 RGB ``[1, H, W, 3]``.

        ``source`` is a path, the bytes of an image file or a binary file object, or uint8 RGB
        pixels ``[h, w, 3]``.
        """
        image = self._image
        pixels = image_tensor(source, image.height, image.width, image.resize, image.fit)
        return pixels[np.newaxis]

    def outputs(self, tensor: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The model's outputs, float64 ``[units]`` within 0 to 1, for pixels ``[1, H, W, 3]``.

        Raises:
            UnusableInput: when the tensor has another shape or type, or the model gives no numbers
                within 0 to 1.
        """
        shape = tuple(self._image.shape)
        if tensor.shape != shape or tensor.dtype != np.uint8:
            raise UnusableInput(
                f"the tensor is {tensor.dtype} {list(tensor.shape)}, not uint8 {list(shape)}",
                "make it with Classifier.tensor",
            )
        return self._checked(self._backend.invoke(as_input(tensor, self._image, self._table)))

    def invoke(self, source: str | os.PathLike[str] | bytes, file: str | None) -> Invoked:
        """The outputs for one photo: a path, or the bytes of an image file (named ``file``).

        Raises:
            UnusableInput: when the photo cannot be read or decoded.
        """
        started = time.perf_counter()
        if isinstance(source, bytes):
            name, data = file or "<bytes>", source
        else:
            name = os.fspath(source)
            data = read_file(source, MAX_FILE_BYTES)
        try:
            tensor = self.tensor(data)
        except LesionliteError as error:
            raise type(error)(error.problem, error.remedy, name) from error
        decoded = time.perf_counter()
        outputs = self.outputs(tensor)
        done = time.perf_counter()
        digest = hashlib.sha256(data).hexdigest()
        return Invoked(name, digest, outputs, (decoded - started) * 1000, (done - decoded) * 1000)

    def _checked(self, raw: NDArray[np.generic]) -> NDArray[np.float64]:
        values, valid = scores_of(raw, self._quantization)
        if values.shape != (self._units,) or not valid.all():
            raise UnusableInput(
                f"the model gave {_shown(values.tolist())} in place of a score",
                "run `lesionlite verify` on it, or try another --backend",
                self._path,
            )
        return np.clip(values, 0.0, 1.0)


def scores_of(
    raw: NDArray[np.generic], quantization: Quantization | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The scores that raw outputs stand for, not clipped, and which of them are scores.

    A score is a number within 0 to 1, which rounding may miss by a little.
    """
    values = np.asarray(raw, np.float64)
    beyond = _ROUNDING
    if quantization is not None:
        values = real_values(values, quantization)
        beyond = quantization.scale
    # False for NaN, too.
    return values, np.asarray((values >= -beyond) & (values <= 1 + beyond), np.bool_)


def real_values(levels: NDArray[np.float64], quantization: Quantization) -> NDArray[np.float64]:
    """The real numbers that integer outputs stand for."""
    return np.asarray(quantization.scale * (levels - quantization.zero_point))


def input_table(image: ImageInput, tensor: TensorInfo) -> NDArray[np.generic] | None:
    """What each pixel value, 0 to 255, becomes in the model's input; None where it stays.

    Args:
        image: the contract's input.
        tensor: the file's, with the scale and zero point of an integer input.
    """
    if image.range is None:
        return None
    low, high = image.range
    values = low + np.arange(256) * ((high - low) / 255)
    if image.dtype == "float32":
        return values.astype(np.float32)
    levels = np.rint(values / tensor.scales[0]) + tensor.zero_points[0]
    lowest, highest = INTEGER_LEVELS[image.dtype]
    return np.asarray(np.clip(levels, lowest, highest).astype(image.dtype))


def as_input(
    tensor: NDArray[np.uint8], image: ImageInput, table: NDArray[np.generic] | None
) -> NDArray[np.generic]:
    """Pixels, uint8 RGB ``[1, H, W, 3]``, in the order and type of the model's input."""
    ordered = tensor[..., ::-1] if image.color == "BGR" else tensor
    if table is None:
        return np.ascontiguousarray(ordered)
    return np.asarray(table[ordered])


def _shown(values: Sequence[float]) -> str:
    return f"{values[0]}" if len(values) == 1 else f"{values}"
