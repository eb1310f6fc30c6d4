"""Frozen features: views in their order, and a cache that is never trusted blindly."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.progress import Silent
from lesionlite_export.representative import PreparedImage
from lesionlite_runtime.pixels import pixels_sha256
from lesionlite_training.features import FLIPS, features_of
from lesionlite_training.pixel_cache import cache_folder

pytestmark = pytest.mark.tensorflow
Features = NDArray[np.float32]


def backbone_of(scale: float = 1 / 255) -> Any:
    """A backbone whose features are the pixels of three corners."""
    import keras

    image = keras.Input((4, 6, 3), dtype="uint8", name="image")
    scaled = keras.layers.Rescaling(scale, name="scaling")(image)
    flat = keras.layers.Flatten(name="flat")(scaled)
    return keras.Model(image, flat, name="corners")


class Counting:
    """A backbone that counts the images that run through it."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.images = 0
        predict = network.predict_on_batch

        def counted(batch: NDArray[np.uint8]) -> Any:
            self.images += len(batch)
            return predict(batch)

        network.predict_on_batch = counted


@pytest.fixture
def counting() -> Counting:
    return Counting(backbone_of())


@pytest.fixture(scope="module")
def images() -> list[PreparedImage]:
    """21 images: more views than two batches hold."""
    generator = np.random.default_rng(0)
    prepared = []
    for number in range(21):
        pixels = generator.integers(0, 256, (4, 6, 3)).astype(np.uint8)
        image = LabelledImage(Path(f"{number}.jpg"), number % 2, "")
        prepared.append(PreparedImage(image, pixels, pixels_sha256(pixels)))
    return prepared


def run(counting: Counting, images: list[PreparedImage], cache: Path | None) -> Features:
    return features_of(counting.network, images, cache, Silent())


def test_each_view_of_each_image_in_order(counting: Counting, images: list[PreparedImage]) -> None:
    features = run(counting, images, None)
    assert features.shape == (21, 4, 72)
    assert features.dtype == np.float32
    flips: list[Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = [
        lambda x: x,
        lambda x: x[::-1],
        lambda x: x[:, ::-1],
        lambda x: x[::-1, ::-1],
    ]
    assert len(FLIPS) == len(flips)
    for image, of_image in zip(images, features, strict=True):
        for flip, of_view in zip(flips, of_image, strict=True):
            assert of_view == pytest.approx(flip(image.pixels).ravel() / 255, abs=1e-6)


def test_the_second_time_nothing_runs(
    counting: Counting, images: list[PreparedImage], tmp_path: Path
) -> None:
    cache = tmp_path / "new" / "cache"
    first = run(counting, images, cache)
    assert counting.images == 84
    second = run(counting, images, cache)
    assert counting.images == 84
    assert np.array_equal(first, second)
    assert second.dtype == np.float32
    assert len(list(cache.iterdir())) == 1


def test_no_cache_means_none(counting: Counting, images: list[PreparedImage]) -> None:
    run(counting, images, None)
    run(counting, images, None)
    assert counting.images == 168


def test_other_pixels_another_order_or_another_network_are_not_confused(
    counting: Counting, images: list[PreparedImage], tmp_path: Path
) -> None:
    first = run(counting, images, tmp_path)
    backwards = run(counting, images[::-1], tmp_path)
    assert np.array_equal(first, backwards[::-1])
    fewer = run(counting, images[:5], tmp_path)
    assert np.array_equal(fewer, first[:5])
    assert counting.images == 84 + 84 + 20
    other = run(Counting(backbone_of(1 / 128)), images, tmp_path)
    assert other == pytest.approx(first * 255 / 128, rel=1e-5)
    assert len(list(tmp_path.iterdir())) == 4


def damages(kept: Path) -> Iterator[None]:
    """The file in the cache, spoilt in one way after the other."""
    good = kept.read_bytes()
    for data in (b"", b"not a file of numpy's", good[: len(good) // 2], good[:-30]):
        kept.write_bytes(data)
        yield
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 255
    kept.write_bytes(flipped)
    yield
    entry = good.rindex(b"PK\x01\x02")
    for place, value in ((10, 99), (8, 1)):  # an unknown compression, and a password
        spoilt = bytearray(good)
        spoilt[entry + place] = value
        kept.write_bytes(spoilt)
        yield
    for arrays in (
        {"other": np.zeros(3)},
        {"features": np.zeros((21, 3, 72), np.float32)},
        {"features": np.zeros((20, 4, 72), np.float32)},
        {"features": np.full((21, 4, 72), np.nan, np.float32)},
        {"features": np.array(["words"])},
        {"features": np.array([{}], object)},
    ):
        with kept.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        yield
    with kept.open("wb") as stream:
        np.save(stream, np.zeros((21, 4, 72), np.float32))
    yield


def test_a_damaged_cache_is_computed_anew(
    counting: Counting, images: list[PreparedImage], tmp_path: Path
) -> None:
    wanted = run(counting, images, tmp_path)
    (kept,) = tmp_path.iterdir()
    rounds = 0
    for _ in damages(kept):
        before = counting.images
        assert np.array_equal(run(counting, images, tmp_path), wanted)
        assert counting.images == before + 84
        # What was damaged is whole again.
        assert np.array_equal(run(counting, images, tmp_path), wanted)
        assert counting.images == before + 84
        rounds += 1
    assert rounds == 14
    assert list(tmp_path.iterdir()) == [kept]


def test_a_cache_that_cannot_be_written_is_done_without(
    counting: Counting, images: list[PreparedImage], tmp_path: Path
) -> None:
    taken = tmp_path / "file"
    taken.write_text("no folder")
    assert run(counting, images, taken).shape == (21, 4, 72)
    assert run(counting, images, taken / "below").shape == (21, 4, 72)
    assert taken.read_text() == "no folder"


def test_a_full_disk_leaves_no_half_file(
    counting: Counting,
    images: list[PreparedImage],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert run(counting, images, tmp_path).shape == (21, 4, 72)
    assert list(tmp_path.iterdir()) == []


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LESIONLITE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "lesionlite"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "lesionlite"
    monkeypatch.setenv("LESIONLITE_CACHE", str(tmp_path / "named"))
    assert cache_folder() == tmp_path / "named"
