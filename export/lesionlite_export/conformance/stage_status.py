"""Each stage: whether what came back shows that it is right."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from lesionlite_export.conformance.pixels import UNJUDGED, PixelCheck
from lesionlite_export.conformance.results import Results
from lesionlite_export.conformance.verdict import (
    FAILED,
    NOT_JUDGED,
    NOT_TESTED,
    PASSED,
    Finding,
    StageStatus,
)
from lesionlite_export.kit.manifest import Kit, KitImage
from lesionlite_export.kit.photo import COLORED, RESIZED, TURNED
from lesionlite_export.kit.stages import (
    COLOR,
    DELEGATE,
    MODEL,
    ORIENTATION,
    RANGE,
    RESIZE,
    STAGES,
    THRESHOLD,
)

_NEEDED = {ORIENTATION: TURNED, RESIZE: RESIZED, COLOR: COLORED}
_BY_SCORE = (RANGE, MODEL, DELEGATE)


def stage_statuses(
    kit: Kit,
    results: Results,
    checks: Mapping[str, PixelCheck],
    wrong: Collection[str],
    findings: Sequence[Finding],
) -> Iterator[StageStatus]:
    """The status of every stage.

    Args:
        kit: what is right.
        results: what came back.
        checks: of the pixels.
        wrong: images whose pixels or score are wrong.
        findings: what goes wrong.
    """
    judged = [image for image in kit.images if _is_judged(image, results, checks)]
    failed = {finding.stage for finding in findings}
    for stage in STAGES:
        if stage == THRESHOLD:
            yield _threshold(results, findings)
            continue
        images = [image.name for image in judged if _goes_through(image, stage, results)]
        elsewhere = {
            name
            for finding in findings
            if finding.mistake is not None and finding.stage != stage
            for name in finding.images
        }
        right = sum(name not in wrong or name in elsewhere for name in images)
        if stage in failed:
            status = FAILED
        elif not images:
            status = NOT_TESTED
        else:
            status = PASSED if right == len(images) else NOT_JUDGED
        yield StageStatus(stage, status, right, len(images))


def _is_judged(image: KitImage, results: Results, checks: Mapping[str, PixelCheck]) -> bool:
    returned = results.images.get(image.name)
    if returned is None or returned.is_refused:
        return False
    if returned.score is not None:
        return True
    return image.name in checks and checks[image.name].status != UNJUDGED


def _goes_through(image: KitImage, stage: str, results: Results) -> bool:
    if stage in _BY_SCORE:
        return results.images[image.name].score is not None
    return stage not in _NEEDED or _NEEDED[stage] in image.features


def _threshold(results: Results, findings: Sequence[Finding]) -> StageStatus:
    decided = [
        name
        for name, returned in results.images.items()
        if returned.score is not None and returned.line.decision is not None
    ]
    found = [finding for finding in findings if finding.stage == THRESHOLD]
    wrong = {name for finding in found for name in finding.images}
    n = len(decided) + len(results.cases)
    status = FAILED if found else PASSED if n else NOT_TESTED
    return StageStatus(THRESHOLD, status, max(0, n - len(wrong)), n)
