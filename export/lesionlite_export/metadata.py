"""A contract as TFLite Metadata inside the ``.tflite``, for clients that know no lesionlite.

MediaPipe Tasks, Android Studio and model viewers read labels, normalization and threshold from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flatbuffers

from lesionlite_export.metadata_codec import decode_metadata, encode_metadata
from lesionlite_export.metadata_description import LABELS_MEMBER, describe, labels_of
from lesionlite_runtime.container import TFLITE_IDENTIFIER
from lesionlite_runtime.contract import AnyContract
from lesionlite_runtime.door import checked_graph
from lesionlite_runtime.flatbuffer import Table, root_table
from lesionlite_runtime.graph import read_graph

METADATA_NAME = "TFLITE_METADATA"
_ALIGNMENT = 16  # of constants, as the schema asks and kernels may rely on


def with_metadata(flatbuffer: bytes, contract: AnyContract) -> tuple[bytes, dict[str, bytes]]:
    """``flatbuffer`` with ``contract`` in it as TFLite Metadata, and the files that belong to it.

    Metadata that is there already is replaced. Graph, weights and scores do not change; the same
    arguments give the same bytes. What the contract gains at the end of an export, digest and
    parity, is not in the metadata.

    Args:
        flatbuffer: a ``.tflite`` without the appended zip.
        contract: of the model that it is.

    Returns:
        The new FlatBuffer, and the associated files to append by name, beside ``lesionlite.json``:
        the labels of a classifier.

    Raises:
        UnusableInput: when the FlatBuffer is malformed, is not the contract's, or a label cannot
            stand on a line.
    """
    graph = checked_graph(flatbuffer, None)
    labels = labels_of(contract, graph)
    metadata = encode_metadata(describe(contract, graph))
    files = {LABELS_MEMBER: "".join(f"{label}\n" for label in labels).encode()} if labels else {}
    return _replace_metadata(flatbuffer, metadata), files


def without_metadata(flatbuffer: bytes) -> bytes:
    """``flatbuffer`` packed anew without TFLite Metadata: the same bytes with and without them.

    Raises:
        Malformed: when the FlatBuffer is malformed.
    """
    read_graph(flatbuffer)
    return _replace_metadata(flatbuffer, None)


def read_metadata(flatbuffer: bytes) -> dict[str, Any] | None:
    """The TFLite Metadata in ``flatbuffer`` as a JSON object, or None where there are none.

    Fields have the schema's names; a number or enum at its default 0 may be left out.

    Raises:
        Malformed: when the FlatBuffer or the metadata in it are malformed.
    """
    read_graph(flatbuffer)
    model = root_table(flatbuffer)
    buffers = [entry.scalar(1, "<I") for entry in model.tables(6) if entry.text(0) == METADATA_NAME]
    return decode_metadata(_content(model.tables(4)[buffers[0]])) if buffers else None


def _replace_metadata(flatbuffer: bytes, metadata: bytes | None) -> bytes:
    from ai_edge_litert import schema_py_generated as tfl

    model = tfl.ModelT.InitFromObj(tfl.Model.GetRootAs(flatbuffer))
    # The quantizer leaves constants behind the root table, where packing would not look for them.
    buffers = [_content(buffer) for buffer in root_table(flatbuffer).tables(4)]
    entries = model.metadata or []
    name = METADATA_NAME.encode()
    kept = [entry for entry in entries if entry.name != name]
    used = {0, *(entry.buffer for entry in kept)}
    used.update(tensor.buffer for graph in model.subgraphs for tensor in graph.tensors)
    used.update(root_table(flatbuffer).numbers(5, "i"))  # a list that older converters wrote
    free = sorted(e.buffer for e in entries if e.name == name and e.buffer not in used)
    for number in free:
        buffers[number] = b""
    while free and free[-1] == len(buffers) - 1:
        del buffers[free.pop()]
    model.metadata = kept or None
    if metadata is not None:
        number = free[0] if free else len(buffers)
        buffers[number : number + 1] = [metadata]
        model.metadata = [*kept, tfl.MetadataT(METADATA_NAME, number)]
    model.buffers = [_Buffer(content) for content in buffers]
    builder = flatbuffers.Builder(len(flatbuffer) + len(metadata or b""))
    builder.Finish(model.Pack(builder), TFLITE_IDENTIFIER)
    return bytes(builder.Output())


def _content(buffer: Table) -> bytes:
    """The bytes of a buffer, inside its table or elsewhere in the file."""
    start, size = buffer.scalar(1, "<Q"), buffer.scalar(2, "<Q")
    if start <= 1:
        start, size = buffer.vector(0, 1)
    return buffer.data[start : start + size]


@dataclass(frozen=True)
class _Buffer:
    """What `ModelT` packs in place of a ``BufferT``, which would not align its bytes."""

    content: bytes

    def Pack(self, builder: Any) -> int:  # noqa: N802 (the name that `ModelT` calls)
        from ai_edge_litert import schema_py_generated as tfl

        data = None
        if self.content:
            builder.Prep(_ALIGNMENT, len(self.content))
            data = builder.CreateByteVector(self.content)
        tfl.BufferStart(builder)
        if data is not None:
            tfl.BufferAddData(builder, data)
        return int(tfl.BufferEnd(builder))
