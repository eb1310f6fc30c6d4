"""Quantizing a float32 ``.tflite`` without TensorFlow, by LiteRT's quantizer."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lesionlite_export.noise import native_noise_logged
from lesionlite_runtime.graph import SIGNATURE_KEY, Graph, read_graph

_HEAD_OPERATORS = frozenset({"FULLY_CONNECTED"})
_BODY_OPERATORS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})


def scaling_and_head(graph: Graph) -> list[int]:
    """Numbers of the operators of pixel scaling and of the head, in graph order.

    Scaling is what runs before the first convolution. The head runs from the first fully connected
    layer behind the last convolution. A graph without convolutions has neither.
    """
    names = [operator.name for operator in graph.operators]
    body = [i for i, name in enumerate(names) if name in _BODY_OPERATORS]
    if not body:
        return []
    behind = range(body[-1] + 1, len(names))
    head = next((i for i in behind if names[i] in _HEAD_OPERATORS), len(names))
    return [*range(body[0]), *range(head, len(names))]


def output_names(graph: Graph, operators: Sequence[int]) -> list[str]:
    """The name of the first output tensor of each of ``operators``."""
    return [graph.tensors[graph.operators[i].outputs[0]].name for i in operators]


def dynamic(float32: bytes) -> bytes:
    """int8 weights per channel, activations in float32, scaling and head left alone."""
    from litert_quantizer import recipe

    return _quantize(float32, recipe.dynamic_wi8_afp32(), None)


def static_int8(float32: bytes, tensors: Sequence[NDArray[Any]], input_name: str) -> bytes:
    """int8 weights per channel and int8 activations; scaling, head, input and output in float.

    Args:
        float32: the float ``.tflite``.
        tensors: representative inputs of shape ``[1, ...]``.
        input_name: the signature's name for the input.
    """
    from litert_quantizer import recipe

    samples = {SIGNATURE_KEY: [{input_name: tensor} for tensor in tensors]}
    return _quantize(float32, recipe.static_wi8_ai8(), samples)


def _quantize(
    float32: bytes, base: Any, samples: dict[str, list[dict[str, NDArray[Any]]]] | None
) -> bytes:
    with native_noise_logged(), tempfile.TemporaryDirectory() as folder:
        from litert_quantizer import (
            algorithm_manager,
            calibrator,
            qtyping,
            quantizer,
            recipe_manager,
        )
        from litert_quantizer.utils import qsv_utils

        source, target = Path(folder, "float32.tflite"), Path(folder, "quantized.tflite")
        source.write_bytes(float32)
        tool = quantizer.Quantizer(str(source))
        tool.load_quantization_recipe(base)
        graph = read_graph(float32)
        rules = [
            (f"^{re.escape(name)};?$", graph.operators[i].name)
            for i in scaling_and_head(graph)
            for name in output_names(graph, [i])
        ]
        known = set(qtyping.TFLOperationName.__members__)
        for scope, operator in [*rules, (".*", "INPUT"), (".*", "OUTPUT")]:
            if operator in known:  # CAST and the like are never quantized, and have no name there
                tool.update_quantization_recipe(
                    scope,
                    qtyping.TFLOperationName[operator],
                    algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE,
                )
        if samples is None:
            result = tool.quantize()
        else:
            rules_of_tool = recipe_manager.RecipeManager()
            rules_of_tool.load_quantization_recipe(tool.get_quantization_recipe())
            # The default update is a moving average of each sample's range: it clips the tails,
            # and collapses the range of a tensor that holds one number a sample.
            calibration = calibrator.Calibrator(
                str(source), num_threads=1, qsv_update_func=qsv_utils.min_max_update
            )
            calibration.calibrate(samples, rules_of_tool)
            result = tool.quantize(calibration.get_model_qsvs())
        result.export_model(str(target), overwrite=True)
        return target.read_bytes()
