"""``lesionlite export``: a ``.keras`` to a proved ``.tflite``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click

from lesionlite_export.calibration import DEFAULT_METHOD, METHODS
from lesionlite_export.commands.options import (
    allow_code_option,
    contract_option,
    force_option,
    label_option,
    limits_option,
    parse_labels,
    path_type,
    seed_option,
)
from lesionlite_export.gate import parse_limits
from lesionlite_export.make import INPUTS, Form
from lesionlite_export.manifest import checked_classes, read_isic_split, read_manifest
from lesionlite_export.output_paths import check_apart
from lesionlite_export.progress import reporter
from lesionlite_export.publish import Exported, export_model
from lesionlite_export.recipe import DEFAULT_RECIPE, load_recipe, recipe_names
from lesionlite_export.rendering import parity_lines
from lesionlite_export.representative import DEFAULT_SIZE
from lesionlite_export.seen_lists import list_path
from lesionlite_export.sets import Sets
from lesionlite_export.source import Source, load_source
from lesionlite_export.tflite_model import TfliteModel
from lesionlite_export.views import with_views
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.commands.options import json_option, quiet_option
from lesionlite_runtime.contract import RegressionContract
from lesionlite_runtime.contract_checks import VIEWS
from lesionlite_runtime.draft import read_draft
from lesionlite_runtime.errors import SomeInputsFailed, UsageError

EXPORT_SCHEMA = "lesionlite.export/1"


@click.command("export")
@click.argument("model", metavar="MODEL", type=path_type)
@click.option(
    "--recipe",
    default=DEFAULT_RECIPE,
    show_default=True,
    help=f"How to quantize: {', '.join(recipe_names())}, or a JSON file (docs/recipes.md).",
)
@click.option(
    "--io",
    type=click.Choice(INPUTS),
    default=INPUTS[0],
    show_default=True,
    help="Type of the pixels that the file takes, 0 to 255; float32 is for GPU delegates.",
)
@click.option(
    "--two-labels", is_flag=True, help="Return [1, 2], benign and malignant, in place of [1, 1]."
)
@click.option(
    "--views",
    type=click.Choice([str(n) for n in VIEWS]),
    default="1",
    show_default=True,
    help="Turned and flipped copies of the image whose scores the file averages; it then takes as "
    "many times as long.",
)
@click.option("-o", "--out", type=path_type, required=True, help="Path of the .tflite.")
@click.option("--data", type=path_type, help="Folder in the ISIC layout, train/ and valid/.")
@click.option("--representative", type=path_type, help="Manifest CSV of representative images.")
@click.option("--proof", type=path_type, help="Manifest CSV of proof images.")
@click.option(
    "--representative-size",
    type=click.IntRange(1),
    default=DEFAULT_SIZE,
    show_default=True,
    help="Number of representative images.",
)
@click.option(
    "--representative-list",
    "listed",
    type=path_type,
    help="NAME.representative.csv of an export: the same images again, for the same bytes.",
)
@click.option(
    "--calibration",
    "method",
    type=click.Choice(METHODS),
    default=DEFAULT_METHOD,
    show_default=True,
    help="How the ranges of activations are found (docs/calibration.md).",
)
@click.option(
    "--min-runtime",
    metavar="VERSION",
    help="Refuse a file that this version of TensorFlow Lite (or tflite-runtime) cannot load.",
)
@label_option
@limits_option
@contract_option
@allow_code_option
@click.option(
    "--trust-contract",
    is_flag=True,
    help="With --contract: warn, and do not refuse, where the images speak against it.",
)
@click.option("--no-proof", is_flag=True, help="For trials: the file then says it is unproved.")
@seed_option
@force_option
@json_option
@quiet_option
def command(
    model: Path,
    recipe: str,
    io: str,
    two_labels: bool,
    views: str,
    out: Path,
    data: Path | None,
    representative: Path | None,
    proof: Path | None,
    representative_size: int,
    listed: Path | None,
    method: str,
    min_runtime: str | None,
    labels: tuple[str, ...],
    limits: tuple[str, ...],
    draft_path: Path | None,
    allow_code: bool,
    trust_contract: bool,
    no_proof: bool,
    seed: int,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Turn a .keras into a .tflite, and publish it only if it decides like the .keras.

    The file takes uint8 pixels and returns a float32 score whatever the recipe (int8-full alone
    returns an integer), and carries its contract. Representative images calibrate int8; proof
    images are those that both models are compared on. Outside the limits nothing is left at the
    output path, and the exit code is 3. MODEL may also be a float32 .tflite: no TensorFlow is
    needed then; and with --contract a .keras, .h5, .tflite or SavedModel that lesionlite did not
    make.

    Example: lesionlite export model.keras --recipe int8 --data isic2017 --out model.int8.tflite
    """
    chosen = load_recipe(recipe)
    in_force = parse_limits(limits)
    label_map = parse_labels(labels, binary=False)
    if data is not None and (representative is not None or proof is not None):
        raise UsageError("--data stands for both sets", "leave out --representative and --proof")
    manifests = {"--representative": representative, "--proof": proof, "--contract": draft_path}
    check_apart({"--out": out}, {**manifests, "--representative-list": listed, "--data": data})
    check_apart({"the list beside --out": list_path(out)}, manifests)
    report = reporter(quiet)
    with report.phase("Loading the model"):
        draft = None if draft_path is None else read_draft(draft_path)
        source = load_source(model, draft, allow_code=allow_code)
        if views != "1":
            source = _with_views(source, int(views))
    contract, sets = source.contract, None
    if not isinstance(contract, RegressionContract):
        classes = label_map or contract.output.classes
        sets = (
            _manifest_sets(representative, None if no_proof else proof, len(contract.output.labels))
            if data is None
            else _folder_sets(
                data, checked_classes(classes, len(contract.output.labels)), not no_proof
            )
        )
    if sets is not None:
        sets = replace(sets, size=representative_size, seed=seed, listed=listed)
    exported = export_model(
        source,
        chosen,
        out,
        sets=sets,
        form=Form(io, two_labels),
        limits=in_force,
        prove=not no_proof,
        method=method,
        min_runtime=min_runtime,
        trust_contract=trust_contract,
        force=force,
        report=report,
    )
    if as_json:
        click.echo(json_line(_json(exported)))
    elif not quiet:
        _show(exported)
    for warning in exported.warnings:
        click.echo(f"lesionlite: {warning}", err=True)
    for item in exported.unusable:
        click.echo(f"lesionlite: {item.error}", err=True)
    if exported.unusable:
        raise SomeInputsFailed(
            f"{len(exported.unusable)} images could not be used, and the file was published "
            "without them",
            "see the reasons above",
            out,
        )


