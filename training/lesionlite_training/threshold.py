"""A threshold by a stated rule, on out-of-fold scores, and the table of other ones."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.statistics import CONFIDENCE, Labels, Scores, operating_point, proportion
from lesionlite_runtime.contract_fields import ChosenOn, OperatingPoint, Threshold
from lesionlite_runtime.errors import UnusableInput, UsageError

DEFAULT_RULE = "sensitivity=0.90"
OUT_OF_FOLD = "out_of_fold"
EXAMPLES = {
    "sensitivity": f'{DEFAULT_RULE} or "sensitivity>=0.90@95%"',
    "specificity": "specificity=0.80",
    "youden": "youden",
    "cost": "cost=10:1",
}
TABLE_SENSITIVITIES = tuple(
    Fraction(thousandths, 1000)
    for thousandths in (990, 980, 970, 950, 925, 900, 875, 850, 800, 750, 700, 600, 500)
)
_NUMBER = r"([0-9]{1,9}(?:\.[0-9]{1,9})?)"
_SENSITIVITY = re.compile(f"sensitivity={_NUMBER}")
_BOUND = re.compile(f"sensitivity>={_NUMBER}@95%")
_SPECIFICITY = re.compile(f"specificity={_NUMBER}")
_COST = re.compile(f"cost={_NUMBER}:{_NUMBER}")


@dataclass(frozen=True)
class Curve:
    """What each score refers that could be the lowest one referred: those that occur.

    Attributes:
        scores: float64 ``[k]``, descending, each once.
        cases: int64 ``[k]``, images labelled 1 with that score or a higher one.
        controls: int64 ``[k]``, images labelled 0 likewise.
    """

    scores: Scores
    cases: NDArray[np.int64]
    controls: NDArray[np.int64]

    @property
    def n_cases(self) -> int:
        """Images labelled 1."""
        return int(self.cases[-1])

    @property
    def n_controls(self) -> int:
        """Images labelled 0."""
        return int(self.controls[-1])


@dataclass(frozen=True)
class Sensitivity:
    """The highest threshold whose sensitivity is ``wanted`` (over 0, up to 1) at least."""

    wanted: Fraction

    def place(self, curve: Curve) -> int:
        """Index of the lowest score that is referred."""
        _need(curve.n_cases, 1)
        # In fractions: 0.07 * 100 is a hair above 7 in binary, and would ask for one case too many.
        return int(np.searchsorted(curve.cases, math.ceil(self.wanted * curve.n_cases)))


@dataclass(frozen=True)
class SensitivityBound:
    """The highest threshold whose sensitivity's lower 95 % bound is ``wanted`` (0 to 1) at least.

    The bound is the lower end of the two-sided 95 % interval by Clopper and Pearson, as everywhere
    here.
    """

    wanted: Fraction

    def place(self, curve: Curve) -> int:
        """Index of the lowest score that is referred."""
        n, wanted = curve.n_cases, float(self.wanted)
        _need(n, 1)
        best = proportion(n, n).low
        if best < wanted:
            # With all n referred, the bound is (1 - CONFIDENCE) / 2 to the power of 1 / n.
            enough = math.ceil(math.log((1 - CONFIDENCE) / 2) / math.log(wanted))
            raise UnusableInput(
                f"with {n} images labelled 1 the lower 95 % bound of the sensitivity is "
                f"{best:.4f} at most, and not {wanted:g}",
                f"add such images up to {enough} at least, or ask for less",
            )
        low, high = 0, n
        while low < high:
            middle = (low + high) // 2
            if proportion(middle, n).low >= wanted:
                high = middle
            else:
                low = middle + 1
        return int(np.searchsorted(curve.cases, low))


@dataclass(frozen=True)
class Specificity:
    """The lowest threshold whose specificity is ``wanted`` (over 0, up to 1) at least."""

    wanted: Fraction

    def place(self, curve: Curve) -> int:
        """Index of the lowest score that is referred."""
        n = curve.n_controls
        _need(n, 0)
        allowed = n - math.ceil(self.wanted * n)
        place = int(np.searchsorted(curve.controls, allowed, side="right")) - 1
        if place < 0:
            raise UnusableInput(
                f"a specificity of {float(self.wanted):g} is reached by referring no image at all",
                "ask for less",
            )
        return place


@dataclass(frozen=True)
class Youden:
    """The threshold with the largest sensitivity + specificity - 1 (Youden 1950, Cancer 3:32).

    Of equal ones it is the lowest, which misses the fewest cases.
    """

    def place(self, curve: Curve) -> int:
        """Index of the lowest score that is referred."""
        _need(curve.n_cases, 1)
        _need(curve.n_controls, 0)
        index = curve.cases * curve.n_controls - curve.controls * curve.n_cases
        return _last(index.tolist(), int(index.max()))


@dataclass(frozen=True)
class Cost:
    """The threshold with the least ``missed`` per missed case + ``alarm`` per false alarm.

    Both are over 0; cases and controls count as often as they occur. Of equal ones it is the
    lowest, which misses the fewest cases.
    """

    missed: Fraction
    alarm: Fraction

    def place(self, curve: Curve) -> int:
        """Index of the lowest score that is referred."""
        n = curve.n_cases
        _need(n, 1)
        _need(curve.n_controls, 0)
        costs = [
            self.missed * (n - case) + self.alarm * control
            for case, control in zip(curve.cases.tolist(), curve.controls.tolist(), strict=True)
        ]
        least = min(costs)
        if self.missed * n < least:
            raise UnusableInput(
                "at these costs it is cheapest to refer no image at all",
                "give a missed case a higher cost",
            )
        return _last(costs, least)


Rule = Sensitivity | SensitivityBound | Specificity | Youden | Cost


def parse_rule(rule: str) -> Rule:
    """The rule that a text names, numbers as plain decimals (``0.90``, ``10``).

    ``sensitivity=S``, ``sensitivity>=S@95%``, ``specificity=S``, ``youden`` or ``cost=FN:FP``.

    Raises:
        UsageError: for another text.
    """
    parsed: Rule | None = None
    if match := _SENSITIVITY.fullmatch(rule):
        wanted = Fraction(match[1])
        parsed = Sensitivity(wanted) if 0 < wanted <= 1 else None
    elif match := _BOUND.fullmatch(rule):
        wanted = Fraction(match[1])
        parsed = SensitivityBound(wanted) if 0 < wanted < 1 else None
    elif match := _SPECIFICITY.fullmatch(rule):
        wanted = Fraction(match[1])
        parsed = Specificity(wanted) if 0 < wanted <= 1 else None
    elif match := _COST.fullmatch(rule):
        missed, alarm = Fraction(match[1]), Fraction(match[2])
        parsed = Cost(missed, alarm) if missed > 0 < alarm else None
    elif rule == "youden":
        parsed = Youden()
    if parsed is None:
        raise UsageError(f"there is no threshold rule {rule!r}", _hint(rule))
    return parsed


def choose_threshold(labels: Labels, scores: Scores, rule: str = DEFAULT_RULE) -> Threshold:
    """The threshold that ``rule`` chooses on ``scores``, with its figures and the table.

    It lies half-way between the lowest score that is referred and the next one below, so that
    neither sits on the edge where rounding decides.

    Args:
        labels: int64 ``[n]``, 0 or 1.
        scores: float64 ``[n]``, 0 to 1, each from a model that did not see its image.
        rule: see `parse_rule`.

    Raises:
        UnusableInput: when a label that the rule needs has no image, or no threshold keeps it.
        UsageError: for an unknown rule.
    """
    parsed = parse_rule(rule)
    curve = curve_of(labels, scores)
    chosen = parsed.place(curve)
    at = _operating_point(labels, scores, curve, chosen)
    return Threshold(
        value=at.threshold,
        rule=rule,
        chosen_on=ChosenOn(OUT_OF_FOLD, len(labels), curve.n_cases),
        sensitivity=at.sensitivity,
        specificity=at.specificity,
        table=_table(labels, scores, curve, chosen),
    )


def curve_of(labels: Labels, scores: Scores) -> Curve:
    """The curve of ``scores`` (one at least)."""
    distinct, place = np.unique(-scores, return_inverse=True)
    cases = np.bincount(place, labels == 1, len(distinct))
    controls = np.bincount(place, labels != 1, len(distinct))
    return Curve(-distinct, cases.cumsum().astype(np.int64), controls.cumsum().astype(np.int64))


def _table(labels: Labels, scores: Scores, curve: Curve, chosen: int) -> tuple[OperatingPoint, ...]:
    """The chosen threshold and those of `TABLE_SENSITIVITIES`, the lowest first."""
    places = {chosen}
    if curve.n_cases:
        places.update(Sensitivity(wanted).place(curve) for wanted in TABLE_SENSITIVITIES)
    return tuple(
        _operating_point(labels, scores, curve, place) for place in sorted(places, reverse=True)
    )


def _operating_point(labels: Labels, scores: Scores, curve: Curve, place: int) -> OperatingPoint:
    value = _between(curve.scores, place)
    at = operating_point(labels, scores, value)
    return OperatingPoint(value, at.sensitivity, at.specificity)


def _between(scores: Scores, place: int) -> float:
    """A threshold that refers ``scores[place]`` and no lower one; ``scores`` descend."""
    lowest = float(scores[place])
    below = float(scores[place + 1]) if place + 1 < len(scores) else -math.inf
    value = (lowest + below) / 2 if below >= 0 else lowest
    if value <= below:  # nothing lies between two neighbouring floats
        value = lowest
    # Rounded for people, where that changes no decision.
    rounded = round(value, 4)
    return rounded if below < rounded <= lowest else value


def _last(values: list[int] | list[Fraction], value: int | Fraction) -> int:
    return max(i for i, item in enumerate(values) if item == value)


def _need(count: int, label: int) -> None:
    if not count:
        raise UnusableInput(
            f"no image is labelled {label}", "this rule for the threshold needs some"
        )


def _hint(rule: str) -> str:
    name = re.split("[>=]", rule, maxsplit=1)[0]
    if name == rule == "sensitivity":
        return f"pass {EXAMPLES[name]}, in quotes for the shell"
    near = [name] if name in EXAMPLES else difflib.get_close_matches(name, EXAMPLES, n=1)
    return f"pass {', '.join(EXAMPLES[name] for name in near or EXAMPLES)}, say"
