"""The export line: convert, check, prove, and only then publish."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.accelerators import accelerator_report
from lesionlite_export.brought_keras import BroughtKeras
from lesionlite_export.brought_tflite import BroughtTflite
from lesionlite_export.calibration import DEFAULT_METHOD, check_method
from lesionlite_export.calibration_record import grid_record, images_calibration
from lesionlite_export.comparison import compare_images, compare_regressions
from lesionlite_export.conformity import check_recipe
from lesionlite_export.convert import probe_inputs
from lesionlite_export.feature_range import compare_features
from lesionlite_export.file_contract import file_contract
from lesionlite_export.first_pass import first_pass
from lesionlite_export.gate import AnyParity, Verdict, judge
from lesionlite_export.make import Form, Made, check_form, make
from lesionlite_export.metadata import with_metadata
from lesionlite_export.minimum_runtime import (
    check_minimum_runtime,
    minimum_runtime,
    runtime_version,
)
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.recipe import Recipe
from lesionlite_export.representative import (
    PreparedImage,
    Sample,
    Unusable,
    distinct_sample,
    refuse_overlap,
    representative_list,
)
from lesionlite_export.representative_list import read_representative_list
from lesionlite_export.seen import refuse_trained_on
from lesionlite_export.sets import Sets, check_sets, set_warnings
from lesionlite_export.source import Source
from lesionlite_export.tflite_model import TfliteModel
from lesionlite_export.verification import Prepared, prepare_proof
from lesionlite_runtime.container import append_members
from lesionlite_runtime.contract import (
    CONTRACT_MEMBER,
    AnyContract,
    RegressionContract,
    image_contract,
    with_flatbuffer,
)
from lesionlite_runtime.errors import UsageError
from lesionlite_runtime.files import check_output_path, whole_file
from lesionlite_runtime.regressor import Regressor

REGRESSION_SAMPLES = 255
NO_IMAGES, NO_SAMPLE = Prepared((), ()), Sample((), (), 0)


@dataclass(frozen=True)
class Exported:
    """A published file, with the evidence that let it pass.

    ``unusable`` are the images of either set that could not be read, and were left out;
    ``warnings`` say what makes the calibration doubtful.
    """

    path: Path
    bytes: int
    contract: AnyContract
    parity: AnyParity | None
    verdict: Verdict | None
    unusable: tuple[Unusable, ...]
    representative_list: Path | None
    warnings: tuple[str, ...]


def export_model(
    source: Source,
    recipe: Recipe,
    out: Path,
    *,
    sets: Sets | None = None,
    form: Form | None = None,
    limits: Mapping[str, float | None] | None = None,
    prove: bool = True,
    method: str = DEFAULT_METHOD,
    min_runtime: str | None = None,
    trust_contract: bool = False,
    force: bool = False,
    report: Reporter | None = None,
) -> Exported:
    """Export ``source`` by ``recipe`` to ``out``, if the result decides like it.

    Args:
        source: as loaded by `load_source`.
        recipe: how.
        out: path of the ``.tflite``; the list of representative images goes beside it.
        sets: images; needed for a classifier unless ``recipe`` is not calibrated and ``prove`` is
            off. Ignored for a regression, which is calibrated and proved on its range.
        form: of input and output.
        limits: of the gate, over the defaults (see `gate.judge`).
        prove: off for trials; the file then says that it is unproved.
        method: of the calibration, see `calibrate`.
        min_runtime: the oldest TensorFlow Lite that must load the file, such as ``2.14``.
        trust_contract: export a model that was brought with a draft although the images speak
            against the draft (see `first_pass`).
        force: overwrite what lies at ``out``.
        report: who is told of the progress.

    Raises:
        ProofFailed: when the file does not keep the limits; nothing is left at ``out``.
        UnusableInput: when images, network or the finished file cannot be used.
        UsageError: when ``out`` cannot be a file, ``sets`` are missing, or recipe and form do not
            go together.
        MissingHere: when the folder of ``out`` cannot be written, or the disk is full.
    """
    report, form = report or Silent(), form or Form()
    if out.resolve() == Path(source.path).resolve():
        raise UsageError("this is the model that is to be exported", "name another file", out)
    check_form(source, recipe, form)
    check_method(method, recipe.quantizer)
    if min_runtime is not None:
        runtime_version(min_runtime)
    on_images = not isinstance(source.contract, RegressionContract)
    list_path = out.with_name(f"{out.stem}.representative.csv")
    for path in (out, list_path) if on_images and recipe.calibrated else (out,):
        check_output_path(path, force)
    representative, proof = NO_SAMPLE, NO_IMAGES
    if on_images:
        check_sets(recipe, sets, prove)
        representative = _representative(source, recipe, sets, report)
        proof = _proof(source, sets, prove, report)
    refuse_overlap(representative.images, proof.images)
    if proof.images:
        refuse_trained_on(image_contract(source.contract), source.path, proof.images)
    warnings = set_warnings(sets, representative.images, proof.images)
    if on_images and isinstance(source, BroughtKeras | BroughtTflite):
        seen = representative.images or proof.images
        warnings += first_pass(source, seen, trust=trust_contract, report=report)
    tensors = _tensors(source, recipe, representative.images)
    made = make(source, recipe, tensors, form, report, method)
    calibration = None
    if recipe.calibrated:
        calibration = _calibration(source.contract, sets, representative, len(tensors), method)
    contract = file_contract(source, recipe, form, calibration, made.flatbuffer)
    flatbuffer, members = with_metadata(made.flatbuffer, contract)
    contract = with_flatbuffer(contract, flatbuffer)
    if min_runtime is not None:
        check_minimum_runtime(flatbuffer, min_runtime, str(out))
    check_recipe(flatbuffer, recipe, contract, str(out))
    with report.phase("Asking where it runs"):
        contract = _with_runtimes(contract, flatbuffer)
    warnings += _feature_warnings(source, made, proof.images, report)
    parity: AnyParity | None = None
    verdict: Verdict | None = None
    if prove:
        parity = _compared(source, _file(flatbuffer, contract, members), proof.images, report)
        verdict = judge(parity, limits or {})
        if not verdict:
            raise verdict.error(str(out))
        contract = _with_parity(contract, parity, dict(verdict.limits), source)
    files = {out: _file(flatbuffer, contract, members)}
    if representative.images and sets is not None and sets.representative is not None:
        folder = sets.representative.folder
        files[list_path] = representative_list(representative.images, folder)
    _write_together(files, force)
    return Exported(
        out,
        len(files[out]),
        contract,
        parity,
        verdict,
        representative.unusable + proof.unusable,
        list_path if list_path in files else None,
        warnings,
    )


def _representative(source: Source, recipe: Recipe, sets: Sets | None, report: Reporter) -> Sample:
    if not recipe.calibrated or sets is None or sets.representative is None:
        return NO_SAMPLE
    image_input = image_contract(source.contract).input
    if sets.listed is not None:
        folder = sets.representative.folder
        return Sample(read_representative_list(sets.listed, folder, image_input, report), (), 0)
    return distinct_sample(sets.representative, image_input, sets.size, sets.seed, report)


def _feature_warnings(
    source: Source, made: Made, proof: Sequence[PreparedImage], report: Reporter
) -> tuple[str, ...]:
    if not made.tensors or not proof:
        return ()
    dtype = made.tensors[0].dtype
    inputs = [p.pixels[np.newaxis].astype(dtype, copy=False) for p in proof]
    name = source.contract.input.name
    return tuple(compare_features(made.float32, made.tensors, inputs, name, report))


def _with_runtimes(contract: AnyContract, flatbuffer: bytes) -> AnyContract:
    runs_on = {
        "minimum_runtime": minimum_runtime(flatbuffer).to_json(),
        "accelerators": accelerator_report(flatbuffer, analyzer=False).to_json(),
    }
    return replace(contract, provenance=replace(contract.provenance, runs_on=runs_on))


def _proof(source: Source, sets: Sets | None, prove: bool, report: Reporter) -> Prepared:
    if not prove or sets is None or sets.proof is None:
        return NO_IMAGES
    contract = image_contract(source.contract)
    return prepare_proof(sets.proof, contract, "Reading proof images", report)


def _tensors(
    source: Source, recipe: Recipe, representative: tuple[PreparedImage, ...]
) -> list[NDArray[Any]]:
    if not recipe.calibrated:
        return []
    if representative:
        return [p.pixels[np.newaxis] for p in representative]
    return list(probe_inputs(source, REGRESSION_SAMPLES))


def _calibration(
    contract: AnyContract, sets: Sets | None, sample: Sample, inputs: int, method: str
) -> dict[str, Any]:
    if sets is None or not sample.images:
        return grid_record(method, inputs)
    seed = None if sets.listed is not None else sets.seed
    return images_calibration(image_contract(contract), method, sample, seed)


def _compared(
    source: Source, file: bytes, proof: Sequence[PreparedImage], report: Reporter
) -> AnyParity:
    with tempfile.TemporaryDirectory() as folder:
        candidate = Path(folder, "candidate.tflite")
        candidate.write_bytes(file)
        if proof:
            return compare_images(source, candidate, proof, report)
        return compare_regressions(source, Regressor(candidate))


def _with_parity(
    contract: AnyContract, parity: AnyParity, limits: dict[str, float | None], source: Source
) -> AnyContract:
    reference = source.contract.model_id if isinstance(source, TfliteModel) else None
    return replace(contract, parity=parity.for_contract(limits, reference))  # type: ignore[arg-type]


def _file(flatbuffer: bytes, contract: AnyContract, members: Mapping[str, bytes]) -> bytes:
    return append_members(flatbuffer, {**members, CONTRACT_MEMBER: contract.to_bytes()})


def _write_together(files: Mapping[Path, bytes], force: bool) -> None:
    """Write every file, the first one last to appear, or none of them."""
    new = [path for path in files if not path.exists()]
    try:
        with contextlib.ExitStack() as stack:
            for path, data in files.items():
                stack.enter_context(whole_file(path, force)).write_bytes(data)
    except BaseException:
        for path in new:
            with contextlib.suppress(OSError):  # it would hide what went wrong
                path.unlink(missing_ok=True)
        raise
