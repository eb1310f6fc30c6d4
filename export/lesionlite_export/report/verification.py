"""The page of a verification: verdict, what was compared, figures, flips, groups, pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lesionlite_export.comparability import Side, same_network
from lesionlite_export.counted import Counted
from lesionlite_export.gate import WORDS, Verdict
from lesionlite_export.labels_parity import LabelScoreParity
from lesionlite_export.layers.result import LayerReport
from lesionlite_export.parity import ScoreParity, ValueParity
from lesionlite_export.pictures.catalogue import FLIPPED, Picture, reference_name
from lesionlite_export.pictures.flips import flips_of
from lesionlite_export.report.layers import layer_section
from lesionlite_export.report.parts import Page, Section, Table, shown, terms_of
from lesionlite_export.score_bands import Band
from lesionlite_export.score_figures import ScoreFigures
from lesionlite_export.verification_rendering import counted_text, verification_lines
from lesionlite_export.verification_result import Verification

MOST_FLIPS = 500
"""Rows of the table of flips; how many more there are is said."""
_COMPARED = ("origin", "images", "values", "threshold", "seen", "clusters")
_FIGURES = (
    "decisions", "scores", "Keras", "reference", "file", "difference", "McNemar", "power", "ranks",
    "levels", "worst",
)  # fmt: skip
_CONTINUED = ("values", "threshold")


def verification_page(
    result: Verification, layers: LayerReport | None, pictures: Iterable[Picture]
) -> Page:
    """The page of ``result``, and of its layers where they were compared."""
    flipped = not isinstance(result.parity, ValueParity) and result.parity.flipped.any()
    drawn = [shown(one) for one in pictures if flipped or one.name != FLIPPED]
    own = [*_sections(result)]
    at = next(i for i, section in enumerate(own) if section.anchor == "figures") + 1
    own.insert(at, Section("pictures", "Pictures", pictures=drawn))
    if layers is not None:
        own.insert(-2, layer_section(layers))
    file = Path(result.candidate.file).name
    return Page(
        f"Does {file} decide like {Path(result.reference.file).name}?",
        bool(result),
        _verdict_words(result),
        [*_reasons(result)],
        _facts(result),
        [section for section in own if not section.empty],
    )


def limits_table(verdict: Verdict) -> Table:
    """Each limit with the figure that it is set on."""
    rows, marked = [], set()
    for i, (name, limit) in enumerate(verdict.limits.items()):
        value = verdict.would_pass.get(name)
        word = "within"
        if limit is None or value is None:
            word = "not gated" if limit is None else "not defined here"
        elif value > limit:
            word = "OVER"
            marked.add(i)
        rows.append(
            (
                name,
                WORDS[name],
                "" if value is None else f"{value:.4g}",
                "none" if limit is None else f"{limit:g}",
                word,
            )
        )
    columns = ("limit", "of what", "measured", "at most", "")
    return Table("Limits of the proof", columns, rows, frozenset({2, 3}), frozenset(marked))


def tools_section(tools: Iterable[tuple[str, str]]) -> Section:
    """Versions of what took part."""
    return Section("tools", "Tools", terms=[*tools])


def unusable_section(messages: Sequence[str]) -> Section:
    """Inputs that are not among the figures, a sentence each."""
    return Section("unusable", "What could not be used", sentences=messages, warns=True)


def _sections(result: Verification) -> Iterator[Section]:
    lines = [*verification_lines(result)]
    yield Section("warnings", "Warnings", sentences=result.warnings, warns=True)
    yield Section(
        "compared",
        "What was compared",
        terms=[*_terms(lines[2:], _COMPARED), *_data_terms(result)],
        tables=[_sides_table(result)],
    )
    yield Section("limits", "Limits", tables=[limits_table(result.verdict)])
    yield Section(
        "figures", "Figures", terms=[*_terms(lines[3:], _FIGURES)], tables=[*_bands(result)]
    )
    yield from _flips(result)
    yield Section("groups", "Groups", tables=[*_groups(result)])
    yield unusable_section(
        [str(fault) for fault in (*(item.error for item in result.unusable), *result.faults)]
    )
    yield Section("text", "The same as text", lines=lines)
    yield tools_section(result.tools.items())


def _verdict_words(result: Verification) -> str:
    if not result:
        return "Failed: the file does not decide like its reference within the limits."
    return "Passed: the file decides like its reference within the limits."


def _reasons(result: Verification) -> Iterator[str]:
    for failure in result.verdict.failures:
        yield f"{failure[0].upper()}{failure[1:]}."
    if same_network(result.reference, result.candidate) is False:
        yield "They come from two networks: this compares two models, not a model with its export."
    if not result.complete:
        yield (
            f"{len(result.unusable)} images and {len(result.faults)} recorded lines could not be "
            "used; the proof stands on the others."
        )


def _facts(result: Verification) -> list[tuple[str, str]]:
    parity, measures = result.parity, result.parity.measures()
    if isinstance(parity, ValueParity):
        return [
            (str(len(parity.x)), "points of the range"),
            (f"{measures['max_relative_error']:.3g}", WORDS["max_relative_error"]),
            (f"{measures['mean_relative_error']:.3g}", WORDS["mean_relative_error"]),
        ]
    facts = [(f"{int(parity.flipped.sum())} of {parity.n}", "decisions flipped")]
    missed = int(
        (parity.newly_missed if isinstance(parity, ScoreParity) else parity.newly_wrong).sum()
    )
    if isinstance(parity, ScoreParity):
        facts.append((f"{missed} of {parity.positives}", "labelled 1 newly missed"))
        difference = parity.auc_difference()
        if difference is not None:
            facts.append((f"{difference[0]:+.4f}", "difference of the AUC"))
    else:
        facts.append((f"{missed} of {parity.n}", "newly wrong"))
        facts.append((f"{parity.accuracy_difference:+.4f}", "difference of the accuracy"))
    return [*facts, (f"{measures['mean_score_error']:.4f}", "mean error of the score")]


def _terms(lines: Sequence[str], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Lines of the text output as terms, those of ``names``."""
    current = ""
    for name, text in terms_of(lines):
        current = name or current
        if current in names and (name or current in _CONTINUED):
            yield name, text


