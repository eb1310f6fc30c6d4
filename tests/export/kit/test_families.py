"""How far scores of other backends may lie from the recorded ones."""

from __future__ import annotations

from pathlib import Path

from lesionlite_export.kit.families import families
from lesionlite_runtime.contract import classifier_contract
from lesionlite_runtime.door import open_model
from lesionlite_runtime.graph import read_graph

WITHOUT_MEANS = Path(__file__).parents[3] / "samples" / "linear" / "hello.int8.tflite"


def test_builds_of_xnnpack_may_round_ties_of_integer_means_otherwise(shipped_model: Path) -> None:
    opened = open_model(shipped_model)
    output = classifier_contract(opened.contract).output
    integers = families(opened.graph, output)
    others = families(read_graph(WITHOUT_MEANS.read_bytes()), output)
    for family, other in zip(integers[:2], others[:2], strict=True):
        assert (family.max_difference, other.max_difference) == (5e-4, 2e-5)
        assert family.mean_difference == other.mean_difference == 2e-5
    assert integers[2] == others[2]
