"""How well a model, or scores from a file, tells labelled photos apart, with intervals."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lesionlite_export.manifest import Manifest
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.sample import cluster
from lesionlite_export.scoring import score_images
from lesionlite_export.seen import TRAINING, seen_set
from lesionlite_export.stream.options import StreamOptions
from lesionlite_runtime.classifier import check_threshold
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.errors import UsageError
from lesionlite_training.evaluation.degradations import Degradation
from lesionlite_training.evaluation.origin import (
    CONTRACT,
    OPTION,
    THESE_SCORES,
    THIS_DATA,
    ThresholdOrigin,
)
from lesionlite_training.evaluation.originals import SEEN, measure_originals
from lesionlite_training.evaluation.predictive import DEFAULT_PREVALENCE, check_prevalence
from lesionlite_training.evaluation.result import Evaluation, Scored, measure_scores
from lesionlite_training.evaluation.robustness import measure_robustness
from lesionlite_training.evaluation.scorer import open_scorer
from lesionlite_training.originals import find_originals
from lesionlite_training.threshold import choose_threshold, parse_rule


def evaluate_model(
    model: str | os.PathLike[str],
    manifest: Manifest,
    *,
    threshold: float | None = None,
    rule: str | None = None,
    prevalence: float = DEFAULT_PREVALENCE,
    yes_optimistic: bool = False,
    degradations: Sequence[Degradation] = (),
    originals: Path | None = None,
    stream: StreamOptions | None = None,
    report: Reporter | None = None,
) -> Evaluation:
    """Figures of ``model`` on ``manifest``, at its contract's threshold or another.

    Args:
        model: path of a ``.keras`` or a ``.tflite``.
        manifest: the images.
        threshold: score from which on to refer, 0 to 1; the contract's by default.
        rule: chooses the threshold on these very scores instead, see `parse_rule`.
        prevalence: share of positives that PPV and NPV are stated for.
        yes_optimistic: give figures that are known to flatter the model: at a threshold chosen on
            these images, or on the images that the model was trained or calibrated on.
        degradations: what to do to copies of the images, see `measure_robustness`.
        originals: folder with photos of the same names, see `measure_originals`; with it, images
            that the model has seen are no reason to refuse.
        stream: where the images are scored, see `lesionlite_export.verification.verify_model`.
        report: who is told of the progress.

    Raises:
        UnusableInput: when the model is refused, the manifest, or what can be read of it, has one
            label only, a lesion has two patients, or there are no originals.
        UsageError: for an unknown rule, a threshold or prevalence out of range, both a threshold
            and a rule, or flattering figures without ``yes_optimistic``.
    """
    report = report or Silent()
    _check_choice(threshold, rule)
    if rule is not None and not yes_optimistic:
        raise UsageError(
            "a threshold chosen on the images that are evaluated flatters the model",
            "choose it at training (lesionlite train --at), or pass --yes-optimistic",
        )
    check_prevalence(prevalence)
    manifest.needs_both_labels()
    cluster(manifest.images)  # refused now, not after the scoring
    if originals is not None:
        find_originals(originals, manifest.images)
    scored, contract, copies = _score(model, manifest, stream, report)
    if scored.seen is not None and not yes_optimistic and originals is None:
        raise UsageError(
            f"the model has seen these very images in its {scored.seen}, so figures on them "
            "flatter it",
            "evaluate it on others, or pass --yes-optimistic",
            manifest.source,
        )
    at, origin = _threshold(scored, contract, threshold, rule)
    warnings = (
        *_warnings(scored, origin, copies),
        *(() if originals is None else (SEEN,)),
    )
    result = measure_scores(scored, at, origin, prevalence, warnings, report)
    if not degradations and originals is None:
        return result
    score = open_scorer(model)
    if degradations:
        found = measure_robustness(
            score, contract.input, result.images, result.sample, at, degradations, report
        )
        result = replace(result, robustness=found)
    if originals is not None:
        pairs = find_originals(originals, result.images)
        compared = measure_originals(score, contract.input, pairs, at, report)
        unusable = (*result.unusable, *compared.unusable)
        result = replace(result, originals=compared, unusable=unusable)
    return result


def evaluate_scores(
    scored: Scored,
    *,
    threshold: float | None = None,
    rule: str | None = None,
    prevalence: float = DEFAULT_PREVALENCE,
    report: Reporter | None = None,
) -> Evaluation:
    """Figures of scores from a file; no model is run and no image is read.

    Args:
        scored: see `read_scored`.
        threshold: score from which on to refer, 0 to 1.
        rule: chooses the threshold on these scores instead, see `parse_rule`.
        prevalence: share of positives that PPV and NPV are stated for.
        report: who is told of the progress.

    Raises:
        UnusableInput: when a lesion has two patients, or no threshold keeps the rule.
        UsageError: for an unknown rule, a threshold or prevalence out of range, or not one of a
            threshold and a rule.
    """
    _check_choice(threshold, rule)
    if threshold is None and rule is None:
        raise UsageError(
            "scores in a file have no threshold of their own",
            "pass --threshold T, or --at RULE to choose it on these scores",
            scored.score_file,
        )
    check_prevalence(prevalence)
    at, origin = _threshold(scored, None, threshold, rule)
    warnings = _warnings(scored, origin, 0)
    return measure_scores(scored, at, origin, prevalence, warnings, report or Silent())


def _score(
    model: str | os.PathLike[str],
    manifest: Manifest,
    stream: StreamOptions | None,
    report: Reporter,
) -> tuple[Scored, ClassifierContract, int]:
    """The scored images, the model's contract, and how many images are copies of another one."""
    contract, rows, unusable, scores = score_images(model, manifest, report, stream)
    images = tuple(row.image for row in rows)
    Manifest(manifest.source, images).needs_both_labels()
    copies = len(images) - len({row.sha256 for row in rows})
    seen = seen_set(contract, rows)
    scored = Scored(contract.model_id, None, manifest.source, images, scores, unusable, seen)
    return scored, contract, copies


def _check_choice(threshold: float | None, rule: str | None) -> None:
    if threshold is not None:
        check_threshold(threshold)
    if rule is None:
        return
    if threshold is not None:
        raise UsageError("--threshold and --at both give a threshold", "pass one of them")
    parse_rule(rule)


def _threshold(
    scored: Scored, contract: ClassifierContract | None, threshold: float | None, rule: str | None
) -> tuple[float, ThresholdOrigin]:
    if rule is not None:
        sample = scored.sample
        chosen = choose_threshold(sample.labels, sample.scores, rule)
        kind = THESE_SCORES if contract is None else THIS_DATA
        return chosen.value, ThresholdOrigin(kind, rule, True)
    if threshold is not None:
        return threshold, ThresholdOrigin(OPTION, None, False)
    assert contract is not None
    own = contract.threshold
    return own.value, ThresholdOrigin(CONTRACT, own.rule, scored.seen == TRAINING)


def _warnings(scored: Scored, origin: ThresholdOrigin, copies: int) -> Iterator[str]:
    if origin.kind == THIS_DATA:
        yield (
            f"the threshold was chosen on these images ({origin.rule}): what is said at it is "
            "optimistic"
        )
    if origin.kind == THESE_SCORES:
        yield (
            f"the threshold was chosen on these scores ({origin.rule}): what is said at it is "
            "optimistic by a little, and by more unless they are out of fold"
        )
    if scored.seen is not None:
        yield f"the model has seen these images in its {scored.seen}: every figure is optimistic"
    if copies:
        yield f"{copies} images have the pixels of another one, and each counts"
