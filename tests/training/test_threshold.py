"""The threshold: the highest one that keeps the sensitivity that its rule asks for."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lesionlite_export.statistics import operating_point
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_training.threshold import choose_threshold, parse_rule

Data = tuple[list[int], list[float]]


@st.composite
def labelled(draw: st.DrawFn) -> Data:
    """Labels with one case at least, and scores of all kinds: tied, tiny, next to each other."""
    close = st.sampled_from([0.0, 5e-324, 0.3, np.nextafter(0.3, 1), 0.30004, 0.30005, 1.0])
    score = st.one_of(close.map(float), st.floats(0, 1), st.integers(0, 10).map(lambda i: i / 10))
    rows = draw(st.lists(st.tuples(st.integers(0, 1), score), min_size=1, max_size=30))
    rows.append((1, draw(score)))
    labels, scores = zip(*rows, strict=True)
    return list(labels), list(scores)


@settings(deadline=None, max_examples=500)
@given(labelled(), st.sampled_from(["0.90", "1", "0.5", "0.07", "0.01", "0.333", "1e-9", "0.95"]))
@example(([1, 0], [float(np.nextafter(0.3, 1)), 0.3]), "1")
@example(([1, 0], [5e-324, 0.0]), "1")
@example(([1] * 100, [i / 100 for i in range(100)]), "0.07")
@example(([1] * 5, [0.1, 0.2, 0.3, 0.4, 0.5]), "1e-9")
def test_the_sensitivity_is_reached_and_no_higher_threshold_reaches_it(
    data: Data, asked: str
) -> None:
    labels, scores = np.array(data[0], np.int64), np.array(data[1], np.float64)
    cases = scores[labels == 1]

    def reaches(threshold: float) -> bool:
        referred = int(np.sum(cases >= threshold))
        return Fraction(referred, len(cases)) >= Fraction(asked)

    chosen = choose_threshold(labels, scores, f"sensitivity={asked}")
    assert 0 <= chosen.value <= 1
    assert reaches(chosen.value)
    # Decisions change at scores alone, so that the highest of them that reaches it is the highest.
    highest = max(score for score in scores if reaches(score))
    assert ((scores >= chosen.value) == (scores >= highest)).all()
    assert not reaches(np.nextafter(highest, 2))


@settings(deadline=None)
@given(labelled())
def test_the_figures_are_those_at_the_threshold(data: Data) -> None:
    labels, scores = np.array(data[0], np.int64), np.array(data[1], np.float64)
    chosen = choose_threshold(labels, scores)
    at = operating_point(labels, scores, chosen.value)
    assert (chosen.sensitivity, chosen.specificity) == (at.sensitivity, at.specificity)
    assert chosen.rule == "sensitivity=0.90"
    assert chosen.chosen_on.kind == "out_of_fold"
    assert (chosen.chosen_on.n, chosen.chosen_on.positives) == (len(labels), int(labels.sum()))


@pytest.mark.parametrize(
    ("labels", "scores", "rule", "value"),
    [
        # Half-way between the last case that is needed and the next score below, whosever it is.
        ([1, 1, 0, 0], [0.8, 0.6, 0.5, 0.1], "sensitivity=1", 0.55),
        ([1, 1, 0, 0], [0.8, 0.6, 0.5, 0.1], "sensitivity=0.5", 0.7),
        ([1, 1, 0, 0], [0.8, 0.4, 0.5, 0.1], "sensitivity=0.5", 0.65),
        # Tied cases are referred together.
        ([1, 1, 1, 0], [0.6, 0.6, 0.2, 0.1], "sensitivity=0.3", 0.4),
        ([1, 0], [0.5, 0.5], "sensitivity=1", 0.5),
        # 9 of 10, exactly as asked.
        ([1] * 10, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0], "sensitivity=0.9", 0.15),
        ([1] * 10, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0], "sensitivity=0.901", 0.1),
        # Rounded to four digits for people ...
        ([1, 0], [2 / 3, 1 / 3], "sensitivity=1", 0.5),
        ([1, 0], [0.7123456, 0.1], "sensitivity=1", 0.4062),
        # ... unless that changed a decision.
        ([1, 0], [0.30004, 0.30003], "sensitivity=1", 0.300035),
    ],
)
def test_by_hand(labels: list[int], scores: list[float], rule: str, value: float) -> None:
    chosen = choose_threshold(np.array(labels), np.array(scores), rule)
    assert chosen.value == pytest.approx(value, abs=1e-12)


def test_controls_alone_have_no_threshold() -> None:
    with pytest.raises(UnusableInput, match="no image is labelled 1"):
        choose_threshold(np.array([0, 0]), np.array([0.1, 0.2]))


def test_rules() -> None:
    assert parse_rule("sensitivity=0.90") == 0.9
    assert parse_rule("sensitivity=1") == 1.0


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "sensitivity",
        "sensitivity=",
        "sensitivity=0",
        "sensitivity=-0.5",
        "sensitivity=1.01",
        "sensitivity=90",
        "sensitivity=nan",
        "sensitivity=inf",
        "sensitivity=high",
        "specificity=0.9",
        "youden",
        "0.9",
    ],
)
def test_other_rules_are_wrong_usage(rule: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rule(rule)
    assert str(caught.value) == (f"there is no threshold rule {rule!r}; pass sensitivity=0.90, say")
    with pytest.raises(UsageError):
        choose_threshold(np.array([1, 0]), np.array([0.9, 0.1]), rule)
