"""The same photos at another resolution: which belong together, and what is compared."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.progress import Silent
from lesionlite_export.sample import Sample
from lesionlite_export.statistics import Scores
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.pixels import decode, resize
from lesionlite_training.evaluation.originals import (
    VERSIONS,
    Originals,
    measure_originals,
)
from lesionlite_training.evaluation.paired import compare
from lesionlite_training.evaluation.robustness import network_input
from lesionlite_training.originals import find_originals

THRESHOLD = 0.5
SMALL = 64
INPUT = ImageInput("image", (1, 48, 48, 3), "uint8", "RGB", "exif", "pillow-bilinear-v1", "stretch")


@pytest.fixture
def folder(drawn_photos: list[Path], tmp_path: Path) -> Path:
    """Drawn photos as originals in two folders, one of them as PNG."""
    folder = tmp_path / "originals"
    for place, path in enumerate(drawn_photos):
        target = folder / ("a" if place % 2 else "b")
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / path.name)
    first = next((folder / "a").glob("*.jpg"))
    Image.open(first).save(first.with_suffix(".png"))
    first.unlink()
    return folder


@pytest.fixture
def images(drawn_photos: list[Path], tmp_path: Path) -> list[LabelledImage]:
    """The same at 64 x 64 pixels as JPEG of quality 75, and one more."""
    found = []
    for path in drawn_photos:
        small = tmp_path / "small" / path.name
        small.parent.mkdir(exist_ok=True)
        photo = Image.fromarray(resize(decode(path), SMALL, SMALL))
        photo.save(small, quality=75)
        found.append(LabelledImage(small, int("melanoma" in path.name), ""))
    other = tmp_path / "small" / "other.jpg"
    shutil.copyfile(found[0].path, other)
    return [*found, LabelledImage(other, 0, "")]


def sharpness(tensors: Sequence[np.ndarray]) -> Scores:
    """A model whose score depends on the finest detail."""
    return np.array([np.abs(np.diff(t.astype(float), axis=1)).mean() / 12 for t in tensors])


def measured(folder: Path, images: Sequence[LabelledImage]) -> Originals:
    pairs = find_originals(folder, images)
    return measure_originals(sharpness, INPUT, pairs, THRESHOLD, Silent())


def test_images_and_originals_belong_together_by_name(
    folder: Path, images: list[LabelledImage]
) -> None:
    pairs = find_originals(folder, images)
    assert [pair.image for pair in pairs] == images[:-1]
    assert all(pair.image.path.stem == pair.original.stem for pair in pairs)
    assert {pair.original.suffix for pair in pairs} == {".jpg", ".png"}


def test_names_that_do_not_tell_are_refused(folder: Path, images: list[LabelledImage]) -> None:
    with pytest.raises(UnusableInput, match="no photo in it has the name of an image"):
        find_originals(folder, images[-1:])
    first = images[0]
    twice = LabelledImage(first.path.with_suffix(".png"), first.label, "")
    with pytest.raises(UnusableInput, match=r"\.jpg and .*\.png have one name; leave one"):
        find_originals(folder, [*images, twice])
    find_originals(folder, [*images, LabelledImage(Path("other.png"), 0, "")])
    copy = next((folder / "b").glob("*.jpg"))
    shutil.copyfile(copy, folder / "a" / copy.name)
    with pytest.raises(UnusableInput, match="have one name; leave one of them out"):
        find_originals(folder, images)
    empty = folder.parent / "empty"
    empty.mkdir()
    with pytest.raises(UnusableInput, match="there is no image in this folder"):
        find_originals(empty, images)


def test_the_figures_are_those_of_the_scores(folder: Path, images: list[LabelledImage]) -> None:
    found = measured(folder, images)
    pairs = find_originals(folder, images)
    versions: list[list[np.ndarray]] = [[], [], [], []]
    for pair in pairs:
        original = decode(pair.original)
        small = resize(original, SMALL, SMALL)
        stream = io.BytesIO()
        Image.fromarray(small).save(stream, "JPEG", quality=75)
        again = np.array(Image.open(stream))
        for place, photo in enumerate((decode(pair.image.path), original, small, again)):
            versions[place].append(network_input(photo, INPUT))
    reference, *others = map(sharpness, versions)
    labels = np.array([pair.image.label for pair in pairs])
    assert [row.name for row in found.rows] == list(VERSIONS)
    for row, scores in zip(found.rows, others, strict=True):
        assert row.figures == compare(Sample(labels, reference), scores, THRESHOLD)
    assert found.rows[0].figures.n == len(images) - 1
    assert found.rows[0].figures.max_difference > 0
    assert found.rows[1].figures.max_difference > 0


def test_the_control_repeats_how_the_images_were_made(
    folder: Path, images: list[LabelledImage]
) -> None:
    """They are downsampled and compressed in that very way, but for the one from PNG."""
    *_, control = measured(folder, images).rows
    assert control.figures.max_difference == 0
    assert control.figures.rank_correlation == pytest.approx(1)


def test_an_original_that_cannot_be_read_is_named_and_left_out(
    folder: Path, images: list[LabelledImage]
) -> None:
    photos = sorted(folder.rglob("*.jpg"))
    bad, tiny = photos[:2]
    bad.write_bytes(b"no image")
    Image.new("RGB", (20, 40)).save(tiny)
    found = measured(folder, images)
    assert found.rows[0].figures.n == len(images) - 3
    told = {str(item.error).partition(": ")[0] for item in found.unusable}
    assert told == {str(bad), str(tiny)}
    assert {item.image.path for item in found.unusable} == {bad, tiny}
    for path in folder.rglob("*.*"):
        path.write_bytes(b"no image")
    with pytest.raises(UnusableInput, match=f"none of the {len(images) - 1} originals can be used"):
        measured(folder, images)


def test_images_of_one_patient_are_clusters(folder: Path, images: list[LabelledImage]) -> None:
    known = [
        LabelledImage(image.path, image.label, "", {"patient_id": f"P{place // 3}"})
        for place, image in enumerate(images)
    ]
    alone, together = (measured(folder, found).rows[0].figures for found in (images, known))
    assert alone.flip_rate.value == together.flip_rate.value
    assert alone.flip_rate != together.flip_rate


def test_json_says_what_changes_and_not_how_good_the_scores_are(
    folder: Path, images: list[LabelledImage]
) -> None:
    found = measured(folder, images)
    assert found.to_json() == [
        {"name": row.name, **row.figures.changes_json()} for row in found.rows
    ]
    assert "auc" not in found.to_json()[0]
