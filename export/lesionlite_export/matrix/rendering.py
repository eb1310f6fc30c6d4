"""The matrix as text for people."""

from __future__ import annotations

from collections.abc import Iterator

from lesionlite_export.matrix.pairs import KERAS, Pair
from lesionlite_export.matrix.result import Matrix
from lesionlite_export.matrix.row_result import RowResult
from lesionlite_export.matrix.tolerances import WORDS
from lesionlite_runtime.errors import printable

COLUMNS = ("row", "kernels", "n", "max", "mean", "flips", "ms")


def matrix_lines(matrix: Matrix) -> Iterator[str]:
    """Rows, pairs and verdict, a line each."""
    subject = matrix.subject
    if subject.is_regression:
        yield f"values     {subject.n} points from {subject.inputs[0]} to {subject.inputs[-1]}"
    else:
        labelled = "" if subject.positives is None else f", {subject.positives} of them labelled 1"
        yield f"images     {subject.n}{labelled}"
    if subject.threshold is not None:
        yield f"threshold  {subject.threshold:.4f}"
    if matrix.seed is not None:
        given = next(len(row.numbers) for row in matrix.rows if len(row.numbers) < subject.n)
        yield (
            f"sample     {given} images (seed {matrix.seed}) for the reference kernels, whose rows "
            "are then not gated against the reference; --all-images takes all"
        )
    yield ""
    yield from _table(matrix)
    yield ""
    yield from class_lines(matrix)
    yield ""
    for item in matrix.verdict.tolerances:
        if item.worst is None:
            continue
        equal = f"{item.bit_equal} of {item.pairs} pairs bit-equal"
        if item.bit_equal < item.pairs:
            equal += f", at most {item.largest:.3g} apart ({item.worst.a} and {item.worst.b})"
        sign = "" if item.passed else "OVER "
        limit = "not gated" if item.limit is None else f"{sign}tolerance {item.limit:g}"
        yield f"{item.kind:<18} {WORDS[item.kind]}: {equal}; {limit}"
    for failure in matrix.verdict.failures:
        yield f"failed     {printable(failure)}"
    yield f"proof      {'passed' if matrix else 'FAILED'}"


def _table(matrix: Matrix) -> Iterator[str]:
    reference = matrix.subject.reference_name
    head = (*COLUMNS, f"against {reference}")
    body = [head, *(row_cells(matrix, row) for row in matrix.rows)]
    widths = [max(len(line[i]) for line in body if len(line) == len(head)) for i in range(7)]
    for line in body:
        if len(line) < len(head):
            yield f"{line[0]:<{widths[0]}}  {line[1]}"
            continue
        left = [f"{line[i]:<{widths[i]}}" for i in range(2)]
        right = [f"{line[i]:>{widths[i]}}" for i in range(2, 7)]
        yield "  ".join((*left, *right, line[7])).rstrip()


def row_cells(matrix: Matrix, row: RowResult) -> tuple[str, ...]:
    """A row of the table; of a row without scores its name and what became of it."""
    pair = matrix.pair(KERAS, row.name)
    if pair is None or row.against_keras is None:
        return (row.name, f"{row.outcome.status.replace('_', ' ')}: {row.outcome.reason}")
    word = "within the limits" if row.against_keras.passed else "OVER the limits"
    return (
        row.name,
        "not told" if row.kernels is None else row.kernels.name,
        str(pair.n),
        f"{pair.max_difference:.3g}",
        f"{pair.mean_difference:.3g}",
        "-" if pair.flips is None else str(pair.flips),
        f"{row.outcome.invoke_ms:.1f}",
        word if row.gated else f"{word}, not gated",
    )


def class_lines(matrix: Matrix) -> Iterator[str]:
    """The rows that are equal to the bit as one, then each of those against each other."""
    classes = bit_equal_rows(matrix)
    for number, rows in enumerate(classes):
        names = ", ".join(row.name for row in rows)
        yield f"{_letter(number)}  {names}{': bit-equal' if len(rows) > 1 else ''}"
    for i, first in enumerate(classes):
        for j, second in enumerate(classes[i + 1 :], i + 1):
            pair = matrix.pair(first[0].name, second[0].name)
            if pair is not None:
                yield f"{_letter(i)}-{_letter(j)}  {_apart(pair)}"


def bit_equal_rows(matrix: Matrix) -> list[list[RowResult]]:
    """The rows with scores, those together that were given the same inputs and are bit-equal."""
    classes: list[list[RowResult]] = []
    for row in matrix.rows:
        if not row.done:
            continue
        for members in classes:
            pair = matrix.pair(members[0].name, row.name)
            if pair is not None and pair.bit_equal and members[0].numbers == row.numbers:
                members.append(row)
                break
        else:
            classes.append([row])
    return classes


def _letter(number: int) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[number]


def _apart(pair: Pair) -> str:
    if pair.bit_equal:
        return f"bit-equal on the {pair.n} that both were given"
    flips = "" if pair.flips is None else f", {pair.flips} of {pair.n} decisions flipped"
    return f"max {pair.max_difference:.3g}, mean {pair.mean_difference:.3g}{flips}"
