"""Make a file in every recipe, with its scores, for environments that cannot export.

python -m tests.exported_files FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lesionlite_export.convert import wrapper
from lesionlite_export.demo import DRAWN_LIMITS, DRAWN_PROOF
from lesionlite_export.drawn import write_drawn_dataset
from lesionlite_export.keras_model import KerasModel, load_keras
from lesionlite_export.manifest import read_isic_split
from lesionlite_export.minimum_runtime import minimum_runtime
from lesionlite_export.noise import native_noise_logged
from lesionlite_export.publish import export_model
from lesionlite_export.recipe import image_recipe_names, load_recipe
from lesionlite_export.sets import Sets
from lesionlite_runtime import Classifier
from lesionlite_runtime.container import split_members

ROOT = Path(__file__).resolve().parents[1]
# Enough to calibrate files that are to run elsewhere, and a third of what a demo takes.
TRAIN = {"melanoma": 14, "nevus": 16, "seborrheic_keratosis": 10}
SCORES = "scores.json"
RUNTIMES = "runtimes.json"
# Drawings lie further from the calibration's ranges than photos do: `dynamic` has a mean score
# error of 0.03 on them, right at the limit. What the files are for is to run elsewhere.
LIMITS = {**DRAWN_LIMITS, "mean_score_error": None}


def write_exported_files(folder: Path) -> None:
    """``folder/RECIPE.tflite`` for every recipe, and LiteRT's scores of the drawn samples.

    Also, for every file and for TensorFlow's own dynamic-range one, which runtimes load it.
    """
    drawn = folder / "drawn"
    write_drawn_dataset(drawn, train=TRAIN, valid=DRAWN_PROOF, seed=0)
    sets = Sets(read_isic_split(drawn, "train"), read_isic_split(drawn, "valid"))
    model = load_keras(ROOT / "samples" / "lesion.keras")
    scores: dict[str, dict[str, float]] = {}
    for recipe in image_recipe_names():
        path = folder / f"{recipe}.tflite"
        export_model(model, load_recipe(recipe), path, sets=sets, limits=LIMITS)
        classifier = Classifier(path, backend="litert")
        photos = sorted((ROOT / "samples" / "drawn").glob("*.jpg"))
        scores[recipe] = {photo.name: classifier.classify(photo).score for photo in photos}
    (folder / SCORES).write_text(json.dumps(scores, indent=1))
    (folder / "dynamic_by_tensorflow.tflite").write_bytes(_dynamic_by_tensorflow(model))
    runtimes = {
        path.name: minimum_runtime(split_members(path.read_bytes())[0]).to_json()
        for path in sorted(folder.glob("*.tflite"))
    }
    (folder / RUNTIMES).write_text(json.dumps(runtimes, indent=1))


def _dynamic_by_tensorflow(model: KerasModel) -> bytes:
    with native_noise_logged():
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_keras_model(wrapper(model))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        return bytes(converter.convert())


if __name__ == "__main__":
    write_exported_files(Path(sys.argv[1]))
