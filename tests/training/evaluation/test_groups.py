"""Figures by class, age, sex, site and skin type."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lesionlite_export.groups import FEWEST
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.sample import Sample
from lesionlite_export.statistics import auc, proportion
from lesionlite_training.evaluation.figures import measure
from lesionlite_training.evaluation.groups import by_class, by_column, too_few_warnings


def image(number: int, label: int = 0, name: str = "", **facts: str) -> LabelledImage:
    return LabelledImage(Path(f"{number}.jpg"), label, name, facts)


@pytest.fixture
def grouped() -> tuple[list[LabelledImage], Sample]:
    """90 images: 60 female, 20 male, 10 of neither; ages for 30 of them; no site, no skin type."""
    generator = np.random.default_rng(0)
    labels = (np.arange(90) % 3 == 0).astype(np.int64)
    scores = np.clip(generator.normal(0.3 + 0.2 * labels, 0.2), 0, 1)
    images = []
    for i, label in enumerate(labels.tolist()):
        facts = {} if i >= 80 else {"sex": "female" if i < 60 else "male"}
        if i < 30:
            facts["age"] = str(70 - 2 * i)
        images.append(image(i, label, **facts))
    return images, Sample(labels, scores)


def test_each_group_has_the_figures_of_its_images(
    grouped: tuple[list[LabelledImage], Sample],
) -> None:
    images, sample = grouped
    found = by_column(images, sample, 0.35, 0.1)
    assert list(found) == ["age", "sex"]
    assert [group.name for group in found["sex"]] == ["female", "male", "unknown"]
    assert [group.name for group in found["age"]] == ["<30", "30-44", "45-59", "60-74", "unknown"]
    assert [group.figures.n for group in found["sex"]] == [60, 20, 10]
    for name, mask in (("female", slice(0, 60)), ("male", slice(60, 80))):
        group = next(group for group in found["sex"] if group.name == name)
        part = Sample(sample.labels[mask], sample.scores[mask])
        assert group.figures == measure(part, 0.35, 0.1)
    for groups in found.values():
        assert sum(group.figures.n for group in groups) == 90
        assert sum(group.figures.positives for group in groups) == sample.labels.sum()
    body = found["sex"][1].to_json()
    assert (body["name"], body["n"], body["positives"], body["too_few"]) == ("male", 20, 7, True)


def test_too_few_of_either_label_are_named(grouped: tuple[list[LabelledImage], Sample]) -> None:
    images, sample = grouped
    found = by_column(images, sample, 0.35, 0.1)
    by_sex = {group.name: group.too_few for group in found["sex"]}
    assert by_sex == {"female": False, "male": True, "unknown": True}
    warnings = list(too_few_warnings({"sex": found["sex"]}))
    assert warnings == [
        "too few images by sex to compare figures: male (7 labelled 1, 13 labelled 0), "
        "unknown (3 labelled 1, 7 labelled 0)"
    ]
    assert FEWEST == 10
    turned = Sample(1 - sample.labels, sample.scores)
    assert by_column(images, turned, 0.35, 0.1)["sex"][1].too_few


def test_a_group_of_enough_images_gets_no_warning(
    grouped: tuple[list[LabelledImage], Sample],
) -> None:
    _, sample = grouped
    only = [image(i, label, sex="female") for i, label in enumerate(sample.labels.tolist())]
    assert list(too_few_warnings(by_column(only, sample, 0.35, 0.1))) == []
    assert by_column([image(i) for i in range(90)], sample, 0.35, 0.1) == {}


def test_a_class_stands_against_the_other_label() -> None:
    names = ["melanoma", "melanoma", "carcinoma", "nevus", "nevus", "keratosis", "keratosis"]
    labels = np.array([1, 1, 1, 0, 0, 0, 0])
    scores = np.array([0.9, 0.4, 0.6, 0.5, 0.1, 0.7, 0.8])
    images = [image(i, int(label), names[i]) for i, label in enumerate(labels)]
    found = {one.name: one for one in by_class(images, Sample(labels, scores), 0.5)}
    assert list(found) == ["carcinoma", "melanoma", "keratosis", "nevus"]
    assert found["nevus"].auc == auc(labels[:5], scores[:5])
    assert found["melanoma"].auc == auc(np.delete(labels, 2), np.delete(scores, 2))
    assert found["melanoma"].right == proportion(1, 2)
    assert found["nevus"].right == proportion(1, 2)
    assert found["keratosis"].right == proportion(0, 2)
    body = found["nevus"].to_json()
    assert (body["sensitivity"], body["specificity"]["value"]) == (None, 0.5)
    body = found["carcinoma"].to_json()
    assert (body["sensitivity"]["value"], body["specificity"]) == (1.0, None)
    assert (body["label"], body["n"]) == (1, 1)


def test_classes_may_be_unknown_to_some_images_or_all() -> None:
    sample = Sample(np.array([1, 0, 0]), np.array([0.9, 0.4, 0.2]))
    some = by_class([image(0, 1, "melanoma"), image(1), image(2, 0, "nevus")], sample, 0.5)
    assert [one.name for one in some] == ["melanoma", "nevus", "unknown"]
    assert by_class([image(0, 1), image(1), image(2)], sample, 0.5) == ()


def test_groups_and_classes_keep_their_clusters() -> None:
    generator = np.random.default_rng(4)
    labels = np.repeat((generator.random(40) < 0.5).astype(np.int64), 3)
    scores = np.repeat(np.clip(generator.normal(0.5, 0.2, 40), 0, 1), 3)
    images = [image(i, int(label), f"class {label}", sex="male") for i, label in enumerate(labels)]
    loose = Sample(labels, scores)
    tied = Sample(labels, scores, np.repeat(np.arange(40), 3))
    for one, other in zip(by_class(images, loose, 0.5), by_class(images, tied, 0.5), strict=True):
        assert other.auc.high - other.auc.low > 1.5 * (one.auc.high - one.auc.low)
        assert other.right.high - other.right.low > 1.3 * (one.right.high - one.right.low)
    (found,) = by_column(images, tied, 0.5, 0.1)["sex"]
    assert found.figures == measure(tied, 0.5, 0.1)
