"""A ``.tflite`` that somebody else's converter made, in lesionlite's own form; no TensorFlow.

A float32 file gets what its draft says: pixels in front, the function of its scores behind, a fixed
batch, a signature. A file that is quantized already stays as it is, with a contract attached.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.graph_edit import (
    SOFTMAX_OPTIONS,
    STRIDED_SLICE_OPTIONS,
    SUB_OPTIONS,
    GraphEdit,
)
from lesionlite_export.interface_edits import scale_pixels
from lesionlite_export.tflite_model import TfliteModel, is_quantized
from lesionlite_runtime.attach import attached
from lesionlite_runtime.container import split_members
from lesionlite_runtime.contract import with_flatbuffer
from lesionlite_runtime.door import DeviceModel, check_interface, check_model, checked_graph
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
    SIGMOID_LOGITS,
    SOFTMAX_LOGITS,
    DraftImage,
)
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.files import read_file
from lesionlite_runtime.finite_weights import check_graph_weights
from lesionlite_runtime.fixed_batch import with_fixed_batch
from lesionlite_runtime.flatbuffer import Malformed
from lesionlite_runtime.graph import Graph, TensorInfo, read_graph
from lesionlite_runtime.interpreter import open_backend


@dataclass(frozen=True)
class BroughtTflite(TfliteModel):
    """A float32 file in lesionlite's own form, with its draft and the bytes that it came in."""

    draft: AnyDraft
    original: bytes

    @property
    def takes_any_scaling(self) -> bool:
        """Whether pixels are scaled before they enter the network: uint8 ones are not."""
        return _ends(_graph(self.original, self.path), self.path)[0].dtype != "uint8"

    def raw_outputs(
        self, image: DraftImage, pixels: Iterable[NDArray[np.uint8]]
    ) -> Iterator[NDArray[np.float64]]:
        """What it gives for pixels ``[H, W, 3]`` scaled as ``image`` says: ``[1, units]`` each."""
        assert not isinstance(self.draft, RegressionDraft)
        flatbuffer = in_own_form(self.original, replace(self.draft, input=image), self.path, True)
        graph = checked_graph(flatbuffer, self.path)
        backend = open_backend(replace(self.opened, flatbuffer=flatbuffer, graph=graph))
        for one in pixels:
            yield np.asarray(backend.invoke(one[np.newaxis]), np.float64)[np.newaxis]


def load_brought_tflite(path: str | os.PathLike[str], draft: AnyDraft) -> TfliteModel:
    """The ``.tflite`` at ``path``, which carries no contract, by what ``draft`` says of it.

    Returns:
        A `BroughtTflite`; of a quantized file, itself with a contract attached.

    Raises:
        UnusableInput: when it is malformed, or has other inputs or outputs than the draft's.
    """
    file = os.fspath(path)
    data = read_file(path)
    flatbuffer, _ = split_members(data, file)
    if is_quantized(_graph(flatbuffer, file)):
        made, _ = attached(data, draft, file)
        opened = check_model(made, file)
        return TfliteModel(file, opened.contract, opened)
    return _brought(flatbuffer, draft, file)


def _brought(original: bytes, draft: AnyDraft, file: str) -> BroughtTflite:
    check_graph_weights(_graph(original, file), original, file)
    made = in_own_form(original, draft, file)
    contract = with_flatbuffer(contract_of_draft(draft, hashlib.sha256(original).hexdigest()), made)
    graph = checked_graph(made, file)
    check_interface(graph, contract, file)
    digest = hashlib.sha256(made).hexdigest()
    opened = DeviceModel(file, digest, made, contract, graph)
    return BroughtTflite(file, contract, opened, draft, original)


