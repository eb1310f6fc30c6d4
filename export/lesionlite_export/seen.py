"""Which images a model has seen in its training or calibration: a proof on them proves little.

A contract holds one digest of each of these sets as a whole, and the first 40 bits of the digest of
each image (`image_prefixes`), so that single images are found wherever the file is. Files of older
versions hold the first alone; a list beside the file, or one that the user names, then tells.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from lesionlite_export.representative import DigestedImage, list_digest
from lesionlite_runtime.contract import ImageContract
from lesionlite_runtime.errors import UnusableInput, UsageError, printable

TRAINING, CALIBRATION = "training", "calibration"
PREFIXES, LIST = "image_prefixes", "images_sha256"
PREFIX_BYTES = 5
MAX_PREFIXES = 50_000
"""More images than these, 325 kB of text, leave the contract without prefixes."""


@dataclass(frozen=True)
class KnownSet:
    """Images that a model has seen: the beginnings of their digests, and what names them.

    Attributes:
        kind: ``training`` or ``calibration``.
        source: the file that says so.
        digests: the first ``digits`` hex digits of each.
        digits: see above.
        whole: the digest of all images in order, see `list_digest`; with it alone only the very set
            is known, and no part of it.
    """

    kind: str
    source: str
    digests: frozenset[str]
    digits: int = 64
    whole: str | None = None

    def holds(self, sha256: str) -> bool:
        """Whether an image of this digest is in the set."""
        return sha256[: self.digits] in self.digests


@dataclass(frozen=True)
class SeenImages:
    """What was found of the images of a proof in the sets that a model has seen.

    Attributes:
        sources: by kind, the files that name single images; empty where nothing does.
        files: by kind, the images that are among them.
        allowed: whether the user went on all the same.
    """

    sources: Mapping[str, tuple[str, ...]]
    files: Mapping[str, tuple[str, ...]]
    allowed: bool = False

    def to_json(self) -> dict[str, Any]:
        """By kind: sources, count and files; and ``allowed``."""
        return {
            **{
                kind: {
                    "sources": list(self.sources[kind]),
                    "count": len(self.files[kind]),
                    "files": list(self.files[kind]),
                }
                for kind in (TRAINING, CALIBRATION)
            },
            "allowed": self.allowed,
        }


def image_prefixes(images: Iterable[DigestedImage]) -> str | None:
    """The first 40 bits of each image's digest, sorted, in base64; None of too many images.

    Two sets of 2,000 and 10,000 different images agree in a prefix by chance once in 50,000 times.
    """
    prefixes = sorted({bytes.fromhex(image.sha256[: 2 * PREFIX_BYTES]) for image in images})
    if len(prefixes) > MAX_PREFIXES:
        return None
    return base64.b64encode(b"".join(prefixes)).decode()


def images_record(
    images: Sequence[DigestedImage], others: Sequence[DigestedImage] = ()
) -> dict[str, str]:
    """What a contract keeps of the images of a set.

    Args:
        images: the set.
        others: further images that were seen beside it, to be found one by one.
    """
    prefixes = image_prefixes([*images, *others])
    return {LIST: list_digest(images), **({} if prefixes is None else {PREFIXES: prefixes})}


def known_sets(contract: ImageContract, file: str) -> Iterator[KnownSet]:
    """The sets that ``contract``, which is that of ``file``, tells of.

    Raises:
        UnusableInput: when its prefixes are none.
    """
    records = {
        TRAINING: contract.provenance.training,
        CALIBRATION: contract.provenance.calibration or {},
    }
    for kind, record in records.items():
        whole, prefixes = record.get(LIST), record.get(PREFIXES)
        if prefixes is not None or isinstance(whole, str):
            digests = frozenset() if prefixes is None else _prefixes(prefixes, kind, file)
            yield KnownSet(
                kind, file, digests, 2 * PREFIX_BYTES, whole if isinstance(whole, str) else None
            )


def seen_images(
    images: Sequence[DigestedImage], sets: Sequence[KnownSet], allowed: bool = False
) -> SeenImages:
    """Which of ``images`` are in ``sets``; ``allowed`` says that this is no reason to stop."""
    lists = set(_list_digests(images))
    found: dict[str, tuple[str, ...]] = {}
    for kind in (TRAINING, CALIBRATION):
        own = [one for one in sets if one.kind == kind]
        whole = any(one.whole in lists for one in own)
        found[kind] = tuple(
            os.fspath(image.image.path)
            for image in images
            if whole or any(one.holds(image.sha256) for one in own)
        )
    return SeenImages(
        {
            kind: tuple(dict.fromkeys(s.source for s in sets if s.kind == kind and s.digests))
            for kind in (TRAINING, CALIBRATION)
        },
        found,
        allowed,
    )


def seen_set(contract: ImageContract, images: Sequence[DigestedImage]) -> str | None:
    """``training`` or ``calibration`` where ``images`` are the very set of it, else None.

    It is found in the order of ``images`` and in that of their paths, with copies counted once or
    each.
    """
    lists = set(_list_digests(images))
    for kind, record in (
        (TRAINING, contract.provenance.training),
        (CALIBRATION, contract.provenance.calibration or {}),
    ):
        if record.get(LIST) in lists:
            return kind
    return None


def refuse_seen(seen: SeenImages, n: int, source: str, listed: int | None = None) -> None:
    """Refuse a proof on images that the model has seen, unless that is allowed.

    Args:
        seen: what was found.
        n: images of the proof that were looked at.
        source: what lists them.
        listed: how many it lists, where some were not looked at any more.

    Raises:
        UsageError: when there are any.
    """
    looked = f"{n} images" if listed is None else f"first {n} of {listed} images"
    for kind, files in seen.files.items():
        if files and not seen.allowed:
            first = printable(Path(files[0]).name)
            raise UsageError(
                f"{len(files)} of the {looked} are among those of the model's {kind} "
                f"({first} the first), and a proof on them proves little",
                "leave them out, or pass --allow-training-images to go on all the same",
                source,
            )


def refuse_trained_on(contract: ImageContract, file: str, proof: Sequence[DigestedImage]) -> None:
    """Refuse proof images that the model in ``file`` was trained on, as its ``contract`` tells.

    Raises:
        UnusableInput: when there are any.
    """
    known = [one for one in known_sets(contract, file) if one.kind == TRAINING]
    for image in proof:
        if any(one.holds(image.sha256) for one in known):
            raise UnusableInput(
                f"the proof image is one of those that {file} was trained on",
                "leave it out of the proof images",
                image.image.path,
            )


def _prefixes(text: object, kind: str, file: str) -> frozenset[str]:
    try:
        data = base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    starts = range(0, len(data), PREFIX_BYTES)
    prefixes = [data[start : start + PREFIX_BYTES] for start in starts]
    if len(data) % PREFIX_BYTES or not all(a < b for a, b in pairwise(prefixes)) or not data:
        raise UnusableInput(
            f"provenance.{kind}.{PREFIXES} in the contract is no list of digests",
            "export the file anew",
            file,
        )
    return frozenset(prefix.hex() for prefix in prefixes)


def _list_digests(images: Sequence[DigestedImage]) -> Iterator[str]:
    by_path = sorted(images, key=lambda image: os.fspath(image.image.path))
    for ordered in (images, by_path):
        yield list_digest(ordered)
        yield list_digest(tuple({image.sha256: image for image in ordered}.values()))
