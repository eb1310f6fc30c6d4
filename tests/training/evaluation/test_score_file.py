"""Scores from a file: which image each is of, and what is refused."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlite_export.manifest import DEFAULT_CLASSES
from lesionlite_runtime.errors import UnusableInput
from lesionlite_training.evaluation.result import Scored
from lesionlite_training.evaluation.score_file import is_score_file, read_scored

COUNTS = {"train": {"melanoma": 3, "nevus": 4}, "valid": {"melanoma": 2, "nevus": 2}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The ISIC layout with files that are never read."""
    for split, counts in COUNTS.items():
        for name, count in counts.items():
            place = tmp_path / "isic" / split / name
            place.mkdir(parents=True)
            for i in range(count):
                (place / f"{split}_{name}_{i}.jpg").touch()
    return tmp_path / "isic"


def ids(split: str) -> list[str]:
    return [f"{split}_{name}_{i}" for name, count in COUNTS[split].items() for i in range(count)]


def write(path: Path, columns: Sequence[str], *rows: Sequence[object]) -> Path:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([columns, *rows])
    path.write_text(stream.getvalue(), "utf-8")
    return path


def read(path: Path, data: Path) -> Scored:
    return read_scored(path, data, DEFAULT_CLASSES)


@pytest.mark.parametrize("split", COUNTS)
def test_rows_in_any_order_find_their_images_in_the_split_that_has_them(
    split: str, folder: Path, tmp_path: Path
) -> None:
    names = ids(split)
    rows = [(name, (i + 1) / 10) for i, name in enumerate(names)]
    path = write(tmp_path / "s.csv", ("image_id", "score"), *reversed(rows))
    found = read(path, folder)
    assert [image.path.stem for image in found.images] == names
    assert found.scores.tolist() == [score for _, score in rows]
    assert (found.model, found.score_file, found.unusable, found.seen) == (None, "s.csv", (), None)
    assert found.source == str(folder / split)
    assert sum(image.label for image in found.images) == COUNTS[split]["melanoma"]


def test_other_columns_are_passed_over(folder: Path, tmp_path: Path) -> None:
    """As both commands write them, with blanks and a byte-order mark."""
    rows = [("x/y.jpg", name, int("mel" in name), 2, " 0.5 ") for name in ids("valid")]
    columns = ("filepath", "image_id", "label", "fold", "score")
    path = write(tmp_path / "s.csv", columns, *rows)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"\n")
    assert read(path, folder).scores.tolist() == [0.5] * 4


def manifest_of(folder: Path, image_ids: Sequence[str] | None) -> Path:
    """A manifest of the valid images."""
    files = [next(folder.rglob(f"{name}.jpg")) for name in ids("valid")]
    columns = ["filepath", "label", "patient_id"]
    rows: list[list[object]] = [
        [file.relative_to(folder), int("melanoma" in file.stem), "P"] for file in files
    ]
    if image_ids is not None:
        columns.append("image_id")
        rows = [[*row, name] for row, name in zip(rows, image_ids, strict=True)]
    return write(folder / "list.csv", columns, *rows)


def test_the_manifests_ids_come_first_and_file_names_stand_in(folder: Path, tmp_path: Path) -> None:
    names = ids("valid")
    given = ["A", "", names[0], "D"]  # the third has the name of the first one's file
    data = manifest_of(folder, given)
    rows = [("D", 0.4), ("A", 0.1), (names[1], 0.2), (names[0], 0.3)]
    found = read(write(tmp_path / "s.csv", ("image_id", "score"), *rows), data)
    assert found.scores.tolist() == [0.1, 0.2, 0.3, 0.4]
    assert found.images[0].facts == {"patient_id": "P"}
    rows = [("A", 0.1), (names[1], 0.2), (names[0], 0.3), (names[3], 0.4)]
    found = read(write(tmp_path / "s.csv", ("image_id", "score"), *rows), data)
    assert found.scores.tolist() == [0.1, 0.2, 0.3, 0.4]
    without = manifest_of(folder, None)
    rows = [(name, i / 10) for i, name in enumerate(names)]
    found = read(write(tmp_path / "s.csv", ("image_id", "score"), *rows), without)
    assert found.scores.tolist() == [0.0, 0.1, 0.2, 0.3]


GOOD = [(name, 0.5) for name in ids("valid")]
COLUMNS = ("image_id", "score")
FIRST = GOOD[0][0]


