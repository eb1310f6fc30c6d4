"""A verification as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from lesionlite_export.comparability import KERAS, RECORDED, TFLITE, Side, same_network
from lesionlite_export.counted import Counted
from lesionlite_export.flip_groups import WorstGroup
from lesionlite_export.label_figures import LabelFigures
from lesionlite_export.paired_statistics import Difference, McNemar
from lesionlite_export.rendering import comparison_lines, limit_lines, verdict_line
from lesionlite_export.score_bands import Band
from lesionlite_export.score_figures import ScoreFigures
from lesionlite_export.seen import CALIBRATION, TRAINING, SeenImages
from lesionlite_export.verification_result import Verification
from lesionlite_runtime.errors import printable

_KIND_WORDS = {
    "flips": "flipped",
    "newly_missed": "newly missed",
    "newly_referred": "newly referred",
    "newly_wrong": "newly wrong",
}
_DIFFERENCES = ("sensitivity", "specificity", "accuracy")


def verification_lines(result: Verification) -> Iterator[str]:
    """What was compared, the figures and the verdict, a line each."""
    yield _line("reference", _side_text(result.reference))
    yield _line("file", f"{_side_text(result.candidate)}, in {result.backend}")
    yield _line("origin", _origin_text(result))
    named = "Keras" if result.reference.kind == KERAS else "reference"
    yield from comparison_lines(result.parity, named)
    if result.proof_set is not None and result.figures is not None:
        yield from _more_lines(result.figures)
        yield from _seen_lines(result.proof_set.seen)
        clusters = result.proof_set.clusters
        if clusters.by is not None:
            yield _line(
                "clusters",
                f"{clusters.n} {clusters.plural}: images of one are no independent ones, and the "
                "intervals say so",
            )
    yield from limit_lines(result.verdict)
    if result.unscored:
        yield _line("limit", f"no score for {result.unscored} images by the file: OVER 0")
    yield verdict_line(result.verdict)


def difference_text(found: Difference) -> str:
    """``+0.0014 (95 % interval -0.0018 to +0.0046)``."""
    return f"{found.value:+.4f} (95 % interval {found.low:+.4f} to {found.high:+.4f})"


def counted_text(found: Counted) -> str:
    """``1 of 76, 1.3 % (95 % interval 0.0 to 7.1 %)``."""
    rate = found.rate
    return (
        f"{found.count} of {found.of}, {100 * rate.value:.1f} % "
        f"(95 % interval {100 * rate.low:.1f} to {100 * rate.high:.1f} %)"
    )


def _line(name: str, text: str) -> str:
    return f"{name:<10} {text}"


def _side_text(side: Side) -> str:
    file = printable(side.file)
    if side.kind == KERAS:
        return f"{file}, Keras network {side.model}"
    if side.kind == TFLITE:
        recipe = "no recipe" if side.recipe is None else f"recipe {printable(side.recipe)}"
        return f"{file}, model {side.model}, {recipe}"
    return f"{file}, recorded scores of {f'model {side.model}' if side.model else 'some model'}"


def _origin_text(result: Verification) -> str:
    same = same_network(result.reference, result.candidate)
    if same is None:
        return f"not known: {_untold(result)}"
    if not same:
        return "ANOTHER NETWORK: this compares two models, not a model with its export"
    if result.reference.model != result.candidate.model:
        return "both are of one network"
    if result.reference.kind == RECORDED:  # nothing says by which contract
        return "the same model"
    same = result.reference.contract == result.candidate.contract
    return "the same file" if same else "the same model, with another contract"


def _untold(result: Verification) -> str:
    if result.candidate.origin_unknown:
        return "the file does not say from what network it was made"
    if result.reference.origin_unknown:
        return "the reference does not say from what network it was made"
    return "the recorded scores do not say which network they are of"


def _more_lines(figures: ScoreFigures | LabelFigures) -> Iterator[str]:
    if isinstance(figures, ScoreFigures):
        yield from _score_lines(figures)
    else:
        yield _line("difference", f"accuracy {difference_text(figures.accuracy_difference)}")
        yield _line("McNemar", _test_text("right decisions", figures.test))
    for sentence in figures.power.values():
        if sentence is not None:
            yield _line("power", sentence)
    yield from _worst_lines(figures.worst)
    for column, groups in figures.groups.items():
        for group in groups:
            kinds = ", ".join(
                f"{found.count} of {found.of} {_KIND_WORDS[kind]}"
                for kind, found in group.counts.items()
                if found.of
            )
            yield _line("", f"{column} {printable(group.name)}: {kinds}")


def _score_lines(figures: ScoreFigures) -> Iterator[str]:
    for name, found in (
        ("sensitivity", figures.sensitivity_difference),
        ("specificity", figures.specificity_difference),
    ):
        if found is not None:
            yield _line("difference", f"{name} {difference_text(found)}")
    for name, test in (
        ("referrals", figures.tests["decisions"]),
        ("right referrals", figures.tests["sensitivity"]),
        ("right non-referrals", figures.tests["specificity"]),
    ):
        if test is not None:
            yield _line("McNemar", _test_text(name, test))
    if figures.rank_correlation is not None:
        yield _line("ranks", f"Spearman's correlation {figures.rank_correlation:.5f}")
    yield from _band_lines("score", figures.bands)
    yield from _band_lines("margin", figures.margins)
    levels = figures.levels
    if levels is not None:
        at = "none reaches" if levels.threshold is None else f"{levels.threshold:.5f} is"
        yield _line(
            "levels",
            f"the score has {levels.count}, {levels.step:.5f} apart: {at} the threshold in effect; "
            f"{figures.within_one_level} flips lie within one level, and count",
        )


def _band_lines(name: str, bands: tuple[Band, ...]) -> Iterator[str]:
    for band in bands:
        if band.mean_error is not None and band.bias is not None:
            yield _line(
                name,
                f"{band.low:g} to {band.high:g}: {band.flips.of} images, {band.flips.count} "
                f"flipped, mean error {band.mean_error:.4f}, bias {band.bias:+.4f}",
            )


def _test_text(name: str, test: McNemar) -> str:
    return f"{name}: {test.lost} lost, {test.gained} gained, p = {test.p:.3g}"


def _worst_lines(worst: Mapping[str, WorstGroup | None]) -> Iterator[str]:
    for kind, group in worst.items():
        if group is not None:
            few = ", too few to say" if group.too_few else ""
            yield _line(
                "worst",
                f"{_KIND_WORDS[kind]}: {group.column} {printable(group.name)}, "
                f"{counted_text(group.found)}{few}",
            )


def _seen_lines(seen: SeenImages) -> Iterator[str]:
    for kind in (TRAINING, CALIBRATION):
        files, sources = seen.files[kind], seen.sources[kind]
        named = ", ".join(printable(Path(source).name) for source in sources)
        if files:
            yield _line("seen", f"{len(files)} images ARE AMONG THOSE OF THE {kind.upper()}")
        elif sources:
            yield _line("seen", f"no image is among those of the {kind} ({named})")
        elif kind == TRAINING:
            yield _line("seen", "nothing says which images it was trained on; --training does")
