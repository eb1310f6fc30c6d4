"""Scores that were recorded elsewhere, a JSON object a line, and the images that they are of.

Three schemas are known: `lesionlite classify --json` writes two of them (`lesionlite.result/1`,
`lesionlite.labels_result/1`), and `lesionlite verify --save-reference` the third
(`lesionlite.recorded/1`). An image is
found by the digest of its pixels where a line has that, and else by the digest of its file; never
by its name.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.representative import DigestedImage
from lesionlite_runtime.errors import LesionliteError, UnusableInput
from lesionlite_runtime.files import read_file
from lesionlite_runtime.pixels import MAX_FILE_BYTES
from lesionlite_runtime.result import LABELS_RESULT_SCHEMA, RESULT_SCHEMA

RECORDED_SCHEMA = "lesionlite.recorded/1"
SCHEMAS = (RECORDED_SCHEMA, RESULT_SCHEMA, LABELS_RESULT_SCHEMA)
SUFFIXES = (".jsonl", ".ndjson", ".json")


@dataclass(frozen=True)
class RecordedScore:
    """A line: scores by label, or under the empty name the one score of two labels.

    ``sha256`` is of the image's file, ``pixels_sha256`` of its pixels; one of the two is there.
    ``decision`` is the label that was decided for, of several, and empty for none of them; None
    where the line does not say it.
    """

    line: int
    scores: Mapping[str, float]
    sha256: str | None
    pixels_sha256: str | None
    decision: str | None = None


@dataclass(frozen=True)
class RecordedScores:
    """A file of recorded scores, all of one model.

    Attributes:
        path: of the file.
        model: id of the model that gave them, where the file says it.
        network_sha256: digest of its Keras network, likewise.
        threshold: the score from which on it refers, likewise.
        labels: names of the scores; empty for the one score of two labels.
        score_of: the label that the one score is of, where the file says it.
        scores: those of the lines that can be used.
        failures: why the recording side could not use an image, by the name of its file.
        faults: lines that cannot be used, and why.
    """

    path: str
    model: str | None
    network_sha256: str | None
    threshold: float | None
    labels: tuple[str, ...]
    score_of: str | None
    scores: tuple[RecordedScore, ...]
    failures: Mapping[str, str]
    faults: tuple[LesionliteError, ...]

    @functools.cached_property
    def by_pixels(self) -> Mapping[str, list[RecordedScore]]:
        """The scores by the digest of the pixels, where they have one."""
        return _indexed(self.scores, "pixels_sha256")

    @functools.cached_property
    def by_file(self) -> Mapping[str, list[RecordedScore]]:
        """The scores by the digest of the image's file, likewise."""
        return _indexed(self.scores, "sha256")


def is_recorded(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` has the name of recorded scores, and not of a model."""
    return Path(path).suffix.lower() in SUFFIXES


def recorded_outcomes(
    recorded: RecordedScores, images: Sequence[DigestedImage], labels: Sequence[str]
) -> list[NDArray[np.float64] | LesionliteError]:
    """For each image its recorded scores, float64 ``[units]``, or why there are none.

    Args:
        recorded: the file.
        images: read by the file's contract.
        labels: of the scores, in order; empty for the one score of two labels.
    """
    names = list(labels) or [""]
    found: list[NDArray[np.float64] | LesionliteError] = []
    for image in images:
        try:
            score = recorded_score(recorded, image)
        except UnusableInput as error:
            found.append(error)
        else:
            found.append(np.array([score.scores[name] for name in names]))
    return found


def recorded_score(recorded: RecordedScores, image: DigestedImage) -> RecordedScore:
    """The line that is of ``image``: the first one, where all that are say the same.

    Raises:
        UnusableInput: when there is none, two differ, or it is of other pixels of the same file.
    """
    by_pixels = recorded.by_pixels.get(image.sha256, [])
    by_file = recorded.by_file.get(image.file_sha256 or "", [])
    other = [line for line in by_file if line.pixels_sha256 not in (None, image.sha256)]
    if other and not by_pixels:
        raise UnusableInput(
            f"its pixels are not those that {recorded.path} has a score of (line {other[0].line})",
            "record the scores with the same resize and the same decoder",
            image.image.path,
        )
    lines = [*by_pixels, *(line for line in by_file if line.pixels_sha256 is None)]
    return _agreed(sorted(lines, key=lambda line: line.line), image, recorded)


def recorded_warnings(recorded: RecordedScores, found: int) -> Iterator[str]:
    """What to know where only ``found`` images have one of the recorded scores, a sentence."""
    lines = len(recorded.scores)
    if lines > found:
        yield (
            f"{recorded.path} has {lines} scores, and {found} images have one of them: the other "
            "lines are passed over"
        )


def file_sha256(path: Path) -> str:
    """The SHA-256 of the file's bytes, as it stands in results.

    Raises:
        UnusableInput: when it cannot be read.
    """
    return hashlib.sha256(read_file(path, MAX_FILE_BYTES)).hexdigest()


def _indexed(scores: Iterable[RecordedScore], key: str) -> dict[str, list[RecordedScore]]:
    found: dict[str, list[RecordedScore]] = {}
    for score in scores:
        digest = getattr(score, key)
        if digest is not None:
            found.setdefault(digest, []).append(score)
    return found


def _agreed(
    lines: Sequence[RecordedScore], image: DigestedImage, recorded: RecordedScores
) -> RecordedScore:
    """The score of all ``lines`` that are of the image."""
    path = image.image.path
    if not lines:
        failed = recorded.failures.get(path.name)
        why = f", where an image of this name failed: {failed}" if failed else ""
        raise UnusableInput(
            f"there is no score of it in {recorded.path}{why}",
            "record it, or leave the image out",
            path,
        )
    for line in lines[1:]:
        if (line.scores, line.decision) != (lines[0].scores, lines[0].decision):
            raise UnusableInput(
                f"{recorded.path} has two scores of it (lines {lines[0].line} and {line.line})",
                "leave one line out",
                path,
            )
    return lines[0]
