"""Quantizing a float32 ``.tflite`` without TensorFlow, by LiteRT's quantizer."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.bias_overflow import widen_steps
from lesionlite_export.calibration import DEFAULT_METHOD, Ranges, calibrate
from lesionlite_export.interface_edits import scaled_pixel_range
from lesionlite_export.noise import native_noise_logged
from lesionlite_export.progress import Reporter
from lesionlite_runtime.graph import Graph, read_graph

_HEAD_OPERATORS = frozenset({"FULLY_CONNECTED"})
_BODY_OPERATORS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})


def scaling_of(graph: Graph) -> list[int]:
    """Numbers of the operators that scale pixels: all before the first convolution.

    A graph without convolutions has none.
    """
    body = [i for i, o in enumerate(graph.operators) if o.name in _BODY_OPERATORS]
    return list(range(body[0])) if body else []


def head_of(graph: Graph) -> list[int]:
    """Numbers of the operators from the first fully connected layer behind the last convolution.

    Concatenations that feed that layer belong to it, wherever they stand: int8 would bring features
    of many layers to the step of the widest one. A graph without convolutions has none.
    """
    names = [operator.name for operator in graph.operators]
    body = [i for i, name in enumerate(names) if name in _BODY_OPERATORS]
    if not body:
        return []
    behind = range(body[-1] + 1, len(names))
    first = next((i for i in behind if names[i] in _HEAD_OPERATORS), len(names))
    head = list(range(first, len(names)))
    wanted = set(graph.operators[first].inputs[:1]) if head else set()
    for i in reversed(range(first)):
        operator = graph.operators[i]
        if names[i] == "CONCATENATION" and operator.outputs[0] in wanted:
            wanted.update(operator.inputs)
            head.insert(0, i)
    return head


def output_names(graph: Graph, operators: Sequence[int]) -> list[str]:
    """The name of the first output tensor of each of ``operators``."""
    return [graph.tensors[graph.operators[i].outputs[0]].name for i in operators]


def float16(float32: bytes) -> bytes:
    """Weights in float16, widened before use; biases stay in float32."""
    with native_noise_logged():
        from litert_quantizer import algorithm_manager, qtyping, recipe_manager

        manager = recipe_manager.RecipeManager()
        manager.add_weight_only_config(
            ".*",
            qtyping.TFLOperationName.ALL_SUPPORTED,
            16,
            algorithm_key=algorithm_manager.AlgorithmName.FLOAT_CASTING,
        )
        return _quantize(float32, manager.get_quantization_recipe(), [], None)


def dynamic(float32: bytes, left: Sequence[int]) -> bytes:
    """int8 weights per channel, activations in float32.

    Args:
        float32: the float ``.tflite``.
        left: numbers of the operators that stay as they are.
    """
    with native_noise_logged():
        from litert_quantizer import recipe

        return _quantize(float32, recipe.dynamic_wi8_afp32(), left, None)


def static(
    float32: bytes,
    left: Sequence[int],
    tensors: Sequence[NDArray[Any]],
    input_name: str,
    bits: int = 8,
    method: str = DEFAULT_METHOD,
    report: Reporter | None = None,
) -> bytes:
    """int8 weights per channel and integer activations; input and output as they are.

    Args:
        float32: the float ``.tflite``.
        left: numbers of the operators that stay in float.
        tensors: representative inputs of shape ``[1, ...]``.
        input_name: the signature's name for the input.
        bits: of the activations, 8 or 16.
        method: how ranges are found, see `calibrate`.
        report: who is told of the progress.

    Raises:
        UnusableInput: see `calibrate`.
    """
    ranges = calibrate(float32, tensors, input_name, method, report)
    _cover_all_pixels(ranges, float32)
    _share_among_concatenations(ranges, read_graph(float32), left)
    return static_by_ranges(float32, left, ranges, bits)


def static_by_ranges(float32: bytes, left: Sequence[int], ranges: Ranges, bits: int = 8) -> bytes:
    """As `static`, of ranges that are there."""
    with native_noise_logged():
        from litert_quantizer import recipe

        base = recipe.static_wi8_ai8() if bits == 8 else recipe.static_wi8_ai16()
        made = _quantize(float32, base, left, ranges)
    return widen_steps(float32, made) if bits == 8 else made


def _quantize(float32: bytes, base: Any, left: Sequence[int], ranges: Ranges | None) -> bytes:
    from litert_quantizer import algorithm_manager, qtyping, quantizer

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "float32.tflite"), Path(folder, "quantized.tflite")
        source.write_bytes(float32)
        tool = quantizer.Quantizer(str(source))
        tool.load_quantization_recipe(base)
        graph = read_graph(float32)
        rules = [
            (f"^{re.escape(name)};?$", graph.operators[i].name)
            for i in left
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
        result = tool.quantize() if ranges is None else tool.quantize(ranges)
        result.export_model(str(target), overwrite=True)
        return target.read_bytes()


def _cover_all_pixels(ranges: Ranges, float32: bytes) -> None:
    """Make each level of the scaled pixels a pixel value, whatever the samples held.

    Samples without black or white would cut both off, and shift the levels against the pixels.
    """
    found = scaled_pixel_range(float32)
    if found is None or found[0] not in ranges:
        return
    name, low, high = found
    kept = ranges[name]
    for key, value in (("min", low), ("max", high)):
        kept[key] = np.full_like(kept[key], value)


def _share_among_concatenations(ranges: Ranges, graph: Graph, left: Sequence[int]) -> None:
    """Give concatenations that are concatenated the range of the whole.

    The quantizer would give each its own step and round its values a second time to that of the
    whole. And builds of XNNPACK do not agree about that second rounding.
    """
    joined = [
        operator
        for i, operator in enumerate(graph.operators)
        if operator.name == "CONCATENATION" and i not in left
    ]
    made_by_one = {operator.outputs[0] for operator in joined}
    for operator in reversed(joined):
        name = graph.tensors[operator.outputs[0]].name
        for tensor in made_by_one.intersection(operator.inputs):
            if sum(tensor in reader.inputs for reader in graph.operators) == 1:
                part = graph.tensors[tensor].name
                ranges[part] = {key: value.copy() for key, value in ranges[name].items()}
