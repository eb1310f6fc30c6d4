"""Whether a file decides like its reference, on the verifier's own images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lesionlite_export.comparability import check_comparable, file_side, reference_side
from lesionlite_export.comparison import Paired, compare_regressions, parity_of
from lesionlite_export.gate import check_limits, judge
from lesionlite_export.label_decisions import decision_warnings, own_decisions
from lesionlite_export.label_figures import LabelFigures, label_figures
from lesionlite_export.labels_parity import LabelScoreParity
from lesionlite_export.manifest import Manifest, read_images
from lesionlite_export.parity import ScoreParity
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.recorded import RecordedScores, recorded_warnings
from lesionlite_export.reference import Reference
from lesionlite_export.representative import PreparedImage, Unusable, prepare, usable_images
from lesionlite_export.sample import cluster
from lesionlite_export.score_figures import ScoreFigures, score_figures
from lesionlite_export.score_levels import score_levels
from lesionlite_export.seen import KnownSet, SeenImages, known_sets, refuse_seen, seen_images
from lesionlite_export.seen_lists import list_beside, training_set
from lesionlite_export.set_warnings import proof_warnings, unlike_photos
from lesionlite_export.stream.options import StreamOptions
from lesionlite_export.stream.pairs import SeenCheck, stream_pairs
from lesionlite_export.stream.rows import ScoredImage
from lesionlite_export.verification_result import ProofSet, Verification
from lesionlite_runtime.container import read_contract
from lesionlite_runtime.contract import ImageContract, RegressionContract, image_contract
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.door import DeviceModel, open_model
from lesionlite_runtime.errors import UsageError
from lesionlite_runtime.interpreter import installed_backends
from lesionlite_runtime.regressor import Regressor


@dataclass(frozen=True)
class Prepared:
    """The images of a set as tensors, and those that could not be used."""

    images: tuple[PreparedImage, ...]
    unusable: tuple[Unusable, ...]


def prepare_all(
    manifest: Manifest, image_input: ImageInput, label: str, report: Reporter
) -> Prepared:
    """Every image of ``manifest`` as the network's input.

    Raises:
        UnusableInput: when none can be used.
    """
    items = report.track(prepare(manifest.images, image_input), label, len(manifest.images))
    return Prepared(*usable_images(items, manifest.source))


def prepare_proof(
    manifest: Manifest, contract: ImageContract, label: str, report: Reporter
) -> Prepared:
    """As `prepare_all`, for a proof: a set of one label has no AUC, and misses nothing.

    Raises:
        UnusableInput: when none can be used, those that can have one label only, or a lesion has
            two patients.
    """
    manifest.needs_both_labels()
    cluster(manifest.images)  # refused now, not after the scoring
    prepared = prepare_all(manifest, contract.input, label, report)
    Manifest(manifest.source, tuple(p.image for p in prepared.images)).needs_both_labels()
    return prepared


def verify_model(
    reference: Reference,
    tflite: str | os.PathLike[str],
    data: str | os.PathLike[str] | None,
    *,
    limits: Mapping[str, float | None] | None = None,
    classes: Mapping[str, int] | None = None,
    training: Path | None = None,
    allow_training_images: bool = False,
    backend: str | None = None,
    threads: int = 1,
    stream: StreamOptions | None = None,
    report: Reporter | None = None,
) -> Verification:
    """Compare the file ``tflite`` with ``reference`` on the images of ``data``.

    Args:
        reference: as loaded by `load_reference`.
        tflite: path of the file.
        data: manifest CSV, or a folder in the ISIC layout, whose ``valid`` is taken; None for a
            regression.
        limits: of the gate, over the defaults (see `judge`).
        classes: label of each class folder; by default those of the file's contract.
        training: what lists the images that the model was trained on, see `training_set`.
        allow_training_images: go on although images are among those of training or calibration;
            the result says so.
        backend: see `lesionlite_runtime.Classifier`.
        threads: likewise.
        stream: where images are read and scored, and what keeps it over a kill; this process alone
            by default. (With several workers a script of yours needs the usual ``if __name__ ==
            "__main__"``.)
        report: who is told of the progress.

    Raises:
        UnusableInput: when the file is refused at the door, the two cannot be compared, or the
            images or the journal cannot be used.
        MissingHere: when a backend or a cluster is not there.
        UsageError: when a classifier is given no data, a limit is not one of this kind of model, or
            the model has seen images and that is not allowed.
    """
    report = report or Silent()
    file = os.fspath(tflite)
    contract = read_contract(file)
    sides = reference_side(reference, contract), file_side(contract, file)
    reference, warnings = check_comparable(reference, contract, file)
    for warning in warnings:
        report.say(f"lesionlite: {warning}")
    check_limits(limits or {}, contract.task)
    if isinstance(contract, RegressionContract):
        assert not isinstance(reference, RecordedScores)
        regressor = Regressor(file, backend=backend)
        values = compare_regressions(reference, regressor)
        verdict = judge(values, limits or {})
        return Verification(
            *sides, regressor.backend, values, None, verdict, None, warnings=warnings
        )
    if data is None:
        raise UsageError("there are no images to compare the models on", "pass --data CSV")
    opened = open_model(file)  # refused now, not after the images are read
    manifest = read_images(
        data, "valid", classes or contract.output.classes, len(contract.output.labels)
    )
    cluster(manifest.images)  # refused now, not after the scoring
    known = list(_known_sets(reference, contract, file))
    if training is not None:
        known.append(training_set(training, contract, report))
    paired, rows, unusable = stream_pairs(
        reference,
        opened,
        manifest,
        SeenCheck(known, allow_training_images, os.fspath(data), len(manifest.images)),
        stream or StreamOptions(),
        report,
        backend=backend,
        threads=threads,
    )
    seen = seen_images(rows, known, allow_training_images)
    refuse_seen(seen, len(rows), os.fspath(data))  # a set that is known as a whole alone
    proof = _proof_set(paired, os.fspath(data), seen, rows)
    decided = own_decisions(reference, contract, paired)
    parity = parity_of(paired, opened, proof.clusters.of_image, sides[0].threshold, decided)
    with report.phase("Computing intervals"):
        figures = _figures(parity, proof, opened)
    if isinstance(reference, RecordedScores):
        warnings += tuple(recorded_warnings(reference, parity.n + paired.unscored))
        warnings += tuple(decision_warnings(parity, reference.path, file))
    return Verification(
        *sides,
        backend or installed_backends()[0],
        parity,
        figures,
        judge(parity, limits or {}, paired.unscored),
        proof,
        paired.unscored,
        (*warnings, *proof_warnings(proof, parity)),
        (*unusable, *paired.unusable),
        reference.faults if isinstance(reference, RecordedScores) else (),
    )


def _known_sets(reference: Reference, contract: ImageContract, file: str) -> Iterator[KnownSet]:
    """The images that the file and its reference have seen."""
    yield from known_sets(contract, file)
    if not isinstance(reference, RecordedScores):
        yield from known_sets(image_contract(reference.contract), reference.path)
    beside = list_beside(Path(file), contract)
    if beside is not None:
        yield beside


def _proof_set(
    paired: Paired, source: str, seen: SeenImages, rows: Sequence[ScoredImage]
) -> ProofSet:
    images = tuple(image.image for image in paired.images)
    digests = tuple(image.sha256 for image in paired.images)
    files = tuple(image.file_sha256 for image in paired.images)
    kinds = {row.image.path: row.kind for row in rows}
    unlike = unlike_photos(images, [kinds[image.path] for image in images])
    return ProofSet(source, cluster(images), seen, unlike, images, digests, files)


def _figures(
    parity: ScoreParity | LabelScoreParity, proof: ProofSet, opened: DeviceModel
) -> ScoreFigures | LabelFigures:
    plural = proof.clusters.plural
    if isinstance(parity, LabelScoreParity):
        return label_figures(parity, proof.images, plural)
    levels = score_levels(opened.graph, opened.contract.output.name, parity.threshold)
    return score_figures(parity, proof.images, plural, levels)
