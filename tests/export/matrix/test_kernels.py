"""Who computes, and which tolerance two rows are held to."""

from __future__ import annotations

import pytest

from lesionlite_export.matrix.kernels import Kernels, kernels_of, kind_of_pair
from lesionlite_export.matrix.rows import Row, rows_of
from lesionlite_export.matrix.tolerances import WORDS, default_tolerances, parse_tolerances
from lesionlite_runtime.errors import UsageError

ROWS = {row.name: row for row in rows_of(())}
GRAPH = [
    ("CAST", (0,), (1,)),
    ("CONV_2D", (1, 8), (2,)),
    ("DEPTHWISE_CONV_2D", (2, 9), (3,)),
    ("LOGISTIC", (3,), (4,)),
]
WHOLE = ("DELEGATE", (1, 8, 9), (4,))
HEAD = ("DELEGATE", (3,), (4,))
XNNPACK = kernels_of("default", [*GRAPH, WHOLE])
MIXED = kernels_of("default", [*GRAPH, HEAD])
BUILTIN = kernels_of("builtin", GRAPH)
REFERENCE = kernels_of("reference", GRAPH)


def test_kernels_are_read_from_the_nodes() -> None:
    everything = {"CAST": 1, "CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "LOGISTIC": 1}
    assert Kernels("xnnpack", 1, {"CAST": 1}) == XNNPACK
    assert Kernels("mixed", 1, {"CAST": 1, "CONV_2D": 1, "DEPTHWISE_CONV_2D": 1}) == MIXED
    assert Kernels("builtin", 0, everything) == BUILTIN
    assert Kernels("reference", 0, everything) == REFERENCE
    # What was asked for is not what is claimed: a build may apply no delegate, or one unasked.
    assert kernels_of("default", GRAPH) == BUILTIN
    assert kernels_of("reference", [*GRAPH, WHOLE]).name == "xnnpack"


@pytest.mark.parametrize(
    ("a", "b", "kernels", "kind"),
    [
        ("litert-xnnpack/1", "litert-xnnpack/4", (XNNPACK, XNNPACK), "threads_xnnpack"),
        ("litert-reference/1", "litert-reference/2", (REFERENCE, REFERENCE), "threads_reference"),
        ("litert-builtin/2", "litert-builtin/4", (BUILTIN, BUILTIN), "threads_builtin"),
        ("litert-xnnpack/1", "litert-xnnpack/2", (MIXED, MIXED), "threads_builtin"),
        ("litert-xnnpack/1", "tensorflow/1", (XNNPACK, XNNPACK), "builds"),
        ("litert-builtin/1", "tflite-runtime/1", (BUILTIN, BUILTIN), "builds"),
        ("litert-builtin/1", "tflite-runtime/1", (BUILTIN, MIXED), "kernels"),
        ("litert-xnnpack/1", "litert-builtin/1", (XNNPACK, BUILTIN), "kernels"),
        ("litert-builtin/1", "litert-reference/1", (BUILTIN, REFERENCE), "kernels"),
        ("litert-xnnpack/1", "litert-compiled-model/1", (XNNPACK, None), "kernels"),
    ],
)
def test_the_kind_of_a_pair(
    a: str, b: str, kernels: tuple[Kernels, Kernels | None], kind: str
) -> None:
    sides: list[tuple[Row, Kernels | None]] = [(ROWS[a], kernels[0]), (ROWS[b], kernels[1])]
    assert kind_of_pair(*sides) == kind
    assert kind_of_pair(*reversed(sides)) == kind
    assert kind in WORDS


def test_tolerances_belong_to_kernels_and_to_the_kind_of_file() -> None:
    quantized, floats = default_tolerances(True), default_tolerances(False)
    assert set(quantized) == set(floats) == set(WORDS)
    assert quantized["threads_xnnpack"] == floats["threads_xnnpack"] == 0.0
    assert {name for name in WORDS if quantized[name] != floats[name]} == {"builds", "kernels"}
    for tolerances in (quantized, floats):
        assert (tolerances["threads_builtin"] or 0) <= (tolerances["builds"] or 0)
        assert (tolerances["builds"] or 0) < (tolerances["kernels"] or 0)


def test_tolerances_are_parsed_like_limits() -> None:
    assert parse_tolerances(["builds=0, kernels=none"]) == {"builds": 0.0, "kernels": None}
    for text, words in (
        ("kernel=1", "there is no tolerance 'kernel'; pass kernels"),
        ("kernels=x", "the tolerance 'kernels=x' has no number; pass kernels=0.01, say"),
        ("kernels=-1", "the tolerance 'kernels=-1' has no number"),
    ):
        with pytest.raises(UsageError) as caught:
            parse_tolerances([text])
        assert words in str(caught.value)
