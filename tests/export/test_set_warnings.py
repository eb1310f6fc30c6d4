"""What a set cannot prove, named as such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from lesionlite_export.image_kinds import image_kind
from lesionlite_export.labels_parity import label_score_parity
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.parity import ScoreParity, score_parity
from lesionlite_export.sample import cluster
from lesionlite_export.seen import SeenImages
from lesionlite_export.set_warnings import FEWEST_IMAGES, proof_warnings, unlike_photos
from lesionlite_export.statistics import proportion
from lesionlite_export.verification_result import ProofSet

NOTHING_SEEN = SeenImages({"training": (), "calibration": ()}, {"training": (), "calibration": ()})


def images(
    labels: Sequence[int], classes: Sequence[str] | None = None, **facts: Sequence[str]
) -> tuple[LabelledImage, ...]:
    return tuple(
        LabelledImage(
            Path(f"{i}.jpg"),
            label,
            classes[i] if classes else "",
            {name: values[i] for name, values in facts.items()},
        )
        for i, label in enumerate(labels)
    )


def proof(
    listed: tuple[LabelledImage, ...],
    *,
    seen: SeenImages = NOTHING_SEEN,
    unlike: Mapping[str, tuple[str, ...]] | None = None,
    digests: Sequence[str] | None = None,
) -> ProofSet:
    own = tuple(digests or (f"{i:064}" for i in range(len(listed))))
    return ProofSet(
        "valid.csv", cluster(listed), seen, unlike or {}, listed, own, (None,) * len(own)
    )


def parity(listed: Sequence[LabelledImage], scores: Sequence[float] | None = None) -> ScoreParity:
    """By default scores on both sides of the threshold."""
    given = scores or [0.2 + 0.6 * (i % 2) for i in range(len(listed))]
    labels = [image.label for image in listed]
    return score_parity([str(i.path) for i in listed], labels, given, given, 0.5)


def warned(listed: tuple[LabelledImage, ...], **other: object) -> list[str]:
    return list(proof_warnings(proof(listed, **other), parity(listed)))  # type: ignore[arg-type]


MANY = [int(i % 4 == 0) for i in range(100)]


def test_a_set_that_is_large_and_mixed_gets_no_warning() -> None:
    assert warned(images(MANY)) == []


def test_the_fewest_images_are_those_that_could_keep_the_gate_s_limit() -> None:
    assert proportion(0, FEWEST_IMAGES).high < 0.05 < proportion(0, FEWEST_IMAGES - 1).high
    labels = [i % 2 for i in range(FEWEST_IMAGES)]
    assert warned(images(labels)) == []
    assert warned(images(labels[1:])) == [
        "71 images are few: even no flip among them is compatible with a flip rate up to 5.1 %, "
        "and of 72 with less than 5 %"
    ]


def test_many_images_of_few_patients_are_few() -> None:
    patients = [f"P{i % 30}" for i in range(100)]
    (warning,) = warned(images(MANY, patient_id=patients))
    assert warning.startswith("100 images of 30 patients are few: even no flip among them is ")
    assert "up to 11.6 %" in warning


def test_few_of_a_label_are_named() -> None:
    labels = [int(i < 9) for i in range(100)]
    assert warned(images(labels)) == ["only 9 images have the label 1: figures on them say little"]
    assert warned(images([int(i < 10) for i in range(100)])) == []


def test_one_class_and_one_label_alone_are_named() -> None:
    nevi = images([0] * 100, ["nevus"] * 100)
    assert warned(nevi) == ["all 100 images are of the class nevus: nothing is said of any other"]
    benign = images([0] * 100, ["nevus", "keratosis"] * 50)
    assert warned(benign) == ["all 100 images have the label 0: nothing is said of any other"]
    assert warned(images([1] * 100)) == [
        "all 100 images have the label 1: nothing is said of any other"
    ]


@pytest.mark.parametrize(("score", "words"), [(0.9, "refers all 100"), (0.1, "refers none of the")])
def test_decisions_on_one_side_alone_are_named(score: float, words: str) -> None:
    listed = images(MANY)
    (warning,) = proof_warnings(proof(listed), parity(listed, [score] * 100))
    assert warning.startswith(f"the reference {words}")
    assert "all on one side of the threshold" in warning


def test_one_decision_of_several_labels_is_named() -> None:
    listed = images([i % 3 for i in range(100)])
    scores = np.tile([0.8, 0.1, 0.1], (100, 1))
    labels = [image.label for image in listed]
    same = label_score_parity(["f"] * 100, ("a", "b", "c"), labels, scores, scores, None)
    assert list(proof_warnings(proof(listed), same)) == [
        "the reference decides alike on all 100 images: no other decision was tried"
    ]


def test_images_that_are_no_photos_are_named_as_such() -> None:
    unlike = {"constant": ("black.png",), "noise": ("a.png", "b.png")}
    assert warned(images(MANY), unlike=unlike) == [
        "1 of 100 images is of one colour (black.png the first): what models make of them says "
        "nothing of photos",
        "2 of 100 images are noise (a.png the first): what models make of them says nothing of "
        "photos",
    ]


def test_copies_are_counted() -> None:
    digests = [f"{i // 2:064}" for i in range(100)]
    assert warned(images(MANY), digests=digests) == [
        "50 images have the pixels of another one, and each counts"
    ]


def test_images_that_were_seen_and_allowed_are_named_first() -> None:
    files: dict[str, tuple[str, ...]] = {"training": ("0.jpg", "1.jpg"), "calibration": ()}
    seen = SeenImages({"training": ("m.keras",), "calibration": ()}, files, True)
    assert warned(images(MANY), seen=seen) == [
        "2 images are among those of the model's training, and count all the same "
        "(--allow-training-images): a proof on them proves little"
    ]


def test_kinds_are_told_by_the_pixels() -> None:
    generator = np.random.default_rng(0)
    flat = np.full((64, 64, 3), 90, np.uint8)
    slope = np.repeat(np.arange(64, dtype=np.uint8)[:, np.newaxis, np.newaxis], 64, 1) * 3
    pixels = {
        "flat.png": flat,
        "noise.png": generator.integers(0, 256, (64, 64, 3), dtype=np.uint8),
        "slope.png": np.repeat(slope, 3, 2),
    }
    listed = [LabelledImage(Path(name), 0, "") for name in pixels]
    kinds = [image_kind(own) for own in pixels.values()]
    assert unlike_photos(listed, kinds) == {"constant": ("flat.png",), "noise": ("noise.png",)}
