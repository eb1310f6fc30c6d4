"""How well scores tell labels apart, and when that is no chance."""

from __future__ import annotations

import numpy as np
import pytest

from lesionlite_export.separation import separation_of

RNG = np.random.default_rng(0)
HALF = np.repeat([0, 1], 32)


def noisy(strength: float, n: int = 32, seed: int = 0) -> np.ndarray:
    """Scores of n images of each of two labels, ``strength`` deviations apart."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, 2 * n) + strength * np.repeat([0, 1], n)


def rows(labels: np.ndarray, right: float, n: int = 7, seed: int = 0) -> np.ndarray:
    """Scores of n labels, of which a share ``right`` is highest for the label itself."""
    rng = np.random.default_rng(seed)
    shown = np.where(rng.random(len(labels)) < right, labels, rng.integers(0, n, len(labels)))
    return np.eye(n)[shown] * 0.5 + rng.random((len(labels), n)) * 0.1


def test_the_value_is_an_auc_or_an_accuracy() -> None:
    assert separation_of(np.array([0.1, 0.2, 0.9]), np.array([0, 0, 1])).value == 1
    assert separation_of(np.array([0.5, 0.5]), np.array([0, 1])).value == 0.5
    assert separation_of(np.array([0.1, 0.9]), np.array([1, 1])).value == 0.5
    scores = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1]])
    assert separation_of(scores, np.array([0, 1, 2])).value == pytest.approx(2 / 3)


def test_a_clear_difference_is_refused_a_slight_one_warned_and_none_passes() -> None:
    clear, slight = separation_of(noisy(2), HALF), separation_of(noisy(0), HALF)
    assert clear.against(slight) == "refused"
    assert slight.against(clear) is None
    assert clear.against(clear) is None
    flat = separation_of(np.full(64, 0.3), HALF)
    assert clear.against(flat) == "refused"
    assert clear.significant
    assert not flat.significant


def test_chance_alone_is_hardly_ever_taken_for_a_difference() -> None:
    verdicts = [
        separation_of(noisy(1, seed=s), HALF).against(separation_of(noisy(1, seed=s + 999), HALF))
        for s in range(300)
    ]
    assert verdicts.count("refused") <= 2
    assert verdicts.count("warned") <= 6


def test_of_few_images_nothing_is_concluded() -> None:
    labels = np.array([0, 0, 1])
    good, bad = (separation_of(np.array(s), labels) for s in ([0.1, 0.2, 0.9], [0.9, 0.8, 0.1]))
    assert good.against(bad) is None
    one = separation_of(noisy(2), np.zeros(64, np.int64))
    assert one.against(separation_of(noisy(0), np.zeros(64, np.int64))) is None
    assert not one.significant
    assert one.better_order() is None


def test_two_labels_the_wrong_way_round() -> None:
    assert separation_of(noisy(-1.5), HALF).better_order() == (1, 0)
    assert separation_of(noisy(1.5), HALF).better_order() is None
    assert separation_of(noisy(-0.2), HALF).better_order() is None


def test_several_labels_in_another_order() -> None:
    labels = np.tile(np.arange(7), 18)
    order = np.array([3, 0, 1, 2, 6, 5, 4])
    scores = rows(labels, 0.7)
    assert separation_of(scores, labels).better_order() is None
    turned = separation_of(scores[:, order], labels)
    assert turned.better_order() == tuple(order)
    assert separation_of(rows(labels, 0.0), labels).better_order() is None
    assert turned.value < 0.3


def test_several_labels_told_apart_better() -> None:
    labels = np.tile(np.arange(7), 18)
    good, poor = separation_of(rows(labels, 0.8), labels), separation_of(rows(labels, 0.1), labels)
    assert good.against(poor) == "refused"
    assert poor.against(good) is None
    assert good.significant
    assert not separation_of(np.full((126, 7), 0.1), labels).significant
    assert good.in_words().startswith("accuracy 0.")
