"""Scores of single images as CSV: for whoever looks at them, and for a challenge."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from lesionlite_export.manifest import LabelledImage, Manifest
from lesionlite_runtime.errors import UnusableInput, printable
from lesionlite_runtime.result import NO_REFERRAL, REFER
from lesionlite_training.evaluation.result import Evaluation

SCORE_COLUMNS = ("filepath", "image_id", "label", "class", "score", "decision")
BARE_COLUMNS = ("image_id", "score")
SUBMISSION_COLUMNS = ("image_id", "melanoma")


def scores_csv(evaluation: Evaluation) -> bytes:
    """`SCORE_COLUMNS` of each image, in the order of the manifest.

    ``filepath`` is relative to the manifest's folder, ``image_id`` the file's name without suffix.
    """
    folder = Manifest(evaluation.source, ()).folder
    return _csv(
        SCORE_COLUMNS,
        (
            (
                Path(os.path.relpath(image.path, folder)).as_posix(),
                image.path.stem,
                image.label,
                image.class_name,
                float(score),
                REFER if score >= evaluation.threshold else NO_REFERRAL,
            )
            for image, score in zip(evaluation.images, evaluation.scores, strict=True)
        ),
    )


def bare_scores_csv(images: Iterable[LabelledImage], scores: Iterable[float]) -> bytes:
    """`BARE_COLUMNS` of each image: nothing that names a folder or tells a label."""
    pairs = zip(images, scores, strict=True)
    return _csv(BARE_COLUMNS, ((image.path.stem, float(score)) for image, score in pairs))


def submission_csv(evaluation: Evaluation) -> bytes:
    """`SUBMISSION_COLUMNS`, as ISIC names them in 2017: no label, no decision.

    There is no column ``seborrheic_keratosis``: the model has no score of it.
    """
    return _csv(
        SUBMISSION_COLUMNS,
        (
            (image.path.stem, float(score))
            for image, score in zip(evaluation.images, evaluation.scores, strict=True)
        ),
    )


def check_image_ids(images: Sequence[LabelledImage], source: str, option: str) -> None:
    """Refuse images that the file of ``option``, which has ids alone, could not tell apart.

    Raises:
        UnusableInput: when two files have one name but for folder and suffix.
    """
    first: dict[str, LabelledImage] = {}
    for image in images:
        other = first.setdefault(image.path.stem, image)
        if other is not image:
            raise UnusableInput(
                f"{printable(str(other.path))} and {printable(str(image.path))} have one image id",
                f"leave {option} out, or rename one",
                source,
            )


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(columns)
    table.writerows(rows)
    return stream.getvalue().encode(errors="backslashreplace")  # for names that are no UTF-8
