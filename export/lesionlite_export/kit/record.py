"""Recording a kit: drawing its images, running the file on them, right and wrong."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.kit.drawings import draw, near_threshold
from lesionlite_export.kit.families import TOLERANCES, families
from lesionlite_export.kit.folder import check_kit_path, write_kit
from lesionlite_export.kit.images import FOLDER, KitFile, drafts
from lesionlite_export.kit.kernels import Kernels, one_level_change
from lesionlite_export.kit.manifest import (
    BUILTIN,
    KIT_SCHEMA,
    REFERENCE,
    XNNPACK,
    Decoded,
    Kit,
    KitImage,
    KitMistake,
    KitModel,
)
from lesionlite_export.kit.mistakes import (
    PixelMistake,
    RangeMistake,
    pixel_mistakes,
    range_mistakes,
)
from lesionlite_export.kit.photo import Photo
from lesionlite_export.kit.rule import decision, rule_cases
from lesionlite_export.kit.telling import chosen_files
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.source import Source, outputs_of
from lesionlite_export.tools import tool_versions
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.door import DeviceModel, open_model
from lesionlite_runtime.errors import UsageError
from lesionlite_runtime.files import read_file
from lesionlite_runtime.pixels import MAX_FILE_BYTES, pixels_sha256

NEAR_EACH_SIDE = 3
TENSORS_OF = ("control-colour-1.png", "odd.png", "orientation-6.jpg", "subsampled.jpg")
MAX_TENSOR_BYTES = 1 << 20
MAX_OWN_BYTES = 4 << 20
TENSOR_FOLDER = "tensors"
_PLACES = 4  # a side
AnyMistake = PixelMistake | RangeMistake
_RECORDED_WITH = ("ai-edge-litert", "numpy", "pillow")
# A score this far from the threshold is decided alike by every build of the same kernels.
_AWAY = 4e-4


@dataclass(frozen=True)
class Recorded:
    """A kit that was written; how many of the user's images it took, and which it did not."""

    kit: Kit
    own: int
    left_out: tuple[str, ...]


def record_kit(
    tflite: str | os.PathLike[str],
    out: Path,
    *,
    source: Source | None = None,
    own: Sequence[str | os.PathLike[str]] = (),
    force: bool = False,
    report: Reporter | None = None,
) -> Recorded:
    """Write a conformance kit of the classifier at ``tflite``.

    The same file, sources and versions give the same bytes.

    Args:
        tflite: the file.
        out: folder to write; a kit that lies there is replaced with ``force``.
        source: the model that the file was made from: its scores tell another file of the same
            network.
        own: image files of the user's to take in beside the drawn ones, as they are, under other
            names, as long as all of them have no more than 4 MiB.
        force: replace a kit.
        report: who is told of the progress.

    Raises:
        UsageError: when the file is no classifier of two labels, or ``out`` lies in the way.
        UnusableInput: when the file is refused, or gives no numbers.
        MissingHere: when LiteRT is not installed, or the kit cannot be written.
    """
    report = report or Silent()
    check_kit_path(out, force)
    opened = open_model(tflite)
    contract = opened.contract
    if not isinstance(contract, ClassifierContract):
        raise UsageError(
            f"a kit is of an image classifier of two labels, and this is a model for "
            f"{contract.task}",
            "leave out --record",
            opened.path,
        )
    kernels = Kernels(opened, contract, XNNPACK)
    threshold = contract.decision_threshold
    drawings = draw(contract.input, kernels.score, report)
    near = near_threshold(drawings, kernels.score, threshold, NEAR_EACH_SIDE, _AWAY)
    own_files, left_out = _own_files(own)
    drawn = list(drafts(drawings, near))
    files = [*chosen_files(drawn, contract.input, kernels.score, report), *own_files]
    photos = [Photo(file.data, contract.input) for file in files]
    images = list(
        _images(files, photos, opened, contract, report, _reference(source, contract, photos))
    )
    kit = Kit(
        schema=KIT_SCHEMA,
        model=_model(opened, contract),
        input=contract.input,
        threshold=threshold,
        families=families(opened.graph, contract.output),
        tolerances=TOLERANCES,
        places=tuple(_places(contract.input.height, contract.input.width)),
        images=tuple(images),
        mistakes=tuple(_mistakes(photos, opened, contract, report)),
        rule=rule_cases(threshold),
        tools={name: v for name, v in tool_versions().items() if name in _RECORDED_WITH},
    )
    tensors = {
        image.tensor: photo.tensor.tobytes()
        for image, photo in zip(images, photos, strict=True)
        if image.tensor is not None
    }
    write_kit(out, kit, {**{file.file: file.data for file in files}, **tensors}, force)
    return Recorded(kit, len(own_files), tuple(left_out))


