"""Findings as Markdown tables, and what of them is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.clients.findings import Conforms, Drift, Findings, Pixels, Scores

BEGIN, END = "<!-- python -m tests.clients -->", "<!-- end -->"
EXACT = ("LiteRT", "MediaPipe Python")
# Rounding alone for float arithmetic of another build. Kernels for int8 activations and weights
# differ by up to .05 (docs/recipes.md), except that LiteRT.js and tasks-vision have XNNPACK's too.
FLOAT = 2e-5
KERNELS = 0.06


def tolerance(client: str, model: str) -> float:
    """How far a client's scores of a model may lie from LiteRT's."""
    if client in EXACT:
        return 0.0
    if model == "dynamic" or (client == "tflite-runtime" and "int8" in model):
        return KERNELS
    return FLOAT


def faults(findings: Findings) -> list[str]:
    """Every claim that does not hold, as a line."""
    wrong = [
        f"{check.client}: {check.claim}: {check.seen[:400]}"
        for check in findings.checks
        if not check.holds
    ]
    for row in findings.scores:
        allowed = tolerance(row.client, row.model)
        if not row.largest <= allowed:
            wrong.append(f"{row.client}: {row.model}: scores differ by {row.largest:.3g}")
    wrong += [
        f"{pixels.client}: {pixels.what}, {pixels.images}: pixels differ by {pixels.largest}"
        for pixels in findings.pixels
        if pixels.largest > pixels.limit
    ]
    return wrong


def tables(findings: Findings, images: str) -> str:
    """All tables, for people and for the docs."""
    versions = ", ".join(f"{name} {version}" for name, version in findings.versions.items())
    parts = [
        f"Measured on {images} with {versions}.",
        _markdown(
            "client|model|labels|bit-equal to LiteRT|largest difference|decisions as LiteRT's",
            (_scores_row(row) for row in findings.scores if row.client != "LiteRT"),
        ),
        _markdown(
            "client|what|images|n|values that differ|mean|max, of 255",
            (_pixels_row(row) for row in findings.pixels),
        ),
    ]
    if findings.drift:
        head = "photos|model|MediaPipe is given|LiteRT is given|mean|signed mean|max|flips|missed"
        parts.append(_markdown(head, (_drift_row(row) for row in findings.drift)))
    if findings.conforms:
        head = (
            "a second implementation reads|bit-equal tensors|of the JPEGs|pixels: mean|max, of 255|"
            "largest difference of a score|`lesionlite conform`"
        )
        parts.append(_markdown(head, (_conforms_row(row) for row in findings.conforms)))
    return "\n\n".join(parts)


def write_tables(page: Path, text: str) -> None:
    """Put ``text`` between the markers of ``page``."""
    before, begin, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no {BEGIN} ... {END}")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", "utf-8")


def _scores_row(row: Scores) -> Iterator[str]:
    yield from (row.client, row.model, row.labels or "not shown", f"{row.equal} of {row.n}")
    yield "0" if row.largest == 0 else f"{row.largest:.1e}"
    yield "" if row.decisions is None else f"{row.decisions} of {row.n}"


def _pixels_row(row: Pixels) -> Iterator[str]:
    yield from (row.client, row.what, row.images, str(row.n))
    yield "0" if row.different == 0 else f"{row.different:.1%}"
    yield "0" if row.mean == 0 else f"{row.mean:.3f}"
    yield str(row.largest)


def _drift_row(row: Drift) -> Iterator[str]:
    yield from (row.photos, row.model, row.handed_over, f"`{row.against}`")
    yield f"{row.mean:.4f}"
    yield f"{row.signed:+.4f}"
    yield f"{row.largest:.4f}"
    yield f"{row.flips} of {row.n}"
    yield str(row.newly_missed)


def _conforms_row(row: Conforms) -> Iterator[str]:
    yield from (row.reads, f"{row.equal} of {row.n}", f"{row.jpegs_equal} of {row.jpegs}")
    yield f"{row.mean_pixel:.3f}"
    yield str(row.largest_pixel)
    yield f"{row.largest_score:.1e}"
    yield row.verdict


def _markdown(head: str, rows: Iterable[Iterable[str]]) -> str:
    names: Sequence[str] = head.split("|")
    lines = [names, ["---"] * len(names), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