def _folder_sets(data: Path, classes: Mapping[str, int], prove: bool) -> Sets:
    proof = read_isic_split(data, "valid", classes) if prove else None
    return Sets(read_isic_split(data, "train", classes), proof)


def _manifest_sets(representative: Path | None, proof: Path | None, labels: int) -> Sets | None:
    if representative is None and proof is None:
        return None
    return Sets(
        None if representative is None else read_manifest(representative, labels),
        None if proof is None else read_manifest(proof, labels),
    )


def _with_views(source: Source, views: int) -> Source:
    if isinstance(source, TfliteModel):
        raise UsageError(
            "several views are made from a .keras alone", "leave out --views", source.path
        )
    return with_views(source, views)


def _json(exported: Exported) -> dict[str, object]:
    return {
        "schema": EXPORT_SCHEMA,
        "file": str(exported.path),
        "bytes": exported.bytes,
        "model": exported.contract.model_id,
        "recipe": exported.contract.provenance.recipe,
        "representative_list": None
        if exported.representative_list is None
        else str(exported.representative_list),
        "warnings": list(exported.warnings),
        "proof": None
        if exported.parity is None or exported.verdict is None
        else {**exported.parity.to_json(), **exported.verdict.to_json()},
    }


def _show(exported: Exported) -> None:
    if exported.parity is None or exported.verdict is None:
        click.echo("proof      none: every result of this file will say that it is unproved")
    else:
        for line in parity_lines(exported.parity, exported.verdict):
            click.echo(line)
    click.echo(
        f"published  {exported.path}, {exported.bytes:,} bytes, model {exported.contract.model_id}"
    )
    if exported.representative_list is not None:
        click.echo(f"{'':<10} {exported.representative_list}: the images that calibrated it")
