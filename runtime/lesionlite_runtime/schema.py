"""The part of TFLite's public schema (schema.fbs, version 3) that passes the door, field by field.

A kind is a `struct` format for a scalar, the same behind a star for a vector, ``text``, the name of
a table, the name of a table behind a star for a vector of those, or ``union`` for a table whose
kind the scalar field before it chooses. What is not listed (sparse, variant and external tensors,
custom quantization, StableHLO) is refused: no interpreter is to read what was not checked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

Fields = Mapping[int, str]


def _fields(text: str) -> Fields:
    """``text`` as field number to kind; a dash stands for a field that is refused."""
    return MappingProxyType({i: kind for i, kind in enumerate(text.split()) if kind != "-"})


TABLES: Mapping[str, Fields] = MappingProxyType(
    {
        "Model": _fields("I *OperatorCode *SubGraph text *Buffer *i *Metadata *SignatureDef"),
        "OperatorCode": _fields("b text i i"),
        "SubGraph": _fields("*Tensor *i *i *Operator text i"),
        "Tensor": _fields("*i b I text Quantization B - *i B"),
        "Quantization": _fields("*f *f *f *q B - i"),
        "Operator": _fields("I *i *i B union *B b *B *i - - - - i"),
        "Buffer": _fields("*B Q Q"),
        "Metadata": _fields("text I"),
        "SignatureDef": _fields("*TensorMap *TensorMap text text I"),
        "TensorMap": _fields("text I"),
    }
)

# From Pad, Transpose and Exp to Quantize, HardSwish and SelectV2.
_NO_SETTINGS = (
    *(22, 24, 25, 26, 33, 34, 36, 38, 39, 41, 42, 43, 44, 45, 46, 47, 48, 51, 52, 53, 54, 56, 60),
    *(62, 63, 65, 66, 67, 68, 72, 73, 76, 78, 81, 82, 83, 84, 86, 89, 91, 98, 104, 123),
)

# An operator's settings, by the number of their type in the union BuiltinOptions.
OPTIONS: Mapping[int, Fields] = MappingProxyType(
    {
        1: _fields("b i i b i i b"),  # Conv2D
        2: _fields("b i i i b i i"),  # DepthwiseConv2D
        5: _fields("b i i i i b"),  # Pool2D
        8: _fields("b b B B b *B"),  # FullyConnected
        9: _fields("f"),  # Softmax
        10: _fields("i b"),  # Concatenation
        11: _fields("b B"),  # Add
        12: _fields("b"),  # L2Norm
        13: _fields("i f f f"),  # LocalResponseNormalization
        15: _fields("i i B B"),  # ResizeBilinear
        17: _fields("*i"),  # Reshape
        19: _fields("i"),  # SpaceToDepth
        21: _fields("b"),  # Mul
        23: _fields("i i"),  # Gather
        27: _fields("B"),  # Reducer
        28: _fields("b B"),  # Sub
        29: _fields("b"),  # Div
        30: _fields("*i"),  # Squeeze
        32: _fields("i i i i i B"),  # StridedSlice
        35: _fields("i"),  # Split
        37: _fields("b b"),  # Cast
        40: _fields("b"),  # ArgMax
        49: _fields("b i i b b"),  # TransposeConv
        55: _fields("b"),  # Shape
        57: _fields("b"),  # ArgMin
        59: _fields("i i"),  # Pack
        61: _fields("i"),  # OneHot
        64: _fields("i i"),  # Unpack
        74: _fields("B B"),  # ResizeNearestNeighbor
        75: _fields("f"),  # LeakyRelu
        77: _fields("b"),  # MirrorPad
        79: _fields("i"),  # SplitV
        94: _fields("i"),  # DepthToSpace
        101: _fields("B B B"),  # BatchMatMul
        102: _fields("B B"),  # Cumsum
        116: _fields("B"),  # Gelu
        **dict.fromkeys(_NO_SETTINGS, _fields("")),
    }
)
