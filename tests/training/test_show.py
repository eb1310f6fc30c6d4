"""The picture of a batch: its images, their order, and its titles."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlite_export.manifest import LabelledImage, Manifest
from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError
from lesionlite_training import show
from lesionlite_training.show import show_batch

pytest.importorskip("matplotlib", reason="it comes with the extra training")


def plain(path: Path, color: tuple[int, int, int]) -> LabelledImage:
    Image.new("RGB", (48, 36), color).save(path)
    return LabelledImage(path, int(color[0] > 100), "red" if color[0] > 100 else "")


@pytest.fixture
def thirty(tmp_path: Path) -> Manifest:
    images = [plain(tmp_path / f"{i:02}.png", (8 * i, 20, 30)) for i in range(30)]
    return Manifest("all.csv", tuple(images))


def test_twenty_five_images_by_a_seed(thirty: Manifest, tmp_path: Path) -> None:
    first = show_batch(thirty, tmp_path / "a.png", seed=1)
    again = show_batch(thirty, tmp_path / "b.png", seed=1)
    other = show_batch(thirty, tmp_path / "c.png", seed=2)
    assert len(set(first.images)) == 25
    assert first.images == again.images != other.images
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert first.to_json() == {
        "schema": "lesionlite.data_show/1",
        "file": str(tmp_path / "a.png"),
        "images": [
            {"file": str(i.path), "label": i.label, "class": i.class_name} for i in first.images
        ],
        "unusable": [],
    }


def test_the_picture_holds_each_image_in_its_place(thirty: Manifest, tmp_path: Path) -> None:
    shown = show_batch(thirty, tmp_path / "a.png")
    picture = np.asarray(Image.open(shown.path).convert("RGB"))
    height, width, _ = picture.shape
    for place, image in enumerate(shown.images):
        row, column = divmod(place, 5)
        y, x = int((row + 0.6) * height / 5), int((column + 0.5) * width / 5)
        assert tuple(picture[y, x]) == (8 * int(image.path.stem), 20, 30)


def test_few_images(thirty: Manifest, tmp_path: Path) -> None:
    shown = show_batch(Manifest("x.csv", thirty.images[:7]), tmp_path / "a.png")
    assert len(shown.images) == 7
    wide, high = Image.open(shown.path).size
    assert high < wide / 2


def test_an_image_that_cannot_be_read_is_passed_over(thirty: Manifest, tmp_path: Path) -> None:
    for image in thirty.images[:3]:
        image.path.write_bytes(b"x")
    shown = show_batch(thirty, tmp_path / "a.png")
    assert len(shown.images) == 25
    assert {item.image for item in shown.unusable} <= set(thirty.images[:3])
    for image in thirty.images:
        image.path.write_bytes(b"x")
    with pytest.raises(UnusableInput, match="none of its images can be read"):
        show_batch(thirty, tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("", "label 1"),
        ("seborrheic_keratosis", "seborrheic keratosis (1)"),
        ("a class with a name that is rather long", "a class with a name tha… (1)"),
        ("\x1b[2J", "\\x1b[2J (1)"),
    ],
)
def test_titles(name: str, title: str) -> None:
    assert show._title(LabelledImage(Path("a.jpg"), 1, name)) == title


def test_a_dollar_in_a_class_is_no_formula(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    image = LabelledImage(tmp_path / "a.png", 0, r"$\frac$")
    assert show_batch(Manifest("x.csv", (image,)), tmp_path / "out.png").images == (image,)


def test_an_existing_picture_is_kept(thirty: Manifest, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"mine")
    with pytest.raises(UsageError, match="the file exists already"):
        show_batch(thirty, tmp_path / "a.png")
    assert show_batch(thirty, tmp_path / "a.png", force=True).path.read_bytes() != b"mine"


def test_without_matplotlib(
    thirty: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingHere, match="run pip install 'lesionlite\\[training\\]'"):
        show_batch(thirty, tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()
