"""Whether every score that came back is the same: then nothing was computed of the pixels."""

from __future__ import annotations

from collections.abc import Iterable

from lesionlite_export.conformance.results import Results
from lesionlite_export.conformance.scores import Judged
from lesionlite_export.kit.manifest import Kit

_CONSTANT = 1e-6
_GIVEN = 1e-4


def constant_score(kit: Kit, results: Results, judged: Judged) -> str | None:
    """A sentence where all scores are the same although those of the kit are not; None elsewhere.

    A mistake that leaves next to nothing of the pixels makes scores the same as well, and is then
    to be named: so there is no sentence where one of the kit's gives just this score everywhere.
    """
    scored = {
        number: returned.score
        for number, image in enumerate(kit.images)
        for returned in [results.images.get(image.name)]
        if returned is not None and returned.score is not None
    }
    spread = _GIVEN + 2 * judged.rounding
    right = [kit.images[number].scores[judged.family.kernels] for number in scored]
    if len(scored) < 2 or _range(scored.values()) > _CONSTANT or _range(right) <= spread:
        return None
    score = next(iter(scored.values()))
    for mistake in kit.mistakes:
        for scores in mistake.scores.values():
            given = [scores[number] for number in scored]
            known = [value for value in given if value is not None]
            if len(known) == len(given) and _range([score, *known]) <= spread:
                return None
    return f"every score is {score:.4g}: the backend does not compute, or does not get the pixels"


def _range(values: Iterable[float]) -> float:
    found = list(values)
    return max(found) - min(found)
