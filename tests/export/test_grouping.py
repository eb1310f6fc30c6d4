"""Which images belong together, by patient and lesion."""

from __future__ import annotations

from pathlib import Path

import pytest

from lesionlite_export.grouping import groups_of
from lesionlite_export.manifest import LabelledImage
from lesionlite_runtime.errors import UnusableInput, UsageError


def images(*facts: dict[str, str]) -> list[LabelledImage]:
    """An image for each of the facts: 0.jpg, 1.jpg ..."""
    return [LabelledImage(Path(f"{i}.jpg"), i % 2, "", f) for i, f in enumerate(facts)]


def ids(patient: str = "", lesion: str = "") -> dict[str, str]:
    """The facts of an image, as a manifest gives them: without empty fields."""
    return {k: v for k, v in {"patient_id": patient, "lesion_id": lesion}.items() if v}


def together(groups: tuple[str, ...]) -> list[list[int]]:
    """Which images share a group, by their place."""
    return sorted([i for i, g in enumerate(groups) if g == name] for name in dict.fromkeys(groups))


def test_groups_by_each_column_alone() -> None:
    listed = images(
        ids("p", "a"), ids("p", "b"), ids("q"), ids("", "c"), ids("", "c"), ids(), ids()
    )
    by_patient = groups_of(listed, "patient_id")
    assert together(by_patient.groups) == [[0, 1], [2], [3], [4], [5], [6]]
    assert (by_patient.by, by_patient.count, by_patient.without_id) == (("patient_id",), 6, 4)
    by_lesion = groups_of(listed, "lesion_id")
    assert together(by_lesion.groups) == [[0], [1], [2], [3, 4], [5], [6]]
    assert (by_lesion.by, by_lesion.count, by_lesion.without_id) == (("lesion_id",), 6, 3)


def test_auto_takes_the_patient_where_it_is_known_and_the_lesion_elsewhere() -> None:
    listed = images(
        ids("p", "a"), ids("p", "b"), ids("q"), ids("", "c"), ids("", "c"), ids(), ids("", "b")
    )
    grouping = groups_of(listed)
    # The last image has the lesion b, which another line says is the patient p's.
    assert together(grouping.groups) == [[0, 1, 6], [2], [3, 4], [5]]
    assert grouping.by == ("patient_id", "lesion_id")
    assert grouping.note == (
        "folds: grouped by patient_id and lesion_id, 4 groups of 7 images; "
        "1 without an id, each for itself"
    )
    assert grouping.to_json() == {
        "by": ["patient_id", "lesion_id"],
        "groups": 4,
        "without_id": 1,
    }


@pytest.mark.parametrize("nobody", ["", " ", "\t", "unknown", "Unknown", " UNKNOWN "])
def test_an_id_that_says_nothing_is_no_patient(nobody: str) -> None:
    facts = {"patient_id": nobody, "lesion_id": nobody}
    grouping = groups_of(images(facts, facts, facts))
    assert (grouping.by, grouping.count) == ((), 3)
    with pytest.raises(UnusableInput, match="no image has a patient_id"):
        groups_of(images(facts, facts), "patient_id")
    mixed = groups_of(images(facts, facts, ids("p"), {"patient_id": " p "}, ids("q", nobody)))
    assert together(mixed.groups) == [[0], [1], [2, 3], [4]]
    assert mixed.without_id == 2


@pytest.mark.parametrize(
    ("facts", "by"),
    [
        ([ids("p"), ids("p")], ("patient_id",)),
        ([ids("", "a"), ids("", "a")], ("lesion_id",)),
        ([ids(), ids()], ()),
    ],
)
def test_auto_says_what_it_found(facts: list[dict[str, str]], by: tuple[str, ...]) -> None:
    grouping = groups_of(images(*facts))
    assert grouping.by == by
    assert grouping.count == (1 if by else 2)
    assert grouping.without_id == 0


def test_no_groups() -> None:
    grouping = groups_of(images(ids("p", "a"), ids("p", "a")), "none")
    assert (grouping.by, grouping.count) == ((), 2)
    assert grouping.note == "folds: no groups, every image for itself"


def test_a_patient_is_no_lesion_of_the_same_name() -> None:
    assert groups_of(images(ids("1"), ids("", "1"))).count == 2


@pytest.mark.parametrize("by", ["auto", "patient_id", "lesion_id", "none"])
def test_a_lesion_of_two_patients_is_refused(by: str) -> None:
    listed = images(ids("p", "a"), ids("", "a"), ids("q", "a"))
    with pytest.raises(UnusableInput) as caught:
        groups_of(listed, by)
    assert str(caught.value) == (
        "2.jpg: the lesion a is of the patient p in one line and of q in the line of this image; "
        "correct the ids in the manifest"
    )


@pytest.mark.parametrize("by", ["patient_id", "lesion_id"])
def test_a_column_that_is_not_filled(by: str) -> None:
    other = ids("", "a") if by == "patient_id" else ids("p")
    with pytest.raises(UnusableInput) as caught:
        groups_of(images(other, ids()), by)
    assert str(caught.value) == (
        f"no image has a {by}; fill the column {by} of the manifest, or pass --group none"
    )


def test_an_unknown_grouping_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"unknown grouping 'patient'; did you mean patient_id\?"):
        groups_of(images(ids()), "patient")
