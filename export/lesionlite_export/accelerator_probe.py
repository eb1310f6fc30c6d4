"""One question about a ``.tflite`` to one tool, in a process of its own (see `accelerators`).

    python -m lesionlite_export.accelerator_probe QUESTION FILE ANSWER

The answer is JSON in the file ANSWER: the tools print on both streams what they like, and may end
the process without a word.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_UNFIT = re.compile(r"GPU COMPATIBILITY WARNING: (.*)")
_FIT = "looks compatible with GPU delegate"
_DELEGATE = "DELEGATE"


@dataclass(frozen=True)
class Node:
    """An operator or a delegate's node as the interpreter lists it; tensors by number."""

    name: str
    inputs: frozenset[int]
    outputs: frozenset[int]


def gpu_faults(text: str) -> list[str] | None:
    """What TFLite's analyzer names as unfit for the GPU; empty for nothing, None for no verdict."""
    faults = list(dict.fromkeys(match.strip() for match in _UNFIT.findall(text)))
    return faults if faults or _FIT in text else None


def left_outside(nodes: Sequence[Node]) -> Counter[str]:
    """The operators that no delegate took, by name.

    An interpreter lists the graph's operators first and the delegates' nodes behind them, without
    saying what a node stands for. A node's outputs are made by operators that it took; so are
    their inputs, down to the inputs of the node itself.
    """
    operators = [node for node in nodes if node.name != _DELEGATE]
    maker = {output: i for i, node in enumerate(operators) for output in node.outputs}
    taken: set[int] = set()
    for delegate in (node for node in nodes if node.name == _DELEGATE):
        wanted = [tensor for tensor in delegate.outputs if tensor in maker]
        while wanted:
            number = maker[wanted.pop()]
            if number in taken:
                continue
            taken.add(number)
            inside = operators[number].inputs - delegate.inputs
            wanted += [tensor for tensor in inside if tensor in maker]
    return Counter(node.name for i, node in enumerate(operators) if i not in taken)


def _gpu(path: Path) -> Any:
    """What the analyzer finds in the file, and in one that no GPU delegate of TFLite's runs."""
    import tensorflow as tf

    def faults(flatbuffer: bytes) -> list[str] | None:
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            tf.lite.experimental.Analyzer.analyze(model_content=flatbuffer, gpu_compatibility=True)
        return gpu_faults(text.getvalue())

    return {"file": faults(path.read_bytes()), "unfit": faults(unfit_flatbuffer())}


def unfit_flatbuffer() -> bytes:
    """A ``.tflite`` of the one operator WHERE, whose output has no size before it runs."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name: str, kind: int, shape: list[int]) -> Any:
        made = schema.TensorT()
        made.name, made.type, made.shape, made.buffer = name, kind, shape, 0
        return made

    where = schema.OperatorT()
    where.inputs, where.outputs = [0], [1]
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor("x", schema.TensorType.BOOL, [1, 8]),
        tensor("y", schema.TensorType.INT64, [8, 2]),
    ]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [where]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.WHERE
    model = schema.ModelT()
    model.version = 3
    model.operatorCodes, model.subgraphs, model.buffers = [code], [graph], [schema.BufferT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _cpu(path: Path) -> Any:
    from ai_edge_litert.compiled_model import CompiledModel, HardwareAccelerator, Options

    model = CompiledModel.from_file(
        str(path), options=Options(hardware_accelerators=HardwareAccelerator.CPU)
    )
    return bool(model.is_fully_accelerated())


def _xnnpack(path: Path) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=path.read_bytes())
    interpreter.allocate_tensors()
    nodes = [
        Node(
            details["op_name"],
            frozenset(int(tensor) for tensor in details["inputs"]),
            frozenset(int(tensor) for tensor in details["outputs"]),
        )
        for details in interpreter._get_ops_details()
    ]
    partitions = sum(node.name == _DELEGATE for node in nodes)
    return {
        "operators": len(nodes) - partitions,
        "partitions": partitions,
        "left": dict(sorted(left_outside(nodes).items())),
    }


QUESTIONS = {"gpu": _gpu, "cpu": _cpu, "xnnpack": _xnnpack}


if __name__ == "__main__":
    question, model, answer = sys.argv[1:]
    Path(answer).write_text(json.dumps(QUESTIONS[question](Path(model))))
