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

from lesionlite_export.conformity import check_recipe
from lesionlite_export.convert import probe_inputs
from lesionlite_export.file_contract import file_contract
from lesionlite_export.gate import AnyParity, Verdict, judge
from lesionlite_export.make import Form, check_form, make_tflite
from lesionlite_export.manifest import Manifest
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.recipe import Recipe
from lesionlite_export.representative import (
    DEFAULT_SIZE,
    PreparedImage,
    Unusable,
    list_digest,
    refuse_overlap,
    representative_list,
    stratified_sample,
)
from lesionlite_export.source import Source
from lesionlite_export.tflite_model import TfliteModel
from lesionlite_export.verification import (
    Prepared,
    compare_images,
    compare_regressions,
    prepare_all,
    prepare_proof,
)
from lesionlite_runtime.container import append_members
from lesionlite_runtime.contract import (
    CONTRACT_MEMBER,
    AnyContract,
    RegressionContract,
    image_contract,
)
from lesionlite_runtime.errors import UsageError
from lesionlite_runtime.files import check_output_path, whole_file
from lesionlite_runtime.regressor import Regressor

REGRESSION_SAMPLES = 255
NO_IMAGES = Prepared((), ())


@dataclass(frozen=True)
class Sets:
    """What an image classifier's export works on: representative and proof images.

    ``representative`` may be None for a recipe that is not calibrated, and ``proof`` where the file
    is to go out unproved.
    """

    representative: Manifest | None
    proof: Manifest | None
    size: int = DEFAULT_SIZE
    seed: int = 0


@dataclass(frozen=True)
class Exported:
    """A published file, with the evidence that let it pass.

    ``unusable`` are the images of either set that could not be read, and were left out.
    """

    path: Path
    bytes: int
    contract: AnyContract
    parity: AnyParity | None
    verdict: Verdict | None
    unusable: tuple[Unusable, ...]
    representative_list: Path | None


def export_model(
    source: Source,
    recipe: Recipe,
    out: Path,
    *,
    sets: Sets | None = None,
    form: Form | None = None,
    limits: Mapping[str, float | None] | None = None,
    prove: bool = True,
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
        force: overwrite what lies at ``out``.
        report: who is told of the progress.

    Raises:
        ProofFailed: when the file does not keep the limits; nothing is left at ``out``.
        UnusableInput: when images, network or the finished file cannot be used.
        UsageError: when ``out`` cannot be written, ``sets`` are missing, or recipe and form do not
            go together.
    """
    report, form = report or Silent(), form or Form()
    if out.resolve() == Path(source.path).resolve():
        raise UsageError("this is the model that is to be exported", "name another file", out)
    check_form(source, recipe, form)
    on_images = not isinstance(source.contract, RegressionContract)
    list_path = out.with_name(f"{out.stem}.representative.csv")
    for path in (out, list_path) if on_images and recipe.calibrated else (out,):
        check_output_path(path, force)
    representative, proof = NO_IMAGES, NO_IMAGES
    if on_images:
        _check_sets(recipe, sets, prove)
        representative = _representative(source, recipe, sets, report)
        proof = _proof(source, sets, prove, report)
    refuse_overlap(representative.images, proof.images)
    tensors = _tensors(source, recipe, representative.images)
    flatbuffer = make_tflite(source, recipe, tensors, form, report)
    calibration = _calibration(recipe, sets, representative.images, tensors)
    contract = file_contract(source, recipe, form, calibration, flatbuffer)
    check_recipe(flatbuffer, recipe, contract, str(out))
    parity: AnyParity | None = None
    verdict: Verdict | None = None
    if prove:
        parity = _compared(source, _file(flatbuffer, contract), proof.images, report)
        verdict = judge(parity, limits or {})
        if not verdict:
            raise verdict.error(str(out))
        contract = _with_parity(contract, parity, dict(verdict.limits), source)
    files = {out: _file(flatbuffer, contract)}
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
    )


def _check_sets(recipe: Recipe, sets: Sets | None, prove: bool) -> None:
    if sets is None and (recipe.calibrated or prove):
        raise UsageError(
            "an image classifier needs images to be calibrated and proved on",
            "pass --data FOLDER, or --representative CSV and --proof CSV",
        )
    if prove and (sets is None or sets.proof is None):
        raise UsageError("there are no proof images", "pass --proof CSV, or --no-proof for a trial")
    if recipe.calibrated and (sets is None or sets.representative is None):
        raise UsageError(
            f"the recipe {recipe.name} needs representative images", "pass --representative CSV"
        )


def _representative(
    source: Source, recipe: Recipe, sets: Sets | None, report: Reporter
) -> Prepared:
    if not recipe.calibrated or sets is None or sets.representative is None:
        return NO_IMAGES
    sample = stratified_sample(sets.representative, sets.size, sets.seed)
    manifest = Manifest(sets.representative.source, sample)
    image_input = image_contract(source.contract).input
    return prepare_all(manifest, image_input, "Reading representative images", report)


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
    recipe: Recipe,
    sets: Sets | None,
    representative: tuple[PreparedImage, ...],
    tensors: Sequence[NDArray[Any]],
) -> dict[str, Any] | None:
    if not recipe.calibrated:
        return None
    if sets is None or not representative:
        return {"method": "min_max", "n": len(tensors), "on": "an even grid over the range"}
    return {
        "method": "min_max",
        "n": len(representative),
        "positives": sum(p.image.label for p in representative),
        "seed": sets.seed,
        "on": "a stratified sample of representative images",
        "images_sha256": list_digest(representative),
    }


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


def _file(flatbuffer: bytes, contract: AnyContract) -> bytes:
    return append_members(flatbuffer, {CONTRACT_MEMBER: contract.to_bytes()})


def _write_together(files: Mapping[Path, bytes], force: bool) -> None:
    """Write every file, the first one last to appear, or none of them."""
    new = [path for path in files if not path.exists()]
    try:
        with contextlib.ExitStack() as stack:
            for path, data in files.items():
                stack.enter_context(whole_file(path, force)).write_bytes(data)
    except BaseException:
        for path in new:
            path.unlink(missing_ok=True)
        raise
