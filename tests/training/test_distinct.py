"""Copies count once, and what each of them knows of the lesion is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.representative import PreparedImage
from lesionlite_runtime.errors import UnusableInput
from lesionlite_training.distinct import distinct_images


def item(name: str, pixels: str, label: int = 0, **facts: str) -> PreparedImage:
    image = LabelledImage(Path(name), label, "nevus", facts)
    return PreparedImage(image, np.zeros((1, 1, 3), np.uint8), pixels)


def test_the_first_of_each_stays_and_gets_the_ids_of_its_copies() -> None:
    images = [
        item("a", "1"),
        item("b", "2", patient_id="q"),
        item("c", "1", lesion_id="l"),
        item("d", "1", patient_id="p"),
    ]
    kept, described = distinct_images(images)
    assert [i.image.path.name for i in kept] == ["a", "b"]
    assert [d.path.name for d in described] == ["a", "b"]
    assert [d.facts for d in described] == [
        {"lesion_id": "l", "patient_id": "p"},
        {"patient_id": "q"},
    ]


def test_contradictions_are_refused() -> None:
    with pytest.raises(UnusableInput, match="b: this image has the pixels of a, and another label"):
        distinct_images([item("a", "1"), item("b", "1", 1)])
    for name in ("lesion_id", "patient_id"):
        images = [item("a", "1", **{name: "x"}), item("b", "1"), item("c", "1", **{name: "y"})]
        with pytest.raises(UnusableInput, match=f"c: .* of a, and another {name}"):
            distinct_images(images)
