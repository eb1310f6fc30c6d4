"""Images and their classes, from class folders and from flat folders with ISIC's CSV files."""

from __future__ import annotations

from pathlib import Path

import pytest

from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_training.folders import (
    Classes,
    SplitImages,
    is_flat,
    read_class_folders,
    read_descriptions,
    read_flat_folder,
)

THREE = Classes({"melanoma": 1, "nevus": 0, "seborrheic_keratosis": 0})
TRUTH = "image_id,melanoma,seborrheic_keratosis\nI1,1.0,0.0\nI2,0.0,0.0\nI3,0.0,1.0\nI9,0.0,0.0\n"
METADATA = (
    "isic_id,copyright_license,diagnosis_1,diagnosis_2,diagnosis_3\n"
    "I1,CC-0,Malignant,Malignant melanocytic proliferations (Melanoma),Melanoma Invasive\n"
    "I2,CC-0,Benign,Benign melanocytic proliferations,Nevus\n"
    "I3,CC-BY,Benign,Benign epidermal proliferations,Seborrheic keratosis\n"
    "I4,CC-BY,,,\n"
)


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """A challenge's folder: photos, superpixels beside them, and what is no image."""
    folder = tmp_path / "set" / "Data"
    folder.mkdir(parents=True)
    for name in ("I1.jpg", "I2.JPG", "I3.png", "I1_superpixels.png", "notes.txt", "._I1.jpg"):
        (folder / name).touch()
    return folder


def names(images: SplitImages) -> dict[str, list[str]]:
    return {name: [path.name for path in paths] for name, paths in images.classes.items()}


def test_flat_folders_and_others(flat: Path) -> None:
    assert is_flat(flat)
    assert not is_flat(flat.parent)
    (flat / "licenses").mkdir()
    (flat / "licenses" / "CC-0.txt").touch()
    assert is_flat(flat)
    (flat / "nevus" / "deep").mkdir(parents=True)
    (flat / "nevus" / "deep" / "a.jpg").touch()
    assert not is_flat(flat)


@pytest.mark.parametrize("place", ["Data", "."])
def test_ground_truth_in_the_folder_or_beside_it(flat: Path, place: str) -> None:
    (flat.parent / place / "ISIC-2017_Training_Part3_GroundTruth.csv").write_text(TRUTH)
    images = read_flat_folder(flat, THREE)
    assert names(images) == {
        "melanoma": ["I1.jpg"],
        "nevus": ["I2.JPG"],
        "seborrheic_keratosis": ["I3.png"],
    }
    assert (images.split, images.unlisted, images.missing, images.dropped) == ("all", 1, 1, 0)
    assert images.described == {}


def test_ground_truth_that_is_named_wins(flat: Path, tmp_path: Path) -> None:
    (flat.parent / "GroundTruth.csv").write_text("broken")
    truth = tmp_path / "truth.csv"
    truth.write_text(TRUTH)
    assert len(read_flat_folder(flat, THREE, "train", truth).classes) == 3


def test_several_ground_truths_are_not_chosen_from(flat: Path) -> None:
    for part in ("Training", "Validation"):
        (flat.parent / f"{part}_GroundTruth.csv").write_text(TRUTH)
    with pytest.raises(UnusableInput) as caught:
        read_flat_folder(flat, THREE)
    assert str(caught.value) == (
        f"{flat}: Training_GroundTruth.csv and Validation_GroundTruth.csv lie in it or beside it; "
        "pass one with --ground-truth"
    )


def test_no_csv_at_all(flat: Path) -> None:
    with pytest.raises(UnusableInput, match="pass --ground-truth or --metadata"):
        read_flat_folder(flat, THREE)


