"""``kit.json``: what a kit says of itself, as frozen dataclasses, and the folder around it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lesionlite_export.kit.stages import PIXEL_STAGES
from lesionlite_runtime.codec import (
    OPTIONAL,
    FieldFault,
    canonical_json,
    from_json,
    parse_json,
    to_json,
)
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import UnusableInput, printable
from lesionlite_runtime.files import read_file

KIT_FAMILY = "lesionlite.kit/"
KIT_SCHEMA = f"{KIT_FAMILY}1"
MANIFEST_NAME, README_NAME = "kit.json", "README.md"
MAX_MANIFEST_BYTES = 16 << 20
XNNPACK, BUILTIN, REFERENCE = "xnnpack", "builtin", "reference"
_VERSIONED = re.compile(r"lesionlite\.kit/\d+\Z")


@dataclass(frozen=True)
class KitModel:
    """The file that the scores are of.

    ``flatbuffer_sha256`` is of its bytes before the appended zip, ``contract_digest`` of what that
    zip says; ``proved`` tells whether the export had a proof.
    """

    file: str
    id: str
    flatbuffer_sha256: str
    contract_digest: str
    network_sha256: str
    recipe: str | None
    proved: bool


@dataclass(frozen=True)
class Decoded:
    """An image in sRGB, turned upright, not yet resized: its size, and SHA-256 of its bytes."""

    width: int
    height: int
    sha256: str


@dataclass(frozen=True)
class KitImage:
    """An image and what is to be made of it.

    Attributes:
        file: path in the kit.
        sha256: of the file.
        purpose: what it is there for.
        features: what of the way to a score it exercises (`photo`).
        orientation: EXIF's, 1 to 8.
        decoded: before the resize.
        pixels_sha256: of the tensor, uint8 ``[H, W, 3]``.
        samples: ``[R, G, B]`` of the tensor at the kit's places.
        scores: the file's, by kernels: ``xnnpack``, ``builtin``; ``reference`` is the score of the
            model that the file was made from, where that was at hand.
        one_level: the largest change of the score where the pixels change by one grey level.
        decision: by the score of ``xnnpack``.
        tensor: path of the tensor's bytes in the kit, where it is kept.
    """

    file: str
    sha256: str
    purpose: str
    features: tuple[str, ...]
    orientation: int
    decoded: Decoded
    pixels_sha256: str
    samples: tuple[tuple[int, ...], ...]
    scores: Mapping[str, float]
    one_level: float
    decision: str
    tensor: str | None = field(default=None, metadata=OPTIONAL)

    @property
    def name(self) -> str:
        """The last part of its path, by which results name it."""
        return self.file.rpartition("/")[2]


@dataclass(frozen=True)
class KitMistake:
    """A mistake of ports, and the score that it gives each image; null where it changes nothing.

    The scores are by kernels, as those of an image: of ``xnnpack``, and for some mistakes of
    ``builtin`` as well.
    """

    name: str
    stage: str
    sentence: str
    scores: Mapping[str, tuple[float | None, ...]]


@dataclass(frozen=True)
class Family:
    """Backends that compute alike.

    ``kernels`` says which of an image's scores theirs are compared with; ``max_difference`` is the
    largest difference that is allowed for one image, ``mean_difference`` on average.
    """

    name: str
    what: str
    backends: tuple[str, ...]
    kernels: str
    max_difference: float
    mean_difference: float


@dataclass(frozen=True)
class PixelTolerance:
    """How far the pixels of one image may lie from the right ones, of 255: on average, at most."""

    mean: float
    max: int


@dataclass(frozen=True)
class RuleCase:
    """A score, and what is to be decided on it."""

    case: str
    score: float
    decision: str


@dataclass(frozen=True)
class Kit:
    """All that ``kit.json`` says.

    Attributes:
        schema: `KIT_SCHEMA`.
        model: the file that the scores are of.
        input: the contract's input: what pixels the file wants.
        threshold: ``score >= threshold`` decides.
        families: of backends; one that stands in none of them belongs to the last.
        tolerances: of pixels, for images that decoders read differently, by their feature.
        places: ``[row, column]`` of the samples in the tensor.
        images: in the order of the mistakes' scores.
        mistakes: in the order of the stages.
        rule: what to decide on given scores.
        tools: what recorded it.
    """

    schema: str
    model: KitModel
    input: ImageInput
    threshold: float
    families: tuple[Family, ...]
    tolerances: Mapping[str, PixelTolerance]
    places: tuple[tuple[int, ...], ...]
    images: tuple[KitImage, ...]
    mistakes: tuple[KitMistake, ...]
    rule: tuple[RuleCase, ...]
    tools: Mapping[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON without the key ``digest``."""
        return hashlib.sha256(canonical_json(to_json(self))).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.kit/1``, ``digest`` included."""
        return {**to_json(self), "digest": self.digest}

    def to_bytes(self) -> bytes:
        """``kit.json``: an image a line, as far as that goes."""
        return (json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n").encode("ascii")


@dataclass(frozen=True)
class KitFolder:
    """A kit where it lies."""

    path: Path
    kit: Kit

    def image_bytes(self, image: KitImage) -> bytes:
        """The file of ``image``.

        Raises:
            UnusableInput: when it is missing, or is not the one that was recorded.
        """
        path = self.path / image.file
        data = read_file(path)
        if hashlib.sha256(data).hexdigest() != image.sha256:
            raise UnusableInput(
                "this is not the image that the kit was recorded with", "copy the kit anew", path
            )
        return data


def read_kit(path: str | os.PathLike[str]) -> KitFolder:
    """The kit in the folder ``path``.

    Raises:
        UnusableInput: when there is none, it is of another version, or its manifest is damaged.
    """
    folder = Path(path)
    file = folder / MANIFEST_NAME if folder.is_dir() else folder
    if folder.is_dir() and not file.is_file():
        raise UnusableInput(
            f"there is no {MANIFEST_NAME} in it", "pass the folder that --record wrote", folder
        )
    name = os.fspath(file)
    body = parse_json(read_file(file, MAX_MANIFEST_BYTES), name)
    _check_version(body, name)
    assert isinstance(body, dict)
    stated = body.pop("digest", None)
    try:
        kit = from_json(Kit, body)
        _check(kit)
    except FieldFault as fault:
        raise UnusableInput(
            f"the kit cannot be used: {fault}", "record or copy it anew", name
        ) from fault
    if stated != kit.digest:
        raise UnusableInput(
            "the kit does not have the digest that it states", "copy or record it anew", name
        )
    return KitFolder(file.parent, kit)


def _check_version(body: object, name: str) -> None:
    schema = body.get("schema") if isinstance(body, dict) else None
    if schema == KIT_SCHEMA:
        return
    if isinstance(schema, str) and _VERSIONED.match(schema):
        raise UnusableInput(
            f"this is a kit of version {schema.rpartition('/')[2]}, and this lesionlite reads "
            f"version {KIT_SCHEMA.rpartition('/')[2]}",
            "record it anew, or judge with the lesionlite that recorded it",
            name,
        )
    shown = printable(schema) if isinstance(schema, str) else "none"
    raise UnusableInput(
        f"this is no kit (its schema is {shown})", "pass the folder that --record wrote", name
    )


def _check(kit: Kit) -> None:
    """Refuse what the dataclasses allow and no kit has."""
    if not kit.images or not kit.families:
        raise FieldFault("images" if not kit.images else "families", "must not be empty")
    names = [image.name for image in kit.images]
    if len(set(names)) < len(names):
        raise FieldFault("images", "must have different names")
    if not 0 <= kit.threshold <= 1:
        raise FieldFault("threshold", "must lie in 0 to 1")
    for i, image in enumerate(kit.images):
        for path in filter(None, (image.file, image.tensor)):
            if os.path.isabs(path) or ".." in Path(path).parts:  # noqa: PTH117
                raise FieldFault(f"images[{i}]", "must not lead out of the kit")
        if not {XNNPACK, BUILTIN} <= set(image.scores):
            raise FieldFault(f"images[{i}].scores", f"must have {XNNPACK} and {BUILTIN}")
    for i, mistake in enumerate(kit.mistakes):
        if mistake.stage not in PIXEL_STAGES:
            raise FieldFault(f"mistakes[{i}].stage", f"must be one of {', '.join(PIXEL_STAGES)}")
        if not mistake.scores or any(len(s) != len(kit.images) for s in mistake.scores.values()):
            raise FieldFault(f"mistakes[{i}].scores", "must have a score for each image")
    for i, family in enumerate(kit.families):
        if family.kernels not in (XNNPACK, BUILTIN):
            raise FieldFault(f"families[{i}].kernels", f"must be {XNNPACK} or {BUILTIN}")
