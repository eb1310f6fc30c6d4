"""The check of data sets, what it advises to leave out, and the same on the real images."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlite_export.drawn import draw_lesion
from lesionlite_export.manifest import read_leaks
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_training.check import DataCheck, check_manifests
from lesionlite_training.data_rendering import print_check
from lesionlite_training.exclusion import excluded, exclusion_csv
from lesionlite_training.manifest import Wanted, write_manifests

pytest.importorskip("imagehash", reason="it comes with the extra training")


def photo(path: Path, seed: int, quality: int | None = None, kind: str = "nevus") -> Path:
    """A drawing: as PNG, or as JPEG of ``quality``, which is a near-duplicate of the PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(draw_lesion(seed, kind, (96, 128)))
    image.save(path, **({} if quality is None else {"quality": quality}))
    return path


def manifest(path: Path, rows: list[tuple[str, int, str]]) -> Path:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([("filepath", "label", "class"), *rows])
    return path


@pytest.fixture
def two_sets(tmp_path: Path) -> list[Path]:
    """A train and a valid set with every fault between them."""
    photo(tmp_path / "a.png", 0)
    photo(tmp_path / "a_again.png", 0)
    photo(tmp_path / "b.png", 1)
    photo(tmp_path / "b_near.jpg", 1, 50)
    photo(tmp_path / "c.png", 2)
    photo(tmp_path / "v.png", 3, kind="melanoma")
    photo(tmp_path / "b_valid.png", 1)
    photo(tmp_path / "c_other_label.png", 2)
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "cut.png").write_bytes((tmp_path / "v.png").read_bytes()[:3000])
    return [
        manifest(
            tmp_path / "train.csv",
            [
                ("a.png", 0, "nevus"),
                ("a_again.png", 0, "nevus"),
                ("b.png", 0, "nevus"),
                ("b_near.jpg", 0, "nevus"),
                ("broken.jpg", 1, "melanoma"),
                ("c.png", 0, "nevus"),
            ],
        ),
        manifest(
            tmp_path / "valid.csv",
            [
                ("v.png", 1, "melanoma"),
                ("b_valid.png", 0, "nevus"),
                ("c_other_label.png", 1, "melanoma"),
                ("cut.png", 1, "melanoma"),
            ],
        ),
    ]


def names(check: DataCheck) -> list[tuple[str, str, str, bool, bool]]:
    return [
        (c.kind, c.first.image.path.name, c.second.image.path.name, c.across, c.contradicts)
        for c in check.copies
    ]


def test_everything_that_is_wrong_is_found(two_sets: list[Path]) -> None:
    check = check_manifests(two_sets)
    assert names(check) == [
        ("equal", "a.png", "a_again.png", False, False),
        ("equal", "b.png", "b_valid.png", True, False),
        ("equal", "c.png", "c_other_label.png", True, True),
        ("near", "b.png", "b_near.jpg", False, False),
    ]
    assert [item.image.path.name for item in check.unreadable] == ["broken.jpg", "cut.png"]
    train, valid = check.sets
    assert (train.split, dict(train.classes), dict(train.sizes)) == (
        "train",
        {"melanoma": 1, "nevus": 5},
        {(128, 96): 5},
    )
    assert (valid.split, dict(valid.classes)) == ("valid", {"melanoma": 3, "nevus": 1})


