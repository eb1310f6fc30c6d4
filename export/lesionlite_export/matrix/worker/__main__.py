"""One file in one interpreter, in a process of its own (see `lesionlite_export.matrix.process`).

    python FOLDER/__main__.py JOB

JOB is the path of a JSON object, see `_job` there. The worker needs NumPy and the interpreter, and
imports nothing of lesionlite: it runs in environments that do not have it. NumPy is imported behind
the interpreter, so that a Python which lacks it is told of.

What an input gives is appended to the file ``outputs`` as float64, little-endian, at once: what an
interpreter gave before it crashed or hung is not lost, and tells how far it came.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Whoever started this kills it at the time limit. Where they are gone, it ends by itself.
GRACE_SECONDS = 30.0
PACKAGES = {
    "litert": "ai_edge_litert",
    "tflite-runtime": "tflite_runtime",
    "tensorflow": "tensorflow",
}
RESOLVERS = {
    "default": "AUTO",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}


class NotHere(Exception):
    """The interpreter is not installed, or does not load."""


def interpreter(job: dict[str, Any]) -> tuple[Callable[[Any], Any], list[Any] | None]:
    """What runs an input in a TFLite interpreter, and its nodes: (name, inputs, outputs) each."""
    made, resolvers = _interpreter_class(job["backend"])
    try:
        loaded = made(
            model_content=Path(job["model"]).read_bytes(),
            num_threads=job["threads"],
            experimental_op_resolver_type=getattr(resolvers, RESOLVERS[job["kernels"]]),
        )
    except SystemError as error:  # tflite-runtime 2.14 beside NumPy 2 imports and then fails here
        raise NotHere(f"{job['backend']} does not load ({_line(error)})") from error
    loaded.allocate_tensors()
    nodes = [
        (node["op_name"], [int(i) for i in node["inputs"]], [int(i) for i in node["outputs"]])
        for node in loaded._get_ops_details()
    ]
    runner = loaded.get_signature_runner(job["signature"])
    return lambda value: runner(**{job["input"]: value})[job["output"]], nodes


def compiled_model(job: dict[str, Any]) -> tuple[Callable[[Any], Any], list[Any] | None]:
    """What runs an input in LiteRT's CompiledModel on the CPU; it does not list its nodes."""
    module = _imported("ai_edge_litert.compiled_model", job["backend"])
    options = module.Options(
        hardware_accelerators=module.HardwareAccelerator.CPU,
        cpu_options=module.CpuOptions(num_threads=job["threads"]),
    )
    import numpy as np

    model = module.CompiledModel.from_file(job["model"], options=options)
    source = model.create_input_buffer_by_name(job["signature"], job["input"])
    target = model.create_output_buffer_by_name(job["signature"], job["output"])

    def invoke(value: Any) -> Any:
        source.write(value)
        model.run_by_name(job["signature"], {job["input"]: source}, {job["output"]: target})
        return target.read(job["units"], np.dtype(job["dtype"]).type)

    return invoke, None


def _interpreter_class(backend: str) -> tuple[Any, Any]:
    if backend == "tensorflow":
        lite = _imported("tensorflow", backend).lite
        return lite.Interpreter, lite.experimental.OpResolverType
    module = _imported(f"{PACKAGES[backend]}.interpreter", backend)
    return module.Interpreter, module.OpResolverType


def _imported(module: str, backend: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == PACKAGES[backend]:
            raise NotHere(f"{backend} is not installed") from error
        raise NotHere(f"{backend} does not load ({_line(error)})") from error
    except Exception as error:
        raise NotHere(f"{backend} does not load ({_line(error)})") from error


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Run every input of ``job``; what became of it, and what is known of the interpreter."""
    found: dict[str, Any] = {"outcome": "done", "nodes": None}
    doing = "load"
    try:
        opened = compiled_model if job["kernels"] == "compiled" else interpreter
        invoke, found["nodes"] = opened(job)
        doing = "run"
        found["invoke_ms"] = _run_all(job, invoke)
    except NotHere as error:
        found.update(outcome="missing", reason=str(error))
    except Exception as error:
        found.update(outcome="refused", reason=f"it cannot {doing} this file ({_line(error)})")
    package = sys.modules.get(PACKAGES[job["backend"]])
    found["version"] = getattr(package, "__version__", None)
    found["python"] = platform.python_version()
    return found


def _run_all(job: dict[str, Any], invoke: Callable[[Any], Any]) -> float:
    """Write the outputs of every input; the median time of an invoke in milliseconds."""
    import numpy as np

    inputs = np.load(job["inputs"], mmap_mode="r", allow_pickle=False)
    times = []
    with Path(job["outputs"]).open("ab") as stream:
        for number in job["numbers"]:
            value = np.array(inputs[number])
            started = time.perf_counter()
            output = invoke(value)
            times.append(1000 * (time.perf_counter() - started))
            stream.write(np.asarray(output).reshape(-1).astype("<f8").tobytes())
            stream.flush()
    return statistics.median(times)


def main(path: str) -> None:
    """Do the job at ``path``."""
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    faulthandler.dump_traceback_later(job["seconds"] + GRACE_SECONDS, exit=True)
    answer = json.dumps(run(job))
    Path(job["answer"]).write_text(answer, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
