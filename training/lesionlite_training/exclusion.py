"""Which images to leave out of a checked data set, as a CSV that manifests honour."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lesionlite_runtime.errors import UnusableInput, printable
from lesionlite_training.check import EQUAL, Copy, DataCheck, Listed

COLUMNS = ("image_id", "split", "class", "reason")


@dataclass(frozen=True)
class Excluded:
    """An image that is better left out, and why."""

    listed: Listed
    reason: str


def excluded(check: DataCheck) -> tuple[Excluded, ...]:
    """The images to leave out, so that none is left twice, nor one that cannot be read.

    Of the images that copies connect one stays: the first one of the set that was named last, since
    the set that proves is named after the one that trains. Where equal images have different labels
    none of them stays, as nobody knows which label is right. A patient or lesion with images in
    several sets keeps those of the last one.
    """
    found = [
        Excluded(Listed(place, item.image), f"cannot be read: {item.error.problem}")
        for place, one in enumerate(check.sets)
        for item in one.unreadable
    ]
    for group, copies in _groups(check.copies):
        equal = [copy for copy in copies if copy.kind == EQUAL]
        # Equal images are all paired with the same first one.
        doubtful = {copy.first for copy in equal if copy.contradicts}
        wrong = doubtful | {copy.second for copy in equal if copy.first in doubtful}
        right = [listed for listed in group if listed not in wrong]
        last = max((listed.place for listed in right), default=None)
        kept = next((listed for listed in right if listed.place == last), None)
        found += [
            Excluded(listed, _reason(listed, kept, copies, check))
            for listed in group
            if listed != kept
        ]
    gone = {item.listed for item in found}
    found += [item for item in _shared(check) if item.listed not in gone]
    return tuple(sorted(found, key=lambda item: (item.listed.place, item.listed.image.path)))


def exclusion_csv(items: Sequence[Excluded], check: DataCheck) -> bytes:
    """The CSV of ``items``: image id (the file's stem), split, class and reason.

    Raises:
        UnusableInput: when a file name is no UTF-8.
    """
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(COLUMNS)
    for item in items:
        image = item.listed.image
        split = check.sets[item.listed.place].split
        table.writerow((image.path.stem, split, image.class_name, item.reason))
    try:
        return stream.getvalue().encode()
    except UnicodeEncodeError as error:
        raise UnusableInput(
            "the name of a file to leave out is no UTF-8, which a CSV cannot hold",
            "rename the file",
        ) from error


def _shared(check: DataCheck) -> Iterator[Excluded]:
    """The images of a patient or lesion that a later set has images of, each once."""
    shared = {(item.column, item.value): item for item in check.shared}
    for place, one in enumerate(check.sets):
        for image in one.manifest.images:
            found = (shared.get(pair) for pair in image.facts.items())
            later = next((item for item in found if item and item.last > place), None)
            if later is not None:
                split = check.sets[later.last].split
                yield Excluded(
                    Listed(place, image),
                    f"{later.column} {printable(later.value)} has images in {split} too",
                )


def _groups(copies: Sequence[Copy]) -> Iterator[tuple[list[Listed], list[Copy]]]:
    """The images that copies connect, directly or by others, each group with its copies."""
    group_of: dict[Listed, list[Listed]] = {}
    for copy in copies:
        first = group_of.setdefault(copy.first, [copy.first])
        second = group_of.setdefault(copy.second, [copy.second])
        if first is not second:
            first += second
            for listed in second:
                group_of[listed] = first
    for group in {id(group): group for group in group_of.values()}.values():
        members = set(group)
        yield (
            sorted(group, key=lambda listed: (listed.place, listed.image.path)),
            [copy for copy in copies if copy.first in members],
        )


def _reason(listed: Listed, kept: Listed | None, copies: Sequence[Copy], check: DataCheck) -> str:
    """Why ``listed`` goes: what it shares with the image that stays, or with another one."""

    def other(copy: Copy) -> Listed:
        return copy.second if copy.first == listed else copy.first

    mine = [copy for copy in copies if listed in (copy.first, copy.second)]
    copy = min(mine, key=lambda copy: (other(copy) != kept, not copy.contradicts))
    place = other(copy)
    name = printable(Path(place.image.path).stem)
    where = f"{name} ({check.sets[place.place].split})"
    label = ", which has another label" if copy.contradicts else ""
    if copy.kind == EQUAL:
        return f"the same pixels as {where}{label}"
    return f"near-duplicate of {where}, {copy.bits} of 256 bits, {copy.turn}{label}"
