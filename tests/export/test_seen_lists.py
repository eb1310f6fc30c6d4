"""Images that a model has seen, from lists: beside the file, and named by the user."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lesionlite_export.manifest import read_isic_split
from lesionlite_export.progress import Silent
from lesionlite_export.representative import (
    PreparedImage,
    digest_of_digests,
    prepare,
    representative_list,
)
from lesionlite_export.seen_lists import list_beside, training_set
from lesionlite_runtime.container import read_contract
from lesionlite_runtime.contract import ClassifierContract, classifier_contract
from lesionlite_runtime.errors import UnusableInput

DIGESTS = ["a" * 64, "0" * 64]


@pytest.fixture
def contract(shipped_model: Path) -> ClassifierContract:
    """Of a file that was calibrated on two images with `DIGESTS`."""
    found = classifier_contract(read_contract(shipped_model))
    calibration = {"images_sha256": digest_of_digests(DIGESTS)}
    return replace(found, provenance=replace(found.provenance, calibration=calibration))


def listed(path: Path, digests: list[str], header: str = "filepath,pixels_sha256") -> Path:
    rows = [f"{i}.jpg,{digest}" for i, digest in enumerate(digests)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_a_column_of_digests_is_taken_and_no_image_read(
    contract: ClassifierContract, tmp_path: Path
) -> None:
    path = listed(tmp_path / "train.csv", DIGESTS)
    found = training_set(path, contract, Silent())
    assert (found.kind, found.source) == ("training", str(path))
    assert found.holds("a" * 64)
    assert not found.holds("a" * 63 + "b")


def test_a_manifest_and_a_folder_are_read(
    contract: ClassifierContract, small_drawn: Path, tmp_path: Path
) -> None:
    manifest = read_isic_split(small_drawn, "train")
    prepared = [
        image
        for image in prepare(manifest.images, contract.input)
        if isinstance(image, PreparedImage)
    ]
    wanted = frozenset(image.sha256 for image in prepared)
    assert training_set(small_drawn, contract, Silent()).digests == wanted
    rows = [f"{p.image.path.relative_to(small_drawn)},{p.image.label}" for p in prepared]
    path = small_drawn / "some.csv"
    path.write_text("\n".join(["filepath,label", *rows[:3]]) + "\n")
    some = training_set(path, contract, Silent()).digests
    path.unlink()
    assert some == frozenset(image.sha256 for image in prepared[:3])
    written = tmp_path / "list.csv"
    written.write_bytes(representative_list(prepared, small_drawn))
    assert training_set(written, contract, Silent()).digests == wanted


def test_the_list_beside_a_file_is_taken_where_it_is_its_own(
    contract: ClassifierContract, tmp_path: Path
) -> None:
    file = tmp_path / "m.int8.tflite"
    assert list_beside(file, contract) is None
    path = listed(tmp_path / "m.int8.representative.csv", DIGESTS)
    found = list_beside(file, contract)
    assert found is not None
    assert (found.kind, found.source) == ("calibration", str(path))
    assert found.digests == frozenset(DIGESTS)
    listed(path, DIGESTS[::-1])  # of another export
    assert list_beside(file, contract) is None
    listed(path, DIGESTS, "filepath,label")
    assert list_beside(file, contract) is None


@pytest.mark.parametrize(
    ("digests", "words"),
    [
        (["A" * 64], "line 2: the digest of the pixels is not 64 hex digits"),
        (["a" * 64, ""], "line 3: the digest of the pixels is not 64 hex digits"),
        ([], "it lists no image"),
    ],
)
def test_faults_in_a_list(
    contract: ClassifierContract, tmp_path: Path, digests: list[str], words: str
) -> None:
    path = listed(tmp_path / "train.csv", digests)
    with pytest.raises(UnusableInput) as caught:
        training_set(path, contract, Silent())
    assert str(caught.value).startswith(f"{path}: {words}; ")
    with pytest.raises(UnusableInput, match="no such file"):
        training_set(tmp_path / "none.csv", contract, Silent())
