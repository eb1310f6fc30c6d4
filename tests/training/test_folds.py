"""Folds: scikit-learn's without groups, and no patient or lesion in two of them with groups."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

from lesionlite_export.statistics import Labels
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_training.folds import assign_folds, check_folds


@pytest.mark.parametrize(("n", "folds", "seed"), [(60, 5, 0), (61, 4, 7), (1966, 5, 0), (10, 2, 3)])
def test_without_groups_they_are_scikit_learns(n: int, folds: int, seed: int) -> None:
    labels = np.random.default_rng(n).permutation((np.arange(n) % 4 == 0).astype(np.int64))
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    wanted = np.zeros(n, np.int64)
    for number, (_, outside) in enumerate(splitter.split(labels, labels)):
        wanted[outside] = number
    assert np.array_equal(assign_folds(labels, folds, seed), wanted)


def grouped_labels(seed: int = 0) -> tuple[Labels, list[str]]:
    """400 images of 150 patients, a fifth of them cases; the labels of a patient go together."""
    generator = np.random.default_rng(seed)
    patient = generator.integers(0, 150, 400)
    likely = generator.uniform(0, 0.4, 150)
    labels = (generator.uniform(size=400) < likely[patient]).astype(np.int64)
    return labels, [f"p{i}" for i in patient]


@pytest.mark.parametrize("seed", range(5))
def test_a_group_stays_in_one_fold_and_the_folds_stay_alike(seed: int) -> None:
    labels, groups = grouped_labels()
    folds = assign_folds(labels, 5, seed, groups)
    assert folds.dtype == np.int64
    assert set(folds.tolist()) == {0, 1, 2, 3, 4}
    for group in set(groups):
        assert len({fold for fold, g in zip(folds, groups, strict=True) if g == group}) == 1
    sizes, cases = np.bincount(folds), np.bincount(folds, labels)
    # Groups dealt without a look at the labels give folds of 8 to 24 cases.
    assert np.ptp(cases) <= 3
    assert np.ptp(sizes) <= 12


def test_the_seed_deals_the_groups() -> None:
    labels, groups = grouped_labels()
    first, again, other = (assign_folds(labels, 5, seed, groups) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=1, max_size=40),
    st.integers(2, 6),
    st.integers(0, 2**31 - 1),
)
def test_any_groups_are_dealt_or_refused_in_one_sentence(
    rows: list[tuple[int, int]], folds: int, seed: int
) -> None:
    labels, groups = np.array([row[0] for row in rows]), [str(row[1]) for row in rows]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            fold_of = assign_folds(labels, folds, seed, groups)
        except UnusableInput:
            return
    pairs = set(zip(groups, fold_of.tolist(), strict=True))
    assert len(pairs) == len(set(groups))
    for fold in range(folds):
        assert set(labels[fold_of == fold]) == {0, 1}


@pytest.mark.parametrize("folds", [1, 0, -1])
def test_one_fold_is_none(folds: int) -> None:
    with pytest.raises(UsageError, match=f"{folds} folds are too few; pass 2 or more"):
        assign_folds(np.array([0, 1, 0, 1]), folds, 0)


@pytest.mark.parametrize(
    ("labels", "groups", "message"),
    [
        ([0] * 6, None, "no image is labelled 1; folds need images of both labels"),
        ([1] * 6, "abcdef", "no image is labelled 0; folds need images of both labels"),
        (
            [0, 0, 0, 0, 1, 1],
            None,
            "one label has 2 images, fewer than the 3 folds; add images, or pass fewer --folds",
        ),
        (
            [0, 0, 0, 1, 1, 1],
            "abcdde",
            "one label has 2 groups, fewer than the 3 folds; add images, or pass fewer --folds",
        ),
    ],
)
def test_too_little_for_the_folds(labels: list[int], groups: str | None, message: str) -> None:
    with pytest.raises(UnusableInput) as caught:
        assign_folds(np.array(labels), 3, 0, None if groups is None else list(groups))
    assert str(caught.value) == message


def test_as_many_images_as_folds_are_enough() -> None:
    folds = assign_folds(np.array([0, 0, 0, 0, 1, 1, 1]), 3, 0)
    assert np.bincount(folds[4:]).tolist() == [1, 1, 1]
    grouped = assign_folds(np.array([0, 0, 0, 1, 1, 1]), 3, 0, list("abcabc"))
    assert sorted(grouped[:3]) == [0, 1, 2]
    assert np.array_equal(grouped[:3], grouped[3:])


def test_folds_that_no_honest_score_comes_from() -> None:
    labels = np.array([0, 1, 0, 1])
    check_folds(labels, np.array([0, 0, 1, 1]), list("aabb"))
    with pytest.raises(UnusableInput) as caught:
        check_folds(labels, np.array([0, 0, 1, 1]), ["a", "b\n", "c", "b\n"])
    assert str(caught.value) == (
        "the group 'b\\n' stands in two folds, 0 and 1; put all its images into one"
    )
    with pytest.raises(UnusableInput) as caught:
        check_folds(labels, np.array([0, 0, 0, 1]))
    assert str(caught.value) == (
        "fold 1 has no image labelled 0; pass fewer --folds, or another --seed"
    )
