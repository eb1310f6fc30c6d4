"""LiteRT as the layers are looked at in: one thread, every tensor kept if asked for."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from numpy.typing import NDArray

from lesionlite_export.noise import native_noise_logged
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.graph import read_graph


def kernels() -> str:
    """What the layers run in: ``LiteRT 2.3.0, XNNPACK``."""
    return f"LiteRT {importlib.metadata.version('ai-edge-litert')}, XNNPACK"


def load_interpreter(flatbuffer: bytes, file: str | None, keep: bool = False) -> Any:
    """LiteRT's interpreter of ``flatbuffer``, with XNNPACK's kernels, as on a device.

    Args:
        flatbuffer: the model.
        file: its name, for errors.
        keep: keep every tensor, to be read after a run; the kernels are the same.

    Raises:
        UnusableInput: when the interpreter refuses the model.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        with native_noise_logged():
            interpreter = Interpreter(
                model_content=flatbuffer,
                num_threads=1,
                experimental_preserve_all_tensors=keep,
                experimental_op_resolver_type=OpResolverType.BUILTIN,
            )
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError, MemoryError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnusableInput(
            f"LiteRT cannot run it layer by layer ({reason})",
            "verify it without --layers",
            file,
        ) from error
    return interpreter


class KeptGraph:
    """A ``.tflite`` whose every tensor can be read after a run.

    Args:
        flatbuffer: the model, float or quantized.
        input_name: the signature's name for the input.
        file: its name, for errors.

    Raises:
        UnusableInput: when the interpreter refuses the model.
    """

    def __init__(self, flatbuffer: bytes, input_name: str, file: str | None = None) -> None:
        self._interpreter = load_interpreter(flatbuffer, file, keep=True)
        self._input = read_graph(flatbuffer).inputs[input_name]

    def run(self, value: NDArray[Any]) -> None:
        """Run the network on ``value``, of the input's shape and type."""
        self._interpreter.set_tensor(self._input, value)
        self._interpreter.invoke()

    def value(self, tensor: int) -> NDArray[Any]:
        """A copy of a tensor after the last run."""
        value: NDArray[Any] = self._interpreter.get_tensor(tensor)
        return value
