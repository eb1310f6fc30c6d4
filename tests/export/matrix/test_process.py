"""A row in a process of its own: real interpreters, and workers that crash, hang or lie."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
import pytest

from lesionlite_export.matrix.process import (
    CRASHED,
    DONE,
    INVALID,
    MISSING,
    REFUSED,
    TIMED_OUT,
    WORKER,
    Outcome,
    Task,
    run_row,
)
from lesionlite_export.matrix.rows import VARIANTS, Row, rows_of
from lesionlite_export.matrix.worker.__main__ import GRACE_SECONDS
from lesionlite_export.progress import Silent

N = 6
ROW = Row(VARIANTS["litert-xnnpack"], 1)
PLENTY = 300.0
T = TypeVar("T")
# What a lying worker starts with; the answer is one of a row that is done.
READ = """
import json, pathlib, struct, sys
job = json.loads(pathlib.Path(sys.argv[1]).read_text())
def answer(**more):
    body = {"outcome": "done", "nodes": [], "version": "0", "python": "3", "invoke_ms": 1.0, **more}
    pathlib.Path(job["answer"]).write_text(json.dumps(body))
def give(*numbers):
    with open(job["outputs"], "ab") as stream:
        stream.write(struct.pack(f"<{len(numbers)}d", *numbers))
"""
RUN = f"""
import runpy
runpy.run_path({str(WORKER)!r}, run_name="__main__")
"""
ABSENT = """
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "ai_edge_litert":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Finder())
"""
HANG = """
import os
os.read(os.pipe()[0], 1)
"""


def run(task: Task, row: Row = ROW, seconds: float = PLENTY) -> Outcome:
    """A real row on every photo."""
    return run_row(row, task, range(N), python=sys.executable, seconds=seconds, report=Silent())


def lied(task: Task, code: str, seconds: float = PLENTY) -> Outcome:
    """What becomes of a worker that does ``code``."""
    worker = ("-c", READ + code)
    return run_row(
        ROW,
        task,
        range(N),
        python=sys.executable,
        seconds=seconds,
        report=Silent(),
        worker=worker,
    )


class Counting(Silent):
    """A reporter that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.counted = 0

    def track(self, items: Iterable[T], label: str, total: int) -> Iterator[T]:
        """``items``, counted."""
        self.told.append((label, total))
        for item in items:
            self.counted += 1
            yield item


def test_a_row_has_the_scores_of_this_process(task: Task, photo_scores: list[float]) -> None:
    outcome = run(task)
    assert (outcome.status, outcome.reason) == (DONE, "")
    assert outcome.outputs is not None
    assert outcome.outputs.shape == (N, 1)
    assert outcome.outputs[:, 0].tolist() == photo_scores
    assert outcome.nodes is not None
    assert sum(name == "DELEGATE" for name, _, _ in outcome.nodes) == 1
    assert outcome.python == ".".join(map(str, sys.version_info[:3]))
    assert outcome.version
    assert outcome.invoke_ms is not None
    assert outcome.invoke_ms > 0


def test_a_part_of_the_inputs_in_order(task: Task, photo_scores: list[float]) -> None:
    report = Counting()
    outcome = run_row(ROW, task, [4, 1], python=sys.executable, seconds=PLENTY, report=report)
    assert outcome.outputs is not None
    assert outcome.outputs[:, 0].tolist() == [photo_scores[4], photo_scores[1]]
    assert report.told == [("litert-xnnpack/1", 2)]
    assert report.counted == 2


def test_the_compiled_model_gives_scores_and_does_not_list_its_nodes(
    task: Task, photo_scores: list[float]
) -> None:
    pytest.importorskip("ai_edge_litert.compiled_model")
    outcome = run(task, Row(VARIANTS["litert-compiled-model"], 1))
    assert (outcome.status, outcome.reason) == (DONE, "")
    assert outcome.nodes is None
    assert outcome.outputs is not None
    assert outcome.outputs[:, 0] == pytest.approx(photo_scores, abs=1e-6)