def test_json(two_sets: list[Path]) -> None:
    body = check_manifests(two_sets).to_json()
    near = body["copies"].pop()
    bits = near.pop("bits")
    assert 0 < bits <= 48
    folder = two_sets[0].parent
    assert near == {
        "kind": "near",
        "across": False,
        "files": [str(folder / "b.png"), str(folder / "b_near.jpg")],
        "splits": ["train", "train"],
        "labels": [0, 0],
        "turn": "upright",
    }
    assert body.pop("copies")[2] == {
        "kind": "equal",
        "across": True,
        "files": [str(folder / "c.png"), str(folder / "c_other_label.png")],
        "splits": ["train", "valid"],
        "labels": [0, 1],
        "bits": None,
        "turn": None,
    }
    sets = body.pop("sets")
    message = sets[0]["unreadable"][0].pop("message")
    assert message.startswith(str(folder / "broken.jpg"))
    assert sets[0] == {
        "file": str(two_sets[0]),
        "split": "train",
        "n": 6,
        "positives": 1,
        "classes": {"melanoma": 1, "nevus": 5},
        "sizes": [{"width": 128, "height": 96, "n": 5}],
        "unreadable": [{"file": str(folder / "broken.jpg")}],
    }
    assert body == {
        "schema": "lesionlite.data_check/1",
        "pairs": {"equal": {"within": 1, "across": 2}, "near": {"within": 1, "across": 0}},
        "limits": {"coarse_bits": 8, "fine_bits": 48},
        "shared_ids": [],
    }


def test_what_to_leave_out_keeps_one_of_each_in_the_last_set(
    two_sets: list[Path], tmp_path: Path
) -> None:
    check = check_manifests(two_sets)
    data = exclusion_csv(excluded(check), check)
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    near = rows[2]["reason"]
    assert [(row["image_id"], row["split"], row["class"], row["reason"]) for row in rows] == [
        ("a_again", "train", "nevus", "the same pixels as a (train)"),
        ("b", "train", "nevus", "the same pixels as b_valid (valid)"),
        ("b_near", "train", "nevus", near),
        ("broken", "train", "melanoma", rows[3]["reason"]),
        (
            "c",
            "train",
            "nevus",
            "the same pixels as c_other_label (valid), which has another label",
        ),
        (
            "c_other_label",
            "valid",
            "melanoma",
            "the same pixels as c (train), which has another label",
        ),
        ("cut", "valid", "melanoma", rows[6]["reason"]),
    ]
    assert near.startswith("near-duplicate of b (train), ")
    assert near.endswith(" of 256 bits, upright")
    assert rows[3]["reason"].startswith("cannot be read: ")
    path = tmp_path / "copies.csv"
    path.write_bytes(data)
    assert read_leaks(path) == {row["image_id"] for row in rows}


def test_no_image_of_doubtful_label_stays(tmp_path: Path) -> None:
    for name in "abc":
        photo(tmp_path / f"{name}.png", 5)
    photo(tmp_path / "d.jpg", 5, 60)
    rows = [("a.png", 0, ""), ("b.png", 0, ""), ("c.png", 1, ""), ("d.jpg", 0, "")]
    check = check_manifests([manifest(tmp_path / "one.csv", rows)])
    names = [item.listed.image.path.name for item in excluded(check)]
    assert names == ["a.png", "b.png", "c.png"]


def test_a_chain_of_copies_leaves_one(tmp_path: Path) -> None:
    photo(tmp_path / "x.png", 5)
    photo(tmp_path / "y.jpg", 5, 40)
    photo(tmp_path / "z.jpg", 5, 60)
    one = manifest(tmp_path / "one.csv", [("z.jpg", 0, ""), ("y.jpg", 0, ""), ("x.png", 0, "")])
    check = check_manifests([one])
    assert len(check.copies) == 3
    assert [item.listed.image.path.name for item in excluded(check)] == ["y.jpg", "z.jpg"]


@pytest.fixture
def known_patients(tmp_path: Path) -> list[Path]:
    """Different photos; patient p1 and lesion l3 stand in both sets, p2 in one, twice."""
    for seed in range(7):
        photo(tmp_path / f"{seed}.png", seed)
    header = "filepath,label,patient_id,lesion_id\n"
    train = "0.png,0,p1,l1\n1.png,0,p1,\n2.png,0,p2,l2\n3.png,1,p2,l3\n"
    (tmp_path / "train.csv").write_text(header + train)
    (tmp_path / "valid.csv").write_text(header + "4.png,0,p1,\n5.png,1,,l3\n6.png,0,p4,\n")
    return [tmp_path / "train.csv", tmp_path / "valid.csv"]


