"""What the tools say of a file, each asked in a process of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lesionlite_export import accelerators
from lesionlite_export.accelerator_probe import (
    Node,
    gpu_faults,
    left_outside,
    unfit_flatbuffer,
)
from lesionlite_export.accelerators import ADVICE, AcceleratorReport, accelerator_report
from lesionlite_runtime.container import split_members
from lesionlite_runtime.flatbuffer import Malformed

FIT = "Your model looks compatible with GPU delegate on TFLite runtime version 2.17.0."
UNFIT = """
  Op#0 WHERE(T#0) -> [T#1]
GPU COMPATIBILITY WARNING: Not supported op WHERE
  Op#1 WHERE(T#1) -> [T#2]
GPU COMPATIBILITY WARNING: Not supported op WHERE

GPU COMPATIBILITY WARNING: Subgraph#0 has GPU delegate compatibility issues at nodes 0, 1
"""


@pytest.fixture(scope="module")
def shipped(shipped_model: Path) -> bytes:
    """The shipped FlatBuffer."""
    return split_members(shipped_model.read_bytes())[0]


def node(name: str, inputs: Sequence[int], outputs: Sequence[int]) -> Node:
    return Node(name, frozenset(inputs), frozenset(outputs))


def probe(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let ``code`` answer for every tool: it gets question, model and answer as arguments."""
    monkeypatch.setattr(accelerators, "_PROBE", (sys.executable, "-c", code))


def answering(**answers: Any) -> str:
    return (
        "import json, sys, pathlib\n"
        f"answers = json.loads({json.dumps(answers)!r})\n"
        "pathlib.Path(sys.argv[3]).write_text(json.dumps(answers[sys.argv[1]]))"
    )


SAYS = {"cpu": True, "xnnpack": {"operators": 131, "partitions": 1, "left": {"CAST": 1}}}


def test_the_analyzer_s_words() -> None:
    assert gpu_faults(FIT) == []
    assert gpu_faults("nothing about it") is None
    assert gpu_faults(UNFIT) == [
        "Not supported op WHERE",
        "Subgraph#0 has GPU delegate compatibility issues at nodes 0, 1",
    ]


def test_what_no_delegate_took_is_found_from_the_delegates_ends() -> None:
    graph = [
        node("CAST", [0], [1]),
        node("MUL", [1, 9], [2]),
        node("CONV_2D", [2, 8], [3]),
        node("DEPTHWISE_CONV_2D", [3], [4]),
        node("ADD", [4, 3], [5]),
    ]
    assert left_outside(graph) == {
        "CAST": 1,
        "MUL": 1,
        "CONV_2D": 1,
        "DEPTHWISE_CONV_2D": 1,
        "ADD": 1,
    }
    whole = node("DELEGATE", [1, 8, 9], [5])
    assert left_outside([*graph, whole]) == {"CAST": 1}
    parts = [node("DELEGATE", [1, 8, 9], [3]), node("DELEGATE", [3, 4], [5])]
    assert left_outside([*graph, *parts]) == {"CAST": 1, "DEPTHWISE_CONV_2D": 1}


@pytest.mark.tensorflow
def test_the_shipped_file(shipped: bytes) -> None:
    report = accelerator_report(shipped)
    assert report.xnnpack_partitions == 1
    assert report.xnnpack_leaves == {"CAST": 1}
    assert report.fully_accelerated is False
    # The analyzer of this TensorFlow finds fault with nothing at all, and so its word counts for
    # nothing. One that does find fault with WHERE would make this None a verdict.
    assert report.gpu_compatible is None
    assert set(report.unknown) == {"gpu_compatible"}
    assert (
        "also finds nothing in a file that the GPU delegate cannot run"
        in (report.unknown["gpu_compatible"])
    )
    written = report.to_json()
    assert json.loads(json.dumps(written)) == written
    assert written["advice"] == ADVICE
    assert set(written["tools"]) == {"tensorflow", "ai-edge-litert"}


def test_an_analyzer_that_tells_files_apart_is_believed(
    shipped: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe(monkeypatch, answering(gpu={"file": [], "unfit": ["Not supported op WHERE"]}, **SAYS))
    report = accelerator_report(shipped)
    assert (report.gpu_compatible, report.gpu_faults, report.unknown) == (True, (), {})
    assert report.fully_accelerated is True
    probe(monkeypatch, answering(gpu={"file": ["Not supported"], "unfit": ["so"]}, **SAYS))
    report = accelerator_report(shipped)
    assert (report.gpu_compatible, report.gpu_faults) == (False, ("Not supported",))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os.abort()", "the tool crashed (signal 6)"),
        ("raise SystemError('no\\x1b such kernel')", "no\\x1b such kernel"),
        ("pass", "the tool gave no answer"),
    ],
)
def test_a_tool_that_fails_is_a_row_not_known_and_no_end(
    shipped: bytes, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    probe(monkeypatch, code)
    check_unknown(accelerator_report(shipped), reason)


def test_a_tool_that_never_answers_is_not_waited_for(
    shipped: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe(monkeypatch, "import signal; signal.pause()")
    check_unknown(accelerator_report(shipped, seconds=0.2), "the tool did not answer in 0.2 s")


def check_unknown(report: AcceleratorReport, reason: str) -> None:
    """Everything in the report is unknown, for ``reason``."""
    assert report == AcceleratorReport(None, (), None, None, None, report.unknown, report.tools)
    assert set(report.unknown) == {
        "gpu_compatible",
        "fully_accelerated",
        "xnnpack_partitions",
        "xnnpack_leaves",
    }
    for said in report.unknown.values():
        assert reason in said
        assert len(said.splitlines()) == 1
    assert report.to_json()["xnnpack"]["left_to_builtin_kernels"] is None


def test_a_list_of_operators_that_is_not_the_file_s_is_not_believed(
    shipped: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = {"operators": 65, "partitions": 1, "left": {}}
    probe(monkeypatch, answering(gpu={"file": None, "unfit": []}, cpu=False, xnnpack=fewer))
    report = accelerator_report(shipped)
    assert report.xnnpack_partitions is None
    assert "does not list its operators as expected" in report.unknown["xnnpack_leaves"]
    assert "gives no verdict" in report.unknown["gpu_compatible"]


def test_a_damaged_file_never_reaches_a_tool(shipped: bytes) -> None:
    with pytest.raises(Malformed):
        accelerator_report(shipped[: len(shipped) // 2])


def test_the_unfit_file_is_a_file() -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=unfit_flatbuffer())
    assert [details["op_name"] for details in interpreter._get_ops_details()] == ["WHERE"]
