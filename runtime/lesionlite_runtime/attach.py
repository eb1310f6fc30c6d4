"""A contract for a ``.tflite`` that somebody else's converter made; its network stays as it is."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lesionlite_runtime.container import TFLITE_IDENTIFIER, append_members, split_members
from lesionlite_runtime.contract import (
    CONTRACT_MEMBER,
    ImageContract,
    LabelsContract,
    RegressionContract,
    with_flatbuffer,
)
from lesionlite_runtime.contract_fields import Quantization
from lesionlite_runtime.door import DeviceModel, check_model
from lesionlite_runtime.draft import (
    AnyDraft,
    ClassifierDraft,
    ImageDraft,
    RegressionDraft,
    contract_of_draft,
)
from lesionlite_runtime.draft_fields import (
    CORRECT_DRAFT,
    PIXEL_RANGE,
    SIGMOID,
    SOFTMAX,
    DraftImage,
)
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.files import check_output_path, read_file, write_whole
from lesionlite_runtime.finite_weights import check_graph_weights
from lesionlite_runtime.fixed_batch import with_fixed_batch
from lesionlite_runtime.flatbuffer import Malformed
from lesionlite_runtime.graph import Graph, TensorInfo, read_graph
from lesionlite_runtime.integer_threshold import with_integer_output
from lesionlite_runtime.soundness import check_sound

ATTACHED_SCHEMA = "lesionlite.attached/1"
TYPES = ("uint8", "int8", "float32")
BY_EXPORT = "make a file of it with `lesionlite export --recipe float32 --contract`"
ANEW = "convert it anew, with TensorFlow 2.16 or later and a batch of 1"


@dataclass(frozen=True)
class Attached:
    """What was written to ``file``; ``fixed_batch`` says that its batch was any, and is 1 now."""

    file: str
    model: DeviceModel
    fixed_batch: bool

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.attached/1``."""
        contract = self.model.contract
        return {
            "schema": ATTACHED_SCHEMA,
            "file": self.file,
            "model": contract.model_id,
            "digest": contract.digest,
            "task": contract.task,
            "fixed_batch": self.fixed_batch,
        }


def attach_contract(
    model: str | os.PathLike[str],
    draft: AnyDraft,
    out: str | os.PathLike[str],
    *,
    force: bool = False,
) -> Attached:
    """Write the ``.tflite`` at ``model`` to ``out``, with the contract that ``draft`` makes for it.

    Args:
        model: a file without a contract.
        draft: what its maker knows of it.
        out: the file to write.
        force: overwrite what lies at ``out``.

    Raises:
        UsageError: when ``out`` cannot be written.
        UnusableInput: when the file carries a contract, or `attached` refuses it.
    """
    target = Path(out)
    check_output_path(target, force)
    data = read_file(model)
    file = os.fspath(model)
    made, fixed = attached(data, draft, file)
    check_model(made, file)
    write_whole(target, made, force)
    return Attached(os.fspath(out), check_model(made, os.fspath(out)), fixed)


def attached(data: bytes, draft: AnyDraft, file: str) -> tuple[bytes, bool]:
    """The ``.tflite`` ``data`` with its contract, and whether its batch was fixed to 1.

    Raises:
        UnusableInput: when ``data``, read from ``file``, is no ``.tflite``, carries a contract, is
            malformed, has NaN or infinity in its weights, or has an interface that the runtime
            does not serve.
    """
    if data[4:8] != TFLITE_IDENTIFIER:
        raise UnusableInput(
            "this is no TFLite model",
            "pass the .tflite that its converter wrote, or make one with `lesionlite export`",
            file,
        )
    original, members = split_members(data, file)
    if CONTRACT_MEMBER in members:
        raise UnusableInput(
            "it carries a contract already",
            "name the file that its maker gave, or see `lesionlite contract set-threshold`",
            file,
        )
    graph, flatbuffer = _graph(original, file)
    contract = contract_of_draft(draft, hashlib.sha256(original).hexdigest())
    if isinstance(contract, RegressionContract):
        contract = _of_values(contract, graph, file)
    else:
        assert not isinstance(draft, RegressionDraft)
        contract = _of_images(contract, draft, graph, file)
    written = with_flatbuffer(contract, flatbuffer)
    made = append_members(flatbuffer, {**members, CONTRACT_MEMBER: written.to_bytes()})
    return made, flatbuffer != original


