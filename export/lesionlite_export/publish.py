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

from lesionlite_export import convert, quantize
from lesionlite_export.bias_correction import correct_biases
from lesionlite_export.conformity import check_recipe
from lesionlite_export.gate import Verdict, judge
from lesionlite_export.keras_model import KerasModel
from lesionlite_export.manifest import Manifest
from lesionlite_export.parity import ScoreParity, ValueParity
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
from lesionlite_export.tools import tool_versions
from lesionlite_export.verification import (
    Prepared,
    compare_classifiers,
    compare_regressions,
    prepare_all,
    prepare_both_labels,
)
from lesionlite_runtime.classifier import Classifier
from lesionlite_runtime.container import AnyContract, append_members
from lesionlite_runtime.contract import (
    CONTRACT_MEMBER,
    ClassifierContract,
    classifier_contract,
    with_flatbuffer,
)
from lesionlite_runtime.errors import UsageError
from lesionlite_runtime.files import check_output_path, whole_file
from lesionlite_runtime.graph import read_graph
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
    parity: ScoreParity | ValueParity | None
    verdict: Verdict | None
    unusable: tuple[Unusable, ...]
    representative_list: Path | None


def export_model(
    model: KerasModel,
    recipe: Recipe,
    out: Path,
    *,
    sets: Sets | None = None,
    limits: Mapping[str, float | None] | None = None,
    prove: bool = True,
    force: bool = False,
    report: Reporter | None = None,
) -> Exported:
    """Export ``model`` by ``recipe`` to ``out``, if the result decides like it.

    Args:
        model: as loaded by `load_keras`.
        recipe: how.
        out: path of the ``.tflite``; the list of representative images goes beside it.
        sets: images; needed for a classifier unless ``recipe`` is not calibrated and ``prove`` is
            off. Ignored for a regression, which is calibrated and proved on its range.
        limits: of the gate, over the defaults (see `gate.judge`).
        prove: off for trials; the file then says that it is unproved.
        force: overwrite what lies at ``out``.
        report: who is told of the progress.

    Raises:
        ProofFailed: when the file does not keep the limits; nothing is left at ``out``.
        UnusableInput: when images, network or the finished file cannot be used.
        UsageError: when ``out`` cannot be written, or ``sets`` are missing.
    """
    report = report or Silent()
    if out.resolve() == Path(model.path).resolve():
        raise UsageError("this is the model that is to be exported", "name another file", out)
    on_images = isinstance(model.contract, ClassifierContract)
    list_path = out.with_name(f"{out.stem}.representative.csv")
    for path in (out, list_path) if on_images and recipe.calibrated else (out,):
        check_output_path(path, force)
    representative, proof = NO_IMAGES, NO_IMAGES
    if on_images:
        _check_sets(recipe, sets, prove)
        representative = _representative(model, recipe, sets, report)
        proof = _proof(model, sets, prove, report)
    refuse_overlap(representative.images, proof.images)
    tensors = _tensors(model, recipe, representative.images)
    flatbuffer = make_tflite(model, recipe, tensors, report)
    check_recipe(flatbuffer, recipe, model.contract, str(out))
    calibration = _calibration(recipe, sets, representative.images, tensors)
    contract = _extended(model.contract, recipe, calibration, flatbuffer)
    parity: ScoreParity | ValueParity | None = None
    verdict: Verdict | None = None
    if prove:
        parity = _compared(model, _file(flatbuffer, contract), proof.images, report)
        verdict = judge(parity, limits or {})
        if not verdict:
            raise verdict.error(str(out))
        contract = _with_parity(contract, parity, dict(verdict.limits))
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


def make_tflite(
    model: KerasModel,
    recipe: Recipe,
    tensors: Sequence[NDArray[Any]],
    report: Reporter | None = None,
) -> bytes:
    """The FlatBuffer of ``model`` by ``recipe``.

    Args:
        model: as loaded by `load_keras`.
        recipe: how.
        tensors: inputs ``[1, ...]`` to calibrate on; none for a recipe that is not calibrated.
        report: who is told of the progress.

    Raises:
        UnusableInput: when a converter fails.
    """
    report = report or Silent()
    with report.phase(f"Converting ({recipe.route})"):
        if recipe.route == "tflite-converter/float16":
            return convert.float16_tflite(model)
        float32 = convert.float32_tflite(model)
        if recipe.route == "tflite-converter/float32":
            return float32
        if recipe.route == "litert-quantizer/dynamic":
            return quantize.dynamic(float32)
        if recipe.route == "litert-quantizer/static":
            quantized = quantize.static_int8(float32, tensors, model.contract.input.name)
        else:
            graph = read_graph(float32)
            left = quantize.output_names(graph, quantize.scaling_and_head(graph))
            quantized = convert.int8_tflite(model, tensors, left)
    if not recipe.correct_biases:
        return quantized
    with report.phase("Correcting biases"):
        return correct_biases(float32, quantized, tensors, model.contract.input.name).tflite


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
    model: KerasModel, recipe: Recipe, sets: Sets | None, report: Reporter
) -> Prepared:
    if not recipe.calibrated or sets is None or sets.representative is None:
        return NO_IMAGES
    sample = stratified_sample(sets.representative, sets.size, sets.seed)
    manifest = Manifest(sets.representative.source, sample)
    image_input = classifier_contract(model.contract).input
    return prepare_all(manifest, image_input, "Reading representative images", report)


def _proof(model: KerasModel, sets: Sets | None, prove: bool, report: Reporter) -> Prepared:
    if not prove or sets is None or sets.proof is None:
        return NO_IMAGES
    image_input = classifier_contract(model.contract).input
    return prepare_both_labels(sets.proof, image_input, "Reading proof images", report)


def _tensors(
    model: KerasModel, recipe: Recipe, representative: tuple[PreparedImage, ...]
) -> list[NDArray[Any]]:
    if not recipe.calibrated:
        return []
    if representative:
        return [p.pixels[np.newaxis] for p in representative]
    return list(convert.probe_inputs(model, REGRESSION_SAMPLES))


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


def _extended(
    contract: AnyContract, recipe: Recipe, calibration: dict[str, Any] | None, flatbuffer: bytes
) -> AnyContract:
    tools = {**contract.provenance.tools, **tool_versions()}
    provenance = replace(
        contract.provenance, recipe=recipe.name, calibration=calibration, tools=tools
    )
    return with_flatbuffer(replace(contract, provenance=provenance, parity=None), flatbuffer)


def _compared(
    model: KerasModel, file: bytes, proof: Sequence[PreparedImage], report: Reporter
) -> ScoreParity | ValueParity:
    with tempfile.TemporaryDirectory() as folder:
        candidate = Path(folder, "candidate.tflite")
        candidate.write_bytes(file)
        if proof:
            return compare_classifiers(model, Classifier(candidate), proof, report)
        return compare_regressions(model, Regressor(candidate))


def _with_parity(
    contract: AnyContract, parity: ScoreParity | ValueParity, limits: dict[str, float | None]
) -> AnyContract:
    if isinstance(contract, ClassifierContract):
        assert isinstance(parity, ScoreParity)
        return replace(contract, parity=parity.for_contract(limits))
    assert isinstance(parity, ValueParity)
    return replace(contract, parity=parity.for_contract(limits))


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