@pytest.mark.parametrize(
    ("columns", "rows", "words"),
    [
        (COLUMNS, [], "there is no score in it; write a CSV with the columns image_id and score"),
        (("image_id", "p"), GOOD, "the column score is missing; write a CSV with the columns"),
        (("id", "score"), GOOD, "the column image_id is missing; write a CSV with"),
        (("image_id", "image_id"), GOOD, "the column 'image_id' stands there twice"),
        (COLUMNS, [*GOOD, ("", 0.5)], "line 6: the image_id is empty; name the image"),
        (COLUMNS, [*GOOD, ("ISIC_9", 0.5)], "line 6: no image of {data}/valid has the id ISIC_9; "),
        (COLUMNS, [*GOOD, GOOD[1]], f"line 6: {GOOD[1][0]} has a score in line 3 already; leave"),
        (COLUMNS, [("ISIC_9", 0.5), *GOOD], "no split of {data} has the image ISIC_9; pass the"),
        (
            COLUMNS,
            GOOD[:2],
            f"2 of the 4 images of {{data}}/valid have no score in it, {GOOD[2][0]} the first; add",
        ),
        (
            ("image_id", "score", "label"),
            [(name, 0.5, 1) for name, _ in GOOD],
            f"line 4: the label of {GOOD[2][0]} is 0 in {{data}}/valid; correct one",
        ),
        (
            ("image_id", "score", "label"),
            [(name, 0.5, "m") for name, _ in GOOD],
            f"line 2: the label of {FIRST} is 'm'; write 0 or 1",
        ),
        *(
            (
                COLUMNS,
                [(FIRST, text), *GOOD[1:]],
                f"line 2: the score of {FIRST} is {shown}, and no number from 0 to 1; correct it",
            )
            for text, shown in (
                ("nan", "nan"),
                ("inf", "inf"),
                ("1.01", "1.01"),
                ("-0.5", "-0.5"),
                ("", "empty"),
                ("0_1", "0_1"),
                ("0,5", "0,5"),
                ("\x1b[31m", "\\x1b[31m"),
                ("٠", "٠"),
            )
        ),
    ],
)
def test_what_is_wrong_is_named(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    words: str,
    folder: Path,
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "s.csv", columns, *rows)
    with pytest.raises(UnusableInput) as caught:
        read(path, folder)
    message = str(caught.value)
    assert message.startswith(f"{path}: {words.format(data=folder)}")
    assert "\n" not in message


def test_ids_that_do_not_tell_are_refused(folder: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "s.csv", COLUMNS, *GOOD)
    with pytest.raises(UnusableInput, match="have one image id, A; give them two in a column"):
        read(path, manifest_of(folder, ["A", "A", "B", "C"]))
    (folder / "train" / "nevus" / f"{FIRST}.png").touch()
    with pytest.raises(UnusableInput, match=f"the image {FIRST} is in train and valid of"):
        read(path, folder)
    (folder / "train" / "nevus" / f"{FIRST}.png").unlink()
    (folder / "valid" / "melanoma" / f"{FIRST}.png").touch()
    with pytest.raises(UnusableInput, match="have one image id"):
        read(path, folder)


def test_two_rows_may_not_name_one_image_in_two_ways(folder: Path, tmp_path: Path) -> None:
    data = manifest_of(folder, ["A", "B", "C", "D"])
    rows = [("A", 0.1), ("B", 0.2), ("C", 0.3), ("D", 0.4), (FIRST, 0.5)]
    path = write(tmp_path / "s.csv", COLUMNS, *rows)
    with pytest.raises(UnusableInput, match=f"line 6: {FIRST} has a score in line 2 already"):
        read(path, data)


def test_one_label_alone_is_refused(folder: Path, tmp_path: Path) -> None:
    for file in (folder / "valid" / "melanoma").iterdir():
        file.unlink()
    path = write(tmp_path / "s.csv", COLUMNS, *GOOD[2:])
    with pytest.raises(UnusableInput, match="all 2 images have the label 0"):
        read(path, folder)


def test_a_file_that_is_no_csv(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnusableInput, match=r"this is no CSV in UTF-8 .*; write a CSV with the"):
        read(path, folder)
    with pytest.raises(UnusableInput, match="no such file"):
        read(tmp_path / "no.csv", folder)


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
@settings(max_examples=30)
def test_scores_come_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, scores: list[float]
) -> None:
    folder = tmp_path_factory.mktemp("isic")
    for name in ids("valid"):
        place = folder / "valid" / name.split("_")[1]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{name}.jpg").touch()
    rows = list(zip(ids("valid"), scores, strict=True))
    path = write(folder / "s.csv", COLUMNS, *rows)
    assert read(path, folder).scores.tolist() == scores


@pytest.mark.parametrize(
    ("name", "wanted"), [("s.csv", True), ("S.CSV", True), ("m.tflite", False), ("m.keras", False)]
)
def test_a_csv_is_known_by_its_suffix(name: str, wanted: bool) -> None:
    assert is_score_file(Path(name)) == wanted
