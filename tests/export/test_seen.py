"""Which images a model was trained or calibrated on: as a set, and one by one."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.representative import PreparedImage
from lesionlite_export.seen import (
    KnownSet,
    image_prefixes,
    images_record,
    known_sets,
    refuse_seen,
    refuse_trained_on,
    seen_images,
    seen_set,
)
from lesionlite_runtime.container import read_contract
from lesionlite_runtime.contract import ClassifierContract, classifier_contract
from lesionlite_runtime.errors import UnusableInput, UsageError


def prepared(names: Sequence[str]) -> list[PreparedImage]:
    """Images of which those of one first letter have equal pixels."""
    return [
        PreparedImage(
            LabelledImage(Path(f"{name}.jpg"), 0, ""),
            np.zeros((1, 1, 3), np.uint8),
            hashlib.sha256(name[0].encode()).hexdigest(),
        )
        for name in names
    ]


def digest(letters: str) -> str:
    """The digest of a list of images, as docs/contract.md and training write it."""
    lines = "\n".join(hashlib.sha256(letter.encode()).hexdigest() for letter in letters)
    return hashlib.sha256(lines.encode()).hexdigest()


@pytest.fixture
def contract(shipped_model: Path) -> ClassifierContract:
    return classifier_contract(read_contract(shipped_model))


def made_on(
    contract: ClassifierContract, training: Mapping[str, Any], calibration: Mapping[str, Any] | None
) -> ClassifierContract:
    provenance = replace(contract.provenance, training=training, calibration=calibration)
    return replace(contract, provenance=provenance)


@pytest.mark.parametrize(
    ("names", "trained_on", "seen"),
    [
        ("abc", "abc", "training"),
        ("cab", "abc", "training"),  # in another order than that of the paths
        ("cab", "cab", "training"),
        (["a1", "a2", "b", "c"], "abc", "training"),  # copies counted once
        (["a1", "a2", "b"], "aab", "training"),  # or as often as they are there
        ("abc", "abcd", None),
        ("abcd", "abc", None),
        ("abc", "bac", None),
    ],
)
def test_the_images_of_the_training(
    contract: ClassifierContract, names: Sequence[str], trained_on: str, seen: str | None
) -> None:
    model = made_on(contract, {"images_sha256": digest(trained_on)}, None)
    assert seen_set(model, prepared(names)) == seen


def test_the_images_of_the_calibration(contract: ClassifierContract) -> None:
    model = made_on(contract, {"n": 3}, {"images_sha256": digest("abc")})
    assert seen_set(model, prepared("abc")) == "calibration"
    assert seen_set(model, prepared("ab")) is None
    assert seen_set(made_on(contract, {}, {}), prepared("ab")) is None


def full(letter: str) -> str:
    return hashlib.sha256(letter.encode()).hexdigest()


def test_a_record_keeps_the_set_and_the_beginnings_of_its_digests() -> None:
    record = images_record(prepared(["a1", "a2", "b"]))
    assert record["images_sha256"] == digest("aab")
    data = base64.b64decode(record["image_prefixes"])
    assert sorted([data[:5].hex(), data[5:].hex()]) == sorted([full("a")[:10], full("b")[:10]])
    assert record["image_prefixes"] == image_prefixes(prepared(["b", "a"]))


def test_what_was_seen_beside_a_set_is_found_and_changes_its_digest_in_nothing(
    contract: ClassifierContract,
) -> None:
    record = images_record(prepared("abc"), prepared("d"))
    assert record["images_sha256"] == images_record(prepared("abc"))["images_sha256"]
    known = list(known_sets(made_on(contract, record, {}), "m.tflite"))
    assert seen_images(prepared("nd"), known).files["training"] == ("d.jpg",)


def test_too_many_images_leave_no_beginnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lesionlite_export.seen.MAX_PREFIXES", 2)
    assert "image_prefixes" in images_record(prepared("ab"))
    assert set(images_record(prepared("abc"))) == {"images_sha256"}


def test_single_images_are_found_by_what_the_contract_keeps(contract: ClassifierContract) -> None:
    model = made_on(contract, images_record(prepared("abc")), images_record(prepared("xy")))
    known = list(known_sets(model, "m.tflite"))
    assert [(one.kind, one.source) for one in known] == [
        ("training", "m.tflite"),
        ("calibration", "m.tflite"),
    ]
    found = seen_images(prepared("nbxqb"), known)
    assert found.files == {"training": ("b.jpg", "b.jpg"), "calibration": ("x.jpg",)}
    assert found.sources == {"training": ("m.tflite",), "calibration": ("m.tflite",)}
    assert not any(seen_images(prepared("npq"), known).files.values())


def test_an_old_contract_knows_the_very_set_alone(contract: ClassifierContract) -> None:
    model = made_on(contract, {"images_sha256": digest("abc")}, None)
    known = list(known_sets(model, "m.tflite"))
    found = seen_images(prepared("cab"), known)
    assert found.files["training"] == ("c.jpg", "a.jpg", "b.jpg")
    assert found.sources["training"] == ()
    assert seen_images(prepared("ab"), known).files["training"] == ()
    assert list(known_sets(made_on(contract, {}, None), "m.tflite")) == []


@pytest.mark.parametrize("text", ["", "x", "AAAA", 7, None, [], "AAAAAAAAAAA=" * 2])
def test_prefixes_that_are_none_are_refused(contract: ClassifierContract, text: Any) -> None:
    model = made_on(contract, {"image_prefixes": text}, None)
    if text is None:
        assert list(known_sets(model, "m.tflite")) == []
        return
    with pytest.raises(UnusableInput) as caught:
        list(known_sets(model, "m.tflite"))
    assert str(caught.value) == (
        "m.tflite: provenance.training.image_prefixes in the contract is no list of digests; "
        "export the file anew"
    )


def test_listed_images_are_found_by_whole_digests() -> None:
    listed = KnownSet("calibration", "list.csv", frozenset([full("a")]))
    assert seen_images(prepared("ba"), [listed]).files["calibration"] == ("a.jpg",)


def test_images_that_were_seen_are_refused_unless_that_is_allowed() -> None:
    listed = KnownSet("training", "list.csv", frozenset([full("a"), full("b")]))
    with pytest.raises(UsageError) as caught:
        refuse_seen(seen_images(prepared("cba"), [listed]), 3, "valid.csv")
    assert str(caught.value) == (
        "valid.csv: 2 of the 3 images are among those of the model's training (b.jpg the first), "
        "and a proof on them proves little; leave them out, or pass --allow-training-images to go "
        "on all the same"
    )
    allowed = seen_images(prepared("cba"), [listed], allowed=True)
    refuse_seen(allowed, 3, "valid.csv")
    assert allowed.to_json() == {
        "training": {"sources": ["list.csv"], "count": 2, "files": ["b.jpg", "a.jpg"]},
        "calibration": {"sources": [], "count": 0, "files": []},
        "allowed": True,
    }
    refuse_seen(seen_images(prepared("c"), [listed]), 1, "valid.csv")


def test_an_export_is_not_proved_on_training_images(contract: ClassifierContract) -> None:
    model = made_on(contract, images_record(prepared("abc")), images_record(prepared("xy")))
    refuse_trained_on(model, "m.keras", prepared("nxy"))
    with pytest.raises(UnusableInput) as caught:
        refuse_trained_on(model, "m.keras", prepared("nb"))
    assert str(caught.value) == (
        "b.jpg: the proof image is one of those that m.keras was trained on; "
        "leave it out of the proof images"
    )
