"""A threshold by a stated rule, on out-of-fold scores."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from lesionlite_export.statistics import Labels, Scores, operating_point
from lesionlite_runtime.contract_fields import ChosenOn, Threshold
from lesionlite_runtime.errors import UnusableInput, UsageError

DEFAULT_RULE = "sensitivity=0.90"
OUT_OF_FOLD = "out_of_fold"


def parse_rule(rule: str) -> float:
    """The sensitivity that ``rule``, ``sensitivity=S`` with 0 < S <= 1, asks for.

    Raises:
        UsageError: for another rule.
    """
    name, _, value = rule.partition("=")
    try:
        wanted = float(value)
    except ValueError:
        wanted = 0.0
    if name != "sensitivity" or not 0 < wanted <= 1:
        raise UsageError(f"there is no threshold rule {rule!r}", f"pass {DEFAULT_RULE}, say")
    return wanted


def choose_threshold(labels: Labels, scores: Scores, rule: str = DEFAULT_RULE) -> Threshold:
    """The highest threshold whose sensitivity on ``scores`` is at least the rule's.

    It lies half-way between the score that must still be referred and the next one below, so that
    neither sits on the edge where rounding decides.

    Args:
        labels: int64 ``[n]``, 0 or 1.
        scores: float64 ``[n]``, 0 to 1, each from a model that did not see its image.
        rule: see `parse_rule`.

    Raises:
        UnusableInput: when there is no image labelled 1.
        UsageError: for an unknown rule.
    """
    wanted = parse_rule(rule)
    cases = np.sort(scores[labels == 1])[::-1]
    if not len(cases):
        raise UnusableInput("no image is labelled 1", "a threshold by sensitivity needs some")
    # In fractions: 0.07 * 100 is a hair above 7 in binary, and would ask for one case too many.
    needed = math.ceil(Fraction(repr(wanted)) * len(cases))
    lowest = float(cases[needed - 1])
    below = scores[scores < lowest]
    value = (lowest + float(below.max())) / 2 if len(below) else lowest
    if (scores[scores < lowest] >= value).any():  # nothing lies between two neighbouring floats
        value = lowest
    # Rounded for people, where that changes no decision.
    rounded = round(value, 4)
    if np.array_equal(scores >= rounded, scores >= lowest):
        value = rounded
    at = operating_point(labels, scores, value)
    return Threshold(
        value=value,
        rule=rule,
        chosen_on=ChosenOn(OUT_OF_FOLD, len(labels), len(cases)),
        sensitivity=at.sensitivity,
        specificity=at.specificity,
    )
