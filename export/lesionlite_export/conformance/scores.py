"""What came back of the scores, against those of a family of backends and of each mistake."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.conformance.results import Results, stated
from lesionlite_export.conformance.votes import Distance, Evidence
from lesionlite_export.kit.families import DECODER_FACTOR, KERNELS, OTHER, TOLERANCES
from lesionlite_export.kit.manifest import REFERENCE, Family, Kit, KitImage, KitMistake
from lesionlite_runtime.resize import check_choice

BY_OPTION, BY_BACKEND, BY_SCORES = "option", "backend", "scores"
_MOST = 0.5
_TIGHT, _FEW = 1e-3, 2
_FEW_DIGITS, _ENOUGH = range(2, 7), 5
_REFERENCE = 1e-4
_NOISE_MEAN, _NOISE_CORRELATION = 0.1, 0.9
_WORD = re.compile(r"[a-z0-9.]+(?:-[a-z]+)*")


@dataclass(frozen=True)
class Judged:
    """The family that scores are judged by, how it was found, and the tolerance of each image.

    ``noise`` is the part of the tolerances that kernels take; the rest is for other decoders.
    ``rounding`` is what writing the scores with few digits may have moved them by; both contain it.
    ``is_guess`` where neither a name nor scores tell the family.
    """

    family: Family
    chosen_by: str
    tolerances: Mapping[str, float]
    noise: Mapping[str, float]
    rounding: float = 0.0
    is_guess: bool = False


def choose_family(
    kit: Kit, results: Results, unlike: Collection[str], option: str | None
) -> Judged:
    """The family of the backend that came back.

    Args:
        kit: the families.
        results: with the backend's name, or without.
        unlike: images whose pixels are known not to be right, or not known to be.
        option: the family's name, where the user says.

    Raises:
        UsageError: for an unknown ``option``.
    """
    by_name = {family.name: family for family in kit.families}
    rounding = rounding_of(results)

    def judged(family: Family, chosen_by: str) -> Judged:
        noise = {image.name: rounding + _noise(image, family) for image in kit.images}
        tolerances = {
            image.name: noise[image.name] + (_decoder(image) if image.name in unlike else 0.0)
            for image in kit.images
        }
        return Judged(family, chosen_by, tolerances, noise, rounding)

    if option is not None:
        check_choice("family", option, by_name)
        return judged(by_name[option], BY_OPTION)
    backends = {_plain_name(str(backend)) for backend in stated(results, "backend")}
    named = [f for f in kit.families if backends and backends <= set(f.backends)]
    chosen_by = BY_BACKEND if named else BY_SCORES
    candidates = named or list(kit.families)
    # Those of the model that it was made from are no kernels' of the file.
    is_other_file = not named and _are_references(kit, results)
    for family in candidates:
        found = judged(family, chosen_by)
        apart = _apart(kit, results, family)
        near = sum(value <= found.noise[image] for image, value in apart.items())
        if family.name == OTHER and is_other_file:
            continue
        tight = family.max_difference <= _TIGHT  # which nothing reaches by chance
        if near >= (min(_FEW, len(apart)) if tight else _MOST * len(apart)):
            return found
    return replace(judged(candidates[0], chosen_by), is_guess=not named and not is_other_file)


def in_other_kernels(kit: Kit, judged: Judged) -> Judged:
    """``judged`` by the family of all other kernels, where nothing told the right one."""
    family = next(family for family in kit.families if family.name == OTHER)
    noise = {image.name: judged.rounding + _noise(image, family) for image in kit.images}
    more = {name: value - judged.noise[name] for name, value in judged.tolerances.items()}
    tolerances = {name: value + more[name] for name, value in noise.items()}
    return Judged(family, judged.chosen_by, tolerances, noise, judged.rounding)


def rounding_of(results: Results) -> float:
    """Half of the last digit that all scores were written with; 0 where they have many."""
    scores = [r.score for r in results.images.values() if r.score is not None]
    if len(scores) < _ENOUGH:
        return 0.0
    for digits in _FEW_DIGITS:
        if all(score == round(score, digits) for score in scores):
            return float(0.5 * 10.0**-digits)
    return 0.0


def mean_difference(
    kit: Kit, results: Results, judged: Judged, unlike: Collection[str]
) -> float | None:
    """The mean difference, where pixels are right; one image counts the family's maximum at most.

    None where there is no score.
    """
    apart = [
        min(value, judged.family.max_difference)
        for image, value in _apart(kit, results, judged.family).items()
        if image not in unlike
    ]
    return float(np.mean(apart)) if apart else None


def score_evidence(
    kit: Kit, results: Results, judged: Judged, images: Collection[str], stages: Collection[str]
) -> list[Evidence]:
    """Evidence of the scores of ``images``, for a vote on the mistakes of ``stages``."""
    found = []
    for number, image in enumerate(kit.images):
        returned = results.images.get(image.name)
        if image.name not in images or returned is None or returned.score is None:
            continue
        mistaken = {
            mistake.name: distance
            for mistake in kit.mistakes
            if mistake.stage in stages
            for distance in [_distance(returned.score, mistake, number, image, judged)]
            if distance is not None
        }
        found.append(
            Evidence(
                image.name,
                abs(returned.score - image.scores[judged.family.kernels]),
                judged.tolerances[image.name],
                judged.noise[image.name],
                mistaken,
            )
        )
    return found


def _distance(
    score: float, mistake: KitMistake, number: int, image: KitImage, judged: Judged
) -> Distance | None:
    """How far a score lies from what a mistake makes of an image; None where it changes nothing.

    The scores of mistakes are recorded in XNNPACK's kernels, some in the built-in ones as well; in
    others they lie as far off as kernels differ.
    """
    recorded = {
        kernels: value
        for kernels, scores in mistake.scores.items()
        for value in [scores[number]]
        if value is not None
    }
    if not recorded:
        return None
    noise = judged.noise[image.name]
    if judged.family.name != OTHER and judged.family.kernels in recorded:
        return Distance(abs(score - recorded[judged.family.kernels]), noise, noise > _TIGHT)
    nearest = min(abs(score - value) for value in recorded.values())
    return Distance(nearest, max(noise, judged.rounding + _between_kernels(image)), True)


def residual(kit: Kit, results: Results, judged: Judged) -> tuple[bool, str]:
    """What scores say whose pixels are not to blame: (whether it is the model, a sentence).

    It is the delegate where it is not the model.
    """
    names = [i.name for i in kit.images if i.name in results.images]
    names = [name for name in names if results.images[name].score is not None]
    found = np.array([results.images[name].score for name in names], np.float64)
    images = {image.name: image for image in kit.images}
    chosen = [images[name] for name in names]
    right = _scores(chosen, judged.family.kernels)
    largest = float(np.abs(found - right).max())
    for family in kit.families:
        apart = np.abs(found - _scores(chosen, family.kernels))
        if family.kernels != judged.family.kernels and apart.max() <= family.max_difference:
            return False, (
                f"these are the scores of the family {family.name} ({family.what}), not of "
                f"{judged.family.name}"
            )
    if all(REFERENCE in image.scores for image in chosen):
        apart = np.abs(found - _scores(chosen, REFERENCE))
        if apart.max() <= _REFERENCE < largest:
            return True, (
                "these are the scores of the model that the file was made from: a float file of "
                "the same network"
            )
    if np.abs(1 - found - right).max() <= max(judged.tolerances[name] for name in names):
        return True, "the score is that of the other label (1 less the score)"
    mean = float(np.abs(found - right).mean())
    correlation = _correlation(found, right)
    if mean <= _NOISE_MEAN and correlation >= _NOISE_CORRELATION:
        return False, (
            f"the scores differ by up to {largest:.4f} (mean {mean:.4f}), as those of other "
            f"kernels or of another file of the same network; {judged.family.name} allows "
            f"{judged.family.max_difference:g}"
        )
    return True, (
        f"the scores differ by up to {largest:.4f} (mean {mean:.4f}, correlation "
        f"{correlation:.2f}): they are another model's"
    )


def _apart(kit: Kit, results: Results, family: Family) -> dict[str, float]:
    """How far each score lies from the family's, by image."""
    found = {}
    for image in kit.images:
        returned = results.images.get(image.name)
        if returned is not None and returned.score is not None:
            found[image.name] = abs(returned.score - image.scores[family.kernels])
    return found


