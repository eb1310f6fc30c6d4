"""Chunks by the workers of a Dask cluster.

A worker that is lost costs its chunks another try elsewhere: the scheduler sees to that. Images are
read where the worker is, under the path that they have here; files travel there.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import uuid
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.reference import Outcome
from lesionlite_export.representative import Unusable, prepare
from lesionlite_export.stream.look import Found, LookedAt, Plan
from lesionlite_export.stream.pool import AHEAD, Chunk, died_on
from lesionlite_runtime.errors import LesionliteError, MissingHere, UnusableInput, UsageError

SECONDS = 10
"""How long the scheduler may take to answer, and to have a worker."""


def look_clustered(
    plan: Plan, chunks: Iterable[Chunk], address: str
) -> Generator[tuple[int, Found]]:
    """Each chunk's number and what was found, in the order of ``chunks``.

    Raises:
        MissingHere: when `distributed`, the scheduler, a worker, or lesionlite on one is not there,
            a worker has other versions, or the cluster goes away.
        UnusableInput: when several workers die on a chunk, or one cannot read an image that this
            machine can.
        UsageError: when ``address`` is none.
    """
    if importlib.util.find_spec("distributed") is None:
        raise MissingHere(
            "--dask needs the package distributed", "run pip install 'lesionlite[dask]'"
        )
    from lesionlite_export.stream.cluster_worker import PlanPlugin, look_there, versions_here

    left = iter(chunks)
    with _connected(address) as client:
        name = f"lesionlite-{uuid.uuid4().hex}"
        client.register_plugin(PlanPlugin(name, plan, versions_here()))
        waiting: deque[tuple[Chunk, Any]] = deque()
        try:
            while True:
                room = AHEAD * max(1, sum(client.nthreads().values()))
                while len(waiting) < room and (chunk := next(left, None)):
                    there = [replace(image, path=image.path.absolute()) for image in chunk[1]]
                    waiting.append((chunk, client.submit(look_there, name, there, pure=False)))
                if not waiting:
                    return
                (number, images), future = waiting.popleft()
                found = _result(future, images, address)
                del future  # lets the worker drop it
                yield number, [*_as_here(found, images, plan)]
        finally:
            with contextlib.suppress(Exception):  # the cluster may be gone
                client.cancel([future for _, future in waiting])
                client.unregister_worker_plugin(name)


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    from distributed import Client

    if ":" not in address:
        raise UsageError(
            f"{address!r} is no address of a Dask scheduler", "pass one such as tcp://HOST:8786"
        )
    try:
        client: Any = Client(  # type: ignore[no-untyped-call]
            address, timeout=SECONDS, set_as_default=False
        )
    except ValueError as error:
        raise UsageError(
            f"{address!r} is no address of a Dask scheduler ({error})",
            "pass one such as tcp://HOST:8786",
        ) from error
    except OSError as error:
        raise MissingHere(
            f"no Dask scheduler answers at {address}",
            "start one with `dask scheduler`, or leave --dask out",
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=SECONDS)
        except TimeoutError as error:
            raise MissingHere(
                f"the Dask cluster at {address} has no worker",
                f"start one with `dask worker {address}`",
            ) from error
        _check_installed(client)
        yield client


def _check_installed(client: Any) -> None:
    """Refuse workers without lesionlite, by a function that they have all the same."""
    found = client.run(importlib.metadata.version, "lesionlite", on_error="return")
    for worker, version in found.items():
        if not isinstance(version, str):
            raise MissingHere(
                f"the Dask worker {worker} has no lesionlite",
                "run pip install 'lesionlite[quantize,dask]' there",
            )


def _result(future: Any, images: Sequence[LabelledImage], address: str) -> Found:
    from distributed import KilledWorker

    try:
        found: Found = future.result()
    except LesionliteError:
        raise
    except KilledWorker as error:
        raise died_on(images) from error
    except Exception as error:  # whatever a cluster that goes away, or a worker, makes of it
        raise MissingHere(
            f"the Dask cluster at {address} did not run it ({type(error).__name__}: {error})",
            "look at its workers; with --journal the same command goes on from here",
        ) from error
    return found


def _as_here(
    found: Found, images: Sequence[LabelledImage], plan: Plan
) -> Iterator[LookedAt | Unusable]:
    """``found`` under the names that the images have here.

    Raises:
        UnusableInput: when an image could not be read there, and can be here.
    """
    for item, image in zip(found, images, strict=True):
        if isinstance(item, LookedAt):
            outcomes = tuple(_named(one, item.image, image) for one in item.outcomes)
            yield replace(item, image=image, outcomes=outcomes)
            continue
        (own,) = prepare([image], plan.image_input)
        if not isinstance(own, Unusable):
            raise UnusableInput(
                f"a worker of the Dask cluster cannot read it ({item.error.problem}), and this "
                "machine can",
                "put the images where every worker finds them under the same path",
                image.path,
            )
        yield own


def _named(one: Outcome, there: LabelledImage, here: LabelledImage) -> Outcome:
    if isinstance(one, LesionliteError) and one.file == str(there.path):
        return type(one)(one.problem, one.remedy, here.path)
    return one
