"""What is wrong with a data set: unreadable images, copies, and ids that its splits share."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lesionlite_export.manifest import LabelledImage, Manifest, read_manifest
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.representative import Unusable
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.pixels import decode
from lesionlite_training.duplicates import (
    COARSE_LIMIT,
    FINE_LIMIT,
    Fingerprint,
    equal_groups,
    fingerprint,
    near_pairs,
)
from lesionlite_training.shared_ids import SharedId, shared_ids

CHECK_SCHEMA = "lesionlite.data_check/1"
EQUAL, NEAR = "equal", "near"


@dataclass(frozen=True)
class CheckedSet:
    """What one manifest lists: images of each class, and how many pixels they have.

    ``sizes`` counts the readable images by width and height, the most frequent first.
    """

    manifest: Manifest
    classes: Mapping[str, int]
    sizes: Mapping[tuple[int, int], int]
    unreadable: tuple[Unusable, ...]

    @property
    def split(self) -> str:
        """The name of the set: the CSV's, without its suffix."""
        return Path(self.manifest.source).stem

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON."""
        return {
            "file": self.manifest.source,
            "split": self.split,
            "n": len(self.manifest.images),
            "positives": self.manifest.positives,
            "classes": dict(self.classes),
            "sizes": [{"width": w, "height": h, "n": n} for (w, h), n in self.sizes.items()],
            "unreadable": [
                {"file": os.fspath(u.image.path), "message": str(u.error)} for u in self.unreadable
            ],
        }


@dataclass(frozen=True)
class Listed:
    """An image, and the place of the set that lists it."""

    place: int
    image: LabelledImage


@dataclass(frozen=True)
class Copy:
    """Two images that are equal (``bits`` and ``turn`` None) or near-duplicates."""

    first: Listed
    second: Listed
    bits: int | None = None
    turn: str | None = None

    @property
    def kind(self) -> str:
        """``equal`` or ``near``."""
        return EQUAL if self.bits is None else NEAR

    @property
    def across(self) -> bool:
        """Whether the two stand in different sets: a leak."""
        return self.first.place != self.second.place

    @property
    def contradicts(self) -> bool:
        """Whether the two have different labels."""
        return self.first.image.label != self.second.image.label

    def to_json(self, sets: Sequence[CheckedSet]) -> dict[str, Any]:
        """The fields as JSON."""
        both = (self.first, self.second)
        return {
            "kind": self.kind,
            "across": self.across,
            "files": [os.fspath(listed.image.path) for listed in both],
            "splits": [sets[listed.place].split for listed in both],
            "labels": [listed.image.label for listed in both],
            "bits": self.bits,
            "turn": self.turn,
        }


@dataclass(frozen=True)
class DataCheck:
    """What was found in some sets, in the order in which they were named."""

    sets: tuple[CheckedSet, ...]
    copies: tuple[Copy, ...]
    shared: tuple[SharedId, ...] = ()

    @property
    def unreadable(self) -> tuple[Unusable, ...]:
        """The images that could not be read, of all sets."""
        return tuple(item for one in self.sets for item in one.unreadable)

    def count(self, kind: str, across: bool) -> int:
        """Pairs of one kind, across sets or within one."""
        return sum(copy.kind == kind and copy.across == across for copy in self.copies)

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.data_check/1``."""
        return {
            "schema": CHECK_SCHEMA,
            "sets": [one.to_json() for one in self.sets],
            "pairs": {
                kind: {"within": self.count(kind, False), "across": self.count(kind, True)}
                for kind in (EQUAL, NEAR)
            },
            "limits": {"coarse_bits": COARSE_LIMIT, "fine_bits": FINE_LIMIT},
            "copies": [copy.to_json(self.sets) for copy in self.copies],
            "shared_ids": [
                shared.to_json([one.split for one in self.sets]) for shared in self.shared
            ],
        }


def check_manifests(
    paths: Sequence[str | os.PathLike[str]], report: Reporter | None = None
) -> DataCheck:
    """Read every image that the manifests list, and find copies within and across them.

    Patients and lesions with images in several manifests are found by their ids.

    Args:
        paths: manifest CSVs, one a split.
        report: who is told of the progress.

    Raises:
        UsageError: when a manifest is named twice.
        UnusableInput: when one cannot be read, or none of the images can.
        MissingHere: when imagehash is not installed.
    """
    report = report or Silent()
    manifests = [read_manifest(path) for path in paths]
    _refuse_twice(paths)
    listed = [Listed(i, image) for i, one in enumerate(manifests) for image in one.images]
    readable: list[Listed] = []
    prints: list[Fingerprint] = []
    unreadable: list[tuple[int, Unusable]] = []
    for item in report.track(listed, "Reading images", len(listed)):
        try:
            prints.append(fingerprint(decode(item.image.path)))
        except UnusableInput as error:
            unreadable.append((item.place, Unusable(item.image, error)))
        else:
            readable.append(item)
    if not readable:
        raise UnusableInput(
            "none of its images can be read", "check the files", os.fspath(paths[0])
        ) from unreadable[0][1].error
    with report.phase("Comparing images"):
        copies = tuple(_copies(readable, prints))
    sizes: list[Counter[tuple[int, int]]] = [Counter() for _ in manifests]
    for item, found in zip(readable, prints, strict=True):
        height, width, _ = found.pixels
        sizes[item.place][width, height] += 1
    sets = tuple(
        CheckedSet(
            manifest,
            Counter(sorted(image.stratum for image in manifest.images)),
            dict(sizes[place].most_common()),
            tuple(unusable for at, unusable in unreadable if at == place),
        )
        for place, manifest in enumerate(manifests)
    )
    return DataCheck(sets, copies, tuple(shared_ids(manifests)))


def _refuse_twice(paths: Sequence[str | os.PathLike[str]]) -> None:
    seen: set[Path] = set()
    for path in paths:
        if Path(path).resolve() in seen:
            raise UsageError("it is named twice", "name each manifest once", path)
        seen.add(Path(path).resolve())


def _copies(listed: Sequence[Listed], prints: Sequence[Fingerprint]) -> Iterator[Copy]:
    """Equal images, each with the first of them, and then the near-duplicates."""
    for group in equal_groups(prints):
        for place in group[1:]:
            yield Copy(listed[group[0]], listed[place])
    for pair in near_pairs(prints):
        yield Copy(listed[pair.first], listed[pair.second], pair.bits, pair.turn)
