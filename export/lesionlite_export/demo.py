"""The main job on drawn images: where no photo is at hand, the whole line still runs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lesionlite_export.drawn import README, write_drawn_dataset
from lesionlite_export.keras_model import load_keras
from lesionlite_export.manifest import LabelledImage, read_isic_split
from lesionlite_export.progress import Reporter
from lesionlite_export.publish import Exported, export_model
from lesionlite_export.recipe import load_recipe
from lesionlite_export.sets import Sets
from lesionlite_runtime.classifier import Classifier
from lesionlite_runtime.contract import classifier_contract
from lesionlite_runtime.errors import MissingHere, UsageError
from lesionlite_runtime.result import Failure, Result

RECIPE = "int8"
DRAWN_TRAIN: Mapping[str, int] = {"melanoma": 40, "nevus": 50, "seborrheic_keratosis": 30}
DRAWN_PROOF: Mapping[str, int] = {"melanoma": 20, "nevus": 25, "seborrheic_keratosis": 15}
# Nothing says that the network tells drawings apart, so their AUC is not gated.
DRAWN_LIMITS: Mapping[str, float | None] = {"auc_difference": None}
MODEL_NAME = "lesion.keras"


@dataclass(frozen=True)
class Demo:
    """What the demo made: the file with its evidence, and its results on the proof images."""

    exported: Exported
    images: Path
    drawn: bool
    results: tuple[Result | Failure, ...]


def find_model() -> Path:
    """The trained ``.keras`` of the samples: in the current folder, or beside the source.

    Raises:
        MissingHere: when it is in neither place.
    """
    source = Path(__file__).resolve().parents[2]
    for folder in (Path.cwd(), source):
        path = folder / "samples" / MODEL_NAME
        if path.is_file():
            return path
    raise MissingHere(
        f"there is no samples/{MODEL_NAME} here",
        "run the demo in a checkout of lesionlite, or pass --model",
    )


def run_demo(
    out: Path, *, model: Path | None, data: Path | None, force: bool, seed: int, report: Reporter
) -> Demo:
    """Export the sample model to int8, prove it and classify the proof images.

    Args:
        out: folder for what is made; made if it is missing.
        model: the ``.keras``; by default that of the samples.
        data: folder in the ISIC layout; None draws images of the demo's own.
        force: use ``out`` although it holds something.
        seed: of the drawings and of the representative sample.
        report: who is told of the progress.

    Raises:
        UsageError: when ``out`` holds something and ``force`` is off, or something else than
            drawings lies where they are to go.
        MissingHere: when there is no model, or ``out`` cannot be made.
        ProofFailed: when the file does not decide like the model.
    """
    path = find_model() if model is None else model
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not force):
        raise UsageError("it holds something already", "pass --force, or another --out", out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MissingHere(
            f"the folder cannot be made ({reason})", "pass another --out", out
        ) from error
    with report.phase("Loading the Keras model"):
        keras_model = load_keras(path)
    classes = classifier_contract(keras_model.contract, keras_model.path).output.classes
    images = data if data is not None else _draw(out / "drawn", seed, report)
    sets = Sets(
        read_isic_split(images, "train", classes),
        read_isic_split(images, "valid", classes),
        seed=seed,
    )
    exported = export_model(
        keras_model,
        load_recipe(RECIPE),
        out / f"lesion.{RECIPE}.tflite",
        sets=sets,
        limits=DRAWN_LIMITS if data is None else None,
        force=force,
        report=report,
    )
    assert sets.proof is not None
    return Demo(exported, images, data is None, _classify(exported, sets.proof.images, report))


def _draw(folder: Path, seed: int, report: Reporter) -> Path:
    """Draw anew, whatever seed an earlier demo had; a folder of something else is left alone."""
    note = folder / "README.txt"
    if note.is_file() and note.read_bytes() == README.encode():
        shutil.rmtree(folder)
    with report.phase("Drawing synthetic images"):
        write_drawn_dataset(folder, train=DRAWN_TRAIN, valid=DRAWN_PROOF, seed=seed)
    return folder


def _classify(
    exported: Exported, images: Sequence[LabelledImage], report: Reporter
) -> tuple[Result | Failure, ...]:
    classifier = Classifier(exported.path)
    paths = [image.path for image in images]
    return tuple(report.track(classifier.classify_many(paths), "Classifying", len(paths)))
