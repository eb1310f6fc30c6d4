"""What is known of a file on accelerators: the GPU delegate, LiteRT's compiled model, XNNPACK.

None of it is a promise. Each tool is asked in a process of its own: a crash of one is a row "not
known", and never the end of an export.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lesionlite_export.tools import tool_versions
from lesionlite_runtime.errors import printable
from lesionlite_runtime.graph import read_graph

ADVICE = "stay on the CPU until the device has passed the conformance kit"
SECONDS = 120.0
# -P: nothing that happens to lie in the working folder is imported.
_PROBE = (sys.executable, "-P", "-m", "lesionlite_export.accelerator_probe")


@dataclass(frozen=True)
class AcceleratorReport:
    """What the tools say of a file.

    Attributes:
        gpu_compatible: whether TFLite's analyzer finds nothing that its GPU delegate could not run;
            None where its word is not to be had, or worth nothing.
        gpu_faults: what it names as unfit, in its words.
        fully_accelerated: whether LiteRT's compiled model runs on the CPU without falling back to
            built-in kernels, or None. Any CAST or QUANTIZE of the pixels makes it false.
        xnnpack_partitions: the number of pieces that XNNPACK runs; between them and around them run
            built-in kernels. None where that is unknown.
        xnnpack_leaves: the operators that it leaves to built-in kernels, by name, with their count.
        unknown: why a field is None, by the field's name.
        tools: versions of what was asked.
    """

    gpu_compatible: bool | None
    gpu_faults: tuple[str, ...]
    fully_accelerated: bool | None
    xnnpack_partitions: int | None
    xnnpack_leaves: Mapping[str, int] | None
    unknown: Mapping[str, str]
    tools: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON, with the advice."""
        return {
            "gpu": {"compatible": self.gpu_compatible, "faults": list(self.gpu_faults)},
            "compiled_model": {"fully_accelerated_on_cpu": self.fully_accelerated},
            "xnnpack": {
                "partitions": self.xnnpack_partitions,
                "left_to_builtin_kernels": None
                if self.xnnpack_leaves is None
                else dict(self.xnnpack_leaves),
            },
            "unknown": dict(self.unknown),
            "tools": dict(self.tools),
            "advice": ADVICE,
        }


def accelerator_report(
    flatbuffer: bytes, seconds: float = SECONDS, *, analyzer: bool = True
) -> AcceleratorReport:
    """Ask every tool about ``flatbuffer``; none of them is given more than ``seconds``.

    The analyzer imports TensorFlow, which takes most of the time, and has called every file
    compatible since TensorFlow 2.18 (docs/runtimes.md); without ``analyzer`` it is not asked.

    Raises:
        Malformed: when the bytes are no well-formed TFLite model.
    """
    operators = len(read_graph(flatbuffer).operators)
    versions = tool_versions()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        path.write_bytes(flatbuffer)
        faults, no_gpu = None, "the analyzer was not asked: it finds no fault in any file"
        if analyzer:
            faults, no_gpu = _gpu_verdict(*_ask("gpu", path, seconds), versions["tensorflow"])
        compiled, no_compiled = _ask("cpu", path, seconds)
        xnnpack, no_xnnpack = _ask("xnnpack", path, seconds)
    if xnnpack is not None and xnnpack["operators"] != operators:
        xnnpack, no_xnnpack = None, "the interpreter does not list its operators as expected"
    reasons = {
        "gpu_compatible": no_gpu,
        "fully_accelerated": no_compiled,
        "xnnpack_partitions": no_xnnpack,
        "xnnpack_leaves": no_xnnpack,
    }
    return AcceleratorReport(
        None if faults is None else not faults,
        tuple(faults or ()),
        compiled,
        None if xnnpack is None else xnnpack["partitions"],
        None if xnnpack is None else xnnpack["left"],
        {field: reason for field, reason in reasons.items() if reason},
        {name: versions[name] for name in ("tensorflow", "ai-edge-litert") if name in versions},
    )


def _gpu_verdict(answer: Any, reason: str, tensorflow: str) -> tuple[list[str] | None, str]:
    """What the analyzer names as unfit, or None and why its word is worth nothing."""
    if answer is None:
        return None, reason
    if answer["file"] is None:
        return None, f"the analyzer of TensorFlow {tensorflow} gives no verdict"
    if not answer["unfit"]:
        return None, (
            f"the analyzer of TensorFlow {tensorflow} also finds nothing in a file that the GPU "
            "delegate cannot run"
        )
    return answer["file"], ""


def _ask(question: str, model: Path, seconds: float) -> tuple[Any, str]:
    """The probe's answer, or None and why there is none."""
    answer = model.with_name(f"{question}.json")
    try:
        done = subprocess.run(
            [*_PROBE, question, str(model), str(answer)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode < 0:
            return None, f"the tool crashed (signal {-done.returncode})"
        if done.returncode:
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            return None, f"the tool failed ({printable(''.join(last))[:200]})"
        return json.loads(answer.read_bytes()), ""
    except subprocess.TimeoutExpired:
        return None, f"the tool did not answer in {seconds:g} s"
    except (OSError, ValueError) as error:
        return None, f"the tool gave no answer ({error})"
