"""A model as a function: the scores are those of the device and of Keras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lesionlite_export.keras_model import keras_outputs, load_keras
from lesionlite_runtime import Classifier
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.pixels import image_tensor
from lesionlite_training.evaluation.scorer import open_scorer

KERAS = Path(__file__).parents[3] / "samples" / "lesion.keras"


@pytest.fixture
def tensors(drawn_photos: list[Path]) -> list[np.ndarray]:
    return [image_tensor(path, 224, 224) for path in drawn_photos]


def test_the_scores_of_a_file_are_the_devices(
    shipped_model: Path, drawn_photos: list[Path], tensors: list[np.ndarray]
) -> None:
    found = open_scorer(shipped_model)(tensors)
    classifier = Classifier(shipped_model)
    assert found.dtype == np.float64
    assert found.tolist() == [classifier.classify(path).score for path in drawn_photos]


@pytest.mark.tensorflow
def test_equal_tensors_in_one_call_get_equal_scores_of_keras(tensors: list[np.ndarray]) -> None:
    found = open_scorer(KERAS)([tensors[0]] * 40 + tensors)
    wanted = np.concatenate(list(keras_outputs(load_keras(KERAS).network, tensors)))
    assert found.dtype == np.float64
    assert set(found[:40]) == {found[40]}
    assert found[40:] == pytest.approx(wanted, abs=1e-6)


def test_what_is_no_classifier_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_text("no model")
    with pytest.raises(UnusableInput, match=r"neither a \.keras nor a \.tflite"):
        open_scorer(path)
