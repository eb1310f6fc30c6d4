"""From votes on mistakes, and what wrong images have in common, to findings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from lesionlite_export.conformance import ladder
from lesionlite_export.conformance.constant import constant_score
from lesionlite_export.conformance.pixels import UNJUDGED, PixelCheck
from lesionlite_export.conformance.results import Results
from lesionlite_export.conformance.scores import (
    Judged,
    mean_difference,
    residual,
    score_evidence,
)
from lesionlite_export.conformance.verdict import BY_PIXELS, BY_SCORES, Finding
from lesionlite_export.conformance.votes import Evidence, Explanation, explain
from lesionlite_export.kit.manifest import Kit, KitImage
from lesionlite_export.kit.mistakes import Mistake
from lesionlite_export.kit.stages import (
    COLOR,
    DELEGATE,
    MODEL,
    PIXEL_STAGES,
    RANGE,
    RESIZE,
    STAGES,
)

_MOST = 0.75
_LIKELY = "it looks as if "


def pixel_findings(
    kit: Kit, results: Results, checks: Mapping[str, PixelCheck], mistakes: Sequence[Mistake]
) -> list[Finding]:
    """What the pixels that came back show."""
    judged = {name: check for name, check in checks.items() if check.status != UNJUDGED}
    evidence = [check.evidence for check in judged.values() if check.evidence is not None]
    stages = {mistake.name: mistake.stage for mistake in mistakes}
    features = _features(kit.images, results, judged)
    explained, left = explain(evidence, stages)
    by_controls = _by_controls(evidence, left, features, stages)
    if by_controls is not None:
        settled = set(by_controls.images)
        explained, left = explain([e for e in evidence if e.image not in settled], stages)
        explained = [by_controls, *explained]
    known = {m.name: (m.stage, m.sentence) for m in mistakes}
    found = [_explained(item, known, BY_PIXELS) for item in explained]
    late = _late(evidence, features, stages)
    if late is not None:
        stage = RANGE if late == MODEL else late
        sentence = (
            "the pixels of images that need no resize differ, and no known mistake gives them"
        )
        wrong = [item.image for item in evidence if item.is_wrong]
        return [_unknown(stage, sentence, left or wrong, BY_PIXELS)]
    common, scattered = ladder.in_common(left, _clear(evidence, features))
    found += [_unknown(c.stage, c.sentence, c.images, BY_PIXELS) for c in common]
    if scattered:
        sentence = "the pixels of some images differ, with nothing in common"
        found.append(_unknown(None, sentence, scattered, BY_PIXELS))
    return [_with_rounding(finding, checks) for finding in found]


def score_findings(
    kit: Kit,
    results: Results,
    judged: Judged,
    wrong_pixels: Collection[str],
    unlike: Collection[str],
) -> tuple[list[Finding], set[str]]:
    """What the scores that came back show, and the images whose score is wrong.

    Args:
        kit: what is right.
        results: what came back.
        judged: the family, and the tolerance of each image.
        wrong_pixels: images whose scores are not looked at, since their pixels are wrong.
        unlike: images whose pixels are not known to be right.
    """
    scored = {name for name, item in results.images.items() if item.score is not None}
    images = [i for i in kit.images if i.name in scored and i.name not in wrong_pixels]
    found, wrong = _score_vote(kit, results, judged, images, unlike)
    if found or not images:
        return found, wrong
    mean = mean_difference(kit, results, judged, unlike)
    limit = judged.family.mean_difference + judged.rounding
    if mean is None or mean <= limit:
        return [], set()
    stricter = Judged(
        judged.family,
        judged.chosen_by,
        {name: min(value, limit) for name, value in judged.tolerances.items()},
        {name: min(value, limit) for name, value in judged.noise.items()},
        judged.rounding,
    )
    found, wrong = _score_vote(kit, results, stricter, images, unlike)
    if any(finding.mistake for finding in found):
        return found, wrong
    sentence = (
        f"the scores differ by {mean:.4f} on average; {judged.family.name} allows "
        f"{judged.family.mean_difference:g}"
    )
    return [_unknown(DELEGATE, sentence, sorted(wrong), BY_SCORES)], wrong


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """Findings in the order of the stages; those of one mistake become one."""
    merged: dict[tuple[str | None, str | None, str], Finding] = {}
    for finding in findings:
        key = (finding.stage, finding.mistake, "" if finding.mistake else finding.sentence)
        first = merged.get(key)
        if first is None:
            merged[key] = finding
        else:
            merged[key] = replace(first, images=(*first.images, *finding.images))
    order = {stage: number for number, stage in enumerate((*STAGES, None))}
    return sorted(merged.values(), key=lambda f: (order[f.stage], -len(f.images)))


def _score_vote(
    kit: Kit,
    results: Results,
    judged: Judged,
    images: Sequence[KitImage],
    unlike: Collection[str],
) -> tuple[list[Finding], set[str]]:
    evidence = [
        item
        for image in images
        for item in score_evidence(
            kit, results, judged, [image.name], _stages_left(image, results, unlike)
        )
    ]
    wrong = {item.image for item in evidence if item.is_wrong}
    if not wrong:
        return [], wrong
    constant = constant_score(kit, results, judged)
    if constant is not None:  # before the vote: some mistake is always near a constant
        shown = [image.name for image in images if image.name in wrong]
        return [_unknown(DELEGATE, constant, shown, BY_SCORES)], wrong
    stages = {mistake.name: mistake.stage for mistake in kit.mistakes}
    explained, left = explain(evidence, stages)
    features = _features(images, results, {image.name for image in images})
    proven = [name for name in left if name not in unlike]
    late = _late(evidence, features, stages)
    if proven or late == MODEL or len(left) == len(evidence):
        is_model, sentence = residual(kit, results, judged)
        shown = left or sorted(wrong)
        if is_model and not proven:
            sentence = f"{sentence}, unless pixels are wrong in a way that is not known"
        return [_unknown(MODEL if is_model else DELEGATE, sentence, shown, BY_SCORES)], wrong
    if late is not None:
        sentence = "coloured images come out otherwise, grey ones do not"
        return [_unknown(late, sentence, left or sorted(wrong), BY_SCORES)], wrong
    known = {m.name: (m.stage, m.sentence) for m in kit.mistakes}
    found = [_explained(item, known, BY_SCORES) for item in explained]
    common, scattered = ladder.in_common(left, _clear(evidence, features))
    found += [_unknown(c.stage, c.sentence, c.images, BY_SCORES) for c in common]
    if scattered:
        sentence = "the scores of some images differ, with nothing in common"
        found.append(_unknown(None, sentence, scattered, BY_SCORES))
    return found, wrong


def _clear(
    evidence: Sequence[Evidence], features: Mapping[str, Sequence[str]]
) -> dict[str, Sequence[str]]:
    """The features of images that are wrong or right beyond doubt, decoders left aside."""
    return {
        item.image: features[item.image]
        for item in evidence
        if item.is_wrong or item.right <= item.noise
    }


def _stages_left(image: KitImage, results: Results, unlike: Collection[str]) -> tuple[str, ...]:
    """The stages that may have gone wrong, by what is known of the image's pixels."""
    if image.name not in unlike:
        return (COLOR, RANGE)
    if _is_decoded_right(image, results):
        return (RESIZE, COLOR, RANGE)
    return PIXEL_STAGES


