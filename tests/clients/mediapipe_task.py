"""MediaPipe's image classifier as a context, and LiteRT beside it."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mediapipe as mp
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from mediapipe.tasks.python import BaseOptions, vision
from numpy.typing import NDArray

CLIENT = "MediaPipe Python"
EVERYTHING = 1e-9  # a score threshold: 0 would count as none, and the metadata's would hold
SIDE = 224


@contextmanager
def classifier(file: Path, **options: Any) -> Iterator[Any]:
    """An image classifier, closed at the end."""
    base = BaseOptions(model_asset_path=str(file))
    task = vision.ImageClassifier.create_from_options(
        vision.ImageClassifierOptions(base_options=base, **options)
    )
    try:
        yield task
    finally:
        task.close()


def categories(task: Any, image: NDArray[np.uint8] | str) -> list[Any]:
    """What the task shows for pixels, or for a file that it reads itself."""
    if isinstance(image, str):
        shown = mp.Image.create_from_file(image)
    else:
        shown = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(image))
    (head,) = task.classify(shown).classifications
    return list(head.categories)


def score_of(found: Sequence[Any], label: str) -> float:
    """The score of ``label``; NaN where it is not shown."""
    return next((c.score for c in found if c.category_name == label), math.nan)


def decisions(file: Path, pixels: NDArray[np.uint8], label: str, **options: Any) -> list[bool]:
    """Whether the task shows ``label`` for each image."""
    with classifier(file, **options) as task:
        return [not math.isnan(score_of(categories(task, image), label)) for image in pixels]


def litert(file: Path, pixels: NDArray[np.uint8]) -> list[float]:
    """LiteRT's outputs; of two scores, the last."""
    interpreter = Interpreter(model_path=str(file), num_threads=1)
    runner = interpreter.get_signature_runner("serving_default")
    return [float(runner(image=image[np.newaxis])["score"][0, -1]) for image in pixels]


def classify_grey(file: Path) -> str:
    """What MediaPipe says to a grey image."""
    base = BaseOptions(model_asset_path=str(file))
    options = vision.ImageClassifierOptions(base_options=base)
    task = vision.ImageClassifier.create_from_options(options)
    grey = mp.Image(image_format=mp.ImageFormat.GRAY8, data=np.zeros((SIDE, SIDE), np.uint8))
    try:
        return f"no error: {task.classify(grey)}"
    except (RuntimeError, ValueError) as error:
        return str(error)


if __name__ == "__main__":
    sys.stdout.write(classify_grey(Path(sys.argv[1])))
    sys.stdout.flush()
    os._exit(0)  # without closing the task, which failed
