"""The threshold: the one that its rule asks for, and the table of other ones."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from lesionlite_export.statistics import Labels, Scores, operating_point
from lesionlite_runtime.contract_checks import check_threshold
from lesionlite_runtime.contract_fields import Threshold
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_training.threshold import (
    Cost,
    Sensitivity,
    SensitivityBound,
    Specificity,
    Youden,
    choose_threshold,
    parse_rule,
)

Data = tuple[list[int], list[float]]


@st.composite
def labelled(draw: st.DrawFn) -> Data:
    """Both labels, and scores of all kinds: tied, tiny, next to each other."""
    close = st.sampled_from([0.0, 5e-324, 0.3, np.nextafter(0.3, 1), 0.30004, 0.30005, 1.0])
    score = st.one_of(close.map(float), st.floats(0, 1), st.integers(0, 10).map(lambda i: i / 10))
    rows = draw(st.lists(st.tuples(st.integers(0, 1), score), min_size=1, max_size=30))
    rows += [(1, draw(score)), (0, draw(score))]
    labels, scores = zip(*rows, strict=True)
    return list(labels), list(scores)


def arrays(data: Data) -> tuple[Labels, Scores]:
    return np.array(data[0], np.int64), np.array(data[1], np.float64)


def referred(labels: Labels, scores: Scores, threshold: float) -> tuple[int, int]:
    """(Cases, controls) at or above ``threshold``."""
    above = scores >= threshold
    return int(np.sum(labels[above] == 1)), int(np.sum(labels[above] == 0))


def agrees(labels: Labels, scores: Scores, chosen: Threshold, place: float) -> None:
    """Whether ``chosen`` decides as a threshold at the score ``place`` does."""
    assert 0 <= chosen.value <= 1
    assert ((scores >= chosen.value) == (scores >= place)).all()


EXAMPLES = settings(deadline=None, max_examples=200)
SHARES = st.sampled_from(["0.90", "1", "0.5", "0.07", "0.01", "0.333", "0.000000001", "0.95"])


@EXAMPLES
@given(labelled(), SHARES)
@example(([1, 0], [float(np.nextafter(0.3, 1)), 0.3]), "1")
@example(([1, 0], [5e-324, 0.0]), "1")
@example(([1] * 100, [i / 100 for i in range(100)]), "0.07")
@example(([1] * 5, [0.1, 0.2, 0.3, 0.4, 0.5]), "0.000000001")
def test_the_sensitivity_is_reached_and_no_higher_threshold_reaches_it(
    data: Data, asked: str
) -> None:
    labels, scores = arrays(data)

    def reaches(threshold: float) -> bool:
        return Fraction(referred(labels, scores, threshold)[0], labels.sum()) >= Fraction(asked)

    chosen = choose_threshold(labels, scores, f"sensitivity={asked}")
    assert reaches(chosen.value)
    # Decisions change at scores alone, so that the highest of them that reaches it is the highest.
    highest = max(score for score in scores if reaches(score))
    agrees(labels, scores, chosen, highest)
    assert not reaches(np.nextafter(highest, 2))


@EXAMPLES
@given(labelled(), SHARES)
def test_the_specificity_is_reached_and_no_lower_threshold_reaches_it(
    data: Data, asked: str
) -> None:
    labels, scores = arrays(data)
    controls = int(np.sum(labels == 0))

    def reaches(threshold: float) -> bool:
        alarms = referred(labels, scores, threshold)[1]
        return Fraction(controls - alarms, controls) >= Fraction(asked)

    places = [score for score in scores if reaches(score)]
    if not places:
        with pytest.raises(UnusableInput, match="is reached by referring no image at all"):
            choose_threshold(labels, scores, f"specificity={asked}")
        return
    chosen = choose_threshold(labels, scores, f"specificity={asked}")
    assert reaches(chosen.value)
    agrees(labels, scores, chosen, min(places))


@EXAMPLES
@given(labelled())
def test_youdens_index_is_the_largest_and_the_threshold_the_lowest_of_equal_ones(
    data: Data,
) -> None:
    labels, scores = arrays(data)
    cases, controls = int(labels.sum()), int(np.sum(labels == 0))

    def index(threshold: float) -> Fraction:
        found, alarms = referred(labels, scores, threshold)
        return Fraction(found, cases) - Fraction(alarms, controls)

    best = max(index(score) for score in scores)
    lowest = min(score for score in scores if index(score) == best)
    agrees(labels, scores, choose_threshold(labels, scores, "youden"), lowest)


@EXAMPLES
@given(labelled(), st.sampled_from(["10:1", "1:1", "0.5:3", "1:1000", "999999999.5:0.000000001"]))
def test_the_cost_is_the_least_and_the_threshold_the_lowest_of_equal_ones(
    data: Data, costs: str
) -> None:
    labels, scores = arrays(data)
    missed, alarm = map(Fraction, costs.split(":"))

    def cost(threshold: float) -> Fraction:
        found, alarms = referred(labels, scores, threshold)
        return missed * (int(labels.sum()) - found) + alarm * alarms

    least = min(cost(score) for score in scores)
    if cost(2.0) < least:
        with pytest.raises(UnusableInput, match="cheapest to refer no image at all"):
            choose_threshold(labels, scores, f"cost={costs}")
        return
    lowest = min(score for score in scores if cost(score) == least)
    agrees(labels, scores, choose_threshold(labels, scores, f"cost={costs}"), lowest)


def lower_bound(found: int, cases: int) -> float:
    """Of Clopper and Pearson's two-sided 95 % interval."""
    return float(beta.ppf(0.025, found, cases - found + 1)) if found else 0.0


