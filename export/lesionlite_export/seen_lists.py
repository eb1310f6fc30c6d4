"""Images that a model has seen, from the lists that lie beside it or that the user names."""

from __future__ import annotations

import re
from pathlib import Path

from lesionlite_export.manifest import csv_columns, csv_rows, read_images
from lesionlite_export.progress import Reporter
from lesionlite_export.representative import LIST_COLUMNS, digest_of_digests, prepare, usable_images
from lesionlite_export.seen import CALIBRATION, LIST, TRAINING, KnownSet
from lesionlite_runtime.contract import ImageContract
from lesionlite_runtime.errors import UnusableInput

DIGEST_COLUMN = LIST_COLUMNS[-1]
LIST_SUFFIX = ".representative.csv"
_DIGEST = re.compile(r"[0-9a-f]{64}")


def training_set(path: Path, contract: ImageContract, report: Reporter) -> KnownSet:
    """The images that ``path`` lists, as those that a model was trained on.

    Args:
        path: a CSV with the column ``pixels_sha256``, whose digests are taken; or a manifest, or a
            folder in the ISIC layout, whose ``train`` is taken: their images are read.
        contract: says what pixels the model wants, and the classes of folders.
        report: who is told of the progress.

    Raises:
        UnusableInput: when there is no such list, or no image of it can be used.
    """
    digests = None if path.is_dir() else _listed_digests(path)
    if digests is None:
        output = contract.output
        manifest = read_images(path, "train", output.classes, len(output.labels))
        items = report.track(
            prepare(manifest.images, contract.input),
            "Reading training images",
            len(manifest.images),
        )
        digests = tuple(image.sha256 for image in usable_images(items, manifest.source)[0])
    return KnownSet(TRAINING, str(path), frozenset(digests))


def list_path(tflite: Path) -> Path:
    """Where export writes the list of representative images of ``tflite``."""
    return tflite.with_name(f"{tflite.stem}{LIST_SUFFIX}")


def list_beside(tflite: Path, contract: ImageContract) -> KnownSet | None:
    """The list of representative images that export wrote beside ``tflite``.

    None where there is none, or it is the list of another file.

    Raises:
        UnusableInput: when it cannot be read.
    """
    path = list_path(tflite)
    digests = _listed_digests(path) if path.is_file() else None
    whole = (contract.provenance.calibration or {}).get(LIST)
    if digests is None or digest_of_digests(digests) != whole:
        return None
    return KnownSet(CALIBRATION, str(path), frozenset(digests))


def _listed_digests(path: Path) -> tuple[str, ...] | None:
    """The column ``pixels_sha256`` of a CSV; None where there is no such column."""
    rows = csv_rows(path)
    _, header = next(rows, (1, []))
    if DIGEST_COLUMN not in header:
        return None
    place = csv_columns(path, header, (DIGEST_COLUMN,))[DIGEST_COLUMN]
    digests = tuple(_digest(row[place], line, path) for line, row in rows)
    if not digests:
        raise UnusableInput("it lists no image", "list one a line at least", path)
    return digests


def _digest(text: str, line: int, path: Path) -> str:
    if not _DIGEST.fullmatch(text):
        raise UnusableInput(
            f"line {line}: the digest of the pixels is not 64 hex digits",
            "pass the list that an export wrote, or a manifest without this column",
            path,
        )
    return text
