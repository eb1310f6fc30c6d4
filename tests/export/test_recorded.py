"""Recorded scores and the images that they are of: by digests, never by name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.recorded import (
    RecordedScore,
    RecordedScores,
    recorded_outcomes,
    recorded_warnings,
)
from lesionlite_export.representative import PreparedImage


def image(tmp_path: Path, name: str, content: bytes | None = None) -> PreparedImage:
    """An image file, and pixels that are of another digest than the file."""
    path = tmp_path / name
    path.write_bytes(content or name.encode())
    pixels = hashlib.sha256(b"pixels of " + path.read_bytes()).hexdigest()
    return PreparedImage(
        LabelledImage(path, 0, ""),
        np.zeros((1, 1, 3), np.uint8),
        pixels,
        hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def file_digest(prepared: PreparedImage) -> str:
    return hashlib.sha256(prepared.image.path.read_bytes()).hexdigest()


def record(*scores: RecordedScore, failures: dict[str, str] | None = None) -> RecordedScores:
    return RecordedScores("old.jsonl", None, None, None, (), None, scores, failures or {}, ())


def line(number: int, score: float, file: str | None, pixels: str | None) -> RecordedScore:
    return RecordedScore(number, {"": score}, file, pixels)


def outcome(recorded: RecordedScores, prepared: PreparedImage) -> Any:
    (found,) = recorded_outcomes(recorded, [prepared], ())
    return found


def test_digests_find_scores_and_names_count_for_nothing(tmp_path: Path) -> None:
    one, other = image(tmp_path, "a.jpg"), image(tmp_path, "b.jpg")
    recorded = record(
        line(1, 0.1, None, one.sha256),
        line(2, 0.3, file_digest(other), None),
    )
    assert outcome(recorded, one).tolist() == [0.1]
    assert outcome(recorded, other).tolist() == [0.3]
    renamed = image(tmp_path, "c.jpg", b"b.jpg")
    assert outcome(recorded, renamed).tolist() == [0.3]


def test_scores_of_labels_come_in_the_file_s_order(tmp_path: Path) -> None:
    one = image(tmp_path, "a.jpg")
    scores = {"nevus": 0.7, "melanoma": 0.2, "other": 0.1}
    recorded = record(RecordedScore(1, scores, None, one.sha256))
    (found,) = recorded_outcomes(recorded, [one], ("melanoma", "nevus", "other"))
    assert np.asarray(found).tolist() == [0.2, 0.7, 0.1]


def test_an_image_without_a_score_says_so_and_what_the_other_side_said(tmp_path: Path) -> None:
    one, other = image(tmp_path, "a.jpg"), image(tmp_path, "b.jpg")
    recorded = record(line(1, 0.1, None, one.sha256), failures={"b.jpg": "it was no JPEG"})
    assert str(outcome(recorded, other)) == (
        f"{other.image.path}: there is no score of it in old.jsonl, where an image of this name "
        "failed: it was no JPEG; record it, or leave the image out"
    )
    third = image(tmp_path, "c.jpg")
    assert str(outcome(recorded, third)) == (
        f"{third.image.path}: there is no score of it in old.jsonl; "
        "record it, or leave the image out"
    )


def test_a_file_whose_pixels_were_others_is_not_compared(tmp_path: Path) -> None:
    one = image(tmp_path, "a.jpg")
    recorded = record(line(7, 0.1, file_digest(one), "f" * 64))
    assert str(outcome(recorded, one)) == (
        f"{one.image.path}: its pixels are not those that old.jsonl has a score of (line 7); "
        "record the scores with the same resize and the same decoder"
    )


def test_two_scores_of_one_image_must_agree(tmp_path: Path) -> None:
    one = image(tmp_path, "a.jpg")
    pixels = one.sha256
    assert outcome(record(line(1, 0.1, None, pixels), line(2, 0.1, None, pixels)), one) == [0.1]
    assert str(outcome(record(line(1, 0.1, None, pixels), line(2, 0.2, None, pixels)), one)) == (
        f"{one.image.path}: old.jsonl has two scores of it (lines 1 and 2); leave one line out"
    )


def test_one_bad_image_is_not_the_end(tmp_path: Path) -> None:
    images = [image(tmp_path, f"{name}.jpg") for name in "abc"]
    recorded = record(line(1, 0.1, None, images[0].sha256), line(2, 0.3, None, images[2].sha256))
    found = recorded_outcomes(recorded, images, ())
    assert [isinstance(one, np.ndarray) for one in found] == [True, False, True]


def test_lines_of_no_image_are_passed_over_with_a_word() -> None:
    recorded = record(*(line(i, 0.5, None, f"{i:064}") for i in range(1, 4)))
    assert list(recorded_warnings(recorded, 3)) == []
    assert list(recorded_warnings(recorded, 2)) == [
        "old.jsonl has 3 scores, and 2 images have one of them: the other lines are passed over"
    ]


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_a_score_of_zero_is_a_score(tmp_path: Path, score: float) -> None:
    one = image(tmp_path, "a.jpg")
    assert outcome(record(line(1, score, file_digest(one), None)), one).tolist() == [score]


def test_a_line_by_pixels_and_one_by_the_file_must_agree_too(tmp_path: Path) -> None:
    one = image(tmp_path, "a.jpg")
    lines = line(1, 0.2, file_digest(one), None), line(2, 0.1, None, one.sha256)
    assert str(outcome(record(*lines), one)) == (
        f"{one.image.path}: old.jsonl has two scores of it (lines 1 and 2); leave one line out"
    )
    same = line(3, 0.1, file_digest(one), one.sha256), line(4, 0.1, file_digest(one), None)
    assert outcome(record(*same), one).tolist() == [0.1]


def test_an_image_is_known_by_what_was_read_and_not_by_what_lies_there_now(tmp_path: Path) -> None:
    one = image(tmp_path, "a.jpg")
    digest = file_digest(one)
    one.image.path.unlink()
    assert outcome(record(line(1, 0.1, digest, None)), one).tolist() == [0.1]