@settings(deadline=None, max_examples=60)
@given(labelled(), st.sampled_from(["0.3", "0.05", "0.5", "0.75"]))
def test_the_lower_bound_is_reached_and_no_higher_threshold_reaches_it(
    data: Data, asked: str
) -> None:
    labels, scores = arrays(data)
    cases = int(labels.sum())

    def reaches(threshold: float) -> bool:
        return lower_bound(referred(labels, scores, threshold)[0], cases) >= float(asked)

    rule = f"sensitivity>={asked}@95%"
    places = [score for score in scores if reaches(score)]
    if not places:
        with pytest.raises(UnusableInput, match="the lower 95 % bound of the sensitivity is"):
            choose_threshold(labels, scores, rule)
        return
    chosen = choose_threshold(labels, scores, rule)
    assert chosen.sensitivity.low >= float(asked)
    agrees(labels, scores, chosen, max(places))


@pytest.mark.parametrize(
    ("asked", "enough"), [("0.90", 36), ("0.95", 72), ("0.5", 6), ("0.99", 368)]
)
def test_a_bound_out_of_reach_says_how_many_cases_are_needed(asked: str, enough: int) -> None:
    def choose(cases: int) -> Threshold:
        labels = np.repeat([1, 0], [cases, 3])
        return choose_threshold(labels, np.linspace(1, 0, cases + 3), f"sensitivity>={asked}@95%")

    with pytest.raises(UnusableInput) as caught:
        choose(enough - 1)
    best = lower_bound(enough - 1, enough - 1)
    assert str(caught.value) == (
        f"with {enough - 1} images labelled 1 the lower 95 % bound of the sensitivity is "
        f"{best:.4f} at most, and not {float(asked):g}; add such images up to {enough} at least, "
        "or ask for less"
    )
    assert choose(enough).sensitivity.value == 1


@settings(deadline=None, max_examples=50)
@given(labelled(), st.sampled_from(["sensitivity=0.90", "sensitivity=1", "youden", "cost=9:1"]))
def test_the_figures_are_those_at_the_threshold(data: Data, rule: str) -> None:
    labels, scores = arrays(data)
    try:
        chosen = choose_threshold(labels, scores, rule)
    except UnusableInput:
        assume(False)
    at = operating_point(labels, scores, chosen.value)
    assert (chosen.sensitivity, chosen.specificity) == (at.sensitivity, at.specificity)
    assert chosen.rule == rule
    assert chosen.chosen_on.kind == "out_of_fold"
    assert (chosen.chosen_on.n, chosen.chosen_on.positives) == (len(labels), int(labels.sum()))


@settings(deadline=None, max_examples=50)
@given(labelled(), st.sampled_from(["sensitivity=0.90", "youden", "cost=9:1"]))
def test_the_table_is_one_that_a_contract_takes(data: Data, rule: str) -> None:
    labels, scores = arrays(data)
    try:
        chosen = choose_threshold(labels, scores, rule)
    except UnusableInput:
        assume(False)
    check_threshold(chosen)
    assert chosen.table is not None
    for row in chosen.table:
        at = operating_point(labels, scores, row.threshold)
        assert (row.sensitivity, row.specificity) == (at.sensitivity, at.specificity)
    (marked,) = (row for row in chosen.table if row.threshold == chosen.value)
    assert (marked.sensitivity, marked.specificity) == (chosen.sensitivity, chosen.specificity)
    for asked in ("0.99", "0.925", "0.5"):  # the thresholds that these rules would have chosen
        other = choose_threshold(labels, scores, f"sensitivity={asked}").value
        assert other in [row.threshold for row in chosen.table]


def test_the_table_of_many_scores() -> None:
    labels = np.repeat([1, 0], 1000)
    scores = np.concatenate([np.linspace(0.2, 1, 1000), np.linspace(0, 0.8, 1000)])
    table = choose_threshold(labels, scores, "sensitivity=0.33").table
    assert table is not None
    assert [row.sensitivity.value for row in table] == [
        0.99, 0.98, 0.97, 0.95, 0.925, 0.9, 0.875, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5, 0.33,
    ]  # fmt: skip


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


