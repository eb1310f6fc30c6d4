"""From a Keras network to the bytes of a ``.tflite``, by TensorFlow's converter.

One wrapper serves every recipe: a static batch of 1, and a named output, so that the file takes
``image`` (uint8) or ``x`` (float32) and returns ``score`` or ``y`` (float32) whatever the recipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.keras_model import KerasModel
from lesionlite_export.layer_names import check_layer_names
from lesionlite_export.noise import Noise, native_noise_logged
from lesionlite_export.source import Source
from lesionlite_runtime.errors import UnusableInput


def float32_tflite(model: KerasModel, two_labels: bool = False) -> bytes:
    """The network as a float32 ``.tflite``; with ``two_labels`` it gives ``[1 - score, score]``."""
    return _convert(wrapper(model, two_labels), model, lambda _tf, _converter: None)


def int8_tflite(
    model: KerasModel,
    tensors: Sequence[NDArray[Any]],
    float_outputs: Sequence[str],
    two_labels: bool = False,
) -> bytes:
    """The network in int8 by the converter's own quantizer, parts of it left in float.

    Args:
        model: the network.
        tensors: representative inputs of shape ``[1, ...]``.
        float_outputs: names of the output tensors (in the float32 file) of operators to leave in
            float. The converter ignores a name that it does not know, so the result must be
            checked against the recipe.
        two_labels: see `float32_tflite`.
    """

    def settings(tf: Any, converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([tensor] for tensor in tensors)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]

    return _convert(wrapper(model, two_labels), model, settings, float_outputs)


def _convert(
    network: Any, model: KerasModel, settings: Any, float_outputs: Sequence[str] = ()
) -> bytes:
    check_layer_names(network, model.path)
    with native_noise_logged() as noise:
        import tensorflow as tf

        try:
            converter = tf.lite.TFLiteConverter.from_keras_model(network)
            settings(tf, converter)
            if not float_outputs:
                return bytes(converter.convert())
            debug = tf.lite.experimental
            debugger = debug.QuantizationDebugger(
                converter=converter,
                debug_dataset=converter.representative_dataset,
                debug_options=debug.QuantizationDebugOptions(denylisted_nodes=list(float_outputs)),
            )
            return bytes(debugger.get_nondebug_quantized_model())
        except Exception as error:  # the converter raises kinds of its own, and hides others
            fault = error
    raise _failed(model, fault, noise) from fault


def wrapper(model: KerasModel, two_labels: bool = False) -> Any:
    """The network with batch 1 and a named output; unnamed, its bytes would differ each time."""
    import keras

    contract = model.contract
    x = keras.Input(
        batch_shape=tuple(contract.input.shape),
        dtype=contract.input.dtype,
        name=contract.input.name,
    )
    y = model.network(x)
    if two_labels:
        y = keras.ops.concatenate([1.0 - y, y], axis=-1)
    return keras.Model(x, {contract.output.name: y}, name="net")


def _failed(model: KerasModel, error: Exception, noise: Noise) -> UnusableInput:
    lines = [line for line in (*str(error).splitlines(), *noise.text.splitlines()) if line.strip()]
    causes = [line for line in lines if "error" in line.lower()] or lines or [type(error).__name__]
    return UnusableInput(
        f"the converter failed ({causes[0].strip()[:300]})",
        "replace the layer that it names by one that TFLite knows",
        model.path,
    )


def probe_inputs(model: Source, n: int) -> list[NDArray[np.float32]]:
    """``n`` evenly spaced inputs ``[1, 1]`` over a regression's range, both ends included."""
    from lesionlite_runtime.contract import regression_contract

    low, high = regression_contract(model.contract, model.path).input.range
    return [np.array([[x]], np.float32) for x in np.linspace(low, high, n)]