def _features(
    images: Sequence[KitImage], results: Results, names: Collection[str]
) -> dict[str, Sequence[str]]:
    """What of each image may be to blame."""
    return {
        image.name: ladder.left_over(image.features, _is_decoded_right(image, results))
        for image in images
        if image.name in names
    }


def _is_decoded_right(image: KitImage, results: Results) -> bool:
    return results.images[image.name].line.decoded_sha256 == image.decoded.sha256


def _controls(
    evidence: Sequence[Evidence], features: Mapping[str, Sequence[str]]
) -> list[Evidence]:
    """That of images which no decoder, turning or resize can change."""
    return [
        item
        for item in evidence
        if ladder.is_plain(features[item.image])
        or ladder.is_plain_but_coloured(features[item.image])
    ]


def _by_controls(
    evidence: Sequence[Evidence],
    left: Collection[str],
    features: Mapping[str, Sequence[str]],
    stages: Mapping[str, str],
) -> Explanation | None:
    """The mistake that gives just what came back of the controls, where the vote left them over.

    A second mistake of the other images hides it there: a digest is either met or not.
    """
    controls = _controls(evidence, features)
    if not any(item.image in left for item in controls):
        return None
    found = next((item for item in explain(controls, stages)[0] if item.exact), None)
    if found is None:
        return None
    met = [
        item.image
        for item in evidence
        if item.is_wrong and found.mistake in item.mistaken and item.mistaken[found.mistake].is_met
    ]
    return replace(found, images=tuple(met))


def _late(
    evidence: Sequence[Evidence],
    features: Mapping[str, Sequence[str]],
    stages: Mapping[str, str],
) -> str | None:
    """A stage that every image goes through, if it is the one that goes wrong, unexplained.

    Images of the input's own size go through no other. Where no single mistake explains most of
    those that are wrong, nothing can be said of the rest.
    """
    base = _controls(evidence, features)
    wrong = [item for item in base if item.is_wrong]
    explained, _ = explain(base, stages)
    most = max((len(item.images) for item in explained), default=0)
    if not wrong or most >= _MOST * len(wrong):
        return None
    grey = any(ladder.is_plain(features[item.image]) for item in wrong)
    return MODEL if grey else COLOR


def _explained(item: Explanation, known: Mapping[str, tuple[str, str]], evidence: str) -> Finding:
    stage, sentence = known[item.mistake]
    said = sentence if item.exact else f"{_LIKELY}{sentence}"
    return Finding(stage, item.mistake, item.tied, item.exact, evidence, said, item.images)


def _unknown(stage: str | None, sentence: str, images: Sequence[str], evidence: str) -> Finding:
    return Finding(stage, None, (), False, evidence, sentence, tuple(images))


def _with_rounding(finding: Finding, checks: Mapping[str, PixelCheck]) -> Finding:
    """Say of a resize that is not named that it is off by rounding alone, where it is."""
    if finding.stage != RESIZE or finding.mistake is not None:
        return finding
    largest = [checks[name].max for name in finding.images]
    if any(value is None or value > 1 for value in largest):
        return finding
    sentence = "the resize is off by one grey level: its rounding is another"
    return _unknown(RESIZE, sentence, finding.images, BY_PIXELS)
