"""A ``.tflite`` FlatBuffer as the schema's own objects, to be changed and written again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # of constants, as the schema asks; the generated writer aligns them to 4


def read_model(flatbuffer: bytes) -> Any:
    """The model as a ``ModelT``, with all constants in it.

    LiteRT's quantizer writes constants behind the root table, where the object API does not look:
    packing such an object again would lose them.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    for buffer in model.buffers or ():
        if buffer.offset > 1:
            buffer.data = np.frombuffer(flatbuffer, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0
    return model


def model_bytes(model: Any) -> bytes:
    """The FlatBuffer of ``model``, a ``ModelT``; the same object gives the same bytes."""
    import flatbuffers

    builder = flatbuffers.Builder(1 << 20)
    packed = [_Constant(buffer) for buffer in model.buffers]
    originals, model.buffers = model.buffers, packed
    try:
        builder.Finish(model.Pack(builder), _IDENTIFIER)
    finally:
        model.buffers = originals
    return bytes(builder.Output())


class _Constant:
    """A buffer that packs its bytes at an aligned place."""

    def __init__(self, buffer: Any) -> None:
        data = buffer.data
        self._data = None if data is None else np.asarray(data, np.uint8).tobytes()

    def Pack(self, builder: Any) -> Any:  # noqa: N802 (the generated packer calls it)
        """The position of the buffer's table."""
        from ai_edge_litert import schema_py_generated as schema

        place = None
        if self._data is not None:
            builder.StartVector(1, len(self._data), _ALIGNMENT)
            builder.head -= len(self._data)
            builder.Bytes[builder.head : builder.head + len(self._data)] = self._data
            place = builder.EndVector()
        schema.BufferStart(builder)
        if place is not None:
            schema.BufferAddData(builder, place)
        return schema.BufferEnd(builder)


def drop_unused(model: Any) -> None:
    """Take tensors, constants and operator codes that nothing refers to out of ``model``."""
    (graph,) = model.subgraphs
    used = sorted({int(i) for list_ in _tensor_lists(graph) for i in list_ if i >= 0})
    place = {old: new for new, old in enumerate(used)}
    graph.tensors = [graph.tensors[i] for i in used]
    for list_ in _tensor_lists(graph):
        list_[:] = [place.get(int(i), -1) for i in list_]
    for signature in model.signatureDefs:
        for entry in (*signature.inputs, *signature.outputs):
            entry.tensorIndex = place[entry.tensorIndex]
    codes = sorted({operator.opcodeIndex for operator in graph.operators})
    for operator in graph.operators:
        operator.opcodeIndex = codes.index(operator.opcodeIndex)
    model.operatorCodes = [model.operatorCodes[i] for i in codes]
    _drop_unused_buffers(model, graph)


def _tensor_lists(graph: Any) -> Iterator[Any]:
    """Every list of tensor numbers, as a list that can be changed in place."""
    for owner in (graph, *graph.operators):
        for name in ("inputs", "outputs"):
            if not isinstance(getattr(owner, name), list):
                setattr(owner, name, [int(i) for i in getattr(owner, name)])
            yield getattr(owner, name)


def _drop_unused_buffers(model: Any, graph: Any) -> None:
    metadata = model.metadata or []
    used = sorted({0, *(t.buffer for t in graph.tensors), *(m.buffer for m in metadata)})
    for entry in (*graph.tensors, *metadata):
        entry.buffer = used.index(entry.buffer)
    model.metadataBuffer = None
    model.buffers = [model.buffers[i] for i in used]
