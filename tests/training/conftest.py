"""What the tests of fine-tuning share: a few drawings, and a backbone that trains in a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from lesionlite_export.drawn import write_drawn_dataset

DRAWN = {"melanoma": 16, "nevus": 16, "seborrheic_keratosis": 8}
PROOF = {"melanoma": 8, "nevus": 8, "seborrheic_keratosis": 4}


@pytest.fixture(scope="session")
def few_drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the ISIC layout: 40 drawings of 64 pixels to train on, 20 to prove on."""
    folder = tmp_path_factory.mktemp("few") / "drawn"
    write_drawn_dataset(folder, train=DRAWN, valid=PROOF, seed=3, size=(64, 64))
    return folder


def write_tiny_backbone(path: Path, dropout: float = 0.0) -> Path:
    """Save a network from images of any size to 16 features: 1,464 random weights."""
    import keras

    keras.utils.set_random_seed(1)
    x = image = keras.Input((None, None, 3), name="image")
    for name, filters in (("one", 8), ("two", 16)):
        x = keras.layers.Conv2D(
            filters, 3, strides=2, padding="same", use_bias=False, name=f"{name}_conv"
        )(x)
        x = keras.layers.BatchNormalization(name=f"{name}_bn")(x)
        x = keras.layers.ReLU(max_value=6.0, name=f"{name}_relu6")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    features = keras.layers.GlobalAveragePooling2D(name="features")(x)
    keras.Model(image, features, name="tiny").save(path)
    return path


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `write_tiny_backbone`."""
    return write_tiny_backbone(tmp_path_factory.mktemp("backbone") / "tiny.keras")


@pytest.fixture(scope="session")
def dropout_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny_backbone` with random numbers of its own."""
    return write_tiny_backbone(tmp_path_factory.mktemp("backbone") / "dropout.keras", 0.5)
