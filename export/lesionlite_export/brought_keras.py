"""A network that somebody else trained, in lesionlite's own form: uint8 RGB pixels to a score."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.finite_weights import check_network_weights
from lesionlite_export.hdf5_model import load_hdf5
from lesionlite_export.keras_model import (
    BATCH,
    KerasModel,
    keras_outputs,
    load_network,
    network_sha256,
    stated_architecture,
)
from lesionlite_export.layer_names import with_plain_names
from lesionlite_export.noise import native_noise_logged
from lesionlite_export.saved_model import saved_model_sha256
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
from lesionlite_runtime.errors import LesionliteError, UnusableInput
from lesionlite_runtime.files import read_file


@dataclass(frozen=True)
class BroughtKeras(KerasModel):
    """``network`` in lesionlite's own form, with its draft and the ``core`` as it came."""

    draft: AnyDraft
    core: Any

    @property
    def batch(self) -> int | None:
        """1 where the core takes no other number of images at once, else None."""
        fixed: int | None = self.network.inputs[0].shape[0]
        return fixed

    @property
    def takes_any_scaling(self) -> bool:
        """Whether pixels are scaled before they enter the core: uint8 ones are not."""
        return _input_of(self.core)[1] != "uint8"

    def raw_outputs(
        self, image: DraftImage, pixels: Iterable[NDArray[np.uint8]]
    ) -> Iterator[NDArray[np.float64]]:
        """What the core gives for pixels ``[H, W, 3]`` scaled as ``image`` says: ``[n, units]``."""
        assert not isinstance(self.draft, RegressionDraft)
        with native_noise_logged():
            network = raw_network(self.core, image, units_of(self.draft), self.path)
        for found in keras_outputs(network, pixels, self.batch or BATCH):
            yield found.reshape(len(found), -1)


def load_brought_keras(
    path: str | os.PathLike[str], draft: AnyDraft, *, allow_code: bool = False
) -> BroughtKeras:
    """The ``.keras``, HDF5 file or SavedModel's folder at ``path``, by what ``draft`` says of it.

    Args:
        path: the model.
        draft: what its maker knows of it.
        allow_code: run the code of Lambda layers in a ``.keras`` or HDF5 file.

    Raises:
        MissingHere: when TensorFlow, or the extra ``hub`` that an HDF5 file needs, is missing.
        UnusableInput: when the file is refused, has NaN or infinity in its weights, or has other
            inputs or outputs than the draft's.
    """
    file = os.fspath(path)
    if Path(path).is_dir():
        core, digest = _graph(Path(path)), saved_model_sha256(Path(path))
    elif Path(path).suffix in (".h5", ".hdf5"):
        core = load_hdf5(Path(path), allow_code=allow_code)
        digest = hashlib.sha256(read_file(path)).hexdigest()
    else:
        core = load_network(path, allow_code=allow_code)
        digest = network_sha256(core, stated_architecture(file))
    check_network_weights(core, file)
    with native_noise_logged():
        core = with_plain_names(core)
    network = in_own_form(core, draft, file)
    return BroughtKeras(file, network, contract_of_draft(draft, digest), draft, core)


def _graph(folder: Path) -> Any:
    with native_noise_logged():
        from lesionlite_export.brought_graph import BroughtGraph

        return BroughtGraph(folder)


def in_own_form(core: Any, draft: AnyDraft, file: str) -> Any:
    """A Keras model from uint8 RGB ``[n, H, W, 3]`` to ``[n, units]``, or from x to y.

    Args:
        core: a Keras model or layer.
        draft: what it takes and gives.
        file: its name, for errors.

    Raises:
        UnusableInput: when it takes or gives something else.
    """
    with native_noise_logged():
        if isinstance(draft, RegressionDraft):
            return _of_values(core, file)
        return _of_images(core, draft, file)


def _of_values(core: Any, file: str) -> Any:
    import keras

    batch = _check_input(core, (1,), ("float32",), file)
    x = keras.Input(batch_shape=(batch, 1), dtype="float32", name="brought_x")
    y = _called(core, x, file)
    _check_output(y, 1, file)
    return keras.Model(x, y, name="brought")


