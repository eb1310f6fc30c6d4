"""Chunks by worker processes of this machine.

A worker that dies costs its chunk one more try, alone; one that dies twice is named. Each has a
pipe of its own, and no lock is shared: one that is killed in the middle of a result leaves nothing
that others wait for, as a worker of `concurrent.futures.ProcessPoolExecutor` does, and all hang.
Workers do not outlive this process, however it ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any, TypeAlias

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.stream.look import Found, Looker, Plan, Stopped
from lesionlite_runtime.errors import LesionliteError, UnusableInput, printable

Chunk = tuple[int, Sequence[LabelledImage]]
Connection: TypeAlias = "multiprocessing.connection.Connection[Any, Any]"
AHEAD = 2
"""Chunks that each worker has under way or waiting, so that none is idle and memory is bounded."""


class _Died(Exception):
    """A worker process ended before it had answered."""


def look_pooled(plan: Plan, chunks: Iterable[Chunk], workers: int) -> Iterator[tuple[int, Found]]:
    """Each chunk's number and what was found, in the order of ``chunks``.

    Raises:
        UnusableInput: when a worker dies twice on a chunk.
    """
    left = iter(chunks)
    waiting: deque[tuple[Chunk, Future[Found]]] = deque()
    crew = _Crew(plan, workers)
    try:
        while True:
            while len(waiting) < AHEAD * workers and (chunk := next(left, None)):
                waiting.append((chunk, crew.submit(chunk[1])))
            if not waiting:
                return
            (number, images), future = waiting[0]
            if _died(future):
                wait([other for _, other in waiting])  # memory may have been what it lacked
                future = crew.submit(images)
                if _died(future):
                    raise died_on(images)
            waiting.popleft()
            yield number, future.result()
    finally:
        crew.close()


@dataclass(frozen=True)
class _Worker:
    """A process, the pipe of its chunks and answers, and one that ends its chunk when closed."""

    process: BaseProcess
    work: Connection
    stop: Connection


class _Crew:
    """Worker processes, each begun when it is needed, and for each a thread that waits for it."""

    def __init__(self, plan: Plan, count: int) -> None:
        self._plan = plan
        self._threads = ThreadPoolExecutor(count)
        self._idle: queue.SimpleQueue[_Worker | None] = queue.SimpleQueue()
        for _ in range(count):
            self._idle.put(None)
        self._lock = threading.Lock()
        self._alive: list[_Worker] = []
        self._closing = False

    def submit(self, images: Sequence[LabelledImage]) -> Future[Found]:
        """What is found of a chunk; `_Died` where its worker ended."""
        return self._threads.submit(self._look, images)

    def close(self) -> None:
        """End the chunks that are under way, and then the workers."""
        with self._lock:
            self._closing = True
            for worker in self._alive:
                worker.stop.close()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in self._alive:
            worker.work.close()
            worker.process.join()

    def _look(self, images: Sequence[LabelledImage]) -> Found:
        worker = self._idle.get()
        try:
            if worker is None:
                worker = self._begin()
            try:
                worker.work.send(images)
                answer = _answer(worker)
            except (EOFError, OSError) as error:
                self._bury(worker)
                worker = None
                raise _Died from error
        finally:
            self._idle.put(worker)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _begin(self) -> _Worker:
        with self._lock:
            if self._closing:
                raise Stopped
            worker = _begun(self._plan)
            self._alive.append(worker)
        return worker

    def _bury(self, worker: _Worker) -> None:
        worker.process.kill()
        worker.process.join()
        with self._lock:
            self._alive.remove(worker)
        worker.work.close()
        worker.stop.close()


def _begun(plan: Plan) -> _Worker:
    context = multiprocessing.get_context("spawn")
    work, its_work = context.Pipe()
    its_stop, stop = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(plan, its_work, its_stop), daemon=True)
    with _interrupt_kept_from_workers():
        process.start()
    # Here they would keep the pipes open after its end.
    its_work.close()
    its_stop.close()
    return _Worker(process, work, stop)


def _answer(worker: _Worker) -> Found | Exception:
    answer: Found | Exception = worker.work.recv()
    return answer


def _serve(plan: Plan, work: Connection, stop: Connection) -> None:
    """In a worker: chunks, until no more can come."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    looker = Looker(plan)
    answer: Found | Exception
    while True:
        try:
            images = work.recv()
        except EOFError:
            return
        try:
            answer = looker.look(images, stop.poll)
        except Exception as error:
            answer = error
        work.send(answer)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


@contextlib.contextmanager
def _interrupt_kept_from_workers() -> Iterator[None]:
    """Processes that start in the block never see an interrupt: it is ours to end them.

    Ctrl-C reaches every process of a terminal. One that comes in the block reaches this process
    when it is left.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # its start would end the block early
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _died(future: Future[Found]) -> bool:
    return isinstance(future.exception(), _Died)


def died_on(images: Sequence[LabelledImage]) -> LesionliteError:
    """The sentence for ``images`` that a worker died on, twice."""
    first, last = (printable(str(image.path)) for image in (images[0], images[-1]))
    return UnusableInput(
        f"a worker process died twice on the {len(images)} images from {first} to {last}",
        "look at these, and at this machine's memory; --workers 1 shows more",
    )
