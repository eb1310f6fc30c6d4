"""The judgement: pixels first, then scores, then decisions; the first wrong stage is named."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from lesionlite_export.conformance.decisions import flips, threshold_fault
from lesionlite_export.conformance.findings import in_order, pixel_findings, score_findings
from lesionlite_export.conformance.pixels import (
    DIGEST,
    EQUAL,
    UNJUDGED,
    WITHIN,
    WRONG,
    PixelCheck,
    PixelJudge,
    sizes_swapped,
)
from lesionlite_export.conformance.results import Results, read_results, stated
from lesionlite_export.conformance.scores import Judged, choose_family, in_other_kernels
from lesionlite_export.conformance.stage_status import stage_statuses
from lesionlite_export.conformance.verdict import (
    BY_DECISIONS,
    BY_PIXELS,
    BY_STATEMENT,
    Conformance,
    Differences,
    Finding,
)
from lesionlite_export.kit.manifest import Kit, KitFolder, read_kit
from lesionlite_export.kit.photo import JPEG
from lesionlite_export.kit.stages import DELEGATE, MODEL, ORIENTATION, THRESHOLD

_SHOWN = 6


def judge_results(
    results: str | os.PathLike[str],
    kit: str | os.PathLike[str],
    *,
    family: str | None = None,
) -> Conformance:
    """Judge the results file of a port that ran a kit.

    Args:
        results: JSON Lines; docs/conformance.md has the fields.
        kit: folder of the kit.
        family: the family of backends to judge by; by default that of the backend that the results
            name, or the one that the scores fit.

    Raises:
        UnusableInput: when the kit or the results cannot be used as a whole.
        UsageError: for an unknown family.
    """
    folder = read_kit(kit)
    return _conformance(folder, read_results(results, folder.kit), family)


def _conformance(folder: KitFolder, results: Results, family: str | None) -> Conformance:
    kit = folder.kit
    judge = PixelJudge(folder, results.problems)
    checks = {
        image.name: check
        for image in kit.images
        if image.name in results.images
        for check in [judge.check(image, results.images[image.name])]
        if check is not None
    }
    proven = {name for name, check in checks.items() if check.is_proof}
    wrong = {name for name, check in checks.items() if check.status == WRONG}
    unlike = {image.name for image in kit.images} - proven
    judged = choose_family(kit, results, unlike, family)
    findings = [
        *_model_finding(kit, results),
        *pixel_findings(kit, results, checks, judge.mistakes),
    ]
    findings += _swapped_finding(kit, results, findings)
    unread = _unread(results, checks, findings)
    if not any(finding.stage == MODEL for finding in findings):
        passed_over = wrong | unread
        of_scores, wrong_scores = score_findings(kit, results, judged, passed_over, unlike)
        if judged.is_guess and not all(finding.exact for finding in of_scores):
            judged = in_other_kernels(kit, judged)
            of_scores, wrong_scores = score_findings(kit, results, judged, passed_over, unlike)
        findings += of_scores
        wrong |= wrong_scores
        findings += _threshold_finding(kit, results, judged)
    findings = in_order(findings)
    return Conformance(
        kit=kit.digest,
        model=kit.model.id,
        results=results.path,
        backends=tuple(str(backend) for backend in stated(results, "backend")),
        family=judged.family.name,
        chosen_by=judged.chosen_by,
        tolerance=judged.family.max_difference,
        findings=tuple(findings),
        stages=tuple(stage_statuses(kit, results, checks, wrong | unread, findings)),
        scores=_score_differences(kit, results, judged),
        pixels=_pixel_differences(checks.values()),
        flips=tuple(flips(kit, results)),
        missing=tuple(results.missing(kit)),
        refused={
            name: str(item.line.error) for name, item in results.images.items() if item.is_refused
        },
        problems=tuple(results.problems),
        notes=tuple(_notes(kit, results, checks, judged, wrong, unread, findings)),
    )


def _unread(
    results: Results, checks: Mapping[str, PixelCheck], findings: Sequence[Finding]
) -> set[str]:
    """Images whose digest differs, perhaps by a decoder, and whose score does not tell more.

    It does not where pixels of others show several mistakes, or one that is not known: the scores
    of two at once are not recorded.
    """
    is_simple = not findings or (len(findings) == 1 and findings[0].mistake is not None)
    return {
        name
        for name, check in checks.items()
        if check.status == UNJUDGED and not (is_simple and results.images[name].score is not None)
    }


def _model_finding(kit: Kit, results: Results) -> Iterator[Finding]:
    for model, images in stated(results, "model").items():
        if model != kit.model.id:
            sentence = f"these are scores of the model {model}, and the kit's is {kit.model.id}"
            yield Finding(MODEL, None, (), True, BY_STATEMENT, sentence, tuple(images))


def _swapped_finding(kit: Kit, results: Results, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Sizes that are turned, where nothing has named the orientation yet."""
    swapped = sizes_swapped(kit.images, results.images)
    if swapped and not any(finding.stage == ORIENTATION for finding in findings):
        sentence = "width and height of the decoded picture are swapped: it was not turned upright"
        yield Finding(ORIENTATION, None, (), True, BY_PIXELS, sentence, tuple(swapped))


