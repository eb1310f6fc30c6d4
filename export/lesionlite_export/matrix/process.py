"""A row of the matrix in a process of its own, which may crash, hang or answer nonsense."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.matrix.rows import Row
from lesionlite_export.progress import Reporter
from lesionlite_runtime.errors import printable

WORKER = Path(__file__).parent / "worker" / "__main__.py"
POLL_SECONDS = 0.05
NUMBER = np.dtype("<f8")

DONE = "done"
MISSING = "missing"
REFUSED = "refused"
CRASHED = "crashed"
TIMED_OUT = "timed_out"
INVALID = "invalid"
STATUSES = (DONE, MISSING, REFUSED, CRASHED, TIMED_OUT, INVALID)
"""What became of a row.

``done``: every image has outputs. ``missing``: the interpreter is not installed, or does not load.
``refused``: it says that it cannot load or run the file. ``crashed``: the process ended otherwise
than a worker ends. ``timed_out``: it was killed at the time limit. ``invalid``: it gave too few
outputs, ones that are no scores, or no answer.
"""


@dataclass(frozen=True)
class Task:
    """What every row runs.

    Attributes:
        folder: holds the FlatBuffer ``model.tflite`` and the inputs ``inputs.npy``, ``[n, ...]``,
            each as the model takes it.
        signature: key of the model's signature.
        input_name: name of its input in the signature.
        output_name: name of its output.
        output_dtype: type of its output.
        units: numbers that an input gives.
    """

    folder: Path
    signature: str
    input_name: str
    output_name: str
    output_dtype: str
    units: int


@dataclass(frozen=True)
class Outcome:
    """What a process gave.

    Attributes:
        status: one of `STATUSES`.
        reason: why there are no outputs, in words; empty where there are.
        outputs: float64 ``[images, units]``, as the model gave them; None unless ``done``.
        nodes: the interpreter's nodes as (name, inputs, outputs); None where it does not tell.
        version: of the interpreter's package, as far as it is known.
        python: version of the Python that ran it, likewise.
        invoke_ms: median time of one invoke; None unless ``done``.
    """

    status: str
    reason: str = ""
    outputs: NDArray[np.float64] | None = None
    nodes: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] | None = None
    version: str | None = None
    python: str | None = None
    invoke_ms: float | None = None


class _TimedOut(Exception):
    pass


def run_row(
    row: Row,
    task: Task,
    numbers: Sequence[int],
    *,
    python: str,
    seconds: float,
    report: Reporter,
    worker: Sequence[str] = (str(WORKER),),
) -> Outcome:
    """Run ``row`` on the inputs ``numbers`` of ``task``, for no longer than ``seconds``.

    The process is gone when this returns or raises, whatever happened in it.

    Args:
        row: the interpreter, its kernels and threads.
        task: the file and its inputs.
        numbers: which inputs.
        python: the Python to run the worker in.
        seconds: the time limit.
        report: who is told of the progress.
        worker: what that Python is given to run, before the path of the job.
    """
    folder = task.folder / row.name.replace("/", "-")
    folder.mkdir()
    outputs, answer = folder / "outputs", folder / "answer.json"
    outputs.touch()
    job = folder / "job.json"
    job.write_text(json.dumps(_job(row, task, numbers, seconds, outputs, answer)), "utf-8")
    one, n = task.units * NUMBER.itemsize, len(numbers)
    process = None
    with (folder / "printed").open("w+b") as printed:
        try:
            with _interrupt_held():
                process = subprocess.Popen(
                    [python, *worker, str(job)],
                    stdin=subprocess.DEVNULL,
                    stdout=printed,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                    env=_environment(python),
                    start_new_session=True,
                )
            scored = _scored(process, outputs, one, n, time.monotonic() + seconds)
            for _ in report.track(scored, row.name, n):
                pass
        except OSError as error:
            if process is not None:
                raise
            return Outcome(MISSING, f"{python} does not start ({error.strerror or error})")
        except _TimedOut:
            so_far = _so_far(outputs, one, n)
            reason = f"no answer within {seconds:g} s, {so_far}; --time-limit gives it more"
            return Outcome(TIMED_OUT, reason)
        finally:
            if process is not None:
                _end(process)
        if process.returncode:
            ending, words = _ending(process.returncode), _last_line(printed)
            so_far = _so_far(outputs, one, n)
            return Outcome(CRASHED, f"the process ended with {ending}{words}, {so_far}")
    return _outcome(answer, outputs, task.units, n)


def _job(
    row: Row, task: Task, numbers: Sequence[int], seconds: float, outputs: Path, answer: Path
) -> dict[str, Any]:
    """What the worker reads."""
    return {
        "model": str(task.folder / "model.tflite"),
        "inputs": str(task.folder / "inputs.npy"),
        "outputs": str(outputs),
        "answer": str(answer),
        "backend": row.variant.backend,
        "kernels": row.variant.kernels,
        "threads": row.threads,
        "signature": task.signature,
        "input": task.input_name,
        "output": task.output_name,
        "dtype": task.output_dtype,
        "units": task.units,
        "numbers": list(numbers),
        "seconds": seconds,
    }


@contextlib.contextmanager
def _interrupt_held() -> Iterator[None]:
    """Put an interrupt off until the block is left.

    In the middle of a process's start it would leave one behind that nobody knows of.
    """
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:
        raise KeyboardInterrupt


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and what it started, a Python behind a script of the user's included."""
    with contextlib.suppress(ProcessLookupError, AttributeError):  # gone, or Windows
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _environment(python: str) -> Mapping[str, str]:
    """The environment that ``python`` starts in: another Python has import paths of its own."""
    mine = python == sys.executable
    foreign = () if mine else ("PYTHONPATH", "PYTHONHOME")
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return {"TF_CPP_MIN_LOG_LEVEL": "2", **kept}


