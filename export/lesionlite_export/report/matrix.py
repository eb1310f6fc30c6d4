"""The page of a matrix: verdict, rows, pairs, tolerances, picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from lesionlite_export.gate import WORDS
from lesionlite_export.matrix.pairs import KERAS
from lesionlite_export.matrix.rendering import (
    COLUMNS,
    bit_equal_rows,
    class_lines,
    matrix_lines,
    row_cells,
)
from lesionlite_export.matrix.result import Matrix
from lesionlite_export.matrix.tolerances import WORDS as KINDS
from lesionlite_export.pictures.catalogue import Picture
from lesionlite_export.report.parts import Page, Section, Table, shown
from lesionlite_export.report.verification import tools_section, unusable_section
from lesionlite_export.tools import tool_versions


def matrix_page(matrix: Matrix, pictures: Iterable[Picture]) -> Page:
    """The page of ``matrix``."""
    sections = [*_sections(matrix)]
    sections.insert(2, Section("pictures", "Pictures", pictures=[shown(one) for one in pictures]))
    return Page(
        f"Does {Path(matrix.subject.model.path).name} decide alike in every backend?",
        bool(matrix),
        "Passed: the backends decide alike within the limits and tolerances."
        if matrix
        else "Failed: the backends do not all decide alike within the limits and tolerances.",
        [*_reasons(matrix)],
        _facts(matrix),
        [section for section in sections if not section.empty],
    )


def _sections(matrix: Matrix) -> Iterator[Section]:
    yield Section("warnings", "Warnings", sentences=matrix.warnings, warns=True)
    yield Section("compared", "What was compared", terms=[*_terms(matrix)])
    yield Section("rows", "Rows", tables=[_rows(matrix)])
    yield Section(
        "pairs",
        "Pairs",
        tables=[_tolerances(matrix), _limits(matrix)],
        lines=[*class_lines(matrix)],
    )
    yield unusable_section([str(item.error) for item in matrix.unusable])
    yield Section("text", "The same as text", lines=[*matrix_lines(matrix)])
    yield tools_section(tool_versions().items())


def _reasons(matrix: Matrix) -> Iterator[str]:
    for failure in matrix.verdict.failures:
        yield f"{failure[0].upper()}{failure[1:]}."
    if matrix.unusable:
        yield f"{len(matrix.unusable)} images could not be used; the proof stands on the others."


def _facts(matrix: Matrix) -> list[tuple[str, str]]:
    done = sum(row.done for row in matrix.rows)
    apart = [pair for pair in matrix.pairs if pair.kind != KERAS]
    facts = [
        (f"{done} of {len(matrix.rows)}", "rows gave scores"),
        (str(len(bit_equal_rows(matrix))), "sets of scores that differ in a bit"),
    ]
    if apart:
        largest = max(pair.max_difference for pair in apart)
        facts.append((f"{largest:.3g}", "largest difference of two rows"))
        flips = [pair.flips for pair in apart if pair.flips is not None]
        if flips:
            facts.append((str(max(flips)), "most flips between two rows"))
    return facts


def _terms(matrix: Matrix) -> Iterator[tuple[str, str]]:
    subject = matrix.subject
    body = matrix.to_json()
    yield "file", str(subject.model.path)
    yield "model", str(body["model"])
    yield "reference", subject.reference_name
    yield "inputs", str(subject.n)
    if subject.positives is not None:
        yield "labelled 1", str(subject.positives)
    if subject.threshold is not None:
        yield "threshold", f"{subject.threshold:.6g}"
    if matrix.seed is not None:
        yield "seed of the sample", str(matrix.seed)
    machine = body["machine"]
    yield "machine", f"{machine['system']}, {machine['architecture']}, {machine['cores']} cores"


def _rows(matrix: Matrix) -> Table:
    cells = [row_cells(matrix, row) for row in matrix.rows]
    marked = frozenset(
        i
        for i, row in enumerate(matrix.rows)
        if row.gated and row.against_keras is not None and not row.against_keras
    )
    heads = (*COLUMNS, f"against {matrix.subject.reference_name}")
    return Table("Rows against the reference", heads, cells, frozenset(range(2, 7)), marked)


def _tolerances(matrix: Matrix) -> Table:
    rows: list[tuple[str, ...]] = []
    marked = set()
    for item in matrix.verdict.tolerances:
        if item.worst is None:
            continue
        if not item.passed:
            marked.add(len(rows))
        rows.append(
            (
                item.kind,
                KINDS[item.kind],
                str(item.pairs),
                str(item.bit_equal),
                f"{item.largest:.3g}",
                f"{item.worst.a} and {item.worst.b}",
                "not gated" if item.limit is None else f"{item.limit:g}",
                "within" if item.passed else "OVER",
            )
        )
    heads = ("tolerance", "pairs of", "pairs", "bit-equal", "largest", "between", "at most", "")
    numbers = frozenset({2, 3, 4, 6})
    return Table("Pairs of rows by what differs", heads, rows, numbers, frozenset(marked))


def _limits(matrix: Matrix) -> Table:
    rows = [
        (name, WORDS[name], "none" if limit is None else f"{limit:g}")
        for name, limit in matrix.verdict.limits.items()
    ]
    return Table("Limits of each gated row", ("limit", "of what", "at most"), rows, frozenset({2}))