def test_the_most_special_diagnosis_that_is_named_counts(flat: Path) -> None:
    (flat / "metadata.csv").write_text(METADATA)
    by_level = Classes({"Malignant": 1, "Benign": 0})
    assert names(read_flat_folder(flat, by_level)) == {
        "Benign": ["I2.JPG", "I3.png"],
        "Malignant": ["I1.jpg"],
    }
    mixed = Classes({"malignant": 1, "benign": 0, "seborrheic_keratosis": 0})
    assert names(read_flat_folder(flat, mixed)) == {
        "benign": ["I2.JPG"],
        "malignant": ["I1.jpg"],
        "seborrheic_keratosis": ["I3.png"],
    }
    dropped = read_flat_folder(
        flat, Classes({"Malignant": 1, "Benign": 0}, frozenset({"seborrheic keratosis"}))
    )
    assert names(dropped) == {"Benign": ["I2.JPG"], "Malignant": ["I1.jpg"]}
    assert dropped.dropped == 1
    assert dropped.missing == 1


def test_a_diagnosis_without_a_label_is_told_with_its_levels(flat: Path) -> None:
    (flat / "metadata.csv").write_text(METADATA)
    with pytest.raises(UnusableInput) as caught:
        read_flat_folder(flat, Classes({"nevus": 0, "seborrheic_keratosis": 0}))
    assert str(caught.value) == (
        f"{flat}: the class Melanoma Invasive of 1 images, within Malignant melanocytic "
        "proliferations (Melanoma), within Malignant, has no label; give it one (--label "
        "'Melanoma Invasive=0' or =1), or leave it out (--drop 'Melanoma Invasive')"
    )


def test_an_image_without_a_diagnosis_is_unknown(flat: Path) -> None:
    (flat / "metadata.csv").write_text(METADATA)
    (flat / "I4.jpg").touch()
    labels = {"Malignant": 1, "Benign": 0}
    with pytest.raises(UnusableInput, match="the class unknown of 1 images has no label"):
        read_flat_folder(flat, Classes(labels))
    assert read_flat_folder(flat, Classes(labels, frozenset({"unknown"}))).dropped == 1


def test_ground_truth_and_metadata_go_together(flat: Path, tmp_path: Path) -> None:
    (flat.parent / "GroundTruth.csv").write_text(TRUTH)
    metadata = tmp_path / "other.csv"
    metadata.write_text("image_id,age_approximate,sex\nI1,50,male\n")
    images = read_flat_folder(flat, THREE, metadata=[metadata])
    assert names(images)["melanoma"] == ["I1.jpg"]
    assert images.described["I1"].facts.age == "50"


def test_two_files_of_one_image_id(flat: Path) -> None:
    (flat / "GroundTruth.csv").write_text(TRUTH)
    (flat / "I1.png").touch()
    with pytest.raises(UnusableInput, match=r"I1\.png: I1\.jpg is the same image id"):
        read_flat_folder(flat, THREE)


def test_an_image_that_two_metadata_files_describe(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(METADATA)
    with pytest.raises(UnusableInput, match=r"b\.csv: the image I1 stands in another metadata"):
        read_descriptions([tmp_path / "a.csv", tmp_path / "b.csv"])


def test_names_that_cannot_be_told_apart(flat: Path) -> None:
    (flat / "metadata.csv").write_text(METADATA)
    with pytest.raises(UsageError, match="Benign and benign are the same class"):
        read_flat_folder(flat, Classes({"Benign": 0, "benign": 1}))
    with pytest.raises(UsageError, match="nevus has a label and is left out"):
        Classes({"nevus": 0}, frozenset({"nevus"}))


def test_a_class_folder_can_be_left_out(tmp_path: Path) -> None:
    for name in ("train/nevus/a.jpg", "train/other/b.jpg", "train/other/c.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (images,) = read_class_folders(tmp_path, Classes({"nevus": 0}, frozenset({"other"})), {})
    assert names(images) == {"nevus": ["a.jpg"]}
    assert images.dropped == 2
    (top,) = read_class_folders(tmp_path / "train", Classes({"nevus": 0}, frozenset({"other"})), {})
    assert top.split == "all"
