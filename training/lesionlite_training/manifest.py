"""Manifests: one CSV a split, from class folders or from a flat folder with ISIC's CSV files."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from lesionlite_export.manifest import LEAKS_FILE, read_leaks
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.files import check_output_path, write_whole
from lesionlite_training.folders import (
    ALL,
    Classes,
    SplitImages,
    is_flat,
    read_class_folders,
    read_descriptions,
    read_flat_folder,
)
from lesionlite_training.isic import FACTS, Described, ImageFacts

COLUMNS = ("filepath", "label", "class", "split", "image_id")


@dataclass(frozen=True)
class SplitCount:
    """A manifest that was written, and how many images it has and has not.

    Attributes:
        path: the CSV.
        split: name of the split.
        counts: images of each class.
        left_out: images that ``leaks.csv`` or another such file names.
        dropped: images of a class that is left out.
        unlisted: files without a row in the CSV of the classes.
        missing: rows of that CSV without a file.
        described: images that metadata describes; None where there is none.
        licenses: images under each licence that metadata names.
    """

    path: Path
    split: str
    counts: Mapping[str, int]
    left_out: int
    dropped: int = 0
    unlisted: int = 0
    missing: int = 0
    described: int | None = None
    licenses: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON."""
        return {
            "file": str(self.path),
            "split": self.split,
            "counts": dict(self.counts),
            "left_out": self.left_out,
            "dropped": self.dropped,
            "unlisted": self.unlisted,
            "missing": self.missing,
            "described": self.described,
            "licenses": dict(self.licenses),
        }


@dataclass(frozen=True)
class Wanted:
    """What a manifest is made of, beside the folder and the labels.

    Attributes:
        dropped: classes to leave out.
        split: name of the one split of a flat folder.
        ground_truth: CSV with the classes of a flat folder.
        metadata: CSVs that describe the images.
        keep_leaks: do not leave out what the folder's ``leaks.csv`` names.
        exclude: further files like ``leaks.csv``.
    """

    dropped: frozenset[str] = frozenset()
    split: str = ALL
    ground_truth: Path | None = None
    metadata: Sequence[Path] = ()
    keep_leaks: bool = False
    exclude: Sequence[Path] = ()


def write_manifests(
    folder: Path,
    labels: Mapping[str, int],
    out: Path,
    force: bool = False,
    wanted: Wanted | None = None,
) -> tuple[SplitCount, ...]:
    """One CSV a split of ``folder``, or one alone where its classes or images stand at the top.

    Paths are relative to the CSV's folder, and a reader takes none that leave it, so ``out`` must
    be ``folder`` or one above it. Images that ``folder/leaks.csv`` names are left out.

    Raises:
        UsageError: when ``out`` is not above the images, a CSV exists and ``force`` is off, or
            ``wanted`` does not go with the folder's layout.
        UnusableInput: when a class has no label, a split has no image, or a CSV cannot be used.
    """
    wanted = wanted or Wanted()
    if not folder.is_dir():
        raise UnusableInput("this is no folder", "pass the folder of the images", folder)
    if not folder.resolve().is_relative_to(out.resolve()):
        raise UsageError(
            f"the manifests must lie in {folder} or a folder above it, so that the paths in them "
            "stay inside",
            f"pass --out {folder}",
            out,
        )
    # Without links in them, the paths from one to the other are those that a reader takes.
    folder = folder.resolve()
    leaks = _left_out(folder, wanted)
    tables = []
    for images in _splits(folder, labels, wanted):
        path = out / f"{images.split}.csv"
        check_output_path(path, force)
        tables.append(_split_table(images, labels, leaks, path, out.resolve()))
    for count, table in tables:
        write_whole(count.path, table, force)
    return tuple(count for count, _ in tables)


def _left_out(folder: Path, wanted: Wanted) -> frozenset[str]:
    for path in wanted.exclude:
        if not path.is_file():
            raise UnusableInput("there is no such file", "check the path", path)
    files = wanted.exclude if wanted.keep_leaks else (folder / LEAKS_FILE, *wanted.exclude)
    return frozenset().union(*map(read_leaks, files))


def _splits(folder: Path, labels: Mapping[str, int], wanted: Wanted) -> tuple[SplitImages, ...]:
    classes = Classes(labels, wanted.dropped)
    if is_flat(folder):
        return (
            read_flat_folder(folder, classes, wanted.split, wanted.ground_truth, wanted.metadata),
        )
    if wanted.ground_truth is not None or wanted.split != ALL:
        raise UsageError(
            "the folders of its images name their classes and splits",
            "leave --ground-truth and --split out",
            folder,
        )
    return read_class_folders(folder, classes, read_descriptions(wanted.metadata))


def _split_table(
    images: SplitImages, labels: Mapping[str, int], leaks: frozenset[str], path: Path, out: Path
) -> tuple[SplitCount, bytes]:
    kept = {
        name: [p for p in paths if p.stem not in leaks] for name, paths in images.classes.items()
    }
    facts = [_facts(images.described, p) for paths in kept.values() for p in paths]
    if not facts:
        there = "no image of it is left" if any(images.classes.values()) else "there is no image"
        raise UnusableInput(f"{there} in its class folders", "add some", images.root)
    known = [found for found in facts if found is not None]
    licenses = Counter(found.license for found in known if found.license)
    count = SplitCount(
        path,
        images.split,
        {name: len(paths) for name, paths in kept.items()},
        sum(map(len, images.classes.values())) - len(facts),
        images.dropped,
        images.unlisted,
        images.missing,
        len(known) if images.described else None,
        dict(sorted(licenses.items())),
    )
    rows = _rows(images, kept, labels, out)
    return count, _table(rows, bool(images.described), images.root)


def _rows(
    images: SplitImages, kept: Mapping[str, Sequence[Path]], labels: Mapping[str, int], out: Path
) -> Iterator[tuple[object, ...]]:
    for name, paths in kept.items():
        for p in paths:
            file = Path(os.path.relpath(p, out)).as_posix()
            row = (file, labels[name], name, images.split, p.stem)
            facts = astuple(_facts(images.described, p) or ImageFacts())
            yield (*row, *facts) if images.described else row


def _facts(described: Mapping[str, Described], path: Path) -> ImageFacts | None:
    found = described.get(path.stem)
    return None if found is None else found.facts


def _table(rows: Iterable[tuple[object, ...]], with_facts: bool, root: Path) -> bytes:
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow((*COLUMNS, *FACTS) if with_facts else COLUMNS)
    table.writerows(rows)
    try:
        return stream.getvalue().encode()
    except UnicodeEncodeError as error:
        raise UnusableInput(
            "a file name in it is no UTF-8, which a manifest cannot hold", "rename the file", root
        ) from error
