"""A file's scores in LiteRT's two kernel sets, also of inputs that are none of its contract's."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.kit.manifest import BUILTIN, XNNPACK
from lesionlite_export.kit.telling import noisy
from lesionlite_export.noise import native_noise_logged
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.door import DeviceModel
from lesionlite_runtime.errors import MissingHere, UnusableInput
from lesionlite_runtime.graph import SIGNATURE_KEY
from lesionlite_runtime.image_model import as_input, input_table, real_values

_NOISES = 4


class Kernels:
    """A classifier in LiteRT on one thread.

    Args:
        opened: the file.
        contract: its contract.
        name: ``xnnpack``, which LiteRT takes by itself, or ``builtin``, without delegates.

    Raises:
        MissingHere: when LiteRT is not installed.
    """

    def __init__(self, opened: DeviceModel, contract: ClassifierContract, name: str) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter, OpResolverType
        except ImportError as error:
            raise MissingHere(
                "a kit is recorded in LiteRT, which is not installed", "pip install ai-edge-litert"
            ) from error
        resolver = {
            XNNPACK: OpResolverType.AUTO,
            BUILTIN: OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        }[name]
        with native_noise_logged():
            interpreter = Interpreter(
                model_content=opened.flatbuffer,
                num_threads=1,
                experimental_op_resolver_type=resolver,
            )
            interpreter.allocate_tensors()
            self._runner = interpreter.get_signature_runner(SIGNATURE_KEY)
        self._name = name
        self._path = opened.path
        self._contract = contract
        self._table = input_table(
            contract.input, opened.graph.tensors[opened.graph.inputs[contract.input.name]]
        )

    def score(self, pixels: NDArray[np.uint8]) -> float:
        """The score, 0 to 1, of right pixels, uint8 ``[H, W, 3]``.

        Raises:
            UnusableInput: when the file gives no number.
        """
        value = self.score_of(as_input(pixels[np.newaxis], self._contract.input, self._table))
        if value is None:
            raise UnusableInput(
                f"it gives no number in LiteRT's kernels {self._name}",
                "run `lesionlite verify` on it",
                self._path,
            )
        return value

    def score_of(self, value: NDArray[np.generic]) -> float | None:
        """The score of any input ``[1, H, W, 3]`` of the file's type; None for no number."""
        contract = self._contract
        outputs = self._runner(**{contract.input.name: value})[contract.output.name]
        raw = np.asarray(outputs, np.float64).reshape(-1)
        if contract.output.quantization is not None:
            raw = real_values(raw, contract.output.quantization)
        score = float(raw[-1])  # the second of two labels is the one it is of
        return min(max(score, 0.0), 1.0) if math.isfinite(score) else None


def one_level_change(kernels: Kernels, pixels: NDArray[np.uint8]) -> float:
    """The largest change of the score when pixels, uint8 ``[H, W, 3]``, move by one grey level.

    All of them up and down, each channel up and down, and four times each value by -1, 0 or 1 at
    random. Another JPEG decoder, and other integer kernels, do about as much.
    """
    right = kernels.score(pixels)
    wide = pixels.astype(np.int16)
    moves: list[NDArray[np.int16]] = []
    for channels in (slice(None), *range(3)):
        for step in (1, -1):
            move = np.zeros_like(wide)
            move[..., channels] = step
            moves.append(move)
    moved = [np.clip(wide + move, 0, 255).astype(np.uint8) for move in moves]
    moved += noisy(pixels, _NOISES)
    return max(abs(kernels.score(pixels) - right) for pixels in moved)
