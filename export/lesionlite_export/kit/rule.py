"""Scores at and around a threshold, and what is to be decided on each.

No image can be drawn whose score is the threshold itself, which is seldom a float32 at all. So a
port is asked for these decisions as well.
"""

from __future__ import annotations

import math

import numpy as np

from lesionlite_export.kit.manifest import RuleCase
from lesionlite_runtime.result import NO_REFERRAL, REFER

AT, BELOW, ABOVE = "at the threshold", "next below", "next above"
FLOAT32_BELOW, FLOAT32_ABOVE = "last float32 below", "first float32 not below"
ZERO, ONE = "zero", "one"


def rule_cases(threshold: float) -> tuple[RuleCase, ...]:
    """The cases for ``threshold``, 0 to 1."""
    below, above = float32_neighbours(threshold)
    scores = {
        AT: threshold,
        BELOW: math.nextafter(threshold, -1),
        ABOVE: math.nextafter(threshold, 2),
        FLOAT32_BELOW: below,
        FLOAT32_ABOVE: above,
        ZERO: 0.0,
        ONE: 1.0,
    }
    return tuple(
        RuleCase(case, score, decision(score, threshold))
        for case, score in scores.items()
        if 0 <= score <= 1
    )


def decision(score: float, threshold: float) -> str:
    """``refer`` for a score that is not below the threshold."""
    return REFER if score >= threshold else NO_REFERRAL


def float32_neighbours(threshold: float) -> tuple[float, float]:
    """The last float32 below ``threshold``, and the first that is not below it."""
    nearest = np.float32(threshold)
    if float(nearest) < threshold:
        return float(nearest), float(np.nextafter(nearest, np.float32(2)))
    return float(np.nextafter(nearest, np.float32(-1))), float(nearest)


def decide_alike(one: float, other: float) -> bool:
    """Whether two thresholds decide alike on every float32 score."""
    return float32_neighbours(one) == float32_neighbours(other)
