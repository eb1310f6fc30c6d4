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
from lesionlite_runtime.contract import CLASSIFICATION, LABELS, REGRESSION
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
LIMITS_OF: Mapping[str, tuple[str, ...]] = {
    CLASSIFICATION: (*CLASSIFIER_LIMITS, "max_score_error"),
    LABELS: (*LABELS_LIMITS, "max_score_error"),
    REGRESSION: (
        *REGRESSION_LIMITS,
        "max_absolute_error",
        "mean_absolute_error",
        "mean_relative_error",
    ),
}
"""By task, what limits can be set on."""
LIMIT_NAMES = tuple(dict.fromkeys(name for names in LIMITS_OF.values() for name in names))
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
            if name in self.would_pass and self.failed(name)
        )
        passing = f"; `--limits {options}` would have passed" if options else ""
        return ProofFailed(
            "the proof failed: " + ", ".join(self.failures),
            f"choose another recipe{passing}",
            file,
        )

    def failed(self, name: str) -> bool:
        """Whether the limit ``name`` was not kept."""
        limit = self.limits[name]
        return limit is not None and self.would_pass.get(name, 0.0) > limit


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


def check_limits(limits: Iterable[str], task: str) -> None:
    """Refuse limits, by their names, that are not for models of ``task``.

    Raises:
        UsageError: when there is one.
    """
    for name in limits:
        if name not in LIMITS_OF[task]:
            raise UsageError(
                f"the limit {name} is not for this kind of model",
                f"pass {' or '.join(LIMITS_OF[task])}",
            )


def judge(parity: AnyParity, limits: Mapping[str, float | None], unscored: int = 0) -> Verdict:
    """The verdict on ``parity`` under ``limits``, over the defaults.

    Args:
        parity: the comparison.
        limits: by name; None takes one away.
        unscored: images that the file alone gave no score for; one is too many under any limits.

    Raises:
        UsageError: when a limit is not one of this kind of model.
    """
    measures = parity.measures()
    check_limits(limits, task_of(parity))
    in_force = {**default_limits(parity), **limits}
    would_pass = {name: value for name, value in measures.items() if value is not None}
    failures = tuple(
        f"{name} ({WORDS[name]}) is {would_pass[name]:.4g}, over its limit {limit:.4g}"
        for name, limit in in_force.items()
        if limit is not None and name in would_pass and would_pass[name] > limit
    )
    if unscored:
        failures = (unscored_sentence(unscored), *failures)
    return Verdict(not failures, in_force, would_pass, failures)


def unscored_sentence(unscored: int) -> str:
    """Why a file fails that gives no score for so many images."""
    return f"the file gives no score for {unscored} of the images that the reference scores"


def task_of(parity: AnyParity) -> str:
    """The task of the models that were compared, as it stands in contracts."""
    if isinstance(parity, ScoreParity):
        return CLASSIFICATION
    return LABELS if isinstance(parity, LabelScoreParity) else REGRESSION


def round_up(value: float) -> float:
    """``value`` to 3 digits, never below itself."""
    return float(Context(prec=3, rounding=ROUND_CEILING).create_decimal(repr(float(value))))