def in_own_form(flatbuffer: bytes, draft: AnyDraft, file: str, raw: bool = False) -> bytes:
    """A float32 file from uint8 RGB ``image`` to ``score``, or from ``x`` to ``y``.

    Args:
        flatbuffer: a float32 ``.tflite``; its batch may be open, and its signature missing.
        draft: what it takes and gives.
        file: its name, for errors.
        raw: leave its outputs as they are.

    Raises:
        UnusableInput: when it is malformed, or takes or gives something else.
    """
    graph = _graph(flatbuffer, file)
    taken, given = _ends(graph, file)
    edit = GraphEdit(with_fixed_batch(flatbuffer))
    edit.state_reshapes()
    edit.remove_unread()
    if isinstance(draft, RegressionDraft):
        _check(taken, (1, 1), ("float32",), "takes", file)
        _check(given, (1, 1), ("float32",), "gives", file)
        edit.set_names("x", "y")
        return edit.to_bytes()
    _check(taken, draft.input.shape, ("float32", "uint8"), "takes", file)
    units = draft.output.units if isinstance(draft, ClassifierDraft) else len(draft.output.labels)
    _check(given, (1, units), ("float32",), "gives", file)
    _put_pixels(edit, taken, draft.input, file)
    if not raw:
        _put_scores(edit, draft)
    edit.set_names("image", "score")
    return edit.to_bytes()


def _graph(flatbuffer: bytes, file: str) -> Graph:
    try:
        return read_graph(with_fixed_batch(flatbuffer), unsigned=True)
    except Malformed as error:
        raise UnusableInput(
            f"this is no TFLite model that lesionlite can use ({error})",
            "convert it anew with TensorFlow's converter",
            file,
        ) from error


def _ends(graph: Graph, file: str) -> tuple[TensorInfo, TensorInfo]:
    for side, named in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        if len(named) != 1:
            raise UnusableInput(
                f"it has {len(named)} {side}, not one",
                "convert a model of the one output that is to be exported",
                file,
            )
    (taken,), (given,) = graph.inputs.values(), graph.outputs.values()
    return graph.tensors[taken], graph.tensors[given]


def _check(
    tensor: TensorInfo, shape: tuple[int, ...], dtypes: tuple[str, ...], does: str, file: str
) -> None:
    if -1 in tensor.shape:
        raise UnusableInput(
            f"it {does} {list(tensor.shape)}, and -1 is a side of any length",
            f"convert it anew with the input {list(shape)}",
            file,
        )
    if tensor.shape != shape or tensor.dtype not in dtypes:
        raise UnusableInput(
            f"it {does} {tensor.dtype} {list(tensor.shape)}, and by the draft "
            f"{' or '.join(dtypes)} {list(shape)}",
            CORRECT_DRAFT,
            file,
        )


def _put_pixels(edit: GraphEdit, taken: TensorInfo, image: DraftImage, file: str) -> None:
    if taken.dtype == "uint8":
        if image.plain_range != PIXEL_RANGE:
            raise UnusableInput(
                "it takes uint8 pixels, and by the draft another range than 0 to 255",
                CORRECT_DRAFT,
                file,
            )
    else:
        factors, offsets = image.scaling
        alike = image.plain_range is not None
        scale_pixels(
            edit,
            factors[0] if alike else np.array(factors, np.float32),
            offsets[0] if alike else np.array(offsets, np.float32),
        )
    if image.color == "BGR":
        pixels = edit.new_tensor(edit.input, "image", "uint8")
        last = edit.new_constant("channels", np.array([3], np.int32))
        edit.put_in_front(edit.new_operator("REVERSE_V2", [pixels, last], edit.input))
        edit.set_input(pixels)


def _put_scores(edit: GraphEdit, draft: ImageDraft) -> None:
    if draft.output.values == SIGMOID_LOGITS:
        _put(edit, "LOGISTIC", [edit.output])
    elif draft.output.values == SOFTMAX_LOGITS:
        _put(edit, "SOFTMAX", [edit.output], SOFTMAX_OPTIONS)
    if not isinstance(draft, ClassifierDraft):
        return
    column = draft.output.labels.index(draft.output.score_of)
    if draft.output.units == 2:
        places = ((0, column), (1, column + 1), (1, 1))
        constants = [edit.new_constant("column", np.array(place, np.int32)) for place in places]
        _put(edit, "STRIDED_SLICE", [edit.output, *constants], STRIDED_SLICE_OPTIONS, (1, 1))
    elif column == 0:
        one = edit.new_constant("one", 1.0)
        _put(edit, "SUB", [one, edit.output], SUB_OPTIONS)


def _put(
    edit: GraphEdit,
    name: str,
    inputs: list[int],
    options: int = 0,
    shape: tuple[int, ...] | None = None,
) -> None:
    """An operator behind the last one; its result is the output then."""
    made = edit.new_tensor(edit.output, f"score/{name.lower()}", "float32", shape)
    edit.put_behind(edit.new_operator(name, inputs, made, options))
    edit.set_output(made)
