"""Scores at and around a threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlite_export.kit import rule
from lesionlite_runtime.result import NO_REFERRAL, REFER


@given(st.floats(0.001, 0.999), st.floats(0, 1, width=32))
def test_neighbours_part_the_float32_scores(threshold: float, score: float) -> None:
    below, above = rule.float32_neighbours(threshold)
    assert below < threshold <= above
    assert float(np.float32(below)) == below
    assert float(np.nextafter(np.float32(below), np.float32(2))) == above
    assert (score >= threshold) == (score >= above)


def test_the_cases_of_a_threshold() -> None:
    cases = {case.case: case.decision for case in rule.rule_cases(0.09206766119363655)}
    assert cases == {
        rule.AT: REFER,
        rule.BELOW: NO_REFERRAL,
        rule.ABOVE: REFER,
        rule.FLOAT32_BELOW: NO_REFERRAL,
        rule.FLOAT32_ABOVE: REFER,
        rule.ZERO: NO_REFERRAL,
        rule.ONE: REFER,
    }
    assert {case.case for case in rule.rule_cases(0.0)} == set(cases) - {
        rule.BELOW,
        rule.FLOAT32_BELOW,
    }


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        (0.09206766119363655, True),
        (float(np.float32(0.09206766119363655)), False),
        (rule.float32_neighbours(0.09206766119363655)[1], True),
        (0.5, False),
    ],
)
def test_a_threshold_that_was_rounded_down_decides_otherwise(other: float, alike: bool) -> None:
    assert rule.decide_alike(other, 0.09206766119363655) is alike
