"""The cache of decoded images: what it keeps apart, what it survives, and what it never gives."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lesionlite_export.manifest import LabelledImage, Manifest
from lesionlite_export.progress import Silent
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import MissingHere, UnusableInput
from lesionlite_runtime.pixels import image_tensor
from lesionlite_training import pixel_cache
from lesionlite_training.pixel_cache import CachedImage, Images, cached_images

INPUT = ImageInput("image", (1, 40, 40, 3), "uint8", "RGB", "exif", "pillow-bilinear-v1", "stretch")


@pytest.fixture
def manifest(tmp_path: Path, drawn_photos: list[Path]) -> Manifest:
    """Three drawn photos in a folder of their own."""
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = [Path(shutil.copy(photo, folder)) for photo in drawn_photos[:3]]
    return Manifest(str(folder), tuple(LabelledImage(path, 0, "nevus") for path in paths))


def read(manifest: Manifest, cache: Path | None, image_input: ImageInput = INPUT) -> Images:
    return cached_images(manifest, image_input, cache, "Reading", Silent())


def files(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


def test_it_gives_the_runtimes_pixels_with_and_without_a_folder(
    manifest: Manifest, tmp_path: Path
) -> None:
    for cache in (tmp_path / "cache", None):
        found = read(manifest, cache).images
        assert [item.image for item in found] == list(manifest.images)
        for item in found:
            assert np.array_equal(item.pixels, image_tensor(item.image.path, 40, 40))
    assert len(files(tmp_path / "cache")) == 3


def test_a_second_run_decodes_nothing(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read(manifest, tmp_path)

    def fail(*_: object) -> None:
        raise AssertionError("an image was decoded again")

    monkeypatch.setattr(pixel_cache, "tensor_of_bytes", fail)
    again = read(manifest, tmp_path)
    assert [i.sha256 for i in again.images] == [i.sha256 for i in first.images]


def test_another_contract_or_content_has_files_of_its_own(
    manifest: Manifest, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    read(manifest, cache)
    resized = read(manifest, cache, replace(INPUT, resize="tf-bilinear-v1"))
    assert len(files(cache)) == 6
    path = manifest.images[0].path
    assert np.array_equal(resized.images[0].pixels, image_tensor(path, 40, 40, "tf-bilinear-v1"))
    shutil.copy(manifest.images[1].path, path)
    changed = read(manifest, cache)
    assert changed.images[0].sha256 == changed.images[1].sha256
    assert len(files(cache)) == 6


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied"])
def test_a_damaged_file_is_decoded_anew(manifest: Manifest, tmp_path: Path, damage: str) -> None:
    cache = tmp_path / "cache"
    first = read(manifest, cache).images
    for file in files(cache):
        data = bytearray(file.read_bytes())
        if damage == "flipped":
            data[100] ^= 1
        file.write_bytes({"cut": data[:-1], "flipped": data, "emptied": b""}[damage])
    # An image that is held already, and one that is looked up anew.
    for item in (*first, *read(manifest, cache).images):
        assert np.array_equal(item.pixels, image_tensor(item.image.path, 40, 40))


def test_an_image_that_changes_in_use_is_no_longer_taken(
    manifest: Manifest, tmp_path: Path
) -> None:
    item = read(manifest, tmp_path / "cache").images[0]
    assert isinstance(item, CachedImage)
    item.file.unlink()
    shutil.copy(manifest.images[1].path, item.image.path)
    with pytest.raises(UnusableInput, match="was changed while it was in use"):
        _ = item.pixels


def test_what_cannot_be_read_is_named_and_the_rest_is_used(
    manifest: Manifest, tmp_path: Path
) -> None:
    manifest.images[1].path.write_bytes(b"no image")
    found = read(manifest, tmp_path / "cache")
    assert [i.image for i in found.images] == [manifest.images[0], manifest.images[2]]
    assert [u.image for u in found.unusable] == [manifest.images[1]]
    assert str(manifest.images[1].path) in str(found.unusable[0].error)
    for image in manifest.images:
        image.path.write_bytes(b"no image")
    with pytest.raises(UnusableInput, match="none of its 3 images can be used"):
        read(manifest, tmp_path / "cache")


def test_a_cache_that_cannot_be_written_says_what_helps(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(MissingHere, match="--no-cache"):
        read(manifest, tmp_path / "file")


def test_a_full_disk_says_what_helps(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(MissingHere, match=r"no space left on device.*free some space"):
        read(manifest, tmp_path / "cache")


def _many_times(manifest: Manifest, cache: Path) -> None:
    """Read again and again; one of two neighbouring processes also takes files away."""
    for _ in range(20):
        read(manifest, cache)
        for file in files(cache):
            if os.getpid() % 2 and not file.name.startswith("."):
                file.unlink(missing_ok=True)


def test_two_runs_may_share_a_cache(manifest: Manifest, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    runs = [context.Process(target=_many_times, args=(manifest, tmp_path / "c")) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0, 0]
    for item in read(manifest, tmp_path / "c").images:
        assert np.array_equal(item.pixels, image_tensor(item.image.path, 40, 40))
