"""Scores of single images as CSV."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest

from lesionlite_export.manifest import LabelledImage
from lesionlite_runtime.errors import UnusableInput
from lesionlite_training.evaluation.csv_files import (
    bare_scores_csv,
    check_image_ids,
    scores_csv,
    submission_csv,
)
from lesionlite_training.evaluation.result import Evaluation

from .conftest import THRESHOLD, Maker


def rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode())))


def test_every_image_has_its_score_and_its_decision(evaluation: Evaluation) -> None:
    table = rows(scores_csv(evaluation))
    assert list(table[0]) == ["filepath", "image_id", "label", "class", "score", "decision"]
    assert len(table) == 40
    for row, image, score in zip(table, evaluation.images, evaluation.scores, strict=True):
        assert row["filepath"] == f"{image.class_name}/{image.path.name}"
        assert row["image_id"] == image.path.stem
        assert (int(row["label"]), row["class"]) == (image.label, image.class_name)
        assert float(row["score"]) == score
        assert row["decision"] == ("refer" if score >= THRESHOLD else "no_referral")
    assert {row["decision"] for row in table} == {"refer", "no_referral"}


def test_the_decision_at_the_threshold_itself(make_evaluation: Maker, tmp_path: Path) -> None:
    images = [LabelledImage(tmp_path / f"{i}.jpg", i % 2, "") for i in range(4)]
    found = make_evaluation(images, [THRESHOLD, 0.2999, 0.3001, 0.1])
    decisions = [row["decision"] for row in rows(scores_csv(found))]
    assert decisions == ["refer", "no_referral", "refer", "no_referral"]


def test_a_submission_has_ids_and_scores_alone(evaluation: Evaluation) -> None:
    table = rows(submission_csv(evaluation))
    assert list(table[0]) == ["image_id", "melanoma"]
    assert [row["image_id"] for row in table] == [image.path.stem for image in evaluation.images]
    assert [float(row["melanoma"]) for row in table] == evaluation.scores.tolist()


def test_bare_scores_name_no_folder_and_tell_no_label(evaluation: Evaluation) -> None:
    data = bare_scores_csv(evaluation.images, evaluation.scores)
    table = rows(data)
    assert list(table[0]) == ["image_id", "score"]
    assert [row["image_id"] for row in table] == [image.path.stem for image in evaluation.images]
    assert [float(row["score"]) for row in table] == evaluation.scores.tolist()
    assert not any(word in data for word in (b"/", b"melanoma", b"nevus", b"label"))


def test_a_name_that_is_no_utf_8_does_not_end_the_file(
    make_evaluation: Maker, tmp_path: Path
) -> None:
    names = [os.fsdecode(b"\xff.jpg"), "b,\n.jpg", "c.jpg", "d.jpg"]
    images = [LabelledImage(tmp_path / name, i % 2, "") for i, name in enumerate(names)]
    table = rows(scores_csv(make_evaluation(images, [0.1, 0.2, 0.3, 0.4])))
    assert [row["image_id"] for row in table] == ["\\udcff", "b,\n", "c", "d"]


def test_two_images_of_one_id_cannot_be_told_apart() -> None:
    images = [LabelledImage(Path(name), 0, "") for name in ("a/x.jpg", "b/y.jpg", "b/x.png")]
    check_image_ids(images[:2], "list.csv", "--submission")
    with pytest.raises(UnusableInput) as caught:
        check_image_ids(images, "list.csv", "--submission")
    assert str(caught.value) == (
        "list.csv: a/x.jpg and b/x.png have one image id; leave --submission out, or rename one"
    )
