"""The sample that calibration runs on, its list, and sets that share an image."""

from __future__ import annotations

import csv
import io
import shutil
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlite_export.manifest import LabelledImage, Manifest, read_isic_split
from lesionlite_export.representative import (
    DEFAULT_SIZE,
    PreparedImage,
    Unusable,
    distinct_sample,
    list_digest,
    prepare,
    refuse_overlap,
    representative_list,
    stratified_sample,
)
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.pixels import image_tensor, pixels_sha256

INPUT = ImageInput("image", (1, 24, 32, 3), "uint8", "RGB", "exif", "pillow-bilinear-v1", "stretch")


def manifest_of(counts: dict[str, int], seed: int = 0) -> Manifest:
    """A manifest of ``counts`` images a class, in an order without any."""
    images = [
        LabelledImage(Path(name, f"{i}.jpg"), int(name == "melanoma"), name)
        for name, count in counts.items()
        for i in range(count)
    ]
    order = np.random.default_rng(seed).permutation(len(images))
    return Manifest("list.csv", tuple(images[i] for i in order))


def shares(images: tuple[LabelledImage, ...]) -> dict[str, int]:
    return dict(Counter(image.class_name for image in images))


@pytest.mark.parametrize(
    ("counts", "size", "wanted"),
    [
        ({"melanoma": 40, "nevus": 40, "wart": 20}, 10, {"melanoma": 4, "nevus": 4, "wart": 2}),
        ({"melanoma": 1, "nevus": 500}, 10, {"melanoma": 1, "nevus": 9}),
        ({"melanoma": 3, "nevus": 3, "wart": 3}, 2, {"melanoma": 1, "nevus": 1}),
        ({"melanoma": 2, "nevus": 3}, 4, {"melanoma": 2, "nevus": 2}),
    ],
)
def test_shares_are_those_of_the_manifest(
    counts: dict[str, int], size: int, wanted: dict[str, int]
) -> None:
    assert shares(stratified_sample(manifest_of(counts), size, seed=0)) == wanted


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcde"), st.integers(1, 60), min_size=1),
    st.integers(1, 80),
    st.integers(0, 2**31),
)
def test_size_order_and_shares(counts: dict[str, int], size: int, seed: int) -> None:
    manifest = manifest_of(counts)
    n = len(manifest.images)
    sample = stratified_sample(manifest, size, seed)
    assert len(sample) == min(size, n)
    assert list(sample) == [image for image in manifest.images if image in set(sample)]
    assert sample == stratified_sample(manifest, size, seed)
    for name, share in shares(sample).items():
        assert share <= counts[name]
        if size < n:
            # One for each class comes first, which moves the others by less than one a class.
            assert abs(share - size * counts[name] / n) <= len(counts)
    if size >= len(counts):
        assert set(shares(sample)) == set(counts)


def test_the_seed_chooses() -> None:
    manifest = manifest_of({"melanoma": 50, "nevus": 50})
    samples = {stratified_sample(manifest, 20, seed) for seed in range(5)}
    assert len(samples) == 5


def test_images_without_a_class_are_stratified_by_label() -> None:
    images = tuple(LabelledImage(Path(f"{i}.jpg"), int(i < 10), "") for i in range(40))
    sample = stratified_sample(Manifest("list.csv", images), 8, seed=0)
    assert sum(image.label for image in sample) == 2


def test_all_are_taken_where_there_are_no_more() -> None:
    manifest = manifest_of({"melanoma": 3, "nevus": 4})
    for size in (7, 8, 1000):
        assert stratified_sample(manifest, size, seed=0) == manifest.images


def test_no_image_is_too_few() -> None:
    with pytest.raises(UnusableInput, match="0 representative images are too few"):
        stratified_sample(manifest_of({"nevus": 3}), 0, seed=0)