def _scored(
    process: subprocess.Popen[bytes], outputs: Path, one: int, n: int, deadline: float
) -> Iterator[int]:
    """The numbers of the inputs that have been run, as they are, until the process has ended."""
    told = 0
    while True:
        ended = process.poll() is not None
        now = min(n, outputs.stat().st_size // one)
        yield from range(told, now)
        told = now
        if ended:
            return
        left = deadline - time.monotonic()
        if left <= 0:
            raise _TimedOut
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(min(POLL_SECONDS, left))


def _so_far(outputs: Path, one: int, n: int) -> str:
    return f"{outputs.stat().st_size // one} of {n} inputs run"


def _ending(code: int) -> str:
    if code > 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def _last_line(printed: Any) -> str:
    printed.seek(0)
    lines = printed.read()[-4000:].decode("utf-8", "replace").strip().splitlines()
    return f" ({printable(lines[-1].strip())[:200]})" if lines else ""


def _outcome(answer: Path, outputs: Path, units: int, n: int) -> Outcome:
    try:
        body = json.loads(answer.read_bytes())
        status, reason = str(body["outcome"]), printable(str(body.get("reason", "")))
        nodes = body["nodes"]
        known = {
            "version": body["version"],
            "python": body["python"],
            "nodes": nodes
            and tuple((str(name), tuple(ins), tuple(outs)) for name, ins, outs in nodes),
        }
        milliseconds = float(body["invoke_ms"]) if status == DONE else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Outcome(INVALID, f"it gave no answer ({printable(str(error))[:200]})")
    if status in (MISSING, REFUSED):
        return Outcome(status, reason, **known)
    found = outputs.stat().st_size / NUMBER.itemsize
    if status != DONE:
        return Outcome(INVALID, f"it gave the outcome {printable(repr(status))[:200]}", **known)
    if found != n * units:
        return Outcome(INVALID, f"it gave {found:g} numbers, not {n * units}", **known)
    table = np.fromfile(outputs, NUMBER).reshape(n, units)
    return Outcome(DONE, "", table, **known, invoke_ms=milliseconds)
