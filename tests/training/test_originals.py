"""A camera's own files in training: which are found, and what is refused."""

from __future__ import annotations

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
from lesionlite_training.originals import LEAST, CameraFiles, read_camera_files
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


def read(folder: Path, images: tuple[ImageTensor, ...], folds: np.ndarray) -> CameraFiles:
    return read_camera_files(folder, images, folds, INPUT, None, Silent())


def test_each_original_belongs_to_the_image_of_its_name(
    folder: Path, images: tuple[ImageTensor, ...]
) -> None:
    found = read(folder, images, np.arange(40) % 2)
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
    found = read(folder, images, np.arange(40) % 2)
    assert sorted(found.places) == list(range(6, 37, 3))
    (unusable,) = found.unusable
    assert unusable.image.path == broken


def test_too_few_beside_a_fold_are_refused(folder: Path, images: tuple[ImageTensor, ...]) -> None:
    places = list(range(3, 37, 3))
    folds = np.zeros(40, np.int64)
    folds[places[:LEAST]] = 1
    assert len(read(folder, images, folds).places) == len(places)
    folds[places[0]] = 0
    with pytest.raises(UnusableInput) as caught:
        read(folder, images, folds)
    assert str(caught.value) == (
        f"{folder}: without fold 1 there are 4 originals of training images in it, and 5 are "
        "needed; add originals, or train without"
    )


def test_originals_of_other_images_are_none(
    images: tuple[ImageTensor, ...], tmp_path: Path, drawn_photos: list[Path]
) -> None:
    shutil.copy(drawn_photos[0], tmp_path / "other.jpg")
    with pytest.raises(UnusableInput, match="no photo in it has the name of an image"):
        read(tmp_path, images, np.arange(40) % 2)
