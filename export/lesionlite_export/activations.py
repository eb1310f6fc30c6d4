"""Running a float32 ``.tflite`` with every activation kept, one input at a time."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from lesionlite_export.noise import native_noise_logged
from lesionlite_runtime.errors import printable
from lesionlite_runtime.graph import read_graph


class FloatModel:
    """A float32 ``.tflite`` whose activations can be looked at after each run.

    LiteRT's XNNPACK kernels run it, on one thread: the same values each time.

    Args:
        float32: its bytes.
        input_name: the signature's name for the input.
    """

    def __init__(self, float32: bytes, input_name: str) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self.graph = read_graph(float32)
        self._input = self.graph.inputs[input_name]
        with native_noise_logged():
            self._interpreter = Interpreter(
                model_content=float32,
                num_threads=1,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=OpResolverType.BUILTIN,
            )
            self._interpreter.allocate_tensors()

    @property
    def activations(self) -> dict[str, int]:
        """Number of each float32 tensor that is computed or fed, by name."""
        return {
            tensor.name: number
            for number, tensor in enumerate(self.graph.tensors)
            if tensor.dtype == "float32" and not tensor.is_constant and 0 not in tensor.shape
        }

    def run(self, tensor: NDArray[Any]) -> None:
        """Run the network on ``tensor``, of the input's shape ``[1, ...]``."""
        self._interpreter.set_tensor(self._input, tensor)
        self._interpreter.invoke()

    def value(self, number: int) -> NDArray[Any]:
        """A copy of tensor ``number`` after the last run."""
        value: NDArray[Any] = self._interpreter.get_tensor(number)
        return value

    def layer(self, number: int) -> str:
        """What computes tensor ``number``, for people: ``stem_relu6/Relu6 (CONV_2D)``."""
        name = printable(self.graph.tensors[number].name.partition(";")[0])
        makers = [o.name for o in self.graph.operators if number in o.outputs]
        return f"{name} ({makers[0]})" if makers else f"{name} (the input)"
