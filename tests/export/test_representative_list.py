"""A list of representative images, read back to the images that it was written for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from lesionlite_export.manifest import LabelledImage, read_isic_split
from lesionlite_export.representative import PreparedImage, prepare, representative_list
from lesionlite_export.representative_list import read_representative_list
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import UnusableInput

INPUT = ImageInput("image", (1, 24, 32, 3), "uint8", "RGB", "exif", "pillow-bilinear-v1", "stretch")


def prepared_of(images: tuple[LabelledImage, ...]) -> list[PreparedImage]:
    items = [item for item in prepare(images, INPUT) if isinstance(item, PreparedImage)]
    assert len(items) == len(images)
    return items


@pytest.fixture(scope="module")
def root(small_drawn: Path) -> Path:
    """The folder of the listed drawings."""
    return small_drawn / "train"


@pytest.fixture(scope="module")
def written(small_drawn: Path, root: Path) -> list[PreparedImage]:
    """Nine drawings, in an order of their own."""
    return prepared_of(read_isic_split(small_drawn, "train").images[2:11])[::-1]


@pytest.fixture
def path(tmp_path: Path, written: list[PreparedImage], root: Path) -> Path:
    """Their list."""
    path = tmp_path / "lesion.representative.csv"
    path.write_bytes(representative_list(written, root))
    return path


def test_the_same_images_come_back_in_the_same_order(
    path: Path, root: Path, written: list[PreparedImage]
) -> None:
    read = read_representative_list(path, root, INPUT)
    assert [p.image for p in read] == [p.image for p in written]
    assert [p.sha256 for p in read] == [p.sha256 for p in written]
    assert all(np.array_equal(p.pixels, q.pixels) for p, q in zip(read, written, strict=True))
    assert representative_list(read, root) == path.read_bytes()


def test_the_images_may_have_moved(
    path: Path, root: Path, written: list[PreparedImage], tmp_path: Path
) -> None:
    shutil.copytree(root, tmp_path / "elsewhere")
    read = read_representative_list(path, tmp_path / "elsewhere", INPUT)
    assert [p.sha256 for p in read] == [p.sha256 for p in written]


@settings(max_examples=60, deadline=None)
@given(
    name=st.text(
        st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), min_size=1
    )
    .filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)
    .map(lambda name: name.encode())
    | st.binary(min_size=1, max_size=40).filter(lambda name: not set(name) & set(b"/\0\\"))
)
@example(name=b"\r")
@example(name=b'a,"b"\n')
@example(name=b"caf\xe9")
def test_any_name_of_a_file_comes_back(
    name: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("names")
    image = folder / os.fsdecode(name + b".png")
    Image.new("RGB", (64, 64), (9, 200, 30)).save(image)
    written = prepared_of((LabelledImage(image, 1, "melanoma, sure"),))
    path = folder / "list.csv"
    path.write_bytes(representative_list(written, folder))
    (read,) = read_representative_list(path, folder, INPUT)
    assert read.image == written[0].image
    assert read.sha256 == written[0].sha256


def lines(path: Path, change: Callable[[list[str]], None]) -> None:
    rows = path.read_text().splitlines()
    change(rows)
    path.write_text("\n".join(rows) + "\n")


def refusal(path: Path, root: Path, image_input: ImageInput = INPUT) -> str:
    with pytest.raises(UnusableInput) as caught:
        read_representative_list(path, root, image_input)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text


def test_other_pixels_are_refused(
    path: Path, root: Path, written: list[PreparedImage], tmp_path: Path
) -> None:
    shutil.copytree(root, tmp_path / "changed")
    image = tmp_path / "changed" / written[4].image.path.relative_to(root)
    Image.open(image).rotate(90).save(image)
    assert refusal(path, tmp_path / "changed") == (
        f"{path}: the pixels of {image} are not those of line 6; "
        "bring back the image that was listed, or sample anew"
    )


def test_pixels_for_another_network_are_other_pixels(path: Path, root: Path) -> None:
    assert "are not those of line 2" in refusal(path, root, replace(INPUT, shape=(1, 32, 32, 3)))


def test_a_missing_file_is_refused(path: Path, root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    first = path.read_text().splitlines()[1].split(",")[0]
    assert refusal(path, tmp_path / "empty") == (
        f"{path}: line 2: the image {first} does not exist in {tmp_path / 'empty'}; "
        "name the folder that the list was made for"
    )


def test_an_image_that_cannot_be_read_is_refused(
    path: Path, root: Path, written: list[PreparedImage], tmp_path: Path
) -> None:
    shutil.copytree(root, tmp_path / "damaged")
    image = tmp_path / "damaged" / written[0].image.path.relative_to(root)
    image.write_bytes(b"no image")
    assert str(image) in refusal(path, tmp_path / "damaged")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("pixels_sha256", "sha256", "the column pixels_sha256 is missing"),
        ("label", "class", "the column label is missing"),
        ("filepath,", "filepath,filepath,", "the column filepath stands there twice"),
        ("filepath,", "age,filepath,", "the column age is unknown; leave it out: the columns are"),
        ("\nmelanoma/", "\n../melanoma/", "is no path below the folder of the images"),
        ("\nmelanoma/", "\n/melanoma/", "is no path below the folder of the images"),
        ("\nmelanoma/", "\na/../../melanoma/", "is no path below the folder of the images"),
        (",1,melanoma", ",2,melanoma", "the label is '2', not 0 or 1"),
        (",1,melanoma", ",1", "there are 3 fields, not 4"),
        (",1,melanoma,", ",1,melanoma,x", "the digest of the pixels is not 64 hex digits"),
        (",1,", ',1,"', "this is no CSV in UTF-8"),
    ],
)
def test_another_table_is_refused(path: Path, root: Path, old: str, new: str, problem: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    said = refusal(path, root)
    assert said.startswith(f"{path}: ")
    assert problem in said


def test_no_line_no_file_and_no_text_are_refused(path: Path, root: Path) -> None:
    lines(path, lambda rows: rows.__delitem__(slice(1, None)))
    assert "it lists no image" in refusal(path, root)
    path.write_bytes(b"\xff\xfe\x00")
    assert "this is no CSV in UTF-8" in refusal(path, root)
    path.unlink()
    assert "no such file" in refusal(path, root)


@pytest.mark.data
def test_the_shipped_list_leads_to_its_images(data_dir: Path) -> None:
    listed = Path(__file__).parents[2] / "samples" / "lesion.int8.representative.csv"
    folder = data_dir / "isic2017" / "train"
    read = read_representative_list(listed, folder, replace(INPUT, shape=(1, 224, 224, 3)))
    assert len(read) == 200
    assert representative_list(read, folder) == listed.read_bytes()