def _own_files(own: Sequence[str | os.PathLike[str]]) -> tuple[list[KitFile], list[str]]:
    """The user's images that fit in, named by number: a name may say whose picture it is."""
    taken: list[KitFile] = []
    left_out: list[str] = []
    for path in own:
        data = read_file(path, MAX_FILE_BYTES)
        if sum(len(file.data) for file in taken) + len(data) > MAX_OWN_BYTES:
            left_out.append(os.fspath(path))
            continue
        suffix = Path(path).suffix.lower()
        name = f"{FOLDER}/own-{len(taken) + 1}{suffix}"
        taken.append(KitFile(name, data, "an image of whoever recorded the kit"))
    return taken, left_out


def _model(opened: DeviceModel, contract: ClassifierContract) -> KitModel:
    return KitModel(
        file=Path(opened.path).name,
        id=contract.model_id,
        flatbuffer_sha256=hashlib.sha256(opened.flatbuffer).hexdigest(),
        contract_digest=contract.digest,
        network_sha256=contract.provenance.network_sha256,
        recipe=contract.provenance.recipe,
        proved=contract.parity is not None,
    )


def _images(
    files: Sequence[KitFile],
    photos: Sequence[Photo],
    opened: DeviceModel,
    contract: ClassifierContract,
    report: Reporter,
    reference: Sequence[float] | None,
) -> Iterator[KitImage]:
    """What is to be made of each image."""
    kernels = [Kernels(opened, contract, name) for name in (XNNPACK, BUILTIN)]
    places = list(_places(contract.input.height, contract.input.width))
    kept = 0
    both = list(zip(files, photos, strict=True))
    for number, (file, photo) in enumerate(report.track(both, "Scoring", len(both))):
        tensor = photo.tensor
        scores = {XNNPACK: kernels[0].score(tensor), BUILTIN: kernels[1].score(tensor)}
        if reference is not None:
            scores[REFERENCE] = reference[number]
        keep = Path(file.file).name in TENSORS_OF and kept + tensor.size <= MAX_TENSOR_BYTES
        kept += tensor.size if keep else 0
        height, width = photo.upright.shape[:2]
        yield KitImage(
            file=file.file,
            sha256=hashlib.sha256(file.data).hexdigest(),
            purpose=file.purpose,
            features=photo.features,
            orientation=photo.picture.orientation,
            decoded=Decoded(width, height, pixels_sha256(photo.upright)),
            pixels_sha256=pixels_sha256(tensor),
            samples=tuple(tuple(int(v) for v in tensor[row, column]) for row, column in places),
            scores=scores,
            one_level=one_level_change(kernels[0], tensor),
            decision=decision(scores[XNNPACK], contract.decision_threshold),
            tensor=f"{TENSOR_FOLDER}/{Path(file.file).name}.rgb" if keep else None,
        )


def _reference(
    source: Source | None, contract: ClassifierContract, photos: Sequence[Photo]
) -> list[float] | None:
    """Scores of the model that the file was made from; None where ``source`` is not that model."""
    if source is None or not isinstance(source.contract, ClassifierContract):
        return None
    one, other = source.contract.provenance, contract.provenance
    if (one.network_sha256, one.views or 1) != (other.network_sha256, other.views or 1):
        return None
    outputs = np.concatenate(list(outputs_of(source, (photo.tensor for photo in photos))))
    first = outputs if outputs.ndim == 1 else outputs[:, -1]
    return [float(value) for value in first]


def _mistakes(
    photos: Sequence[Photo],
    opened: DeviceModel,
    contract: ClassifierContract,
    report: Reporter,
) -> Iterator[KitMistake]:
    """Every mistake that changes an image, with the scores that it leads to."""
    xnnpack, builtin = (Kernels(opened, contract, name) for name in (XNNPACK, BUILTIN))
    tensor = opened.graph.tensors[opened.graph.inputs[contract.input.name]]
    mistakes: list[AnyMistake] = [*pixel_mistakes(), *range_mistakes(contract.input, tensor)]
    for mistake in report.track(mistakes, "Trying mistakes of ports", len(mistakes)):
        scores = {XNNPACK: tuple(_mistaken(mistake, photo, xnnpack) for photo in photos)}
        if isinstance(mistake, RangeMistake):  # kernels differ most on what no photo holds
            scores[BUILTIN] = tuple(_mistaken(mistake, photo, builtin) for photo in photos)
        if any(score is not None for score in scores[XNNPACK]):
            yield KitMistake(mistake.name, mistake.stage, mistake.sentence, scores)


def _mistaken(mistake: AnyMistake, photo: Photo, kernels: Kernels) -> float | None:
    if isinstance(mistake, PixelMistake):
        pixels = mistake.tensor(photo)
        return None if pixels is None else kernels.score(pixels)
    return kernels.score_of(mistake.value(photo.tensor))


def _places(height: int, width: int) -> Iterable[tuple[int, int]]:
    """Rows and columns of the samples: an even grid."""
    steps: NDArray[np.float64] = (np.arange(_PLACES) + 0.5) / _PLACES
    for row in (steps * height).astype(int):
        for column in (steps * width).astype(int):
            yield int(row), int(column)
