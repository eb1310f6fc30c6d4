"""Whether a set is the one that a model was trained or calibrated on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.representative import PreparedImage
from lesionlite_runtime.container import read_contract
from lesionlite_runtime.contract import ClassifierContract, classifier_contract
from lesionlite_training.evaluation.origin import seen_images


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
    assert seen_images(model, prepared(names)) == seen


def test_the_images_of_the_calibration(contract: ClassifierContract) -> None:
    model = made_on(contract, {"n": 3}, {"images_sha256": digest("abc")})
    assert seen_images(model, prepared("abc")) == "calibration"
    assert seen_images(model, prepared("ab")) is None
    assert seen_images(made_on(contract, {}, {}), prepared("ab")) is None
