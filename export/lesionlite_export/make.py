"""From a model to the bytes of a ``.tflite`` by a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export import convert, quantize
from lesionlite_export.bias_correction import correct_biases
from lesionlite_export.calibration import DEFAULT_METHOD
from lesionlite_export.finite_weights import check_network_weights
from lesionlite_export.interface_edits import (
    with_cast_first,
    with_float_input,
    with_pixel_input,
    with_quantized_input,
    with_uint8_output,
)
from lesionlite_export.metadata import without_metadata
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.recipe import INTEGERS, Recipe
from lesionlite_export.runnable import check_operators, check_runnable
from lesionlite_export.source import Source
from lesionlite_export.tflite_model import TfliteModel, refuse_quantized
from lesionlite_runtime.contract_fields import ImageInput, ScoreOutput
from lesionlite_runtime.errors import UsageError
from lesionlite_runtime.finite_weights import check_graph_weights
from lesionlite_runtime.graph import read_graph

PIXELS_AS_FLOATS = (0.0, 255.0)
INPUTS = ("uint8", "float32")


@dataclass(frozen=True)
class Form:
    """What the file takes and gives, whatever the recipe.

    Attributes:
        io: type of the pixels: ``uint8``, or ``float32`` (0.0 to 255.0) for GPU delegates.
        two_labels: a number for each of the two labels, ``[1, 2]``, in place of ``[1, 1]``.
    """

    io: str = "uint8"
    two_labels: bool = False


@dataclass(frozen=True)
class Made:
    """A FlatBuffer, the float32 one that it was made from, and the inputs that calibrated it."""

    flatbuffer: bytes
    float32: bytes
    tensors: Sequence[NDArray[Any]]


def check_form(source: Source, recipe: Recipe, form: Form) -> None:
    """Refuse, before any work, what cannot be made.

    Raises:
        UsageError: when recipe, form and model do not go together.
        UnusableInput: when the model is a file that is quantized already, or has NaN or infinity
            in its weights.
    """
    contract = source.contract
    if form.io not in INPUTS:
        raise UsageError(f"there is no input type {form.io!r}", f"pass {' or '.join(INPUTS)}")
    if recipe.operators_for(contract) is None:
        raise UsageError(
            f"the recipe {recipe.name} is not for {contract.task}", "choose another", source.path
        )
    if form.io == "float32" and recipe.pixels == "quantized":
        raise UsageError(
            f"the recipe {recipe.name} takes pixels as integers", "leave out --io float32"
        )
    if form != Form() and not isinstance(contract.input, ImageInput):
        raise UsageError("--io and --two-labels are for images", "leave them out", source.path)
    if form.two_labels and not isinstance(contract.output, ScoreOutput):
        raise UsageError("the model does not have two labels", "leave out --two-labels")
    if form.two_labels and recipe.output == "uint8":
        raise UsageError(
            f"the recipe {recipe.name} gives one integer, and a threshold for it",
            "leave out --two-labels",
        )
    if not isinstance(source, TfliteModel):
        check_network_weights(source.network, source.path)
    else:
        refuse_quantized(source)
        check_graph_weights(source.opened.graph, source.flatbuffer, source.path)
        if recipe.quantizer == "tflite-converter":
            raise UsageError(
                f"the recipe {recipe.name} needs TensorFlow's converter",
                "export it from the .keras",
                source.path,
            )
        if form.two_labels and not _has_two(source):
            raise UsageError(
                "two outputs are made from a .keras alone", "leave out --two-labels", source.path
            )


def make_tflite(
    source: Source,
    recipe: Recipe,
    tensors: Sequence[NDArray[Any]],
    form: Form | None = None,
    report: Reporter | None = None,
    method: str = DEFAULT_METHOD,
) -> bytes:
    """The FlatBuffer of ``source`` by ``recipe``; see `make`."""
    return make(source, recipe, tensors, form, report, method).flatbuffer


def make(
    source: Source,
    recipe: Recipe,
    tensors: Sequence[NDArray[Any]],
    form: Form | None = None,
    report: Reporter | None = None,
    method: str = DEFAULT_METHOD,
) -> Made:
    """The FlatBuffer of ``source`` by ``recipe``, and the float32 one that it was made from.

    Args:
        source: a Keras model or a float32 file.
        recipe: how.
        tensors: inputs ``[1, ...]`` to calibrate on; none for a recipe that is not calibrated.
        form: of input and output; `check_form` has let it pass.
        report: who is told of the progress.
        method: of the calibration, see `calibrate`.

    Raises:
        UnusableInput: when a converter or the calibration fails, or the network needs an operator
            that lesionlite does not run.
    """
    form, report = form or Form(), report or Silent()
    with report.phase("Converting to float32"):
        # Packed anew, so that a file that has metadata gives what the .keras gives.
        float32 = without_metadata(_float32(source, form))
    if recipe.quantizer == "none":
        return Made(_finished(source, float32, recipe, form), float32, tensors)
    if form.io == "float32":
        tensors = [tensor.astype(np.float32) for tensor in tensors]
    name = source.contract.input.name
    with report.phase(f"Quantizing ({recipe.quantizer})"):
        quantized = _quantized(source, recipe, form, float32, tensors, method)
    if recipe.correct_biases:
        with report.phase("Correcting biases"):
            quantized = correct_biases(float32, quantized, tensors, name).tflite
    return Made(_finished(source, quantized, recipe, form), float32, tensors)


def _float32(source: Source, form: Form) -> bytes:
    if not isinstance(source, TfliteModel):
        float32 = convert.float32_tflite(source, form.two_labels and not _has_two(source))
        check_operators(float32, source.path)
        return with_float_input(float32) if form.io == "float32" else float32
    image = source.contract.input
    flatbuffer = source.flatbuffer
    if not isinstance(image, ImageInput):
        return flatbuffer
    if image.dtype == "float32" and image.range is not None:
        low, high = image.range
        if form.io == "float32" and (low, high) == PIXELS_AS_FLOATS:
            return flatbuffer
        flatbuffer = with_pixel_input(flatbuffer, low, high)
    return with_float_input(flatbuffer) if form.io == "float32" else flatbuffer


def _quantized(
    source: Source,
    recipe: Recipe,
    form: Form,
    float32: bytes,
    tensors: Sequence[NDArray[Any]],
    method: str,
) -> bytes:
    if recipe.weights == "float16":
        return quantize.float16(float32)
    graph = read_graph(float32)
    parts = {"scaling": quantize.scaling_of(graph), "head": quantize.head_of(graph)}
    left = sorted({i for part in recipe.float_parts for i in parts[part]})
    if recipe.activations == "float32":
        return quantize.dynamic(float32, left)
    if recipe.quantizer == "litert-quantizer":
        bits = INTEGERS[recipe.activations]
        name = source.contract.input.name
        return quantize.static(float32, left, tensors, name, bits, method)
    assert not isinstance(source, TfliteModel)
    names = quantize.output_names(graph, left)
    pixels = [tensor.astype(source.contract.input.dtype) for tensor in tensors]
    made = convert.int8_tflite(source, pixels, names, form.two_labels and not _has_two(source))
    return with_float_input(made) if form.io == "float32" else made


def _finished(source: Source, made: bytes, recipe: Recipe, form: Form) -> bytes:
    if recipe.pixels == "quantized":
        made = with_quantized_input(made)
    elif form.io == "uint8" and isinstance(source.contract.input, ImageInput):
        made = with_cast_first(made)
    if recipe.output == "uint8":
        made = with_uint8_output(made)
    check_runnable(made, source.path)
    return made


def _has_two(source: Source) -> bool:
    return isinstance(source.contract.output, ScoreOutput) and source.contract.output.units == 2
