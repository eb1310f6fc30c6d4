"""A contract as TFLite Metadata inside the ``.tflite``, for clients that know no lesionlite.

MediaPipe Tasks, Android Studio and model viewers read labels, normalization and threshold from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np

from lesionlite_export.metadata_codec import decode_metadata, encode_metadata
from lesionlite_runtime.container import TFLITE_IDENTIFIER
from lesionlite_runtime.contract import CONTRACT_MEMBER, ClassifierContract
from lesionlite_runtime.door import checked_graph
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.flatbuffer import Table, root_table
from lesionlite_runtime.graph import Graph, TensorInfo, read_graph

METADATA_NAME = "TFLITE_METADATA"
LABELS_MEMBER = "labels.txt"
LICENCE = "Apache-2.0"
# Of the schema's history, every field here is older than its first entry (1.0.1); the threshold's
# ScoreThresholdingOptions, too.
MIN_PARSER_VERSION = "1.0.0"
_ALIGNMENT = 16  # of constants, as the schema asks and kernels may rely on


def with_metadata(
    flatbuffer: bytes, contract: ClassifierContract
) -> tuple[bytes, dict[str, bytes]]:
    """``flatbuffer`` with ``contract`` in it as TFLite Metadata, and the files that belong to it.

    Metadata that is there already is replaced. Graph, weights and scores do not change; the same
    arguments give the same bytes. What the contract gains at the end of an export, digest and
    parity, is not in the metadata.

    Args:
        flatbuffer: a ``.tflite`` without the appended zip.
        contract: of the image classifier that it is.

    Returns:
        The new FlatBuffer, and the associated files to append by name, beside ``lesionlite.json``.

    Raises:
        UnusableInput: when the FlatBuffer is malformed, is not the contract's, or a label cannot
            stand on a line.
    """
    graph = checked_graph(flatbuffer, None)
    labels = _labels(contract, graph)
    metadata = encode_metadata(describe(contract, graph))
    files = {LABELS_MEMBER: "".join(f"{label}\n" for label in labels).encode()}
    return _replace_metadata(flatbuffer, metadata), files


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


def describe(contract: ClassifierContract, graph: Graph) -> dict[str, Any]:
    """The ``ModelMetadata`` of a classifier, as `encode_metadata` takes them.

    Raises:
        UnusableInput: when the graph is not the contract's.
    """
    provenance = contract.provenance
    return {
        "name": f"lesionlite classifier ({provenance.backbone})",
        "description": (
            f"Decides between {contract.output.labels[0]} and {contract.output.labels[1]} on a "
            f"photo of a skin lesion. {_rule(contract)} Research software, no medical device: no "
            f"decision says that a person has or has not a disease. Licence: {LICENCE}."
        ),
        "version": f"network {provenance.network_sha256[:12]}",
        "subgraph_metadata": [
            {
                "input_tensor_metadata": [_input(contract, graph)],
                "output_tensor_metadata": [_output(contract, graph)],
            }
        ],
        "license": LICENCE,
        "associated_files": [
            {
                "name": CONTRACT_MEMBER,
                "description": (
                    "The contract: exact pixels, threshold with its figures, provenance, and what "
                    "the proof against the Keras model measured."
                ),
                "type": "DESCRIPTIONS",
            }
        ],
        "min_parser_version": MIN_PARSER_VERSION,
    }


def float32_threshold(threshold: float) -> float:
    """The least float32 that is not below ``threshold``.

    A float32 score is at least the one exactly where it is at least the other, so a client that
    compares in float32 decides as the contract does.
    """
    nearest = np.float32(threshold)
    if float(nearest) < threshold:
        nearest = np.nextafter(nearest, np.float32(math.inf))
    return float(nearest)


def _input(contract: ClassifierContract, graph: Graph) -> dict[str, Any]:
    image, dtype = contract.input, _tensor(graph, "input", contract.input.name).dtype
    upright = "turned upright by its EXIF orientation"
    return {
        "name": image.name,
        "description": (
            f"The whole photo in sRGB, {upright}, stretched to {image.height} rows and "
            f"{image.width} columns by {image.resize}, its proportions not kept. Channels in the "
            f"order R, G, B; {dtype} from 0 to 255, not scaled any further: the network's own "
            "scaling is inside the file."
        ),
        "content": {
            "content_properties_type": "ImageProperties",
            "content_properties": {
                "color_space": image.color,
                "default_size": {"width": image.width, "height": image.height},
            },
        },
        "process_units": [
            {
                "options_type": "NormalizationOptions",
                "options": {"mean": [0.0], "std": [1.0]},
            }
        ],
        "stats": {"max": [255.0], "min": [0.0]},
    }


def _output(contract: ClassifierContract, graph: Graph) -> dict[str, Any]:
    labels = _labels(contract, graph)
    return {
        "name": contract.output.name,
        "description": (
            f"{' and '.join(labels)}: a score from 0 to 1, not a probability. {_rule(contract)}"
        ),
        "content": {
            "content_properties_type": "FeatureProperties",
            "content_properties": {},
        },
        "process_units": [
            {
                "options_type": "ScoreThresholdingOptions",
                "options": {"global_score_threshold": float32_threshold(contract.threshold.value)},
            }
        ],
        "stats": {"max": [1.0], "min": [0.0]},
        "associated_files": [
            {
                "name": LABELS_MEMBER,
                "description": "A label for each score, in the order of the scores.",
                "type": "TENSOR_AXIS_LABELS",
            }
        ],
    }


def _rule(contract: ClassifierContract) -> str:
    threshold, label = contract.threshold, contract.output.score_of
    chosen_on = threshold.chosen_on
    figures = ", ".join(
        f"{name} {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
        for name, figure in (
            ("sensitivity", threshold.sensitivity),
            ("specificity", threshold.specificity),
        )
        if figure is not None
    )
    return (
        f"A score of {threshold.value:.6g} or more decides for {label}; the threshold was chosen "
        f"by {threshold.rule} on {chosen_on.n} scores ({chosen_on.kind}), {chosen_on.positives} of "
        f"them {label}{': ' if figures else ''}{figures}."
    )


def _labels(contract: ClassifierContract, graph: Graph) -> tuple[str, ...]:
    """A label for each score that comes out."""
    shape = _tensor(graph, "output", contract.output.name).shape
    if shape not in ((1, 1), (1, 2)):
        raise UnusableInput(
            f"the output {contract.output.name} has the shape {list(shape)}, not [1, 1] or [1, 2]",
            "export a classifier of two labels",
        )
    labels = (contract.output.score_of,) if shape == (1, 1) else contract.output.labels
    for label in labels:
        if len(label.splitlines()) != 1 or label != label.strip():
            raise UnusableInput(
                f"the label {label!r} cannot stand on a line of {LABELS_MEMBER}",
                "train with labels that are words",
            )
    return tuple(labels)


def _tensor(graph: Graph, side: str, name: str) -> TensorInfo:
    named = graph.inputs if side == "input" else graph.outputs
    if list(named) != [name]:
        raise UnusableInput(
            f"the model's {side} is named {', '.join(named)}, and {name} in its contract",
            "export the model anew",
        )
    return graph.tensors[named[name]]


def _replace_metadata(flatbuffer: bytes, metadata: bytes) -> bytes:
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
    free = [e.buffer for e in entries if e.name == name and e.buffer not in used]
    for number in free:
        buffers[number] = b""
    if not free:
        free = [len(buffers)]
        buffers.append(b"")
    buffers[free[0]] = metadata
    model.buffers = [_Buffer(content) for content in buffers]
    model.metadata = [*kept, tfl.MetadataT(METADATA_NAME, free[0])]
    builder = flatbuffers.Builder(len(flatbuffer) + len(metadata))
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