def test_a_worker_finds_no_tensorflow_of_its_own_accord(task: Task) -> None:
    folder = task.folder / "trap"
    (folder / "tensorflow").mkdir(parents=True)
    (folder / "tensorflow" / "__init__.py").write_text("raise SystemExit(9)")
    code = f"sys.path.insert(0, {str(folder)!r})\n{RUN}"
    assert lied(task, code).status == DONE


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (ABSENT, "litert is not installed"),
        ("sys.modules['ai_edge_litert.interpreter'] = None", "litert does not load (import of "),
        ("sys.modules['numpy'] = None", "litert does not load (import of numpy "),
    ],
)
def test_a_backend_that_is_not_here_is_missing(task: Task, code: str, reason: str) -> None:
    outcome = lied(task, code + RUN)
    assert outcome.status == MISSING
    assert outcome.reason.startswith(reason)
    assert outcome.outputs is None


def test_a_python_that_does_not_start_is_missing(task: Task) -> None:
    outcome = run_row(ROW, task, range(N), python=str(task.folder), seconds=PLENTY, report=Silent())
    assert outcome.status == MISSING
    assert outcome.reason == f"{task.folder} does not start (Permission denied)"


def test_a_file_that_the_interpreter_does_not_load_is_refused(task: Task) -> None:
    model = task.folder / "model.tflite"
    model.write_bytes(model.read_bytes()[: 1 << 20])
    outcome = run(task)
    assert outcome.status == REFUSED
    assert outcome.reason.startswith("it cannot load this file (")
    assert outcome.version


def test_an_input_that_the_interpreter_does_not_take_is_refused(task: Task) -> None:
    np.save(task.folder / "inputs.npy", np.zeros((N, 1, 224, 224, 3), np.int64))
    outcome = run(task)
    assert outcome.status == REFUSED
    assert outcome.reason.startswith("it cannot run this file (")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV, 0 of 6 inputs run"),
        ("give(0.5, 0.5); import os; os.abort()", "SIGABRT, 2 of 6 inputs run"),
        ("print('\\x1b[31mno'); sys.exit(7)", "exit code 7 (\\x1b[31mno), 0 of 6 inputs run"),
        ("raise SystemError('odd')", "exit code 1 (SystemError: odd), 0 of 6 inputs run"),
    ],
)
def test_a_crash_is_a_row_that_says_so(task: Task, code: str, reason: str) -> None:
    outcome = lied(task, code)
    assert outcome == Outcome(CRASHED, f"the process ended with {reason}")


def test_a_hang_ends_at_the_time_limit_and_the_process_with_it(task: Task, held: Any) -> None:
    started = time.monotonic()
    outcome = lied(task, f"{held.code}give(0.5)\n{HANG}", seconds=3.0)
    assert 3.0 <= time.monotonic() - started < 60.0
    assert held.let_go()
    assert outcome == Outcome(
        TIMED_OUT, "no answer within 3 s, 1 of 6 inputs run; --time-limit gives it more"
    )


def test_what_a_worker_starts_is_gone_with_it(task: Task, held: Any) -> None:
    code = (
        "import subprocess\n"
        f"command = [sys.executable, '-c', {held.code + 'print(flush=True)' + HANG!r}]\n"
        "subprocess.Popen(command, stdout=subprocess.PIPE).stdout.readline()\n"
        "give(*[0.5] * 6); answer()"
    )
    assert lied(task, code).status == DONE
    assert held.let_go()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("give(0.5, 0.5, 0.5); answer()", "it gave 3 numbers, not 6"),
        ("give(*[0.5] * 7); answer()", "it gave 7 numbers, not 6"),
        ("open(job['outputs'], 'wb').write(b'garbage'); answer()", "it gave 0.875 numbers, not 6"),
        ("give(*[0.5] * 6)", "it gave no answer ("),
        ("give(*[0.5] * 6); open(job['answer'], 'w').write('{')", "it gave no answer ("),
        ("give(*[0.5] * 6); open(job['answer'], 'w').write('[1]')", "it gave no answer ("),
        ("give(*[0.5] * 6); answer(nodes=[1])", "it gave no answer ("),
        ("give(*[0.5] * 6); answer(invoke_ms=None)", "it gave no answer ("),
        ("give(*[0.5] * 6); answer(outcome='well')", "it gave the outcome 'well'"),
    ],
)
def test_an_answer_that_is_none_is_invalid(task: Task, code: str, reason: str) -> None:
    outcome = lied(task, code)
    assert outcome.status == INVALID
    assert outcome.reason.startswith(reason)
    assert outcome.outputs is None


