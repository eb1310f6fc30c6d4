"""Flips by class and group, and which group is named as the worst."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lesionlite_export.flip_groups import (
    GroupFlips,
    flips_by_group,
    groups_json,
    worst_groups,
    worst_json,
)
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.statistics import proportion, share


def image(number: int, label: int, name: str = "", **facts: str) -> LabelledImage:
    return LabelledImage(Path(f"{number}.jpg"), label, name, facts)


IMAGES = [
    image(0, 1, "melanoma", sex="female", age="80"),
    image(1, 1, "melanoma", sex="male", age="20"),
    image(2, 0, "nevus", sex="female", age="50"),
    image(3, 0, "nevus", sex="female"),
    image(4, 0, "", sex="male", age="20"),
]
POSITIVE = np.array([True, True, False, False, False])
FLIPPED = np.array([True, False, True, False, False])
KINDS = {
    "flips": (FLIPPED, np.ones(5, bool)),
    "newly_missed": (FLIPPED & POSITIVE, POSITIVE),
    "newly_referred": (FLIPPED & ~POSITIVE, ~POSITIVE),
}


def counts(groups: tuple[GroupFlips, ...], kind: str) -> dict[str, tuple[int, int]]:
    return {g.name: (g.counts[kind].count, g.counts[kind].of) for g in groups}


def test_every_kind_is_counted_among_the_images_it_could_befall() -> None:
    found = flips_by_group(IMAGES, KINDS, None)
    assert list(found) == ["class", "age", "sex"]
    assert counts(found["class"], "flips") == {
        "melanoma": (1, 2),
        "nevus": (1, 2),
        "unknown": (0, 1),
    }
    assert counts(found["class"], "newly_missed") == {
        "melanoma": (1, 2),
        "nevus": (0, 0),
        "unknown": (0, 0),
    }
    assert counts(found["sex"], "newly_referred") == {"female": (1, 2), "male": (0, 1)}
    assert [group.name for group in found["age"]] == ["<30", "45-59", "75+", "unknown"]
    for groups in found.values():
        assert sum(group.n for group in groups) == 5
        assert sum(group.counts["flips"].count for group in groups) == 2


def test_json_has_no_share_of_nothing() -> None:
    body = groups_json(flips_by_group(IMAGES, KINDS, None))["class"][1]
    assert (body["name"], body["n"], body["newly_missed"]) == ("nevus", 2, None)
    assert body["newly_referred"]["count"] == 1
    assert body["flips"]["low"] == proportion(1, 2).low


def test_clusters_follow_the_groups() -> None:
    clusters = np.array([0, 1, 2, 2, 3])
    (_, nevi, _) = flips_by_group(IMAGES, KINDS, clusters)["class"]
    assert nevi.counts["flips"].rate == share(np.array([True, False]), np.array([2, 2]))


def test_a_manifest_that_says_nothing_has_no_groups() -> None:
    bare = [image(i, 0) for i in range(5)]
    assert flips_by_group(bare, KINDS, None) == {}


def group_of(hits: int, of: int, name: str) -> GroupFlips:
    masks = {"flips": (np.arange(of) < hits, np.ones(of, bool))}
    images = [image(i, 0, name) for i in range(of)]
    (found,) = flips_by_group(images, masks, None)["class"]
    return found


@pytest.mark.parametrize(
    ("groups", "worst"),
    [
        ([(5, 100), (1, 2), (0, 50)], (5, 100)),  # five are no chance
        ([(1, 100), (1, 2), (0, 50)], (1, 2)),  # of two groups with one flip the rarer
        ([(1, 100), (3, 100)], (3, 100)),
        ([(0, 100), (0, 10)], None),
        ([(3, 100)], None),  # one group alone is all images
    ],
)
def test_the_worst_group(groups: list[tuple[int, int]], worst: tuple[int, int] | None) -> None:
    listed = {"class": [group_of(hits, of, f"{hits} of {of}") for hits, of in groups]}
    found = worst_groups(listed, ["flips"])["flips"]
    if worst is None:
        assert found is None
        assert worst_json({"flips": found}) == {"flips": None}
        return
    assert found is not None
    assert (found.found.count, found.found.of) == worst
    assert found.too_few == (worst[1] < 10)
    body = worst_json({"flips": found})["flips"]
    assert (body["column"], body["name"]) == ("class", f"{worst[0]} of {worst[1]}")
    assert (body["count"], body["of"], body["too_few"]) == (*worst, found.too_few)
