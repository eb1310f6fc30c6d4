"""How far two backends may be apart: a limit for each kind of pair, by the kernels that differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lesionlite_export.gate import parse_limits

WORDS = {
    "threads_xnnpack": "other threads, XNNPACK",
    "threads_reference": "other threads, reference kernels",
    "threads_builtin": "other threads, built-in kernels",
    "builds": "another program, each operator on the same kernels",
    "kernels": "other kernels",
}
"""Kind of a pair of backends, which is the name of its tolerance, in words."""

# docs/backends.md has the measurements that these come from, and the command that repeats them.
OTHER_THREADS: Mapping[str, float] = {
    "threads_xnnpack": 0.0,
    "threads_reference": 0.0,
    "threads_builtin": 1e-5,
}
FLOAT: Mapping[str, float] = {**OTHER_THREADS, "builds": 1e-5, "kernels": 1e-4}
QUANTIZED: Mapping[str, float] = {**OTHER_THREADS, "builds": 5e-4, "kernels": 0.15}


def default_tolerances(quantized: bool) -> dict[str, float | None]:
    """The tolerances that hold unless the user names others.

    They are on the largest difference of the score, or of y as a fraction of the largest ``|y|``.
    """
    return dict(QUANTIZED if quantized else FLOAT)


def parse_tolerances(texts: Iterable[str]) -> dict[str, float | None]:
    """Tolerances from ``name=value`` texts; see `parse_limits`."""
    return parse_limits(texts, tuple(WORDS), "tolerance")
