"""Which versions of which operators an interpreter loads: for runtimes/operator_versions.json.

    python benchmarks/operator_versions.py write probes.zip
    PYTHON-OF-ANOTHER-ENVIRONMENT benchmarks/operator_versions.py load probes.zip

The first line, where lesionlite is installed, writes a small ``.tflite`` for every operator and
version: one that runs nothing but lists the operator, which an interpreter then looks up. The
second, in an environment with LiteRT, tflite-runtime or TensorFlow and nothing else, prints as JSON
which of them load there, and whether constants behind the FlatBuffer do.
"""

from __future__ import annotations

import json
import sys
import zipfile
from importlib.metadata import version
from typing import Any

NEWEST = 16
STAMP = (1980, 1, 1, 0, 0, 0)
BEHIND = "constants_behind_flatbuffer"


def write(path: str) -> None:
    """The probes, as a zip."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    from lesionlite_runtime.operators import INPUT_COUNTS, OPERATOR_NAMES

    def packed(model: Any) -> bytes:
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as probes:
        for name in sorted(INPUT_COUNTS):
            for number in range(1, NEWEST + 1):
                model = _addition(schema, 0)
                code = schema.OperatorCodeT()
                code.builtinCode = OPERATOR_NAMES.index(name)
                code.deprecatedBuiltinCode = min(code.builtinCode, 127)
                code.version = number
                model.operatorCodes.append(code)
                probes.writestr(zipfile.ZipInfo(f"{name}/{number}", STAMP), packed(model))
        root = packed(_addition(schema, 1 << 40))
        behind = packed(_addition(schema, len(root))) + bytes(16)
        assert len(behind) == len(root) + 16
        probes.writestr(zipfile.ZipInfo(f"{BEHIND}/1", STAMP), behind)


def _addition(schema: Any, offset: int) -> Any:
    """A model of the one operator ADD; its second input is a constant at ``offset``, if any."""
    tensors = []
    for number, name in enumerate("xwy"):
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.shape = name, schema.TensorType.FLOAT32, [4]
        tensor.buffer = 1 if number == 1 else 0
        tensors.append(tensor)
    constant = schema.BufferT()
    if offset:
        constant.offset, constant.size = offset, 16
    else:
        constant.data = bytes(16)
    add = schema.OperatorT()
    add.inputs, add.outputs = [0, 1], [2]
    add.builtinOptionsType, add.builtinOptions = (
        schema.BuiltinOptions.AddOptions,
        schema.AddOptionsT(),
    )
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [0], [2], [add]
    code = schema.OperatorCodeT()
    model = schema.ModelT()
    model.version = 3
    model.operatorCodes, model.subgraphs = [code], [graph]
    model.buffers = [schema.BufferT(), constant]
    return model


def load(path: str) -> dict[str, dict[str, list[int]]]:
    """By operator the versions that load here, behind the package's name, as JSON."""
    package, interpreter = _interpreter()
    known: dict[str, list[int]] = {}
    with zipfile.ZipFile(path) as probes:
        for entry in probes.namelist():
            name, _, number = entry.partition("/")
            known.setdefault(name, [])
            try:
                model = interpreter(model_content=probes.read(entry))
                model.allocate_tensors()
                model.invoke()
            except (ValueError, RuntimeError):
                continue
            known[name].append(int(number))
    return {package: known}


def _interpreter() -> tuple[str, Any]:
    try:
        from ai_edge_litert.interpreter import Interpreter

        return f"ai-edge-litert {version('ai-edge-litert')}", Interpreter
    except ImportError:
        pass
    try:
        from tflite_runtime.interpreter import Interpreter

        return f"tflite-runtime {version('tflite-runtime')}", Interpreter
    except ImportError:
        import tensorflow as tf

        return f"tensorflow {tf.__version__}", tf.lite.Interpreter


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(sys.argv[2])
    else:
        print(json.dumps(load(sys.argv[2])))
