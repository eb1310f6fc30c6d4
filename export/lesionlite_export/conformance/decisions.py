"""Whether a port decides by the file's threshold, as ``score >= threshold``."""

from __future__ import annotations

from collections.abc import Sequence

from lesionlite_export.conformance.results import Results, stated
from lesionlite_export.kit import rule
from lesionlite_export.kit.manifest import Kit
from lesionlite_export.kit.rule import decide_alike, decision
from lesionlite_runtime.result import NO_REFERRAL, REFER

Decided = Sequence[tuple[float, str]]
"""Scores, and what a port decided on each."""
_GREATER = "a score that is the threshold itself is not referred: it compares with > in place of >="


def threshold_fault(
    kit: Kit, results: Results, rounding: float
) -> tuple[str, tuple[str, ...]] | None:
    """What is wrong about the threshold, and in which images; None where nothing is.

    A decision on a score that was rounded is not judged within ``rounding`` of the threshold: not
    on one that rounding made the threshold itself, either.
    """
    return (
        _stated_fault(kit, results)
        or _decided_fault(kit, results, rounding)
        or _rule_fault(kit, results)
    )


def is_tested(results: Results) -> bool:
    """Whether there is anything about the threshold to judge."""
    return bool(results.cases) or any(
        returned.line.decision is not None and returned.score is not None
        for returned in results.images.values()
    )


def _stated_fault(kit: Kit, results: Results) -> tuple[str, tuple[str, ...]] | None:
    for threshold, images in stated(results, "threshold").items():
        if decide_alike(threshold, kit.threshold):
            continue
        rounded = rule.float32_neighbours(kit.threshold)[0] == threshold
        why = "; it was rounded down to a float32: round up" if rounded else ""
        return (
            f"the threshold is {threshold!r}, and the file's {kit.threshold!r}{why}",
            tuple(images),
        )
    return None


def _decided_fault(
    kit: Kit, results: Results, rounding: float
) -> tuple[str, tuple[str, ...]] | None:
    """A decision that does not follow from the port's own score."""
    decided: dict[str, tuple[float, str]] = {}
    for image, returned in results.images.items():
        if returned.score is None or (rounding and abs(returned.score - kit.threshold) <= rounding):
            continue
        if returned.line.decision is not None:
            decided[image] = (returned.score, returned.line.decision)
    wrong = [image for image, (s, d) in decided.items() if d != decision(s, kit.threshold)]
    if not wrong:
        return None
    return _why(list(decided.values()), kit.threshold), tuple(wrong)


def _rule_fault(kit: Kit, results: Results) -> tuple[str, tuple[str, ...]] | None:
    expected = {case.case: case for case in kit.rule}
    given = {name: line.decision for name, line in results.cases.items()}
    wrong = [name for name, decided in given.items() if decided != expected[name].decision]
    if not wrong:
        return None
    shown = ", ".join(wrong)
    decided = [(expected[name].score, str(decided)) for name, decided in given.items()]
    return f"{_rule_why(wrong, decided, kit.threshold)} (cases: {shown})", ()


def _rule_why(wrong: Sequence[str], decided: Decided, threshold: float) -> str:
    below, above = rule.float32_neighbours(threshold)
    if set(wrong) <= {rule.FLOAT32_BELOW, rule.BELOW} and rule.FLOAT32_BELOW in wrong:
        return f"the threshold was rounded down to a float32 ({below!r}): round up, to {above!r}"
    return _why(decided, threshold)


def _why(decided: Decided, threshold: float) -> str:
    """What a port does that decides so."""
    wrong = [(score, d) for score, d in decided if d != decision(score, threshold)]
    if all(score == threshold and d == NO_REFERRAL for score, d in wrong):
        return _GREATER
    referred = [score for score, d in decided if d == REFER]
    others = [score for score, d in decided if d == NO_REFERRAL]
    if not others:
        return "everything is referred"
    if not referred:
        return f"nothing is referred, not even a score of {max(others):.4g}"
    if max(others) < min(referred):
        return (
            f"the decisions are those of a threshold between {max(others):.6g} and "
            f"{min(referred):.6g}, and the file's is {threshold:.6g}"
        )
    if max(referred) < min(others):
        return "the decisions are turned round: scores below the threshold are referred"
    return "the decisions do not follow from the scores: no threshold gives them"


def flips(kit: Kit, results: Results) -> list[str]:
    """Images that came back with another decision than the one recorded."""
    return [
        image.name
        for image in kit.images
        if image.name in results.images
        and results.images[image.name].line.decision not in (None, image.decision)
    ]
