"""A batch of any size in a ``.tflite``, fixed to the 1 that the file itself states beside it.

Converters write two shapes for a tensor of a network with an open batch: one with a batch of 1,
and one with -1 in its place. Interpreters run the first until they are told otherwise. So writing
1 over those -1 changes no operator, constant or length, and no result.
"""

from __future__ import annotations

import struct

from lesionlite_runtime.flatbuffer import root_table, verify
from lesionlite_runtime.schema import OPTIONS, TABLES

_SUBGRAPHS, _TENSORS, _SHAPE, _SIGNATURE = 2, 0, 0, 7


def with_fixed_batch(flatbuffer: bytes) -> bytes:
    """``flatbuffer`` with a batch of 1 wherever it was open; sides that are open stay so.

    Raises:
        Malformed: when the bytes are no well-formed TFLite model.
    """
    verify(flatbuffer, "Model", TABLES, OPTIONS)
    fixed = bytearray(flatbuffer)
    for subgraph in root_table(flatbuffer).tables(_SUBGRAPHS):
        for tensor in subgraph.tables(_TENSORS):
            shape, signature = tensor.numbers(_SHAPE, "i"), tensor.numbers(_SIGNATURE, "i")
            if shape[:1] == (1,) and signature[:1] == (-1,) and len(shape) == len(signature):
                place, _ = tensor.vector(_SIGNATURE, 4)
                struct.pack_into("<i", fixed, place, 1)
    return bytes(fixed)
