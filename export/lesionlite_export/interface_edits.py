"""Other inputs and outputs for a finished ``.tflite``: its body stays as it is.

Every file starts from pixels as uint8 ``[1, H, W, 3]``, with a CAST and the scaling in float, and
ends in a float32 score. GPU delegates want a float32 input, chips for integers alone want neither
cast nor float; all are edits of a few operators at either end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.graph_edit import ADD_OPTIONS, ANOTHER_RECIPE, MUL_OPTIONS, PIXELS, GraphEdit
from lesionlite_runtime.errors import UnusableInput

# A pixel may fall this share of a step beside its level. Scalings such as x / 127.5 - 1 have their
# zero half a step between two levels.
_MOST_OFF = 0.51
_ZERO_POINT_SHIFT = 128  # from int8 to uint8


def with_float_input(flatbuffer: bytes) -> bytes:
    """The file with a float32 input that takes pixels as 0.0 to 255.0.

    Raises:
        UnusableInput: when the file does not cast its uint8 pixels to float32.
    """
    edit = GraphEdit(flatbuffer)
    cast = edit.cast()
    for tensor in edit.upstream(int(cast.inputs[0])):
        edit.set_dtype(tensor, "float32")
    edit.remove(cast)
    edit.replace_reads(int(cast.outputs[0]), int(cast.inputs[0]))
    return edit.to_bytes()


def with_cast_first(flatbuffer: bytes) -> bytes:
    """The file with the cast of its pixels as its first operator.

    Views are made of uint8 pixels, and a CONCATENATION of uint8 wants scales, which pixels do not
    have; of floats it wants none. A file whose cast is the first one stays as it is.
    """
    edit = GraphEdit(flatbuffer)
    cast = edit.cast()
    start, end = int(cast.inputs[0]), int(cast.outputs[0])
    if start == edit.input:
        return flatbuffer
    for tensor in edit.upstream(start) - {edit.input}:
        edit.set_dtype(tensor, "float32")
    floats = edit.new_tensor(edit.input, "cast_pixels", "float32")
    edit.remove(cast)
    edit.replace_reads(end, start)
    edit.replace_reads(edit.input, floats)
    edit.put_in_front(edit.new_operator("CAST", [edit.input], floats))
    return edit.to_bytes()


def with_pixel_input(flatbuffer: bytes, low: float, high: float) -> bytes:
    """A file with a float32 input of ``low`` to ``high`` with pixels as its uint8 input.

    A CAST, a MUL and an ADD are put in front of it.
    """
    edit = GraphEdit(flatbuffer)
    scale_pixels(edit, (high - low) / 255, low)
    return edit.to_bytes()


def scale_pixels(
    edit: GraphEdit, factor: float | NDArray[Any], offset: float | NDArray[Any]
) -> None:
    """Put uint8 pixels, times ``factor`` plus ``offset``, in front of a float32 input.

    Both are numbers, or arrays ``[3]``, one for each channel.
    """
    old = edit.input
    tensors = {
        "pixels": edit.new_tensor(old, "image", "uint8"),
        "cast": edit.new_tensor(old, "scaling/cast", "float32"),
        "scaled": edit.new_tensor(old, "scaling/mul", "float32"),
    }
    times = edit.new_constant("scaling/factor", factor)
    plus = edit.new_constant("scaling/offset", offset)
    edit.put_in_front(
        edit.new_operator("CAST", [tensors["pixels"]], tensors["cast"]),
        edit.new_operator("MUL", [tensors["cast"], times], tensors["scaled"], MUL_OPTIONS),
        edit.new_operator("ADD", [tensors["scaled"], plus], old, ADD_OPTIONS),
    )
    edit.set_input(tensors["pixels"])


def with_quantized_input(flatbuffer: bytes) -> bytes:
    """The file with its uint8 input as the quantized form of the scaled pixels: no float before it.

    The cast, the scaling and the QUANTIZE behind them become one QUANTIZE from uint8 to int8, which
    adds a constant. Pixels still mean themselves.

    Raises:
        UnusableInput: when the scaling is not one factor and one offset for all channels, or the
            first quantized tensor's levels are not the scaled pixels.
    """
    edit = GraphEdit(flatbuffer)
    cast = edit.cast()
    start = int(cast.inputs[0])
    tensor, values, chain = edit.scaled_pixels(cast)
    quantize = edit.only_reader(tensor)
    if edit.name(quantize) != "QUANTIZE":
        raise UnusableInput(
            f"the pixels go to a {edit.name(quantize)}, not to integers", ANOTHER_RECIPE
        )
    scale, zero = edit.quantization(int(quantize.outputs[0]))
    levels = scale * (PIXELS - (zero + _ZERO_POINT_SHIFT))
    if np.abs(levels - values).max() > _MOST_OFF * scale:
        raise UnusableInput(
            "the levels of the first quantized tensor are not the scaled pixels", ANOTHER_RECIPE
        )
    for operator in chain:
        edit.remove(operator)
    quantize.inputs = [start]
    for upstream in edit.upstream(start):
        edit.set_quantization(upstream, scale, zero + _ZERO_POINT_SHIFT)
    return edit.to_bytes()


def with_uint8_output(flatbuffer: bytes) -> bytes:
    """The file with its last int8 tensor returned as uint8 in place of float32.

    Raises:
        UnusableInput: when the score is not the dequantized form of an int8 tensor.
    """
    edit = GraphEdit(flatbuffer)
    last = edit.writer(edit.output)
    if edit.name(last) != "DEQUANTIZE" or edit.dtype(int(last.inputs[0])) != "int8":
        raise UnusableInput("the score is not computed in int8", "export it with a float32 output")
    scale, zero = edit.quantization(int(last.inputs[0]))
    last.opcodeIndex = edit.code("QUANTIZE", 2)
    last.builtinOptions, last.builtinOptionsType = None, 0
    edit.set_dtype(edit.output, "uint8")
    edit.set_quantization(edit.output, scale, zero + _ZERO_POINT_SHIFT)
    return edit.to_bytes()


def scaled_pixel_range(flatbuffer: bytes) -> tuple[str, float, float] | None:
    """Name of the tensor of scaled pixels in a float file, and its values for pixels 0 and 255.

    None where the file does not start from uint8 pixels, or scales each channel in its own way.
    """
    edit = GraphEdit(flatbuffer)
    try:
        tensor, values, _ = edit.scaled_pixels(edit.cast())
    except UnusableInput:
        return None
    return edit.tensor_name(tensor), float(values.min()), float(values.max())
