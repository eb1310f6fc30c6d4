"""Worker processes: the same figures from any number, and none that stays behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lesionlite_export.manifest import Manifest, read_isic_split
from lesionlite_export.progress import Silent
from lesionlite_export.representative import Unusable
from lesionlite_export.stream import pool
from lesionlite_export.stream.look import LookedAt, Looker, Plan
from lesionlite_export.stream.options import StreamOptions
from lesionlite_export.stream.run import CHUNK, stream_images
from lesionlite_export.verification_result import Verification
from lesionlite_runtime.contract import image_contract
from lesionlite_runtime.door import open_model
from lesionlite_runtime.errors import UnusableInput

LENGTH_BYTES = 4
"""What `multiprocessing.connection.Connection` sends before a message of less than 2 GiB."""


@pytest.mark.tensorflow
@pytest.mark.parametrize("workers", [2, 3])
def test_figures_do_not_depend_on_the_number_of_workers(
    workers: int, verify: Any, plain: Verification, same: Any
) -> None:
    options = StreamOptions(workers)
    found = verify(stream=options)
    same(found, plain)
    assert multiprocessing.active_children() == []


def kill_a_worker() -> None:
    worker = multiprocessing.active_children()[0]
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()


@pytest.mark.tensorflow
def test_a_worker_that_dies_costs_nothing_but_time(
    verify: Any, plain: Verification, same: Any, counting: Any
) -> None:
    found = verify(stream=StreamOptions(2), report=counting(1, kill_a_worker))
    same(found, plain)
    assert multiprocessing.active_children() == []


def digests(items: Iterable[LookedAt | Unusable]) -> list[str]:
    return [item.sha256 for item in items if isinstance(item, LookedAt)]


def _wait_for_more_than_the_length(connection: pool.Connection) -> None:
    """Until a part of the message itself is here: its length is sent before, by itself.

    A worker killed between the two has sent nothing of the message, a clean end to `recv`.
    """
    with socket.socket(fileno=os.dup(connection.fileno())) as pipe:
        while (here := len(pipe.recv(LENGTH_BYTES + 1, socket.MSG_PEEK))) <= LENGTH_BYTES:
            assert here, "the worker ended by itself"
            os.sched_yield()


def test_a_worker_that_is_killed_while_it_sends_holds_nobody_up(
    shipped_model: Path, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its result is larger than what a pipe holds, so it waits in the middle of it."""
    images = read_isic_split(many, "valid").images
    plan = Plan(image_contract(open_model(shipped_model).contract).input, (), keep_pixels=True)
    real, first, cut = pool._answer, threading.Lock(), []

    def killing(worker: Any) -> Any:
        if first.acquire(blocking=False):
            _wait_for_more_than_the_length(worker.work)
            worker.process.kill()
            try:
                return real(worker)
            except OSError as error:
                cut.append(str(error))
                raise
        return real(worker)

    monkeypatch.setattr(pool, "_answer", killing)
    chunks = [(at, images[at : at + CHUNK]) for at in range(0, len(images), CHUNK)]
    found = list(pool.look_pooled(plan, chunks, 2))
    assert cut == ["got end of file during message"]
    assert [number for number, _ in found] == [number for number, _ in chunks]
    assert digests(item for _, items in found for item in items) == digests(
        Looker(plan).look(images)
    )
    assert multiprocessing.active_children() == []


class Deadly(type(Path())):  # type: ignore[misc]
    """A path that ends the process that it is sent to."""

    def __reduce__(self) -> Any:
        return os._exit, (9,)


def test_images_that_kill_every_worker_are_named(shipped_model: Path, many: Path) -> None:
    opened = open_model(shipped_model)
    images = list(read_isic_split(many, "valid").images)
    images[CHUNK + 1] = replace(images[CHUNK + 1], path=Deadly(images[CHUNK + 1].path))
    plan = Plan(image_contract(opened.contract).input, ())
    words = (
        f"a worker process died twice on the 32 images from {images[CHUNK].path} to "
        f"{images[2 * CHUNK - 1].path}"
    )
    with pytest.raises(UnusableInput, match=words):
        stream_images(
            Manifest("list.csv", tuple(images)),
            plan,
            None,
            lambda _: None,
            StreamOptions(2),
            dict,
            Silent(),
            "",
        )
    assert multiprocessing.active_children() == []