def _threshold_finding(kit: Kit, results: Results, judged: Judged) -> Iterator[Finding]:
    fault = threshold_fault(kit, results, judged.rounding)
    if fault is not None:
        sentence, images = fault
        yield Finding(THRESHOLD, None, (), True, BY_DECISIONS, sentence, images)


def _score_differences(kit: Kit, results: Results, judged: Judged) -> Differences:
    apart = [
        abs(returned.score - image.scores[judged.family.kernels])
        for image in kit.images
        for returned in [results.images.get(image.name)]
        if returned is not None and returned.score is not None
    ]
    if not apart:
        return Differences(0, 0, None, None)
    equal = sum(value == 0 for value in apart)
    return Differences(len(apart), equal, max(apart), float(np.mean(apart)))


def _pixel_differences(checks: Iterable[PixelCheck]) -> Differences:
    found = list(checks)
    measured = [check for check in found if check.mean is not None and check.max is not None]
    return Differences(
        len(found),
        sum(check.status == EQUAL for check in found),
        max((float(check.max or 0) for check in measured), default=None),
        float(np.mean([check.mean for check in measured])) if measured else None,
    )


def _notes(
    kit: Kit,
    results: Results,
    checks: Mapping[str, PixelCheck],
    judged: Judged,
    wrong: set[str],
    unread: set[str],
    findings: Sequence[Finding],
) -> Iterator[str]:
    """What is worth knowing and not wrong."""
    # Scores that are another model's, or of no kernels, tell nothing of how JPEGs were decoded.
    by_scores = not any(finding.stage in (MODEL, DELEGATE) for finding in findings)
    yield from _decoder_note(kit, results, checks, judged, wrong | unread, by_scores)
    if judged.rounding:
        yield (
            f"the scores have few digits, and may be {judged.rounding:g} off by that: write all "
            "of them"
        )
    if unread:
        shown = _some([name for name in checks if name in unread])
        yield (
            f"the digests of {len(unread)} images differ, and a decoder may be why: add `tensor` "
            f"or `samples` ({shown})"
        )
    if checks and all(check.kind == DIGEST for check in checks.values()):
        unknown = [f for f in findings if f.evidence == BY_PIXELS and f.mistake is None]
        if unknown:
            yield "digests do not tell two mistakes in one image: add `tensor` or `samples`"
    if all(returned.score is None for returned in results.images.values()):
        yield "no scores came back: the model was not tested"
    if not checks:
        yield "no pixels came back: with `pixels_sha256` the verdict is sharper"


def _decoder_note(
    kit: Kit,
    results: Results,
    checks: Mapping[str, PixelCheck],
    judged: Judged,
    wrong: set[str],
    by_scores: bool,
) -> Iterator[str]:
    """Whether JPEGs were decoded by another decoder than the recorded one.

    ``by_scores`` where the scores of images without pixels tell it as well.
    """
    other: list[str] = []
    for image in kit.images:
        returned = results.images.get(image.name)
        if JPEG not in image.features or returned is None or image.name in wrong:
            continue
        check, differs = checks.get(image.name), False
        if check is not None:
            differs = check.status == WITHIN or (by_scores and check.status == UNJUDGED)
        elif by_scores:
            right = image.scores[judged.family.kernels]
            plain = judged.family.max_difference + judged.rounding
            differs = returned.score is not None and abs(returned.score - right) > plain
        if differs:
            other.append(image.name)
    if other:
        yield (
            f"{len(other)} JPEGs were decoded to other pixels, within what decoders differ by "
            f"({_some(other)})"
        )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, ..."