def _data_terms(result: Verification) -> Iterator[tuple[str, str]]:
    if result.proof_set is not None:
        proof = result.proof_set.to_json()
        yield "listed in", str(proof["data"])
        yield "digest of the images", str(proof["images_sha256"])
        for kind, files in result.proof_set.unlike.items():
            if files:
                yield f"no photos ({kind})", ", ".join(files)


def _sides_table(result: Verification) -> Table:
    def column(side: Side, backend: str) -> list[str]:
        threshold = "" if side.threshold is None else f"{side.threshold:.6g}"
        fields = (side.kind, side.file, side.model, side.network_sha256, side.recipe)
        return [*("" if field is None else str(field) for field in fields), threshold, backend]

    names = ("kind", "file", "model", "Keras network", "recipe", "threshold", "interpreter")
    reference, file = column(result.reference, ""), column(result.candidate, result.backend)
    rows = [row for row in zip(names, reference, file, strict=True) if row[1] or row[2]]
    return Table("The reference and the file", ("", "reference", "file"), rows)


def _bands(result: Verification) -> Iterator[Table]:
    if not isinstance(result.figures, ScoreFigures):
        return
    name = reference_name(result)
    for caption, bands in (
        (f"By the score of {name}", result.figures.bands),
        (f"By the distance of {name}'s score from the threshold", result.figures.margins),
    ):
        columns = ("from", "to", "images", "flipped", "mean error", "largest", "bias")
        rows = [_band(band) for band in bands if band.mean_error is not None]
        yield Table(caption, columns, rows, frozenset(range(7)))


def _band(band: Band) -> tuple[str, ...]:
    return (
        f"{band.low:g}",
        f"{band.high:g}",
        str(band.flips.of),
        str(band.flips.count),
        f"{band.mean_error:.4f}",
        f"{band.max_error:.4f}",
        f"{band.bias:+.4f}",
    )


def _flips(result: Verification) -> Iterator[Section]:
    parity = result.parity
    if not isinstance(parity, ScoreParity | LabelScoreParity) or result.proof_set is None:
        return
    flips = flips_of(parity, [image.class_name for image in result.proof_set.images])
    if not flips:
        yield Section("flips", "Flips", sentences=["No decision flipped."])
        return
    rows = [
        (
            str(flip.path),
            flip.class_name,
            flip.kind.replace("_", " "),
            flip.reference,
            flip.file,
            f"{flip.size:.4f}",
        )
        for flip in flips[:MOST_FLIPS]
    ]
    columns = ("image", "class", "flip", reference_name(result), "file", "difference")
    harmful = frozenset(
        i for i, flip in enumerate(flips) if flip.kind in ("newly_missed", "newly_wrong")
    )
    table = Table("Largest difference first", columns, rows, frozenset({3, 4, 5}), harmful)
    more = len(flips) - len(rows)
    words = [f"{more} more are not listed; --csv has all."] if more else []
    yield Section("flips", "Flips", sentences=words, tables=[table])


def _groups(result: Verification) -> Iterator[Table]:
    if result.figures is None:
        return
    kinds = tuple(result.figures.counts)
    for column, groups in result.figures.groups.items():
        rows = [
            (
                group.name,
                str(group.n),
                *(
                    counted_text(group.counts[kind]) if group.counts[kind].of else ""
                    for kind in kinds
                ),
            )
            for group in groups
        ]
        heads = (column, "images", *(kind.replace("_", " ") for kind in kinds))
        yield Table(f"Flips by {column}", heads, rows, frozenset({1}))


def _counted(found: Counted) -> str:
    return counted_text(found) if found.of else ""