@pytest.fixture(scope="module")
def prepared(small_drawn: Path) -> list[PreparedImage]:
    """The small training drawings as tensors."""
    items = list(prepare(read_isic_split(small_drawn, "train").images, INPUT))
    assert all(isinstance(item, PreparedImage) for item in items)
    return [item for item in items if isinstance(item, PreparedImage)]


def test_pixels_are_those_of_the_contract(prepared: list[PreparedImage]) -> None:
    assert len(prepared) == 20
    for item in prepared:
        pixels = image_tensor(item.image.path, 24, 32, INPUT.resize, INPUT.fit)
        assert np.array_equal(item.pixels, pixels)
        assert item.sha256 == pixels_sha256(pixels)


def test_the_resize_method_is_that_of_the_contract(prepared: list[PreparedImage]) -> None:
    other = replace(INPUT, resize="tf-bilinear-v1")
    (item,) = prepare([prepared[0].image], other)
    assert isinstance(item, PreparedImage)
    assert item.sha256 != prepared[0].sha256


def test_an_unreadable_image_keeps_its_place(prepared: list[PreparedImage], tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    images = [prepared[0].image, LabelledImage(bad, 1, "melanoma"), prepared[1].image]
    first, second, third = prepare(images, INPUT)
    assert isinstance(first, PreparedImage)
    assert isinstance(second, Unusable)
    assert second.image.path == bad
    assert str(bad) in str(second.error)
    assert isinstance(third, PreparedImage)


def test_an_unusable_image_is_kept_without_its_bytes(
    prepared: list[PreparedImage], tmp_path: Path
) -> None:
    cut = tmp_path / "cut.jpg"
    whole = prepared[0].image.path.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    (item,) = prepare([LabelledImage(cut, 1, "melanoma")], INPUT)
    assert isinstance(item, Unusable)
    error: BaseException | None = item.error
    frames = []
    while error is not None:
        frames += [frame for frame, _ in traceback.walk_tb(error.__traceback__)][1:]
        error = error.__cause__
    assert len(frames) > 2
    assert not [frame for frame in frames if frame.f_locals]


def test_the_list_names_images_by_path_and_by_pixels(
    prepared: list[PreparedImage], small_drawn: Path
) -> None:
    text = representative_list(prepared, small_drawn / "train").decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["filepath", "label", "class", "pixels_sha256"]
    assert "\r" not in text
    for row, item in zip(rows, prepared, strict=True):
        assert small_drawn / "train" / row["filepath"] == item.image.path
        assert not row["filepath"].startswith(("..", "/"))
        assert row["label"] == str(item.image.label)
        assert row["class"] == item.image.class_name == Path(row["filepath"]).parts[0]
        assert row["pixels_sha256"] == item.sha256


def test_a_name_that_is_no_utf8_does_not_stop_the_list(prepared: list[PreparedImage]) -> None:
    odd = LabelledImage(Path("caf\udce9.jpg"), 0, "nevus")
    text = representative_list([replace(prepared[0], image=odd)], Path()).decode("utf-8")
    assert "caf\\udce9.jpg" in text


def test_the_digest_of_the_list_is_of_pixels_in_their_order(
    prepared: list[PreparedImage], tmp_path: Path
) -> None:
    moved = []
    for number, item in enumerate(prepared):
        path = tmp_path / f"{number}.jpg"
        shutil.copyfile(item.image.path, path)
        moved.append(LabelledImage(path, 0, "renamed"))
    again = [item for item in prepare(moved, INPUT) if isinstance(item, PreparedImage)]
    assert list_digest(again) == list_digest(prepared)
    assert list_digest(again[::-1]) != list_digest(prepared)
    assert list_digest(again[:-1]) != list_digest(prepared)


def test_an_image_in_both_sets_is_found_by_its_pixels(
    prepared: list[PreparedImage], small_drawn: Path, tmp_path: Path
) -> None:
    proof = read_isic_split(small_drawn, "valid").images
    copy = tmp_path / "another_name.jpg"
    shutil.copyfile(prepared[3].image.path, copy)
    with_copy = [*proof, LabelledImage(copy, 0, "nevus")]
    apart, shared = (
        [item for item in prepare(images, INPUT) if isinstance(item, PreparedImage)]
        for images in (proof, with_copy)
    )
    refuse_overlap(prepared, apart)
    with pytest.raises(UnusableInput) as caught:
        refuse_overlap(prepared, shared)
    assert str(caught.value) == (
        f"{copy}: the proof image has the same pixels as the representative "
        f"{prepared[3].image.path}; leave it out of one of the two sets"
    )


def copied(images: Sequence[LabelledImage], folder: Path) -> tuple[LabelledImage, ...]:
    """The same pixels under other names, in ``folder``."""
    folder.mkdir()
    copies = []
    for number, image in enumerate(images):
        path = folder / f"copy{number}.jpg"
        shutil.copyfile(image.path, path)
        copies.append(LabelledImage(path, image.label, image.class_name))
    return tuple(copies)


def test_equal_images_count_once(small_drawn: Path, tmp_path: Path) -> None:
    originals = read_isic_split(small_drawn, "train").images
    copies = copied(originals[:5], tmp_path / "a") + copied(originals[:1], tmp_path / "b")
    manifest = Manifest("list.csv", (*originals, *copies))
    everything = distinct_sample(manifest, INPUT, 100, seed=0)
    assert tuple(p.image for p in everything.images) == originals
    assert everything.duplicates == 6
    for seed in range(4):
        sample = distinct_sample(manifest, INPUT, 15, seed)
        digests = [p.sha256 for p in sample.images]
        assert len(set(digests)) == len(digests) == 15
        assert sample.duplicates <= 6


def test_one_image_many_times_is_one_image(small_drawn: Path, tmp_path: Path) -> None:
    (original, *_) = read_isic_split(small_drawn, "train").images
    copies = tuple(LabelledImage(tmp_path / f"{i}.jpg", 0, "nevus") for i in range(40))
    for copy in copies:
        shutil.copyfile(original.path, copy.path)
    sample = distinct_sample(Manifest("list.csv", copies), INPUT, 8, seed=0)
    assert (len(sample.images), sample.duplicates) == (1, 39)


def test_without_equal_images_it_is_the_stratified_sample(small_drawn: Path) -> None:
    manifest = read_isic_split(small_drawn, "train")
    for size, seed in ((6, 0), (6, 1), (13, 2), (50, 0)):
        sample = distinct_sample(manifest, INPUT, size, seed)
        assert tuple(p.image for p in sample.images) == stratified_sample(manifest, size, seed)
        assert (sample.duplicates, sample.unusable) == (0, ())


def test_unreadable_images_are_left_out_and_told(small_drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    bad = LabelledImage(tmp_path / "bad.jpg", 0, "nevus")
    images = read_isic_split(small_drawn, "train").images
    sample = distinct_sample(Manifest("list.csv", (*images, bad)), INPUT, 100, seed=0)
    assert len(sample.images) == len(images)
    assert [item.image for item in sample.unusable] == [bad]
    with pytest.raises(UnusableInput, match="none of its 1 images can be used"):
        distinct_sample(Manifest("list.csv", (bad,)), INPUT, 100, seed=0)


@pytest.mark.data
def test_the_shipped_list_is_the_sample_of_isic_still(data_dir: Path) -> None:
    listed = Path(__file__).parents[2] / "samples" / "lesion.int8.representative.csv"
    rows = list(csv.DictReader(io.StringIO(listed.read_text())))
    train = read_isic_split(data_dir / "isic2017", "train")
    contract_input = replace(INPUT, shape=(1, 224, 224, 3))
    sample = distinct_sample(train, contract_input, DEFAULT_SIZE, seed=0)
    assert sample.duplicates == 0
    assert [p.sha256 for p in sample.images] == [row["pixels_sha256"] for row in rows]
    assert representative_list(sample.images, train.folder) == listed.read_bytes()
