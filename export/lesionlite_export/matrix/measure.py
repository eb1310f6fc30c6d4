"""Running a file in every backend, and putting what they gave side by side."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import write_array_header_1_0
from numpy.typing import NDArray

from lesionlite_export.comparability import check_comparable
from lesionlite_export.comparison import GRID
from lesionlite_export.gate import judge
from lesionlite_export.manifest import Manifest, read_images
from lesionlite_export.matrix.kernels import kernels_of
from lesionlite_export.matrix.pairs import pairs_of
from lesionlite_export.matrix.process import INVALID, Task, run_row
from lesionlite_export.matrix.result import Matrix
from lesionlite_export.matrix.row_result import RowResult
from lesionlite_export.matrix.rows import Row, parse_pythons, rows_of
from lesionlite_export.matrix.subject import InvalidOutputs, Subject, Table
from lesionlite_export.matrix.tolerances import default_tolerances
from lesionlite_export.matrix.verdict import judge_matrix
from lesionlite_export.parity import ScoreParity
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.representative import PreparedImage, Unusable, stratified_sample
from lesionlite_export.source import Source, chunks_of, name_of, outputs_of
from lesionlite_export.verification import prepare_proof
from lesionlite_runtime.contract import (
    AnyContract,
    ImageContract,
    LabelsContract,
    RegressionContract,
)
from lesionlite_runtime.door import DeviceModel, open_model
from lesionlite_runtime.errors import MissingHere, UsageError
from lesionlite_runtime.graph import SIGNATURE_KEY
from lesionlite_runtime.image_model import as_input, input_table

SAMPLE = 32
"""Images that slow rows are run on."""


@dataclass(frozen=True)
class MatrixOptions:
    """How the matrix is made.

    Attributes:
        rows: names of `rows.VARIANTS`, which must then give scores; empty for all, as far as they
            are here.
        pythons: the Python that runs each backend, see `parse_pythons`.
        tolerances: over the defaults, see `tolerances.default_tolerances`.
        seconds: the time limit of a row; None for `Row.seconds`.
        all_images: give slow rows every image, and not a sample.
        seed: of the sample.
    """

    rows: tuple[str, ...] = ()
    pythons: Mapping[str, str] = field(default_factory=lambda: parse_pythons(()))
    tolerances: Mapping[str, float | None] = field(default_factory=dict)
    seconds: float | None = None
    all_images: bool = False
    seed: int = 0


def run_matrix(
    source: Source,
    tflite: str | os.PathLike[str],
    data: str | os.PathLike[str] | None,
    options: MatrixOptions,
    *,
    classes: Mapping[str, int] | None = None,
    limits: Mapping[str, float | None] | None = None,
    report: Reporter | None = None,
) -> Matrix:
    """Run the file ``tflite`` in every backend, on the images of ``data``.

    Args:
        source: the reference, as loaded by `load_source`.
        tflite: path of the file.
        data: manifest CSV, or a folder in the ISIC layout, whose ``valid`` is taken; None for a
            regression, which is run on a grid over its range.
        options: rows, time limit, tolerances.
        classes: label of each class folder; by default those of the file's contract.
        limits: of each row against the reference, over the defaults of `gate.judge`.
        report: who is told of the progress.

    Raises:
        UnusableInput: when the file is refused at the door, or the images cannot be used.
        UsageError: when a classifier is given no data, or a limit is not of this kind of model.
        MissingHere: when there is no room for the images in the temporary folder.
    """
    report = report or Silent()
    model = open_model(tflite)
    contract = model.contract
    source, warnings = check_comparable(source, contract, os.fspath(tflite))
    if isinstance(contract, RegressionContract):
        inputs = _points(contract)
    elif data is None:
        raise UsageError("there are no images to compare the models on", "pass --data CSV")
    else:
        output = contract.output
        manifest = read_images(data, "valid", classes or output.classes, len(output.labels))
        inputs = _images(model, contract, manifest, options, report)
    reference = _reference(source, contract, inputs.values, report)
    subject = Subject(model, inputs.names, inputs.labels, reference, name_of(source))
    # Whether the limits are this kind of model's, and the reference's scores are any, before work.
    everything = range(subject.n)
    in_force = judge(subject.parity(reference, everything), limits or {}).limits
    rows = []
    with tempfile.TemporaryDirectory(prefix="lesionlite-matrix-") as folder:
        task = _task(Path(folder), subject, inputs.fed)
        for row in rows_of(options.rows):
            numbers = inputs.sample if row.variant.slow else tuple(everything)
            rows.append(_run(row, numbers, subject, task, options, in_force, report))
    pairs = tuple(pairs_of(subject, rows))
    tolerances = {**default_tolerances(subject.quantized), **options.tolerances}
    verdict = judge_matrix(
        rows, pairs, tolerances, in_force, named=bool(options.rows), scale=subject.scale
    )
    sampled = any(len(row.numbers) < subject.n for row in rows)
    seed = options.seed if sampled else None
    return Matrix(subject, tuple(rows), pairs, verdict, seed, warnings, inputs.unusable)


@dataclass(frozen=True)
class _Inputs:
    """Names, labels and values of the inputs, and each as the file is fed with it."""

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    values: Sequence[NDArray[Any]]
    fed: Iterable[NDArray[Any]]
    sample: tuple[int, ...]
    unusable: tuple[Unusable, ...] = ()


def _points(contract: RegressionContract) -> _Inputs:
    low, high = contract.input.range
    x = np.linspace(low, high, GRID)
    values = [np.array([value], np.float32) for value in x]
    names = tuple(repr(float(value)) for value in x)
    fed = (value[np.newaxis] for value in values)
    return _Inputs(names, np.zeros(GRID, np.int64), values, fed, tuple(range(GRID)))


def _images(
    model: DeviceModel,
    contract: ImageContract,
    manifest: Manifest,
    options: MatrixOptions,
    report: Reporter,
) -> _Inputs:
    prepared = prepare_proof(manifest, contract, "Reading images", report)
    images, graph = prepared.images, model.graph
    table = input_table(contract.input, graph.tensors[graph.inputs[contract.input.name]])
    everything = tuple(range(len(images)))
    return _Inputs(
        tuple(os.fspath(p.image.path) for p in images),
        np.array([p.image.label for p in images], np.int64),
        [p.pixels for p in images],
        (as_input(p.pixels[np.newaxis], contract.input, table) for p in images),
        everything if options.all_images else sample_of(images, manifest.source, options.seed),
        prepared.unusable,
    )


def sample_of(
    images: Sequence[PreparedImage], source: str, seed: int, size: int = SAMPLE
) -> tuple[int, ...]:
    """The numbers of a stratified sample of ``images``, in order."""
    listed = tuple(p.image for p in images)
    number = {id(image): i for i, image in enumerate(listed)}
    chosen = stratified_sample(Manifest(source, listed), size, seed)
    return tuple(number[id(image)] for image in chosen)


def _reference(
    source: Source, contract: AnyContract, values: Sequence[NDArray[Any]], report: Reporter
) -> Table:
    """The reference's scores, ``[n, k]``."""
    label, chunks = f"Scoring with {name_of(source)}", chunks_of(source, len(values))
    found = np.concatenate(list(report.track(outputs_of(source, values), label, chunks)))
    table = found.reshape(len(values), -1)
    return table if isinstance(contract, LabelsContract) else table[:, -1:]


