"""What int8 does to the networks of a fine-tuning's folds, each on the images that it held out.

    python benchmarks/int8_folds.py lesion.keras --configuration training/lesion.toml
        --run lesion.run --data isic2017 --write docs/training-log.md

The run's folder has the weights of every fold (`lesionlite train lesion --run`). Each is exported
by the recipe int8, calibrated on 200 of its own training images, and scored on what it held out
beside its Keras form, at the threshold of LESION.KERAS. No proof image is looked at.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from pages import markdown_table, put, write_option

from lesionlite_export.comparison import compare_images
from lesionlite_export.file_contract import file_contract
from lesionlite_export.keras_model import KerasModel
from lesionlite_export.make import Form, make_tflite
from lesionlite_export.manifest import DEFAULT_CLASSES, Manifest, read_isic_split
from lesionlite_export.parity import ScoreParity, score_parity
from lesionlite_export.progress import Reporter, reporter
from lesionlite_export.recipe import load_recipe
from lesionlite_export.representative import PreparedImage, stratified_sample
from lesionlite_export.views import with_views
from lesionlite_runtime.container import append_members, read_contract
from lesionlite_runtime.contract import CONTRACT_MEMBER, ClassifierContract, classifier_contract
from lesionlite_training.configuration_file import read_configuration
from lesionlite_training.fold_networks import fold_network, open_folds
from lesionlite_training.lesion_setup import Setup, set_up
from lesionlite_training.pixel_cache import cache_folder
from lesionlite_training.plan import Plan
from lesionlite_training.training_set import TrainingSet

CALIBRATED_ON = 200
HEAD = (
    "held out by",
    "images",
    "AUC Keras",
    "AUC int8",
    "flips",
    "newly missed",
    "mean error",
    "max error",
)
path = click.Path(path_type=Path)


@click.command()
@click.argument("model", type=path)
@click.option("--configuration", type=path, required=True, help="That the run was made with.")
@click.option("--run", type=path, required=True, help="Folder of the run.")
@click.option("--data", type=path, required=True, help="ISIC layout.")
@click.option("--originals", type=path, help="Of the run, where it had any.")
@click.option("--views", type=click.Choice(["1", "4", "8"]), default="1", help="Of each image.")
@click.option("--scores", type=path, help="CSV of the int8 files' scores: ids and scores alone.")
@write_option
def main(
    model: Path,
    configuration: Path,
    run: Path,
    data: Path,
    originals: Path | None,
    views: str,
    scores: Path | None,
    write: Path | None,
) -> None:
    """Print what int8 does to each fold's network."""
    report = reporter(False)
    contract = classifier_contract(read_contract(model))
    settings = read_configuration(configuration)
    manifest = read_isic_split(data, "train")
    setup = set_up(manifest, DEFAULT_CLASSES, settings, cache_folder(), report, originals)
    plan, kept = open_folds(setup, run, report)
    found = [
        _fold(setup, plan, kept, contract, int(number), int(views), report)
        for number in np.unique(setup.folds)
    ]
    table = markdown_table(HEAD, _rows(found))
    click.echo(table)
    if scores is not None:
        lines = sorted(
            f"{Path(file).stem},{score:.9g}\n"
            for parity in found
            for file, score in zip(parity.files, parity.score_tflite, strict=True)
        )
        scores.write_text("image_id,score\n" + "".join(lines), "utf-8")
    if write is not None:
        put(write, __file__, table, "" if views == "1" else views)


def _fold(
    setup: Setup,
    plan: Plan,
    data: TrainingSet,
    contract: ClassifierContract,
    number: int,
    views: int,
    report: Reporter,
) -> ScoreParity:
    prepared = [PreparedImage(item.image, item.pixels, item.sha256) for item in setup.images]
    held_out = [item for item, fold in zip(prepared, setup.folds, strict=True) if fold == number]
    inside = [item for item, fold in zip(prepared, setup.folds, strict=True) if fold != number]
    network = fold_network(setup, plan, data, number)
    source = KerasModel(f"fold {number}", network, contract)
    source = with_views(source, views) if views > 1 else source
    chosen = stratified_sample(Manifest("", tuple(p.image for p in inside)), CALIBRATED_ON, 0)
    by_path = {item.image.path: item for item in inside}
    tensors = [by_path[image.path].pixels[np.newaxis] for image in chosen]
    recipe = load_recipe("int8")
    flatbuffer = make_tflite(source, recipe, tensors, report=report)
    written = replace(file_contract(source, recipe, Form(), None, flatbuffer), parity=None)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "fold.tflite")
        file.write_bytes(append_members(flatbuffer, {CONTRACT_MEMBER: written.to_bytes()}))
        parity = compare_images(source, file, held_out, report)
    assert isinstance(parity, ScoreParity)
    return parity


def _rows(found: Sequence[ScoreParity]) -> Iterator[Sequence[str]]:
    names = [f"fold {number + 1}" for number in range(len(found))]
    first = found[0]
    whole = score_parity(
        [file for parity in found for file in parity.files],
        [int(label) for parity in found for label in parity.labels],
        [float(score) for parity in found for score in parity.score_keras],
        [float(score) for parity in found for score in parity.score_tflite],
        first.threshold,
    )
    for name, parity in zip([*names, "all"], [*found, whole], strict=True):
        keras, tflite = parity.figures_keras().auc, parity.figures_tflite().auc
        assert keras is not None
        assert tflite is not None
        errors = np.abs(parity.errors)
        yield (
            name,
            str(parity.n),
            f"{keras.value:.3f}",
            f"{tflite.value:.3f}",
            f"{int(parity.flipped.sum())} ({100 * parity.flipped.mean():.1f} %)",
            str(int(parity.newly_missed.sum())),
            f"{errors.mean():.4f}",
            f"{errors.max():.3f}",
        )


if __name__ == "__main__":
    main()