def test_what_a_worker_prints_does_no_harm(task: Task) -> None:
    code = "sys.stdout.write('garbage' * 100000); give(*[0.25] * 6); answer()"
    outcome = lied(task, code)
    assert outcome.outputs is not None
    assert outcome.outputs.tolist() == [[0.25]] * 6


@pytest.mark.parametrize("row", rows_of(()), ids=lambda row: row.name)
def test_the_worker_is_told_the_row(task: Task, row: Row) -> None:
    code = (
        "answer(outcome='refused', reason=f\"{job['backend']} {job['kernels']} {job['threads']}\")"
    )
    outcome = run_row(
        row,
        task,
        range(N),
        python=sys.executable,
        seconds=PLENTY,
        report=Silent(),
        worker=("-c", READ + code),
    )
    assert outcome.reason == f"{row.variant.backend} {row.variant.kernels} {row.threads}"


def test_another_python_is_not_given_the_import_paths_of_this_one(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    other = task.folder / "python"
    other.symlink_to(sys.executable)
    code = "import os; answer(outcome='refused', reason=str(os.environ.get('PYTHONPATH')))"
    outcome = run_row(
        ROW,
        task,
        range(N),
        python=str(other),
        seconds=PLENTY,
        report=Silent(),
        worker=("-c", READ + code),
    )
    assert outcome.reason == "None"
    (task.folder / "litert-xnnpack-1").rename(task.folder / "done")
    assert lied(task, code).reason == "/elsewhere"


def test_an_interrupt_takes_the_worker_with_it(task: Task, held: Any) -> None:
    """The process that runs the row gets the signal alone, as from ``kill``."""
    code = f"""
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background ignores it
from lesionlite_export.matrix.process import Task, run_row
from lesionlite_export.matrix.rows import VARIANTS, Row
from lesionlite_export.progress import Silent
task = Task(Path({str(task.folder)!r}), "serving_default", "image", "score", "float32", 1)
run_row(
    Row(VARIANTS["litert-xnnpack"], 1), task, range(6), python=sys.executable, seconds={PLENTY},
    report=Silent(), worker=("-c", {held.code + HANG!r}),
)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE
    ) as parent:
        held.wait()
        parent.send_signal(signal.SIGINT)
        _, error = parent.communicate()
    assert b"KeyboardInterrupt" in error
    assert held.let_go()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A process in the background ignores the signal from its beginning."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_in_the_middle_of_a_start_is_put_off(
    task: Task, held: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            held.wait()
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Slow)
    with pytest.raises(KeyboardInterrupt):
        lied(task, held.code + HANG)
    assert held.let_go()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_worker_ends_by_itself_where_nobody_is_left_to_kill_it(task: Task) -> None:
    """It blocks on a file that nobody writes, half a second before its last moment."""
    pipe = task.folder / "pipe"
    os.mkfifo(pipe)
    job = {"model": str(pipe), "backend": "litert", "kernels": "default", "threads": 1}
    path = task.folder / "orphan.json"
    path.write_text(json.dumps({**job, "seconds": 0.5 - GRACE_SECONDS}))
    command = [sys.executable, str(WORKER), str(path)]
    done = subprocess.run(command, capture_output=True, timeout=PLENTY, check=False)
    assert done.returncode == 1
    assert b"Timeout" in done.stderr
