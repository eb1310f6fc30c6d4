"""Which images belong together, and parts of a sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.sample import Sample, cluster
from lesionlite_runtime.errors import UnusableInput


def images(*facts: dict[str, str]) -> list[LabelledImage]:
    return [LabelledImage(Path(f"{i}.jpg"), i % 2, "", one) for i, one in enumerate(facts)]


def test_patients_come_before_lesions() -> None:
    found = cluster(
        images(
            {"patient_id": "P", "lesion_id": "A"},
            {"patient_id": "P", "lesion_id": "B"},
            {"patient_id": "Q", "lesion_id": "C"},
        )
    )
    assert (found.by, found.n) == ("patient_id", 2)
    assert found.of_image is not None
    assert found.of_image.tolist() == [0, 0, 1]
    assert found.to_json() == {"by": "patient_id", "n": 2}


def test_an_image_without_a_patient_stands_with_its_lesion_or_for_itself() -> None:
    found = cluster(
        images(
            {"patient_id": "P"},
            {"patient_id": "P"},
            {"lesion_id": "A"},
            {"lesion_id": "A"},
            {},
            {},
        )
    )
    assert (found.by, found.n) == ("patient_id", 4)
    assert found.of_image is not None
    assert found.of_image.tolist() == [0, 0, 1, 1, 2, 3]


def test_a_patient_and_a_lesion_of_one_name_are_two() -> None:
    found = cluster(images({"patient_id": "7"}, {"patient_id": "7"}, {"lesion_id": "7"}))
    assert found.n == 2


def test_lesions_where_no_patient_is_known() -> None:
    found = cluster(images({"lesion_id": "A"}, {}, {"lesion_id": "A"}))
    assert (found.by, found.n) == ("lesion_id", 2)


def test_a_lesion_of_two_patients_is_refused() -> None:
    two = images({"patient_id": "P", "lesion_id": "A"}, {"patient_id": "Q", "lesion_id": "A"})
    with pytest.raises(UnusableInput, match="correct the ids in the manifest"):
        cluster(two)


def test_ids_that_nothing_shares_cluster_nothing() -> None:
    found = cluster(images({"patient_id": "P"}, {"patient_id": "Q", "sex": "male"}, {}))
    assert (found.by, found.n, found.of_image) == (None, 3, None)


def test_a_part_of_a_sample_keeps_its_clusters() -> None:
    sample = Sample(np.array([0, 1, 1]), np.array([0.1, 0.2, 0.3]), np.array([5, 5, 6]))
    part = sample.where(np.array([True, False, True]))
    assert part.clusters is not None
    assert (part.labels.tolist(), part.scores.tolist()) == ([0, 1], [0.1, 0.3])
    assert part.clusters.tolist() == [5, 6]
    assert Sample(sample.labels, sample.scores).where(sample.labels == 1).clusters is None