def _of_images(core: Any, draft: ImageDraft, file: str) -> Any:
    import keras

    raw = raw_network(core, draft.input, units_of(draft), file)
    (pixels,), (y,) = raw.inputs, raw.outputs
    if draft.output.values == SIGMOID_LOGITS:
        y = keras.ops.sigmoid(y)
    elif draft.output.values == SOFTMAX_LOGITS:
        y = keras.ops.softmax(y)
    if isinstance(draft, ClassifierDraft):
        column = draft.output.labels.index(draft.output.score_of)
        if draft.output.units == 2:
            y = y[:, column : column + 1]
        elif column == 0:
            y = 1.0 - y
    return keras.Model(pixels, y, name="brought")


def raw_network(core: Any, image: DraftImage, units: int, file: str) -> Any:
    """A Keras model from uint8 RGB pixels, scaled as ``image`` says, to what the core gives."""
    import keras

    sides = tuple(image.shape[1:])
    batch = _check_input(core, sides, ("float32", "float16", "uint8"), file)
    pixels = keras.Input(batch_shape=(batch, *sides), dtype="uint8", name="brought_image")
    x = keras.ops.flip(pixels, -1) if image.color == "BGR" else pixels
    if _input_of(core)[1] != "uint8":
        factors, offsets = image.scaling
        alike = image.plain_range is not None
        scaling = keras.layers.Rescaling(
            factors[0] if alike else list(factors),
            offsets[0] if alike else list(offsets),
            name="brought_scaling",
        )
        x = scaling(x)
    elif image.plain_range != PIXEL_RANGE:
        raise UnusableInput(
            "it takes uint8 pixels, and by the draft another range than 0 to 255",
            CORRECT_DRAFT,
            file,
        )
    y = _called(core, x, file)
    _check_output(y, units, file)
    return keras.Model(pixels, y, name="raw")


def units_of(draft: ImageDraft) -> int:
    """How many numbers the network of ``draft`` gives for an image."""
    return draft.output.units if isinstance(draft, ClassifierDraft) else len(draft.output.labels)


def _input_of(core: Any) -> tuple[tuple[int | None, ...] | None, str]:
    """Shape, the batch included, and type of the network's one input."""
    if hasattr(core, "taken"):
        return core.taken, core.taken_type
    inputs = getattr(core, "inputs", None)
    if not inputs:  # a Sequential that was never built takes what it is given
        return None, "float32"
    return tuple(inputs[0].shape), str(inputs[0].dtype)


def _check_input(
    core: Any, sides: tuple[int, ...], dtypes: tuple[str, ...], file: str
) -> int | None:
    """The network's batch: 1 where it takes no other."""
    inputs = getattr(core, "inputs", None) or (None,)
    outputs = getattr(core, "outputs", None) or (None,)
    if len(inputs) != 1 or len(outputs) != 1:
        raise UnusableInput(
            f"the network has {len(inputs)} inputs and {len(outputs)} outputs, not one of each",
            "make a model of the one output that is to be exported",
            file,
        )
    shape, dtype = _input_of(core)
    fits = shape is None or (
        len(shape) == len(sides) + 1
        and shape[0] in (None, 1)
        and all(own in (None, side) for own, side in zip(shape[1:], sides, strict=True))
    )
    if not fits or dtype not in dtypes:
        taken = "any" if shape is None else list(shape)
        raise UnusableInput(
            f"the network takes {dtype} {taken}, and by the draft {' or '.join(dtypes)} "
            f"{[None, *sides]}",
            CORRECT_DRAFT,
            file,
        )
    return None if shape is None else shape[0]


def _called(core: Any, x: Any, file: str) -> Any:
    try:
        return core(x)
    except LesionliteError as error:
        raise type(error)(error.problem, error.remedy, file) from error
    except Exception as error:  # whatever a layer raises for a shape that it cannot take
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        raise UnusableInput(
            f"the network cannot be run on {list(x.shape)} ({reason[:300]})", CORRECT_DRAFT, file
        ) from error


def _check_output(y: Any, units: int, file: str) -> None:
    if len(y.shape) != 2 or y.shape[-1] != units:
        raise UnusableInput(
            f"the network gives {list(y.shape)}, and by the draft {[None, units]}",
            CORRECT_DRAFT,
            file,
        )