def _task(folder: Path, subject: Subject, fed: Iterable[NDArray[Any]]) -> Task:
    """The file and its inputs on disk, where every process reads them."""
    contract, graph = subject.model.contract, subject.model.graph
    shape, dtype = (subject.n, *contract.input.shape), np.dtype(contract.input.dtype)
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    try:
        (folder / "model.tflite").write_bytes(subject.model.flatbuffer)
        with (folder / "inputs.npy").open("wb") as stream:
            write_array_header_1_0(stream, header)
            for value in fed:
                stream.write(np.ascontiguousarray(value, dtype).tobytes())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        remedy = "free some space, or name another folder by TMPDIR"
        raise MissingHere(f"the images cannot be written ({reason})", remedy, folder) from error
    output = graph.tensors[graph.outputs[contract.output.name]]
    return Task(
        folder,
        SIGNATURE_KEY,
        contract.input.name,
        contract.output.name,
        output.dtype,
        output.shape[-1],
    )


def _run(
    row: Row,
    numbers: tuple[int, ...],
    subject: Subject,
    task: Task,
    options: MatrixOptions,
    limits: Mapping[str, float | None],
    report: Reporter,
) -> RowResult:
    seconds = options.seconds or row.seconds(len(numbers))
    python = options.pythons[row.variant.backend]
    outcome = run_row(row, task, numbers, python=python, seconds=seconds, report=report)
    kernels = None if outcome.nodes is None else kernels_of(row.variant.kernels, outcome.nodes)
    found = RowResult(row, numbers, seconds, outcome, kernels)
    if outcome.outputs is None:
        return found
    try:
        scores = subject.scores(outcome.outputs, numbers)
    except InvalidOutputs as error:
        invalid = replace(outcome, status=INVALID, reason=str(error), outputs=None)
        return replace(found, outcome=invalid)
    parity = subject.parity(scores, numbers)
    scored = replace(
        found,
        scores=scores,
        against_keras=judge(parity, limits),
        gated=len(numbers) == subject.n,
    )
    if not isinstance(parity, ScoreParity):
        return scored
    missed, referred = int(parity.newly_missed.sum()), int(parity.newly_referred.sum())
    return replace(scored, newly_missed=missed, newly_referred=referred)
