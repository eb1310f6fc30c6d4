"""A file and its reference on a stream of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lesionlite_export.comparison import Paired, pair_outcomes
from lesionlite_export.keras_model import KerasModel
from lesionlite_export.manifest import Manifest
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.recorded import RecordedScores, file_sha256
from lesionlite_export.reference import Outcome, Reference, reference_outcomes
from lesionlite_export.representative import Unusable
from lesionlite_export.seen import KnownSet, refuse_seen, seen_images
from lesionlite_export.source import name_of
from lesionlite_export.stream.header import journal_header, keras_digest
from lesionlite_export.stream.look import LookedAt, Plan
from lesionlite_export.stream.options import StreamOptions
from lesionlite_export.stream.rows import ScoredImage
from lesionlite_export.stream.run import Row, stream_images, usable
from lesionlite_export.tflite_model import TfliteModel
from lesionlite_runtime.contract import LabelsContract, image_contract
from lesionlite_runtime.door import DeviceModel


@dataclass(frozen=True)
class SeenCheck:
    """Refuses, chunk by chunk, images that a model has seen.

    Attributes:
        known: what models have seen.
        allowed: whether that is no reason to stop.
        source: what lists the images.
        listed: how many it lists.
    """

    known: Sequence[KnownSet]
    allowed: bool
    source: str
    listed: int


def stream_pairs(
    reference: Reference,
    opened: DeviceModel,
    manifest: Manifest,
    check: SeenCheck,
    options: StreamOptions,
    report: Reporter,
    *,
    backend: str | None,
    threads: int,
) -> tuple[Paired, tuple[ScoredImage, ...], tuple[Unusable, ...]]:
    """The images that both sides score, the rows of all that could be read, and the others.

    Raises:
        UsageError: at the first chunk with an image that a model has seen.
        LesionliteError: see `stream_images`, `pair_outcomes`.
    """
    contract = image_contract(opened.contract, opened.path)
    labels = contract.output.labels if isinstance(contract, LabelsContract) else ()
    there = reference.opened if isinstance(reference, TfliteModel) else None
    plan = Plan(
        contract.input,
        (opened,) if there is None else (opened, there),
        backend,
        threads,
        keep_pixels=isinstance(reference, KerasModel),
    )

    def finish(images: Sequence[LookedAt]) -> Sequence[Outcome]:
        return reference_outcomes(reference, images, labels, Silent())

    lines = read = 0

    def refuse(rows: Sequence[Row]) -> None:
        nonlocal lines, read
        own = usable(rows)
        lines, read = lines + len(rows), read + len(own)
        seen = seen_images(own, check.known, check.allowed)
        if lines < check.listed:
            refuse_seen(seen, lines, check.source, check.listed)
        else:
            refuse_seen(seen, read, check.source)

    def header() -> Mapping[str, str]:
        models = {"file": opened.file_sha256, "reference": _digest(reference)}
        return journal_header("verify", manifest, plan, models)

    rows, unusable = stream_images(
        manifest,
        plan,
        finish if there is None else None,
        refuse,
        options,
        header,
        report,
        _label(reference),
    )
    ours, theirs = zip(*(row.outcomes for row in rows), strict=True)
    return pair_outcomes(rows, theirs, ours, opened.path), rows, unusable


def _digest(reference: Reference) -> str:
    if isinstance(reference, TfliteModel):
        return reference.opened.file_sha256
    if isinstance(reference, RecordedScores):
        return file_sha256(Path(reference.path))
    return keras_digest(reference)


def _label(reference: Reference) -> str:
    if isinstance(reference, RecordedScores):
        return "Scoring with the .tflite"
    return f"Scoring with {name_of(reference)} and the .tflite"
