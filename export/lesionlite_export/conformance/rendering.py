"""A judgement as text for people."""

from __future__ import annotations

from collections.abc import Iterator

from lesionlite_export.conformance.verdict import Conformance, Differences
from lesionlite_runtime.errors import printable

_SHOWN = 8


def conformance_lines(judged: Conformance) -> Iterator[str]:
    """The judgement, a line each."""
    backends = ", ".join(printable(backend) for backend in judged.backends) or "not named"
    yield f"kit          {judged.kit[:12]} of the model {judged.model}"
    yield (
        f"backend      {backends}: judged as {judged.family} (by {judged.chosen_by}), scores "
        f"within {judged.tolerance:g}"
    )
    yield from _differences(judged)
    for stage in judged.stages:
        yield f"{stage.stage:<12} {stage.status}: {stage.right} of {stage.images} right"
        for finding in judged.findings:
            if finding.stage == stage.stage:
                yield f"{'':<12} {printable(finding.sentence)}"
                yield from _images(finding.images)
    for finding in judged.findings:
        if finding.stage is None:
            yield f"unknown      {printable(finding.sentence)}"
            yield from _images(finding.images)
    for name, reason in judged.refused.items():
        yield f"refused      {name}: {printable(reason)}"
    if judged.missing:
        yield f"missing      {len(judged.missing)} images: {_some(judged.missing)}"
    for note in judged.notes:
        yield f"note         {printable(note)}"
    first = judged.first_wrong
    if first is None:
        yield f"verdict      conforms{'' if judged.is_whole else ' in what came back'}"
    else:
        yield f"verdict      DOES NOT CONFORM; first wrong: {first.stage or 'unknown'}"


def _differences(judged: Conformance) -> Iterator[str]:
    if judged.scores.n:
        yield f"scores       {_difference(judged.scores, '.2g')}"
    if judged.pixels.n:
        yield f"pixels       {_difference(judged.pixels, '.3g')}"
    if judged.flips:
        yield f"decisions    {len(judged.flips)} differ: {_some(judged.flips)}"


def _difference(found: Differences, form: str) -> str:
    text = f"{found.equal} of {found.n} bit-equal"
    if found.max is None or found.mean is None:
        return text
    return f"{text}, largest difference {found.max:{form}}, mean {found.mean:{form}}"


def _images(names: tuple[str, ...]) -> Iterator[str]:
    if names:
        yield f"{'':<12} in {len(names)} images: {_some(names)}"


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown}, ..."
