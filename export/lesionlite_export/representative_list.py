"""Reading back the list of representative images that an export wrote."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.representative import LIST_COLUMNS, PreparedImage, prepare
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import UnusableInput, printable
from lesionlite_runtime.files import read_file

MAX_LIST_BYTES = 64 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MAKE_ANEW = "pass a list that an export wrote, NAME.representative.csv"


def read_representative_list(
    path: str | os.PathLike[str],
    root: str | os.PathLike[str],
    image_input: ImageInput,
    report: Reporter | None = None,
) -> tuple[PreparedImage, ...]:
    """The images that `representative_list` wrote to ``path``, in the order of the list.

    An export on them repeats the export that wrote it: they are the same tensors.

    Args:
        path: the list.
        root: the folder that its paths count from.
        image_input: the contract's input.
        report: who is told of the progress.

    Raises:
        UnusableInput: when the list cannot be read, lacks a column, has another, or lists no image;
            when an image is missing, outside ``root``, cannot be read or has other pixels than the
            list says.
    """
    report = report or Silent()
    file = os.fspath(path)
    lines = list(_lines(file, Path(root)))
    if not lines:
        raise UnusableInput("it lists no image", _MAKE_ANEW, file)
    images = [image for _, image, _ in lines]
    prepared = report.track(prepare(images, image_input), "Reading listed images", len(images))
    checked = []
    for (line, image, digest), item in zip(lines, prepared, strict=True):
        if not isinstance(item, PreparedImage):
            raise item.error
        if item.sha256 != digest:
            raise UnusableInput(
                f"the pixels of {printable(str(image.path))} are not those of line {line}",
                "bring back the image that was listed, or sample anew",
                file,
            )
        checked.append(item)
    return tuple(checked)


def _lines(file: str, root: Path) -> Iterator[tuple[int, LabelledImage, str]]:
    """(Line number, image, digest) of each row."""
    try:
        text = read_file(file, MAX_LIST_BYTES).decode("utf-8-sig")
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        columns = _columns(next(rows, []), file)
        for row in rows:
            if row:
                yield rows.line_num, *_row(row, columns, rows.line_num, root, file)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnusableInput(
            f"this is no CSV in UTF-8 ({printable(str(error))})", _MAKE_ANEW, file
        ) from error


def _columns(header: list[str], file: str) -> dict[str, int]:
    for name in LIST_COLUMNS:
        if header.count(name) != 1:
            times = "is missing" if name not in header else "stands there twice"
            raise UnusableInput(f"the column {name} {times}", _MAKE_ANEW, file)
    unknown = [name for name in header if name not in LIST_COLUMNS]
    if unknown:
        raise UnusableInput(
            f"the column {printable(unknown[0])} is unknown",
            f"leave it out: the columns are {', '.join(LIST_COLUMNS)}",
            file,
        )
    return {name: place for place, name in enumerate(header)}


def _row(
    row: list[str], columns: dict[str, int], line: int, root: Path, file: str
) -> tuple[LabelledImage, str]:
    def refuse(problem: str, remedy: str = _MAKE_ANEW) -> UnusableInput:
        return UnusableInput(f"line {line}: {problem}", remedy, file)

    if len(row) != len(columns):
        raise refuse(f"there are {len(row)} fields, not {len(columns)}")
    filepath, label, class_name, digest = (row[columns[name]] for name in LIST_COLUMNS)
    if label not in ("0", "1"):
        raise refuse(f"the label is {printable(label)!r}, not 0 or 1")
    if not _DIGEST.fullmatch(digest):
        raise refuse("the digest of the pixels is not 64 hex digits")
    below = Path(os.path.normpath(filepath))
    if not filepath or below.is_absolute() or ".." in below.parts:
        raise refuse(f"{printable(filepath)!r} is no path below the folder of the images")
    found = _existing(root, filepath)
    if found is None:
        raise refuse(
            f"the image {printable(filepath)} does not exist in {printable(str(root))}",
            "name the folder that the list was made for",
        )
    return LabelledImage(found, int(label), class_name), digest


def _existing(root: Path, filepath: str) -> Path | None:
    """The listed file: under its name, or under the bytes that stand escaped in it."""
    escaped = re.sub(r"\\u(dc[89a-f][0-9a-f])", lambda m: chr(int(m[1], 16)), filepath)
    for name in (filepath, escaped):
        path = Path(os.path.normpath(root / name))
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):  # a name that the system cannot have
            continue
    return None
