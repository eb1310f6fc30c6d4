"""How sets of images look, and when that is worth a warning."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from lesionlite_export.image_statistics import (
    FIGURES,
    LIMIT,
    SetStatistics,
    check_representative,
    compare_sets,
    image_figures,
    set_statistics,
    standardized_differences,
)
from lesionlite_export.manifest import LabelledImage, Manifest, read_isic_split
from lesionlite_export.representative import PreparedImage, prepare, stratified_sample
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import UnusableInput

Pixels = NDArray[np.uint8]
INPUT = ImageInput("image", (1, 64, 64, 3), "uint8", "RGB", "exif", "pillow-bilinear-v1", "stretch")


NEVUS = LabelledImage(Path("a.jpg"), 0, "nevus")


@dataclass(frozen=True)
class Plain:
    """An image in memory."""

    pixels: Pixels
    image: LabelledImage = NEVUS
    sha256: str = ""


def prepared_of(manifest: Manifest, size: int = 1000) -> list[PreparedImage]:
    images = stratified_sample(manifest, size, 0)
    return [item for item in prepare(images, INPUT) if isinstance(item, PreparedImage)]


def changed(
    images: list[PreparedImage], change: Callable[[NDArray[np.float64]], object]
) -> list[Plain]:
    made = (np.clip(np.rint(change(image.pixels.astype(np.float64))), 0, 255) for image in images)
    return [Plain(pixels.astype(np.uint8)) for pixels in made]


def grey(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.repeat(pixels.mean(-1, keepdims=True), 3, -1)


@pytest.mark.parametrize(
    ("color", "brightness", "saturation"),
    [
        ((0, 0, 0), 0.0, 0.0),
        ((255, 255, 255), 1.0, 0.0),
        ((255, 0, 0), 0.299, 1.0),
        ((0, 255, 0), 0.587, 1.0),
        ((100, 100, 50), 0.370, 0.5),
    ],
)
def test_figures_of_one_colour(
    color: tuple[int, int, int], brightness: float, saturation: float
) -> None:
    figures = image_figures(np.full((4, 5, 3), color, np.uint8))
    assert figures == pytest.approx((brightness, 0, saturation), abs=1e-3)


def test_contrast_is_the_spread_of_the_luma() -> None:
    checkers = np.zeros((4, 4, 3), np.uint8)
    checkers[::2, ::2] = checkers[1::2, 1::2] = 255
    assert image_figures(checkers) == pytest.approx((0.5, 0.5, 0), abs=1e-6)


@given(arrays(np.uint8, (3, 4, 3)))
def test_saturation_is_that_of_hsv(pixels: Pixels) -> None:
    wanted = [colorsys.rgb_to_hsv(*(p / 255 for p in pixel))[1] for pixel in pixels.reshape(-1, 3)]
    figures = image_figures(pixels)
    assert figures[2] == pytest.approx(np.mean(wanted), abs=1e-5)
    assert all(0 <= figure <= 1 + 1e-6 for figure in figures)


def statistics(mean: float, deviation: float, n: int = 100) -> SetStatistics:
    return SetStatistics(n, dict.fromkeys(FIGURES, mean), dict.fromkeys(FIGURES, deviation))


@given(st.floats(0, 1), st.floats(0.01, 0.5), st.floats(-1, 1))
def test_differences_are_in_standard_deviations(mean: float, spread: float, d: float) -> None:
    found = standardized_differences(
        statistics(mean, spread), statistics(mean + d * spread, spread)
    )
    assert found == pytest.approx(dict.fromkeys(FIGURES, d), abs=1e-9)


def test_a_set_s_statistics_are_over_its_images() -> None:
    shades = [Plain(np.full((2, 2, 3), value, np.uint8)) for value in (0, 51, 204)]
    found = set_statistics(plain.pixels for plain in shades)
    assert found.n == 3
    assert found.mean == pytest.approx({"brightness": 1 / 3, "contrast": 0, "saturation": 0})
    assert found.deviation["brightness"] == pytest.approx(np.std([0, 0.2, 0.8], ddof=1))
    one = set_statistics([shades[1].pixels])
    assert (one.n, one.deviation["brightness"]) == (1, 0)


def shades(mean: float, n: int) -> list[Plain]:
    """Images of one shade each around ``mean``, with a standard deviation of 0.1."""
    values = mean + 0.1 * np.resize([-1.0, 1.0], n)
    return [Plain(np.full((2, 2, 3), round(255 * value), np.uint8)) for value in values]


def test_a_warning_is_one_sentence_with_the_figures() -> None:
    (warning,) = compare_sets(shades(0.6, 200), shades(0.4, 150))
    assert warning == (
        "the proof images have another brightness than the representative ones (0.40, not 0.60: "
        "2.0 standard deviations apart, and 0.75 are let pass): calibrate on images like those "
        "that the file will see"
    )


@pytest.mark.parametrize(
    ("n", "d", "warned"),
    [(200, 0.70, False), (200, 0.80, True), (32, 0.80, True), (8, 1.4, False), (8, 1.7, True)],
)
def test_fewer_images_must_differ_by_more(n: int, d: float, warned: bool) -> None:
    assert bool(compare_sets(shades(0.5, n), shades(0.5 + 0.1 * d, n))) == warned


@pytest.fixture(scope="module")
def drawn_sets(small_drawn: Path) -> tuple[list[PreparedImage], list[PreparedImage]]:
    """Drawings to calibrate on and to prove on."""
    train, valid = (prepared_of(read_isic_split(small_drawn, s)) for s in ("train", "valid"))
    return train, valid


def test_drawings_look_like_drawings(
    drawn_sets: tuple[list[PreparedImage], list[PreparedImage]],
) -> None:
    assert compare_sets(*drawn_sets) == []


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("saturation", grey),
        ("brightness", lambda pixels: 0.6 * pixels),
        ("contrast", lambda pixels: pixels.mean() + 0.2 * (pixels - pixels.mean())),
    ],
)
def test_greyed_darkened_and_flat_copies_do_not_look_like_them(
    drawn_sets: tuple[list[PreparedImage], list[PreparedImage]],
    name: str,
    change: Callable[[NDArray[np.float64]], object],
) -> None:
    representative, proof = drawn_sets
    warnings = compare_sets(representative, changed(proof, change))
    assert any(f"another {name} than" in warning for warning in warnings)
    assert any(f"another {name} than" in w for w in compare_sets(changed(proof, change), proof))


@pytest.mark.data
def test_isic_s_validation_looks_like_its_training_and_drawings_do_not(
    data_dir: Path, drawn_sets: tuple[list[PreparedImage], list[PreparedImage]]
) -> None:
    train, valid = (
        prepared_of(read_isic_split(data_dir / "isic2017", s), 200) for s in ("train", "valid")
    )
    assert compare_sets(train, valid) == []
    for change in (grey, lambda pixels: 0.7 * pixels, lambda pixels: 1.3 * pixels):
        assert compare_sets(train, changed(valid, change))
    assert compare_sets(train, drawn_sets[1])
    assert LIMIT == 0.75


def test_images_of_one_colour_each_cannot_calibrate() -> None:
    with pytest.raises(UnusableInput) as caught:
        check_representative(shades(0.5, 6), "list.csv")
    assert str(caught.value) == (
        "list.csv: each of its 6 images is of one colour, so that no range can be measured; "
        "calibrate on photos like those that the file will see"
    )


def test_some_images_of_one_colour_are_told(drawn_sets: tuple[list[PreparedImage], object]) -> None:
    images = drawn_sets[0]
    plain = replace(images[0], pixels=np.full_like(images[0].pixels, 7))
    assert check_representative(images, "list.csv") == []
    assert check_representative([*images, plain], "list.csv") == [
        "1 of 21 representative images are of one colour each"
    ]


def test_one_class_or_one_label_is_told(drawn_sets: tuple[list[PreparedImage], object]) -> None:
    images = drawn_sets[0]
    nevi = [p for p in images if p.image.class_name == "nevus"]
    benign = [p for p in images if p.image.label == 0]
    assert check_representative(nevi, "list.csv") == [
        "all 8 representative images are of the class nevus: the ranges of the others are not "
        "calibrated"
    ]
    assert check_representative(benign, "list.csv") == [
        "all 12 representative images have the label 0: the ranges of the other are not calibrated"
    ]
    unnamed = [replace(p, image=replace(p.image, class_name="")) for p in nevi]
    assert "have the label 0" in check_representative(unnamed, "list.csv")[0]