def test_patients_and_lesions_in_two_sets_are_found(known_patients: list[Path]) -> None:
    check = check_manifests(known_patients)
    assert check.to_json()["shared_ids"] == [
        {"column": "patient_id", "id": "p1", "splits": ["train", "valid"], "images": [2, 1]},
        {"column": "lesion_id", "id": "l3", "splits": ["train", "valid"], "images": [1, 1]},
    ]
    assert [(item.listed.image.path.name, item.reason) for item in excluded(check)] == [
        ("0.png", "patient_id p1 has images in valid too"),
        ("1.png", "patient_id p1 has images in valid too"),
        ("3.png", "lesion_id l3 has images in valid too"),
    ]


def test_the_table_names_shared_ids(
    known_patients: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    print_check(check_manifests(known_patients))
    shown = capsys.readouterr().out
    assert "train 2, valid 1" in shown
    assert "patient_id: known of 6 images, 1 ids in more than one split" in shown
    assert "lesion_id: known of 4 images, 1 ids in more than one split" in shown


def test_an_image_that_is_a_copy_and_of_a_shared_patient_is_named_once(tmp_path: Path) -> None:
    photo(tmp_path / "a.png", 0)
    photo(tmp_path / "b.png", 0)
    header = "filepath,label,patient_id\n"
    (tmp_path / "train.csv").write_text(header + "a.png,0,p1\n")
    (tmp_path / "valid.csv").write_text(header + "b.png,0,p1\n")
    check = check_manifests([tmp_path / "train.csv", tmp_path / "valid.csv"])
    assert [item.reason for item in excluded(check)] == ["the same pixels as b (valid)"]


def test_a_clean_set_leaves_nothing_out(tmp_path: Path) -> None:
    photo(tmp_path / "x.png", 5)
    check = check_manifests([manifest(tmp_path / "one.csv", [("x.png", 0, "")])])
    assert check.copies == ()
    assert dict(check.sets[0].classes) == {"0": 1}
    assert exclusion_csv(excluded(check), check) == b"image_id,split,class,reason\n"


def test_no_readable_image(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"x")
    one = manifest(tmp_path / "one.csv", [("x.png", 0, "")])
    with pytest.raises(UnusableInput, match=r"one\.csv: none of its images can be read"):
        check_manifests([one])


def test_a_manifest_named_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(tmp_path / "x.png", 5)
    one = manifest(tmp_path / "one.csv", [("x.png", 0, "")])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="it is named twice"):
        check_manifests([one, "one.csv"])


@pytest.mark.data
def test_the_leaks_of_isic_2017(data_dir: Path, tmp_path: Path) -> None:
    """What is listed as shared by train and valid, where it shares more than the lesion itself."""
    source = data_dir / "isic2017"
    for file in (*source.glob("*/*/*.jpg"), source / "leaks.csv"):
        target = tmp_path / "isic2017" / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    folder = tmp_path / "isic2017"
    labels = {"melanoma": 1, "nevus": 0, "seborrheic_keratosis": 0}
    written = write_manifests(folder, labels, folder, wanted=Wanted(keep_leaks=True))
    assert [(count.split, sum(count.counts.values())) for count in written] == [
        ("train", 2000),
        ("valid", 150),
    ]
    check = check_manifests([count.path for count in written])
    across = {
        (c.kind, c.first.image.path.stem, c.second.image.path.stem)
        for c in check.copies
        if c.across
    }
    assert across == {
        ("equal", "ISIC_0012970", "ISIC_0012127"),
        ("near", "ISIC_0000171", "ISIC_0015124"),
        ("near", "ISIC_0000215", "ISIC_0015313"),
    }
    assert {first for _, first, _ in across} <= read_leaks(folder / "leaks.csv")
    assert check.count("near", across=False) == 11
    assert np.all([one.sizes == {(256, 256): len(one.manifest.images)} for one in check.sets])
