"""A set of images through a stream: what is left of each, in the manifest's order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

from lesionlite_export.keras_model import BATCH
from lesionlite_export.manifest import LabelledImage, Manifest
from lesionlite_export.progress import Reporter
from lesionlite_export.reference import Outcome
from lesionlite_export.representative import Unusable, prepare, usable_images
from lesionlite_export.stream.look import Found, LookedAt, Looker, Plan
from lesionlite_export.stream.options import StreamOptions
from lesionlite_export.stream.rows import ScoredImage

CHUNK = BATCH
"""Lines of the manifest in a chunk: what a Keras network is given at once, as everywhere."""
Row = ScoredImage | Unusable
Finish = Callable[[Sequence[LookedAt]], Sequence[Outcome]]
"""The outputs of a side that is run here, for each image of a chunk, all of which could be read."""
Check = Callable[[Sequence[Row]], None]
"""Raises where a chunk is enough to end the run."""


def stream_images(
    manifest: Manifest,
    plan: Plan,
    finish: Finish | None,
    check: Check,
    options: StreamOptions,
    header: Callable[[], Mapping[str, str]],
    report: Reporter,
    label: str,
) -> tuple[tuple[ScoredImage, ...], tuple[Unusable, ...]]:
    """Rows of the images that could be read, and the others.

    Args:
        manifest: the images.
        plan: what is done where they are read.
        finish: one more side, whose outputs come last; None for no more.
        check: is told of each chunk with the outputs of ``plan`` alone, before ``finish``.
        options: where it is done.
        header: what the rows depend on, for the journal.
        report: who is told of the progress.
        label: of the progress.

    Raises:
        UnusableInput: when none can be read, a worker dies twice, or the journal cannot be used.
        UsageError: for a journal of something else, or an option out of place.
        MissingHere: when the cluster or what it needs is not there.
        LesionliteError: what ``check`` raises.
    """
    images = manifest.images
    chunks = {
        number: images[start : start + CHUNK]
        for number, start in enumerate(range(0, len(images), CHUNK))
    }
    rows: dict[int, Sequence[Row]] = {}
    with contextlib.ExitStack() as stack:
        journal = None
        if options.journal is not None:
            from lesionlite_export.stream.journal import open_journal

            journal = stack.enter_context(open_journal(options.journal, header()))
            for number, done in journal.chunks(chunks):
                if not _can_be_read_now(done, plan):
                    check(done)
                    rows[number] = done
        left = [(number, own) for number, own in chunks.items() if number not in rows]

        def finished() -> Iterator[Row]:
            looked = stack.enter_context(contextlib.closing(_looked(plan, left, options)))
            for number, found in looked:
                check(_rows(found))
                readable = [item for item in found if isinstance(item, LookedAt)]
                last = finish(readable) if finish is not None and readable else ()
                rows[number] = _rows(found, None if finish is None else last)
                if journal is not None:
                    journal.add(number, rows[number])
                yield from rows[number]

        n = sum(len(own) for _, own in left)
        before = len(images) - n
        if before:
            report.say(f"{before:,} of {len(images):,} images are in the journal")
        for _ in report.track(finished(), label, n):
            pass
    in_order = (row for number in sorted(rows) for row in rows[number])
    return usable_images(in_order, manifest.source)


def _can_be_read_now(rows: Sequence[Row], plan: Plan) -> bool:
    """Whether an image that could not be read can be: its chunk is then done anew."""
    unusable = [row.image for row in rows if isinstance(row, Unusable)]
    return any(not isinstance(one, Unusable) for one in prepare(unusable, plan.image_input))


def usable(rows: Sequence[Row]) -> Sequence[ScoredImage]:
    """The rows of images that could be read."""
    return [row for row in rows if isinstance(row, ScoredImage)]


def _rows(found: Found, last: Sequence[Outcome] | None = None) -> Sequence[Row]:
    more = iter(last or ())
    return [
        item
        if isinstance(item, Unusable)
        else ScoredImage(
            item.image,
            item.sha256,
            item.file_sha256,
            item.kind,
            item.outcomes if last is None else (*item.outcomes, next(more)),
        )
        for item in found
    ]


def _looked(
    plan: Plan, chunks: Sequence[tuple[int, Sequence[LabelledImage]]], options: StreamOptions
) -> Generator[tuple[int, Found]]:
    workers = min(options.workers, len(chunks))
    if options.dask is not None:
        from lesionlite_export.stream.cluster import look_clustered

        yield from look_clustered(plan, chunks, options.dask)
    elif workers > 1:
        from lesionlite_export.stream.pool import look_pooled

        yield from look_pooled(plan, chunks, workers)
    else:
        looker = Looker(plan)
        for number, images in chunks:
            yield number, looker.look(images)
