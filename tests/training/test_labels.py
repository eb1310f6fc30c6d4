"""Which images `train lesion` takes, and which labels it writes into the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_training.labels import UNNAMED_CLASSES, training_set


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split in ("train", "valid"):
        for name in ("melanoma", "nevus"):
            place = tmp_path / split / name
            place.mkdir(parents=True)
            (place / f"{split}_{name}.jpg").touch()
    return tmp_path


def write_csv(folder: Path, text: str) -> Path:
    path = folder / "images.csv"
    path.write_text(text)
    return path


def test_a_folder_gives_its_train_with_the_default_labels(folder: Path) -> None:
    manifest, classes = training_set(folder, {})
    assert [image.path.name for image in manifest.images] == [
        "train_melanoma.jpg",
        "train_nevus.jpg",
    ]
    assert [image.label for image in manifest.images] == [1, 0]
    assert classes == {"melanoma": 1, "nevus": 0, "seborrheic_keratosis": 0}


def test_other_labels_for_a_folder(folder: Path) -> None:
    manifest, classes = training_set(folder, {"melanoma": 0, "nevus": 1})
    assert [image.label for image in manifest.images] == [0, 1]
    assert classes == {"melanoma": 0, "nevus": 1}


def test_a_csv_states_its_labels(folder: Path) -> None:
    path = write_csv(
        folder,
        "filepath,label,class\n"
        "train/nevus/train_nevus.jpg,0,mole\n"
        "train/melanoma/train_melanoma.jpg,1,cancer\n",
    )
    manifest, classes = training_set(path, {})
    assert len(manifest.images) == 2
    assert classes == {"cancer": 1, "mole": 0}


def test_a_csv_without_classes_has_those_of_its_labels(folder: Path) -> None:
    path = write_csv(folder, "filepath,label\ntrain/nevus/train_nevus.jpg,0\n")
    assert training_set(path, {})[1] == UNNAMED_CLASSES


def test_a_class_of_both_labels_is_refused(folder: Path) -> None:
    path = write_csv(
        folder,
        "filepath,label,class\n"
        "train/nevus/train_nevus.jpg,0,mole\n"
        "train/melanoma/train_melanoma.jpg,1,mole\n",
    )
    with pytest.raises(UnusableInput, match=r"images\.csv: the class mole has the label 0 and"):
        training_set(path, {})


def test_labels_for_a_csv_are_refused(folder: Path) -> None:
    path = write_csv(folder, "filepath,label\ntrain/nevus/train_nevus.jpg,0\n")
    with pytest.raises(UsageError, match="--label is for the class folders"):
        training_set(path, {"nevus": 0})
