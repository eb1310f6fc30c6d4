"""The gate: limits on what quantization may do, and the verdict."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context
from typing import Any

from lesionlite_export.labels_parity import LabelScoreParity
from lesionlite_export.parity import ScoreParity, ValueParity
from lesionlite_runtime.errors import ProofFailed, UsageError

AnyParity = ScoreParity | LabelScoreParity | ValueParity

# docs/recipes.md has the measurements that these come from, and the command that repeats them.
CLASSIFIER_LIMITS: Mapping[str, float] = {
    "flip_rate": 0.05,
    "newly_missed_rate": 0.05,
    "auc_difference": 0.02,
    "mean_score_error": 0.03,
}
LABELS_LIMITS: Mapping[str, float] = {
    "flip_rate": 0.05,
    "accuracy_difference": 0.02,
    "mean_score_error": 0.03,
}
REGRESSION_LIMITS: Mapping[str, float] = {"max_relative_error": 0.02}
UNGATED_BY_DEFAULT = (
    "max_score_error",
    "max_absolute_error",
    "mean_absolute_error",
    "mean_relative_error",
)
LIMIT_NAMES = tuple(
    dict.fromkeys((*CLASSIFIER_LIMITS, *LABELS_LIMITS, *REGRESSION_LIMITS, *UNGATED_BY_DEFAULT))
)
WORDS = {
    "flip_rate": "share of decisions flipped at the threshold",
    "newly_missed_rate": "share of the positives that Keras refers and the file does not",
    "auc_difference": "absolute difference of the AUC",
    "accuracy_difference": "absolute difference of the accuracy",
    "mean_score_error": "mean absolute error of the score",
    "max_score_error": "largest absolute error of the score",
    "max_absolute_error": "largest absolute error",
    "mean_absolute_error": "mean absolute error",
    "max_relative_error": "largest error relative to the largest |y|",
    "mean_relative_error": "mean error relative to the largest |y|",
}


@dataclass(frozen=True)
class Verdict:
    """Whether a comparison keeps its limits; true when it does.

    ``would_pass`` holds the smallest limits that would have passed.
    """

    passed: bool
    limits: Mapping[str, float | None]
    would_pass: Mapping[str, float]
    failures: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.passed

    def to_json(self) -> dict[str, Any]:
        """``passed``, ``limits`` and ``would_pass``."""
        return {
            "passed": self.passed,
            "limits": dict(self.limits),
            "would_pass": dict(self.would_pass),
        }

    def error(self, file: str) -> ProofFailed:
        """The sentence that says which limit failed, by how much, and what would have passed."""
        options = ",".join(
            f"{name}={round_up(self.would_pass[name]):g}"
            for name in self.limits
            if name in self.would_pass and self._failed(name)
        )
        return ProofFailed(
            "the proof failed: " + ", ".join(self.failures),
            f"choose another recipe; `--limits {options}` would have passed",
            file,
        )

    def _failed(self, name: str) -> bool:
        limit = self.limits[name]
        return limit is not None and self.would_pass[name] > limit


def default_limits(parity: AnyParity) -> dict[str, float | None]:
    """The limits that hold unless the user names others."""
    if isinstance(parity, ScoreParity):
        return dict(CLASSIFIER_LIMITS)
    return dict(LABELS_LIMITS if isinstance(parity, LabelScoreParity) else REGRESSION_LIMITS)


def parse_limits(
    texts: Iterable[str], names: Sequence[str] = LIMIT_NAMES, noun: str = "limit"
) -> dict[str, float | None]:
    """Limits from ``name=value`` texts, several in one by commas; ``name=none`` takes one away.

    Raises:
        UsageError: for a name that is not among ``names``, a missing or negative value; ``noun`` is
            what the message calls them.
    """
    limits: dict[str, float | None] = {}
    for part in (part.strip() for text in texts for part in text.split(",")):
        name, _, value = part.partition("=")
        if name not in names:
            near = difflib.get_close_matches(name, names, n=3) or names
            raise UsageError(f"there is no {noun} {name!r}", f"pass {' or '.join(near)}")
        try:
            number = None if value == "none" else float(value)
        except ValueError:
            number = math.nan
        if number is not None and not (number >= 0 and math.isfinite(number)):
            raise UsageError(f"the {noun} {part!r} has no number", f"pass {name}=0.01, say")
        limits[name] = number
    return limits


def judge(parity: AnyParity, limits: Mapping[str, float | None]) -> Verdict:
    """The verdict on ``parity`` under ``limits``, over the defaults.

    Raises:
        UsageError: when a limit is not one of this kind of model.
    """
    measures = parity.measures()
    for name in limits:
        if name not in measures:
            raise UsageError(
                f"the limit {name} is not for this kind of model",
                f"pass {' or '.join(measures)}",
            )
    in_force = {**default_limits(parity), **limits}
    would_pass = {name: value for name, value in measures.items() if value is not None}
    failures = tuple(
        f"{name} ({WORDS[name]}) is {would_pass[name]:.4g}, over its limit {limit:.4g}"
        for name, limit in in_force.items()
        if limit is not None and name in would_pass and would_pass[name] > limit
    )
    return Verdict(not failures, in_force, would_pass, failures)


def round_up(value: float) -> float:
    """``value`` to 3 digits, never below itself."""
    return float(Context(prec=3, rounding=ROUND_CEILING).create_decimal(repr(float(value))))
