"""A camera's own files in training: which are found, and what is refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlite_export.manifest import read_isic_split
from lesionlite_export.progress import Silent
from lesionlite_export.representative import ImageTensor
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.pixels import image_tensor
from lesionlite_training.originals import (
    LEAST,
    NO_FILES,
    CameraFiles,
    check_camera_files,
    find_originals,
    read_camera_files,
)
from lesionlite_training.pixel_cache import cached_images

INPUT = ImageInput("image", (1, 48, 48, 3), "uint8", "RGB", "exif", "pillow-bilinear-v1", "stretch")


@pytest.fixture(scope="module")
def images(few_drawings: Path) -> tuple[ImageTensor, ...]:
    manifest = read_isic_split(few_drawings, "train")
    return cached_images(manifest, INPUT, None, "", Silent()).images


@pytest.fixture
def folder(images: tuple[ImageTensor, ...], tmp_path: Path) -> Path:
    """Larger PNGs of images 3, 6 to 36, in the reverse order of their names' folders."""
    folder = tmp_path / "camera"
    folder.mkdir()
    for place in range(3, 37, 3):
        path = images[place].image.path
        with Image.open(path) as image:
            image.resize((200, 150)).save(folder / f"{path.stem}.png")
    return folder


def read(folder: Path, images: tuple[ImageTensor, ...]) -> CameraFiles:
    return read_camera_files(folder, images, INPUT, None, Silent())


def test_each_original_belongs_to_the_image_of_its_name(
    folder: Path, images: tuple[ImageTensor, ...]
) -> None:
    found = read(folder, images)
    assert sorted(found.places) == list(range(3, 37, 3))
    assert found.unusable == ()
    for place, tensor in zip(found.places, found.tensors, strict=True):
        assert tensor.image.path.stem == images[place].image.path.stem
        wanted = image_tensor(tensor.image.path, 48, 48, INPUT.resize, INPUT.fit)
        np.testing.assert_array_equal(tensor.pixels, wanted)


def test_one_that_cannot_be_read_is_left_out_and_told(
    folder: Path, images: tuple[ImageTensor, ...]
) -> None:
    broken = folder / f"{images[3].image.path.stem}.png"
    broken.write_bytes(broken.read_bytes()[:100])
    found = read(folder, images)
    assert sorted(found.places) == list(range(6, 37, 3))
    (unusable,) = found.unusable
    assert unusable.image.path == broken


def test_too_few_for_a_network_are_refused(folder: Path, images: tuple[ImageTensor, ...]) -> None:
    broken = folder / f"{images[3].image.path.stem}.png"
    broken.write_bytes(broken.read_bytes()[:100])
    files = read(folder, images)
    places = np.sort(files.places)
    check_camera_files(files, places[:LEAST], "fold 1 of 2")
    check_camera_files(NO_FILES, places, "fold 1 of 2")
    with pytest.raises(UnusableInput) as caught:
        check_camera_files(files, places[: LEAST - 1], "fold 1 of 2")
    assert str(caught.value) == (
        f"{folder}: fold 1 of 2 would learn from 4 originals in it, and 5 are needed (11 of "
        "training images, 1 more cannot be read); add originals, or train without"
    )


def test_the_images_themselves_are_no_originals(
    folder: Path, images: tuple[ImageTensor, ...]
) -> None:
    for place in (3, 6):
        path = images[place].image.path
        (folder / f"{path.stem}.png").unlink()
        shutil.copy(path, folder)
    files = read(folder, images)
    assert sorted(files.places) == list(range(9, 37, 3))
    assert files.note == "10 of training images, 2 more with their image's very pixels"


def test_photos_that_no_image_needs_are_passed_over(
    folder: Path, images: tuple[ImageTensor, ...]
) -> None:
    for suffix in ("png", "jpg"):
        (folder / f"other.{suffix}").write_bytes(b"nobody reads this")
    assert len(read(folder, images).places) == 12
    stem = images[3].image.path.stem
    (folder / f"{stem}.jpg").write_bytes(b"nobody reads this")
    with pytest.raises(UnusableInput, match="have one name; leave one of them out"):
        read(folder, images)


def test_what_is_no_folder_is_refused(images: tuple[ImageTensor, ...], tmp_path: Path) -> None:
    file = tmp_path / f"{images[3].image.path.stem}.zip"
    file.write_bytes(b"PK")
    for place in (tmp_path / "typo", file):
        with pytest.raises(UnusableInput, match="there is no such folder"):
            find_originals(place, [item.image for item in images])


def test_a_folder_that_is_closed_is_named(
    folder: Path, images: tuple[ImageTensor, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = folder / "melanoma"
    closed.mkdir()
    real = os.scandir

    def scandir(path: str) -> object:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(UnusableInput, match=r"melanoma: the folder cannot be read"):
        find_originals(folder, [item.image for item in images])


def test_originals_of_other_images_are_none(
    images: tuple[ImageTensor, ...], tmp_path: Path, drawn_photos: list[Path]
) -> None:
    shutil.copy(drawn_photos[0], tmp_path / "other.jpg")
    with pytest.raises(UnusableInput, match="no photo in it has the name of an image"):
        read(tmp_path, images)