@pytest.mark.parametrize(
    ("rule", "value", "sensitivity", "specificity"),
    [
        # Scores .9 .7 .4 of cases, .8 .5 .3 .1 of controls.
        ("sensitivity=0.6", 0.6, 2 / 3, 3 / 4),
        ("sensitivity>=0.05@95%", 0.6, 2 / 3, 3 / 4),
        ("specificity=0.75", 0.6, 2 / 3, 3 / 4),
        ("specificity=0.5", 0.35, 1, 1 / 2),
        ("specificity=1", 0.85, 1 / 3, 1),
        ("youden", 0.35, 1, 1 / 2),
        ("cost=1:1", 0.35, 1, 1 / 2),
        ("cost=1:3", 0.85, 1 / 3, 1),
        ("cost=10:1", 0.35, 1, 1 / 2),
    ],
)
def test_each_rule_by_hand(rule: str, value: float, sensitivity: float, specificity: float) -> None:
    labels = np.array([1, 1, 1, 0, 0, 0, 0])
    scores = np.array([0.9, 0.7, 0.4, 0.8, 0.5, 0.3, 0.1])
    chosen = choose_threshold(labels, scores, rule)
    assert chosen.value == pytest.approx(value, abs=1e-12)
    assert (chosen.sensitivity.value, chosen.specificity.value) == (sensitivity, specificity)


@pytest.mark.parametrize(
    ("labels", "rule", "label"),
    [
        ([0, 0], "sensitivity=0.9", 1),
        ([0, 0], "sensitivity>=0.9@95%", 1),
        ([1, 1], "specificity=0.9", 0),
        ([0, 0], "youden", 1),
        ([1, 1], "youden", 0),
        ([0, 0], "cost=1:1", 1),
        ([1, 1], "cost=1:1", 0),
    ],
)
def test_a_label_that_the_rule_needs_and_no_image_has(
    labels: list[int], rule: str, label: int
) -> None:
    with pytest.raises(UnusableInput) as caught:
        choose_threshold(np.array(labels), np.array([0.1, 0.2]), rule)
    assert str(caught.value) == (
        f"no image is labelled {label}; this rule for the threshold needs some"
    )


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("sensitivity=0.90", Sensitivity(Fraction(9, 10))),
        ("sensitivity=1", Sensitivity(Fraction(1))),
        ("sensitivity>=0.90@95%", SensitivityBound(Fraction(9, 10))),
        ("specificity=0.800000001", Specificity(Fraction(800000001, 10**9))),
        ("youden", Youden()),
        ("cost=10:1", Cost(Fraction(10), Fraction(1))),
        ("cost=0.5:2.25", Cost(Fraction(1, 2), Fraction(9, 4))),
    ],
)
def test_rules(text: str, rule: object) -> None:
    assert parse_rule(text) == rule


ALL_RULES = 'sensitivity=0.90 or "sensitivity>=0.90@95%", specificity=0.80, youden, cost=10:1'
SENSITIVITY = 'sensitivity=0.90 or "sensitivity>=0.90@95%"'


@pytest.mark.parametrize(
    ("rule", "hint"),
    [
        ("", ALL_RULES),
        ("0.9", ALL_RULES),
        ("accuracy=1", ALL_RULES),
        ("sensitivity", f"{SENSITIVITY}, in quotes for the shell"),
        *(
            (f"sensitivity{rest}", SENSITIVITY)
            for rest in (
                "=", "=0", "=0.0", "=-0.5", "=1.01", "=90", "=nan", "=inf", "=high", "=0.9 ",
                "= 0.9", "=.9", "=0.", "=0_1", "=1e-1", "=+0.9", "=\uff10.9", "=0.9\n", "==0.9",
                "=0.0000000001", ">=0.90", ">=0.90@90%", ">=1@95%", ">=0@95%", ">=0.9@95",
                ">0.9@95%", "=0.90@95%",
            )
        ),
        ("sensitivty=0.9", SENSITIVITY),
        ("specificity=0", "specificity=0.80"),
        ("specificity>=0.9@95%", "specificity=0.80"),
        ("Youden", "youden"),
        ("youden=1", "youden"),
        ("cost", "cost=10:1"),
        ("cost=10", "cost=10:1"),
        ("cost=0:1", "cost=10:1"),
        ("cost=1:0", "cost=10:1"),
        ("cost=1:2:3", "cost=10:1"),
        ("cost=-1:1", "cost=10:1"),
    ],
)  # fmt: skip
def test_other_rules_are_wrong_usage(rule: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rule(rule)
    quoted = hint if hint.endswith("shell") else f"{hint}, say"
    assert str(caught.value) == f"there is no threshold rule {rule!r}; pass {quoted}"
    with pytest.raises(UsageError):
        choose_threshold(np.array([1, 0]), np.array([0.9, 0.1]), rule)


WORDS = st.sampled_from(
    ["sensitivity", "specificity", "youden", "cost", "=", ">=", "@95%", ":", "1"]
)


@settings(deadline=None, max_examples=500)
@given(
    st.text()
    | st.lists(WORDS | st.text("0123456789.e-", max_size=4), max_size=5).map("".join)
    | st.from_regex(r"(sensitivity(>=)?|specificity|cost)=\d+(\.\d+)?(:\d+)?(@95%)?")
)
def test_any_text_is_a_rule_or_wrong_usage(text: str) -> None:
    try:
        rule = parse_rule(text)
    except UsageError:
        return
    numbers = list(vars(rule).values())
    assert all(isinstance(number, Fraction) and number > 0 for number in numbers)
    assert isinstance(rule, Cost) or all(number <= 1 for number in numbers)
