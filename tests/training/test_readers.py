"""What a network learns from: the right view, the right size, changed or as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from lesionlite_export.manifest import Manifest, read_isic_split
from lesionlite_export.progress import Silent
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.pixels import image_tensor
from lesionlite_training.augment import PRESETS, Augmentation
from lesionlite_training.pixel_cache import Images, cached_images
from lesionlite_training.readers import Reader, feature_reader, pixel_reader

T = TypeVar("T")
RESIZE = "pillow-bilinear-v1"
INPUT = ImageInput("image", (1, 48, 48, 3), "uint8", "RGB", "exif", RESIZE, "stretch")
FEATURES = np.arange(5 * 4 * 2, dtype=np.float32).reshape(5, 4, 2)


class Counting(Silent):
    """A reporter that keeps what is counted."""

    def __init__(self) -> None:
        self.labels: list[str] = []

    def track(self, items: Iterable[T], label: str, total: int) -> Iterator[T]:
        del total
        self.labels.append(label)
        yield from items


@pytest.fixture(scope="module")
def images(few_drawings: Path) -> Images:
    """Six drawings at 48 pixels."""
    whole = read_isic_split(few_drawings, "train")
    return cached_images(Manifest("", whole.images[:6]), INPUT, None, "", Silent())


def reader_of(images: Images, augmentation: Augmentation, report: Any = None) -> Reader:
    return pixel_reader(images.images, INPUT, augmentation, None, report or Silent())


def drawn(reader: Reader, size: int | None = None, n: int = 40) -> list[np.ndarray]:
    """Many showings of the third image."""
    read = reader(size, False)
    return [read(2, np.random.default_rng(seed)) for seed in range(n)]


def test_features_are_those_of_the_upright_view() -> None:
    chance = np.random.default_rng(0)
    for augmentation, plain in ((PRESETS["none"], False), (PRESETS["flips"], True)):
        read = feature_reader(FEATURES, augmentation)(None, plain)
        assert all(np.array_equal(read(i, chance), FEATURES[i, 0]) for i in range(5))


def test_with_flips_each_view_is_shown() -> None:
    read = feature_reader(FEATURES, PRESETS["flips"])(None, False)
    shown = {tuple(read(3, np.random.default_rng(seed)).tolist()) for seed in range(40)}
    assert shown == {tuple(view.tolist()) for view in FEATURES[3]}


def test_plain_images_are_those_of_the_contract(images: Images) -> None:
    for augmentation, plain in ((PRESETS["none"], False), (PRESETS["perez2018"], True)):
        read = reader_of(images, augmentation)(None, plain)
        shown = read(2, np.random.default_rng(0))
        assert np.array_equal(shown, images.images[2].pixels)


def test_another_size_is_decoded_from_the_file(images: Images) -> None:
    found = reader_of(images, PRESETS["none"])(32, False)(2, np.random.default_rng(0))
    wanted = image_tensor(images.images[2].image.path, 32, 32, RESIZE, "stretch")
    assert np.array_equal(found, wanted)


def test_flips_and_quarter_turns_move_pixels_and_change_none(images: Images) -> None:
    pixels = images.images[2].pixels
    turned = [np.rot90(p, k) for p in (pixels, pixels[:, ::-1]) for k in range(4)]
    shown = drawn(reader_of(images, PRESETS["flips"]))
    assert {image.tobytes() for image in shown} == {image.tobytes() for image in turned}


@pytest.mark.parametrize("size", [None, 32])
def test_a_share_of_the_images_is_untouched_but_for_turns(images: Images, size: int | None) -> None:
    own = reader_of(images, PRESETS["none"])(size, False)(2, np.random.default_rng(0))
    turned = {np.rot90(p, k).tobytes() for p in (own, own[:, ::-1]) for k in range(4)}
    some = Augmentation(crop=0.5, quarter_turns=True, flip=True, untouched=0.25)
    read = reader_of(images, some)(size, False)
    shown = [read(2, np.random.default_rng(seed)).tobytes() for seed in range(200)]
    untouched = [image for image in shown if image in turned]
    assert 30 < len(untouched) < 70
    assert set(untouched) == turned
    assert len({image for image in shown if image not in turned}) > 100


@pytest.mark.parametrize("size", [None, 32])
def test_crops_have_the_size_that_is_asked_for(images: Images, size: int | None) -> None:
    shown = drawn(reader_of(images, PRESETS["perez2018"]), size, 8)
    assert {image.shape for image in shown} == {(size or 48, size or 48, 3)}
    assert len({image.tobytes() for image in shown}) == 8


def test_each_size_is_decoded_once(images: Images) -> None:
    report = Counting()
    reader = reader_of(images, PRESETS["mild"], report)
    for size in (32, None, 32, None):
        drawn(reader, size, 2)
        reader(size, True)
    sizes = [label.removeprefix("Reading images at ") for label in report.labels]
    assert sizes == ["37 pixels", "32 pixels", "55 pixels"]


def test_an_image_that_is_gone_at_another_size_is_named(images: Images, tmp_path: Path) -> None:
    gone = replace(images.images[0].image, path=tmp_path / "gone.jpg")
    moved = Images((replace(images.images[0], image=gone), *images.images[1:]), ())
    with pytest.raises(UnusableInput, match=r"gone\.jpg: no such file"):
        reader_of(moved, PRESETS["none"])(32, False)
