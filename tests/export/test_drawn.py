"""The drawings: the same for the same seed, different for each kind, never taken for photos."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlite_export.drawn import DRAWN_KINDS, draw_lesion, write_drawn_dataset
from lesionlite_runtime.errors import UsageError

SAMPLES = Path(__file__).parents[2] / "samples" / "drawn"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "lesionlite_export.drawn", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", DRAWN_KINDS)
@pytest.mark.parametrize("size", [(320, 320), (64, 96), (301, 200)])
def test_shape_and_dtype(kind: str, size: tuple[int, int]) -> None:
    pixels = draw_lesion(3, kind, size)
    assert pixels.shape == (*size, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize("kind", DRAWN_KINDS)
def test_the_same_seed_gives_the_same_pixels(kind: str) -> None:
    np.testing.assert_array_equal(draw_lesion(11, kind), draw_lesion(11, kind))


@pytest.mark.parametrize("kind", DRAWN_KINDS)
def test_other_seeds_give_other_pictures(kind: str) -> None:
    pictures = {draw_lesion(seed, kind, (64, 64)).tobytes() for seed in range(20)}
    assert len(pictures) == 20


def test_kinds_of_one_seed_are_different_pictures() -> None:
    assert len({draw_lesion(5, kind, (64, 64)).tobytes() for kind in DRAWN_KINDS}) == 3


@pytest.fixture(scope="module")
def drawings() -> dict[str, np.ndarray]:
    """Kind to float32 ``[40, 128, 128, 3]``."""
    return {
        kind: np.stack([draw_lesion(seed, kind, (128, 128)) for seed in range(40)]).astype("f4")
        for kind in DRAWN_KINDS
    }


def test_a_lesion_is_darker_than_the_skin_around_it(drawings: dict[str, np.ndarray]) -> None:
    for pictures in drawings.values():
        middle = pictures[:, 52:76, 52:76].mean((1, 2, 3))
        # The four points halfway up the sides: the corners may lie outside the vignette.
        skin = np.median(pictures[:, [64, 64, 10, 118], [10, 118, 64, 64]], (1, 2))
        assert np.mean(middle < skin - 10) > 0.9


def test_melanomas_have_more_colours_than_nevi(drawings: dict[str, np.ndarray]) -> None:
    def colours(pictures: np.ndarray) -> float:
        middle = pictures[:, 40:88, 40:88]
        return float((middle[..., 0] - middle[..., 2]).std((1, 2)).mean())

    assert colours(drawings["melanoma"]) > 1.4 * colours(drawings["nevus"])


def test_keratoses_are_rougher_than_nevi(drawings: dict[str, np.ndarray]) -> None:
    def roughness(pictures: np.ndarray) -> float:
        return float(np.abs(np.diff(pictures[:, 40:88, 40:88], axis=1)).mean())

    assert roughness(drawings["seborrheic_keratosis"]) > 1.4 * roughness(drawings["nevus"])


@pytest.mark.parametrize(
    ("seed", "kind", "size", "words"),
    [
        (0, "melanom", (64, 64), r"unknown kind of lesion 'melanom'; use one of: melanoma$"),
        (0, "wart", (64, 64), r"use one of: melanoma, nevus, seborrheic_keratosis"),
        (-1, "nevus", (64, 64), r"seed -1 is negative"),
        (0, "nevus", (64, 8), r"cannot draw 64 x 8 pixels; keep both sides within 32 to 4096"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    seed: int, kind: str, size: tuple[int, int], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        draw_lesion(seed, kind, size)


def test_a_data_set_has_the_isic_layout_and_says_that_it_is_synthetic(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "drawn"
    train = {"melanoma": 2, "nevus": 3, "seborrheic_keratosis": 1}
    write_drawn_dataset(folder, train=train, valid={"melanoma": 1}, seed=4, size=(64, 48))

    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    assert files == [
        "README.txt",
        "train/melanoma/synthetic_train_melanoma_000.jpg",
        "train/melanoma/synthetic_train_melanoma_001.jpg",
        "train/nevus/synthetic_train_nevus_000.jpg",
        "train/nevus/synthetic_train_nevus_001.jpg",
        "train/nevus/synthetic_train_nevus_002.jpg",
        "train/seborrheic_keratosis/synthetic_train_seborrheic_keratosis_000.jpg",
        "valid/melanoma/synthetic_valid_melanoma_000.jpg",
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["README.txt", "train", "valid"]
    assert "synthetic" in (folder / "README.txt").read_text(encoding="utf-8")
    pictures = list(folder.rglob("*.jpg"))
    assert len({path.read_bytes() for path in pictures}) == 7
    for path in pictures:
        with Image.open(path) as picture:
            assert picture.size == (48, 64)
            assert picture.mode == "RGB"
            assert b"synthetic" in picture.info["comment"]


def test_asking_for_more_keeps_the_others(tmp_path: Path) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    write_drawn_dataset(few, train={"nevus": 1}, valid={"nevus": 1}, seed=9, size=(64, 64))
    write_drawn_dataset(
        many, train={"melanoma": 1, "nevus": 2}, valid={"nevus": 2}, seed=9, size=(64, 64)
    )
    for path in few.rglob("*.jpg"):
        assert path.read_bytes() == (many / path.relative_to(few)).read_bytes()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty; name another one"):
        write_drawn_dataset(tmp_path, train={"nevus": 1}, valid={}, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("counts", [{"nevus": -1}, {"nevus": 1_000_000}, {"mole": 1}])
def test_counts_are_checked_before_anything_is_made(tmp_path: Path, counts: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        write_drawn_dataset(tmp_path / "out", train=counts, valid={}, seed=0)
    assert not (tmp_path / "out").exists()


def test_a_failed_drawing_leaves_no_half_set(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="negative"):
        write_drawn_dataset(tmp_path / "out", train={"nevus": 1}, valid={}, seed=-1)
    assert not list((tmp_path / "out").iterdir())


def test_the_command_writes_samples_and_overwrites_nothing(tmp_path: Path) -> None:
    arguments = ("--out", str(tmp_path), "--count", "1", "--size", "48", "64")
    assert run(*arguments).returncode == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"synthetic_{kind}_000.jpg" for kind in DRAWN_KINDS]

    again = run(*arguments)
    assert again.returncode == 2
    assert "exists already" in again.stderr
    assert run(*arguments, "--force").returncode == 0


def test_the_samples_of_the_repository_are_small_and_named_synthetic() -> None:
    samples = sorted(SAMPLES.glob("*.jpg"))
    assert len(samples) == 6
    for path in samples:
        assert path.name.startswith("synthetic_")
        assert path.stat().st_size <= 40_000
        with Image.open(path) as picture:
            assert picture.size == (512, 384)
            assert b"synthetic" in picture.info["comment"]
