"""Chunks by worker processes of this machine.

A worker that dies costs its chunk one more try, alone; one that dies twice is named. Workers do not
outlive this process, however it ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from multiprocessing.synchronize import Event

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.stream.look import Found, Looker, Plan
from lesionlite_runtime.errors import LesionliteError, UnusableInput, printable

Chunk = tuple[int, Sequence[LabelledImage]]
AHEAD = 2
"""Chunks that each worker has under way or waiting, so that none is idle and memory is bounded."""

_looker: Looker | None = None
_stop: Event | None = None


def look_pooled(plan: Plan, chunks: Iterable[Chunk], workers: int) -> Iterator[tuple[int, Found]]:
    """Each chunk's number and what was found, in the order of ``chunks``.

    Raises:
        UnusableInput: when a worker dies twice on a chunk.
    """
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    left = iter(chunks)
    waiting: deque[tuple[Chunk, Future[Found]]] = deque()
    pool = _pool(plan, workers, stop)
    try:
        while True:
            while len(waiting) < AHEAD * workers and (chunk := next(left, None)):
                waiting.append((chunk, _submit(pool, chunk[1])))
            if not waiting:
                return
            if _died(waiting[0][1]):
                pool.shutdown(wait=True)
                waiting = deque((chunk, _again(plan, chunk, own, stop)) for chunk, own in waiting)
                pool = _pool(plan, workers, stop)
            (number, _), future = waiting.popleft()
            yield number, future.result()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _pool(plan: Plan, workers: int, stop: Event) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, _start, (plan, stop))


def _start(plan: Plan, stop: Event) -> None:
    """In a worker, before the first chunk."""
    global _looker, _stop
    _looker, _stop = Looker(plan), stop
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _look(images: Sequence[LabelledImage]) -> Found:
    """In a worker: a chunk."""
    assert _looker is not None
    assert _stop is not None
    return _looker.look(images, _stop.is_set)


def _submit(pool: ProcessPoolExecutor, images: Sequence[LabelledImage]) -> Future[Found]:
    try:
        with _interrupt_kept_from_workers():
            return pool.submit(_look, images)
    except BrokenProcessPool as error:
        failed: Future[Found] = Future()
        failed.set_exception(error)
        return failed


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
    return isinstance(future.exception(), BrokenProcessPool)


def _again(plan: Plan, chunk: Chunk, future: Future[Found], stop: Event) -> Future[Found]:
    """``future``, or that of a second try in a process of its own where its worker died.

    Raises:
        UnusableInput: when that died, too.
    """
    if not _died(future):
        return future
    with _pool(plan, 1, stop) as alone:
        again = _submit(alone, chunk[1])
        if _died(again):
            raise died_on(chunk[1])
    return again


def died_on(images: Sequence[LabelledImage]) -> LesionliteError:
    """The sentence for ``images`` that a worker died on, twice."""
    first, last = (printable(str(image.path)) for image in (images[0], images[-1]))
    return UnusableInput(
        f"a worker process died twice on the {len(images)} images from {first} to {last}",
        "look at these, and at this machine's memory; --workers 1 shows more",
    )
