"""Labelled images: from a manifest CSV, or from a folder in the ISIC layout."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lesionlite_runtime.errors import UnusableInput, UsageError, printable
from lesionlite_runtime.files import read_file
from lesionlite_runtime.pixels import IMAGE_SUFFIXES

REQUIRED_COLUMNS = ("filepath", "label")
LEAKS_FILE = "leaks.csv"
MAX_CSV_BYTES = 256 << 20
ID_COLUMNS = ("lesion_id", "patient_id")
FACT_COLUMNS = (*ID_COLUMNS, "age", "sex", "site", "skin_type", "license")
"""Columns that a manifest may have beside those that it needs; a blank field says nothing."""
UNKNOWN = "unknown"
"""What archives write where they do not know; as an id it says nothing either."""
DEFAULT_CLASSES: Mapping[str, int] = {"melanoma": 1, "nevus": 0, "seborrheic_keratosis": 0}


@dataclass(frozen=True)
class LabelledImage:
    """An image file with its label, 1 or 0, and the name of its class where that is known.

    ``facts`` is what the manifest says in its `FACT_COLUMNS`, by column, without fields that say
    nothing.
    """

    path: Path
    label: int
    class_name: str
    facts: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def stratum(self) -> str:
        """What samples are stratified by: the class, or the label where there is none."""
        return self.class_name or str(self.label)


@dataclass(frozen=True)
class Manifest:
    """The images of one set, and the file or folder that lists them."""

    source: str
    images: tuple[LabelledImage, ...]

    @property
    def folder(self) -> Path:
        """The folder that its paths count from."""
        source = Path(self.source)
        return source if source.is_dir() else source.parent

    @property
    def positives(self) -> int:
        """Number of images labelled 1."""
        return sum(image.label for image in self.images)

    def needs_both_labels(self) -> Manifest:
        """The manifest itself, if its images do not all have the same label.

        Raises:
            UnusableInput: when it does not.
        """
        if len({image.label for image in self.images}) < 2:
            raise UnusableInput(
                f"all {len(self.images)} images have the label {self.images[0].label}",
                "list images of both labels",
                self.source,
            )
        return self


def read_manifest(path: str | os.PathLike[str], labels: int = 2) -> Manifest:
    """The images that a manifest CSV lists, with labels from 0 to ``labels - 1``.

    Raises:
        UnusableInput: when it cannot be read, lacks a column or has one twice, has a line with more
            or fewer fields than the header, lists no image, a missing one, one twice, one outside
            its own folder, or a label that there is not.
    """
    file = Path(path)
    rows = csv_rows(file)
    _, header = next(rows, (1, []))
    columns = csv_columns(file, header, REQUIRED_COLUMNS)
    images = [_image(file, line, row, columns, labels) for line, row in rows]
    return Manifest(str(file), _checked(images, str(file)))


def read_isic_split(
    folder: str | os.PathLike[str], split: str, classes: Mapping[str, int] = DEFAULT_CLASSES
) -> Manifest:
    """The images in ``folder/split/CLASS/``, without those that ``folder/leaks.csv`` names.

    Raises:
        UnusableInput: when a folder is missing, holds no image, or has a class that ``classes``
            does not label.
    """
    root = Path(folder, split)
    if not root.is_dir():
        raise UnusableInput(
            f"there is no folder {split} in it", "pass a folder in the ISIC layout", folder
        )
    leaks = read_leaks(Path(folder, LEAKS_FILE))
    images = []
    for class_folder in class_folders(root):
        if class_folder.name not in classes:
            raise UnusableInput(
                f"the class {class_folder.name} has no label",
                f"give it one (--label {class_folder.name}=0 or =1)",
                root,
            )
        images += [
            LabelledImage(path, classes[class_folder.name], class_folder.name)
            for path in sorted(class_folder.iterdir())
            if is_image_file(path) and path.stem not in leaks
        ]
    return Manifest(str(root), _checked(tuple(images), str(root)))


def read_images(
    data: str | os.PathLike[str],
    split: str,
    classes: Mapping[str, int] = DEFAULT_CLASSES,
    labels: int = 2,
) -> Manifest:
    """The images of ``data``: a manifest CSV, or a folder in the ISIC layout and its ``split``."""
    if Path(data).is_dir():
        return read_isic_split(data, split, checked_classes(classes, labels))
    return read_manifest(data, labels)


def checked_classes(classes: Mapping[str, int], labels: int) -> Mapping[str, int]:
    """``classes``, if each has the index of one of so many labels.

    Raises:
        UsageError: when one has not.
    """
    for name, index in classes.items():
        if not 0 <= index < labels:
            wanted = "0 or 1" if labels == 2 else f"0 to {labels - 1}"
            raise UsageError(
                f"the class {printable(name)} has the label {index}, not {wanted}", "correct it"
            )
    return classes


def read_leaks(path: Path) -> frozenset[str]:
    """The image ids that a ``leaks.csv`` names; none where there is no such file.

    Raises:
        UnusableInput: when the file is no CSV, or has no column ``image_id``.
    """
    if not path.exists():
        return frozenset()
    rows = csv_rows(path)
    _, header = next(rows, (1, []))
    column = csv_columns(path, header, ("image_id",))["image_id"]
    return frozenset(row[column] for _, row in rows)


def class_folders(root: Path) -> list[Path]:
    """The folders in ``root`` that are not hidden, by name."""
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def is_image_file(path: Path) -> bool:
    """Whether a walk over a class folder takes ``path`` for an image: by suffix, and not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def csv_rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, with the number of its last line; all are of one length."""
    data = read_file(file, MAX_CSV_BYTES)
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        width = 0
        for row in reader:
            width = width or len(row)
            if row and len(row) != width:
                raise UnusableInput(
                    f"line {reader.line_num}: there are {len(row)} fields, not {width}",
                    "quote a field that holds a comma",
                    file,
                )
            if row:
                yield reader.line_num, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnusableInput(
            f"this is no CSV in UTF-8 ({printable(str(error))})",
            "make a manifest with `lesionlite data manifest`",
            file,
        ) from error


def csv_columns(file: Path, header: Sequence[str], needed: Sequence[str]) -> dict[str, int]:
    """Where each column stands in ``header``; those that are ``needed`` must, and none twice."""
    missing = [name for name in needed if name not in header]
    if missing:
        raise UnusableInput(
            f"the column {missing[0]} is missing", f"name the columns {', '.join(needed)}", file
        )
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise UnusableInput(
            f"the column {printable(twice[0])} stands there twice", "leave one out", file
        )
    return {name: i for i, name in enumerate(header)}


def _image(
    file: Path, line: int, row: Sequence[str], columns: Mapping[str, int], labels: int
) -> LabelledImage:
    filepath, label = row[columns["filepath"]], row[columns["label"]]

    def refuse(problem: str, remedy: str) -> UnusableInput:
        return UnusableInput(f"line {line}: {problem}", remedy, file)

    known = [str(index) for index in range(labels)]
    if label not in known:
        wanted = "0 or 1" if labels == 2 else f"0 to {labels - 1}"
        raise refuse(f"the label is {printable(label)!r}, not {wanted}", "correct the label")
    name = printable(filepath)
    if not filepath:
        raise refuse("the filepath is empty", "name an image")
    if Path(filepath).is_absolute():
        raise refuse(f"{name} is an absolute path", "write it relative to the manifest's folder")
    folder = Path(os.path.normpath(file.parent.absolute()))
    path = Path(os.path.normpath(folder / filepath))
    if not path.is_relative_to(folder):
        raise refuse(f"{name} lies outside the manifest's folder", "move the manifest or the image")
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise refuse(f"{name} is a link out of the manifest's folder", "copy the image")
        is_file = path.is_file()
    except (OSError, ValueError, RuntimeError):  # RuntimeError: links in a circle, before 3.13
        is_file = False
    if not is_file:
        raise refuse(f"the image {name} does not exist", "correct the path or leave the line out")
    class_name = row[columns["class"]] if "class" in columns else ""
    facts = {name: row[columns[name]].strip() for name in FACT_COLUMNS if name in columns}
    return LabelledImage(
        Path(os.path.normpath(file.parent / filepath)),
        int(label),
        class_name,
        {
            name: value
            for name, value in facts.items()
            if value and not (name in ID_COLUMNS and value.casefold() == UNKNOWN)
        },
    )


def _checked(images: Sequence[LabelledImage], source: str) -> tuple[LabelledImage, ...]:
    if not images:
        raise UnusableInput("it lists no image", "list one image a line at least", source)
    seen: set[Path] = set()
    for image in images:
        if image.path in seen:
            raise UnusableInput(
                f"{printable(str(image.path))} is listed twice", "leave one out", source
            )
        seen.add(image.path)
    return tuple(images)
