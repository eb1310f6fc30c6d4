"""ISIC's CSV files: ground truth and metadata, and each fault with its line."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlite_runtime.errors import UnusableInput
from lesionlite_training.isic import (
    Described,
    ImageFacts,
    class_key,
    read_ground_truth,
    read_metadata,
)


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "rows.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_the_ground_truth_of_2017(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "image_id, melanoma, seborrheic_keratosis\r\n"
        "ISIC_1,1.0,0.0\r\nISIC_2,0.0,1.0\r\n\r\nISIC_3,0.0,0.0\r\n",
    )
    assert read_ground_truth(path) == {
        "ISIC_1": "melanoma",
        "ISIC_2": "seborrheic_keratosis",
        "ISIC_3": "nevus",
    }


def test_the_ground_truth_of_2019(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeffimage,MEL,NV,UNK\nISIC_1,0.0,1.0,0.0\nISIC_2,1,0,0\n")
    assert read_ground_truth(path) == {"ISIC_1": "NV", "ISIC_2": "MEL"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("\n", "there is no header in it"),
        ("name,melanoma\na,1\n", "there is no column of image ids in it; name it isic_id"),
        ("image_id\na\n", "there is no column of a class in it"),
        ("image_id,MEL,MEL\na,1,0\n", "the column 'MEL' stands there twice"),
        ("image_id,MEL,NV\na,1\n", "line 2: there are 2 fields, not 3"),
        ("image_id,MEL,NV\na,1,2\n", "line 2: NV is '2', not 0 or 1"),
        ("image_id,MEL,NV\na,1,\n", "line 2: NV is '', not 0 or 1"),
        ("image_id,MEL,NV\na,1,1\n", "line 2: 2 classes are 1, not one of them"),
        ("image_id,MEL,NV\na,1,0\nb,0,0\n", "line 3: 0 classes are 1"),
        ("image_id,melanoma,seborrheic_keratosis\na,1,1\n", "line 2: 2 classes are 1"),
        ("image_id,MEL\n,1\n", "line 2: the image id is empty"),
        ("image_id,MEL\na,1\na,1\n", "line 3: the image a is named a second time"),
        (b"image_id,MEL\n\xff,1\n", "this is no CSV in UTF-8"),
        ('image_id,MEL\n"a,1\n', "this is no CSV in UTF-8"),
    ],
)
def test_a_fault_in_the_ground_truth(tmp_path: Path, text: str | bytes, words: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UnusableInput) as caught:
        read_ground_truth(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)


def test_the_metadata_of_isic_cli(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "isic_id,attribution,copyright_license,age_approx,anatom_site_general,concomitant_biopsy,"
        "diagnosis_1,diagnosis_2,diagnosis_3,fitzpatrick_skin_type,lesion_id,patient_id,sex\n"
        'ISIC_1,"Hospital, Barcelona",CC-BY-NC,85,anterior torso,True,Malignant,'
        "Malignant melanocytic proliferations (Melanoma),Melanoma Invasive,II,IL_1,IP_1,male\n"
        "ISIC_2,Anonymous,CC-0,,,,,,,,,,\n",
    )
    assert read_metadata(path) == {
        "ISIC_1": Described(
            ImageFacts(
                lesion_id="IL_1",
                patient_id="IP_1",
                age="85",
                sex="male",
                site="anterior torso",
                skin_type="II",
                license="CC-BY-NC",
                attribution="Hospital, Barcelona",
            ),
            (
                "Melanoma Invasive",
                "Malignant melanocytic proliferations (Melanoma)",
                "Malignant",
            ),
        ),
        "ISIC_2": Described(ImageFacts(license="CC-0", attribution="Anonymous"), ()),
    }


def test_the_metadata_of_2017_and_older_downloads(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "image_id,age_approximate,sex,diagnosis\n"
        "ISIC_1,55.0,Female,seborrheic keratosis\nISIC_2,unknown,unknown,unknown\nISIC_3,85+,,\n",
    )
    facts = {
        name: (d.facts.age, d.facts.sex, d.diagnoses) for name, d in read_metadata(path).items()
    }
    assert facts == {
        "ISIC_1": ("55", "female", ("seborrheic keratosis",)),
        "ISIC_2": ("", "", ()),
        "ISIC_3": ("85", "", ()),
    }


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a,x,male", "line 2: the age is 'x', which is none"),
        ("a,-5,male", "the age is '-5'"),
        ("a,121,male", "the age is '121'"),
        ("a,1e1,male", "the age is '1e1'"),
        ("a,nan,M", "line 2: the sex is 'M', not female, male or unknown"),
        (",1,male", "line 2: the image id is empty"),
        ("a,1", "line 2: there are 2 fields, not 3"),
    ],
)
def test_a_fault_in_the_metadata(tmp_path: Path, row: str, words: str) -> None:
    path = write(tmp_path, f"isic_id,age_approx,sex\n{row}\n")
    with pytest.raises(UnusableInput) as caught:
        read_metadata(path)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "Seborrheic keratosis",
        "seborrheic_keratosis",
        " SEBORRHEIC-KERATOSIS ",
        "seborrheic  keratosis",
    ],
)
def test_names_that_are_one_class(name: str) -> None:
    assert class_key(name) == "seborrheic_keratosis"


COLUMNS = ["image_id", "isic_id", "melanoma", "seborrheic_keratosis", "age_approx", "sex"]
VALUES = ["ISIC_1", "ISIC_2", "0", "1", "1.0", "", "male", "unknown", "85+"]
ODD = ["\0", '"', "'", "\ufeff"]
FIELDS = st.sampled_from([*COLUMNS, *VALUES, *ODD])
ROWS = st.lists(st.lists(FIELDS, max_size=5).map(",".join), max_size=6).map("\n".join)
Reader = Callable[[Path], dict[str, Any]]


def _read(reader: Reader, data: bytes) -> dict[str, Any] | None:
    with tempfile.TemporaryDirectory() as name:
        path = write(Path(name), data)
        try:
            return reader(path)
        except UnusableInput as error:
            sentence = str(error)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    return None


@pytest.mark.parametrize("reader", [read_ground_truth, read_metadata])
@settings(deadline=None, max_examples=150)
@given(st.one_of(st.binary(max_size=200), ROWS.map(str.encode)))
def test_whatever_the_bytes_there_are_rows_or_a_sentence(reader: Reader, data: bytes) -> None:
    _read(reader, data)


@settings(deadline=None, max_examples=100)
@given(ROWS)
def test_under_a_good_header_each_image_has_one_of_three_classes(rows: str) -> None:
    truth = _read(read_ground_truth, f"image_id,melanoma,seborrheic_keratosis\n{rows}".encode())
    if truth is not None:
        assert set(truth.values()) <= {"melanoma", "seborrheic_keratosis", "nevus"}
        assert all(name and name == name.strip() for name in truth)


@settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(
        st.from_regex(r"ISIC_[0-9]{7}", fullmatch=True),
        st.tuples(st.integers(0, 120), st.sampled_from(["male", "female", "unknown", ""])),
        max_size=6,
    )
)
def test_what_is_written_is_read(rows: dict[str, tuple[int, str]]) -> None:
    lines = [f"{name},{age},{sex}" for name, (age, sex) in rows.items()]
    found = _read(read_metadata, "\n".join(["isic_id,age_approx,sex", *lines]).encode())
    assert found == {
        name: Described(ImageFacts(age=str(age), sex="" if sex == "unknown" else sex), ())
        for name, (age, sex) in rows.items()
    }
