"""The group that an image belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest

from lesionlite_export.groups import group_of, group_order
from lesionlite_export.manifest import LabelledImage


def image(**facts: str) -> LabelledImage:
    return LabelledImage(Path("photo.jpg"), 0, "", facts)


@pytest.mark.parametrize(
    ("age", "band"),
    [
        ("0", "<30"),
        ("29.9", "<30"),
        ("30", "30-44"),
        ("44", "30-44"),
        ("45", "45-59"),
        ("59.5", "45-59"),
        ("60", "60-74"),
        ("75", "75+"),
        (" 101 ", "75+"),
        ("", "unknown"),
        ("unknown", "unknown"),
        ("old", "unknown"),
        ("85+", "unknown"),
        ("-3", "unknown"),
        ("nan", "unknown"),
        ("inf", "unknown"),
    ],
)
def test_bands_of_ages(age: str, band: str) -> None:
    assert group_of(image(age=age), "age") == band


def test_other_groups_are_named_as_they_stand() -> None:
    assert group_of(image(site="Lower extremity "), "site") == "Lower extremity"
    assert group_of(image(site="Unknown"), "site") == "unknown"
    assert group_of(image(), "sex") == "unknown"


def test_bands_come_by_age_and_what_is_not_known_last() -> None:
    names = ["unknown", "75+", "30-44", "<30", "60-74", "45-59"]
    assert sorted(names, key=group_order) == ["<30", "30-44", "45-59", "60-74", "75+", "unknown"]
    assert sorted(["male", "unknown", "female"], key=group_order) == ["female", "male", "unknown"]