def _graph(flatbuffer: bytes, file: str) -> tuple[Graph, bytes]:
    try:
        fixed = with_fixed_batch(flatbuffer)
        graph = read_graph(fixed)
        check_sound(graph, fixed)
    except Malformed as error:
        raise UnusableInput(
            f"the runtime does not serve this model ({error})",
            f"{BY_EXPORT} if it is in float32, or else {ANEW}",
            file,
        ) from error
    for side, named in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        if len(named) != 1:
            raise UnusableInput(
                f"it has {len(named)} {side}, not one", "convert a model of one output", file
            )
    check_graph_weights(graph, fixed, file)
    return graph, fixed


def _of_values(contract: RegressionContract, graph: Graph, file: str) -> RegressionContract:
    (name, taken), (result, given) = _ends(graph)
    for side, tensor in (("takes", taken), ("gives", given)):
        if (tensor.dtype, tensor.shape) != ("float32", (1, 1)):
            raise UnusableInput(
                f"it {side} {tensor.dtype} {list(tensor.shape)}, and a regression float32 [1, 1]",
                "convert it anew with float32 inputs and outputs",
                file,
            )
    return replace(
        contract,
        input=replace(contract.input, name=name),
        output=replace(contract.output, name=result),
    )


def _of_images(
    contract: ImageContract, draft: ImageDraft, graph: Graph, file: str
) -> ImageContract:
    (name, taken), (result, given) = _ends(graph)
    units = draft.output.units if isinstance(draft, ClassifierDraft) else len(draft.output.labels)
    _check_tensor("takes", taken, tuple(contract.input.shape), file)
    _check_tensor("gives", given, (1, units), file)
    if draft.output.values not in (SIGMOID, SOFTMAX):
        raise UnusableInput(
            f"it gives {draft.output.values}, and the runtime takes scores", BY_EXPORT, file
        )
    pixels = replace(
        contract.input,
        name=name,
        dtype=taken.dtype,
        color=draft.input.color,
        range=_range(draft.input, taken, file),
    )
    contract = replace(contract, input=pixels)
    if isinstance(contract, LabelsContract):
        contract = replace(contract, output=replace(contract.output, name=result))
    else:
        if draft.output.labels[-1] != contract.output.score_of:
            raise UnusableInput(
                f"its score is of {draft.output.labels[-1]}, not of {contract.output.score_of}",
                BY_EXPORT,
                file,
            )
        output = replace(contract.output, name=result, units=2 if units == 2 else None)
        contract = replace(contract, output=output)
    if given.dtype == "float32":
        return contract
    if len(given.scales) != 1:
        raise UnusableInput(f"it gives {given.dtype} without a scale: no scores", ANEW, file)
    quantization = Quantization(given.scales[0], given.zero_points[0])
    return with_integer_output(contract, given.dtype, quantization, file)


def _ends(graph: Graph) -> tuple[tuple[str, TensorInfo], tuple[str, TensorInfo]]:
    ((name, taken),), ((result, given),) = graph.inputs.items(), graph.outputs.items()
    return (name, graph.tensors[taken]), (result, graph.tensors[given])


def _check_tensor(does: str, tensor: TensorInfo, shape: tuple[int, ...], file: str) -> None:
    if tensor.shape != shape or tensor.dtype not in TYPES:
        raise UnusableInput(
            f"it {does} {tensor.dtype} {list(tensor.shape)}, and by the draft {list(shape)} of "
            f"{', '.join(TYPES)}",
            CORRECT_DRAFT,
            file,
        )


def _range(image: DraftImage, taken: TensorInfo, file: str) -> tuple[float, float] | None:
    """The contract's ``input.range`` for the tensor ``taken``."""
    ends = image.plain_range
    if ends is None:
        raise UnusableInput(
            "its channels are scaled in different ways, and the runtime scales all alike",
            BY_EXPORT,
            file,
        )
    if taken.dtype == "float32" or taken.scales:
        return ends
    if taken.dtype == "uint8" and ends == PIXEL_RANGE:
        return None
    raise UnusableInput(
        f"it takes {taken.dtype} without a scale, and by the draft {ends[0]:g} to {ends[1]:g}",
        "say 0 to 255 in the draft if it takes pixels as they are",
        file,
    )
