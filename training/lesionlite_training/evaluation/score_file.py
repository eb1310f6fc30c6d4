"""Scores that come from a file: a CSV of image ids and scores, matched to labelled images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lesionlite_export.manifest import (
    Manifest,
    class_folders,
    is_image_file,
    read_isic_split,
    read_manifest,
)
from lesionlite_runtime.errors import UnusableInput, printable
from lesionlite_training.evaluation.result import Scored
from lesionlite_training.table import DECIMAL, Table, read_table

ID, SCORE, LABEL = "image_id", "score", "label"
SUFFIX = ".csv"
_REMEDY = f"write a CSV with the columns {ID} and {SCORE}"


@dataclass(frozen=True)
class ScoreRow:
    """A line of a CSV of scores; ``label`` is None where the CSV has none."""

    line: int
    image_id: str
    score: float
    label: int | None


def is_score_file(path: Path) -> bool:
    """Whether ``path`` names a CSV, and no model."""
    return path.suffix.lower() == SUFFIX


def read_scored(path: Path, data: Path, classes: Mapping[str, int]) -> Scored:
    """The images of ``data`` with the scores that the CSV at ``path`` has of them.

    A row is of the image with its ``image_id`` in the manifest's column of that name, or else of
    the one whose file has that name, without suffix.

    Args:
        path: a CSV with the columns ``image_id`` and ``score``, 0 to 1; others are passed over, but
            for ``label``, which must be that of the image.
        data: a manifest CSV, or a folder in the ISIC layout, of which the split with the CSV's
            first image is taken.
        classes: label of each class folder.

    Raises:
        UnusableInput: when either cannot be read, a score is no number from 0 to 1, an image has
            two rows or none, a row has no image, or labels differ.
    """
    table = read_table(path, _REMEDY)
    rows = tuple(_rows(table))
    manifest, ids = _listed(data, rows[0].image_id, classes, path)
    manifest.needs_both_labels()
    places = _places(manifest, ids)
    row_of: dict[int, ScoreRow] = {}
    for row in rows:
        place = places.get(row.image_id)
        name = printable(row.image_id)
        if place is None:
            raise table.fault(
                row.line, f"no image of {manifest.source} has the id {name}", "leave the line out"
            )
        other = row_of.setdefault(place, row)
        if other is not row:
            raise table.fault(
                row.line, f"{name} has a score in line {other.line} already", "leave one out"
            )
        label = manifest.images[place].label
        if row.label not in (None, label):
            raise table.fault(
                row.line, f"the label of {name} is {label} in {manifest.source}", "correct one"
            )
    missing = [i for i in range(len(manifest.images)) if i not in row_of]
    if missing:
        raise UnusableInput(
            f"{len(missing)} of the {len(manifest.images)} images of {manifest.source} have no "
            f"score in it, {printable(ids[missing[0]])} the first",
            "add their scores, or pass a manifest without them",
            path,
        )
    scores = np.array([row_of[i].score for i in range(len(manifest.images))])
    return Scored(None, path.name, manifest.source, manifest.images, scores)


def _rows(table: Table) -> Iterator[ScoreRow]:
    columns = {name: table.column([name]) for name in (ID, SCORE, LABEL)}
    id_place, score_place = columns[ID], columns[SCORE]
    if id_place is None or score_place is None:
        name = ID if id_place is None else SCORE
        raise UnusableInput(f"the column {name} is missing", _REMEDY, table.file)
    if not table.rows:
        raise UnusableInput("there is no score in it", _REMEDY, table.file)
    label_place = columns[LABEL]
    for line, row in table.rows:
        name, text = row[id_place], row[score_place]
        if not name:
            raise table.fault(line, f"the {ID} is empty", "name the image")
        score = float(text) if DECIMAL.fullmatch(text) else float("nan")
        if not 0 <= score <= 1:
            shown = printable(text[:40]) or "empty"
            raise table.fault(
                line,
                f"the score of {printable(name)} is {shown}, and no number from 0 to 1",
                "correct it, or leave the line out",
            )
        label = None if label_place is None else row[label_place]
        if label not in (None, "0", "1"):
            raise table.fault(
                line, f"the label of {printable(name)} is {printable(label)!r}", "write 0 or 1"
            )
        yield ScoreRow(line, name, score, None if label is None else int(label))


def _listed(
    data: Path, first: str, classes: Mapping[str, int], path: Path
) -> tuple[Manifest, Sequence[str]]:
    """The images of ``data``, and the id of each."""
    if data.is_dir():
        manifest = read_isic_split(data, _split_of(data, first, path), classes)
        return manifest, [image.path.stem for image in manifest.images]
    manifest = read_manifest(data)
    table = read_table(data)
    place = table.column([ID])
    given = ["" if place is None else row[place] for _, row in table.rows]
    pairs = zip(given, manifest.images, strict=True)
    return manifest, [name or image.path.stem for name, image in pairs]


def _split_of(folder: Path, image_id: str, path: Path) -> str:
    """The split of ``folder`` that an image belongs to."""
    splits = [split.name for split in class_folders(folder) if _holds(split, image_id)]
    if len(splits) == 1:
        return splits[0]
    name = printable(image_id)
    if splits:
        problem = f"the image {name} is in {' and '.join(splits)} of {printable(str(folder))}"
    else:
        problem = f"no split of {printable(str(folder))} has the image {name}"
    raise UnusableInput(problem, "pass the manifest CSV of the images that were scored", path)


def _holds(split: Path, image_id: str) -> bool:
    return any(
        file.stem == image_id and is_image_file(file)
        for folder in class_folders(split)
        for file in folder.iterdir()
    )


def _places(manifest: Manifest, ids: Sequence[str]) -> dict[str, int]:
    """Where each id stands, and each file name that is no id and stands for one image alone."""
    places: dict[str, int] = {}
    for place, name in enumerate(ids):
        other = places.setdefault(name, place)
        if other != place:
            first, second = (printable(str(manifest.images[i].path)) for i in (other, place))
            raise UnusableInput(
                f"{first} and {second} have one image id, {printable(name)}",
                f"give them two in a column {ID}",
                manifest.source,
            )
    stems = [image.path.stem for image in manifest.images]
    once = {stem for stem, count in Counter(stems).items() if count == 1}
    for place, stem in enumerate(stems):
        if stem in once:
            places.setdefault(stem, place)
    return places
