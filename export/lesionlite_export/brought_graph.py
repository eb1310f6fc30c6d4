"""A SavedModel that somebody else trained, as a Keras layer: one tensor in, one vector out.

`SavedModelLayer` is for feature extractors that training saves into a ``.keras``. This one is never
saved, and takes what its draft says. Importing this module imports Keras.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras

from lesionlite_export.saved_model import read_graph_file
from lesionlite_export.saved_model_endpoint import find_endpoint, load_graph
from lesionlite_export.saved_model_layer import restore_variables, wrapped
from lesionlite_runtime.errors import MissingHere, UnusableInput


class BroughtGraph(keras.layers.Layer):  # type: ignore[misc]
    """The graph in ``folder``, frozen, in inference mode.

    Attributes:
        taken: shape that it takes, the batch included; None for a side of any length.
        taken_type: type of its input.

    Raises:
        MissingHere: when Keras runs on another backend than TensorFlow.
        UnusableInput: when the SavedModel is refused (see `check_graph`), damaged, or has other
            than one input and one output.
    """

    def __init__(self, folder: Path) -> None:
        if keras.backend.backend() != "tensorflow":
            raise MissingHere(
                f"a SavedModel needs TensorFlow, and Keras runs on {keras.backend.backend()}",
                "set KERAS_BACKEND=tensorflow",
            )
        super().__init__(name="saved_model", autocast=False, trainable=False)
        self.supports_jit = False
        data = read_graph_file(folder)
        try:
            self._module = load_graph(data)
            self._endpoint = find_endpoint(self._module, _only_input)
            with keras.name_scope(self.name, caller=self):
                self._variables_of_graph = list(wrapped(self._module, self._endpoint.functions))
            restore_variables(self._module, folder)
        except UnusableInput as error:
            raise type(error)(error.problem, error.remedy, folder) from error
        spec = self._endpoint.spec
        self.taken = None if spec.shape.rank is None else tuple(spec.shape.as_list())
        self.taken_type = str(spec.dtype.name)

    def call(self, x: Any) -> Any:
        """What the graph gives for ``x``, in float32."""
        import tensorflow as tf

        output = self._endpoint.call(tf.cast(x, self._endpoint.spec.dtype), False)
        outputs = list(output.values()) if isinstance(output, dict) else [output]
        if len(outputs) != 1 or not hasattr(outputs[0], "shape"):
            raise UnusableInput(
                f"this SavedModel returns {len(outputs)} outputs, not one",
                "save a model of the one output that is to be exported",
            )
        return tf.cast(outputs[0], tf.float32)


def _only_input(specs: Iterable[Any]) -> Any:
    tensors = [spec for spec in specs if hasattr(spec, "shape") and hasattr(spec, "dtype")]
    if len(tensors) != 1:
        raise UnusableInput(
            f"this SavedModel takes {len(tensors)} inputs, not one",
            "save a model of the one input that the draft describes",
        )
    return tensors[0]