def _are_references(kit: Kit, results: Results) -> bool:
    """Whether all scores are those of the model that the file was made from."""
    pairs = [
        (returned.score, image.scores.get(REFERENCE))
        for image in kit.images
        for returned in [results.images.get(image.name)]
        if returned is not None
    ]
    return all(
        score is not None and reference is not None and abs(score - reference) <= _REFERENCE
        for score, reference in pairs
    )


def _noise(image: KitImage, family: Family) -> float:
    """What kernels may make of an image's score."""
    return _between_kernels(image) if family.name == OTHER else family.max_difference


def _between_kernels(image: KitImage) -> float:
    """How far the scores of two makers' kernels may lie apart.

    Rounding elsewhere does as much as pixels a level off.
    """
    return max(KERNELS, image.one_level)


def _decoder(image: KitImage) -> float:
    """What another decoder may make of it."""
    read_alike = set(TOLERANCES).isdisjoint(image.features)
    return 0.0 if read_alike else DECODER_FACTOR * image.one_level


def _scores(images: Sequence[KitImage], kernels: str) -> NDArray[np.float64]:
    return np.array([image.scores[kernels] for image in images], np.float64)


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _plain_name(backend: str) -> str:
    """``LiteRT 2.3.0 (XNNPACK)`` as ``litert``."""
    found = _WORD.match(backend.strip().lower())
    return found.group() if found else ""
