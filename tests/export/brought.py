"""Networks that others might have trained: small, on drawings, with scores that mean something."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.runtime.drafts import binary_draft, labels_draft

from lesionlite_runtime.draft import AnyDraft, draft_of_json

SIDE = 32
TINTS = np.array(
    [[1, 1, 1], [1, 0.6, 0.6], [0.6, 1, 0.6], [0.6, 0.6, 1], [1, 1, 0.5], [0.5, 1, 1], [1, 0.5, 1]]
)
SEVEN = ("plain", "red", "green", "blue", "yellow", "cyan", "magenta")


def draft_of(side: int = SIDE, low: float = 0, high: float = 1, **output: Any) -> AnyDraft:
    """The draft of a network of two labels on ``low`` to ``high``."""
    image = {"shape": [1, side, side, 3], "range": [low, high]}
    classes = {"melanoma": "malignant", "nevus": "benign", "seborrheic_keratosis": "benign"}
    return draft_of_json(binary_draft(input=image, output={"classes": classes, **output}), None)


def seven_draft(side: int = SIDE, low: float = 0, high: float = 1, **output: Any) -> AnyDraft:
    """The draft of a network of seven labels."""
    image = {"shape": [1, side, side, 3], "range": [low, high]}
    return draft_of_json(labels_draft(input=image, output={"labels": list(SEVEN), **output}), None)


def tinted(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Every image in seven tints, and the index of its tint."""
    copies = (pixels[:, np.newaxis] * TINTS[:, np.newaxis, np.newaxis]).astype(np.uint8)
    return copies.reshape(-1, *pixels.shape[1:]), np.tile(np.arange(7), len(pixels))


def body(x: Any, prefix: str = "") -> Any:
    """Random features in the manner of MobileNet."""
    from keras import layers

    x = layers.Conv2D(12, 3, strides=2, padding="same", use_bias=False, name=f"{prefix}stem")(x)
    x = layers.BatchNormalization(name=f"{prefix}norm")(x)
    x = layers.ReLU(6.0, name=f"{prefix}relu6")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name=f"{prefix}depthwise")(x)
    x = layers.ReLU(6.0, name=f"{prefix}depthwise_relu6")(x)
    x = layers.Conv2D(24, 1, name=f"{prefix}project")(x)
    return layers.GlobalAveragePooling2D(name=f"{prefix}mean")(x)


def tanh_body(x: Any, spread: float) -> Any:
    """Random features without a batch norm, for inputs of about ``spread``."""
    from keras import initializers, layers

    weights = initializers.RandomNormal(stddev=1 / spread)
    x = layers.Conv2D(
        16, 3, strides=2, padding="same", activation="tanh", kernel_initializer=weights
    )(x)
    x = layers.Conv2D(32, 3, strides=2, padding="same", activation="tanh")(x)
    return layers.GlobalAveragePooling2D()(x)


def fitted(
    pixels: NDArray[np.uint8],
    labels: Sequence[int] | NDArray[np.int64],
    *,
    low: float = 0,
    high: float = 1,
    units: int = 1,
    activation: str | None = "sigmoid",
    seed: int = 3,
    batch_norm: bool = True,
    features_of: Callable[[Any], Any] | None = None,
) -> Any:
    """A Keras network from float pixels of ``low`` to ``high``, its head fitted to the labels.

    Features are random, batch-norm statistics those of the images, and the head is a logistic
    regression. ``features_of`` makes another network of features, given the shape of an image.
    """
    import keras
    from sklearn.linear_model import LogisticRegression

    keras.utils.set_random_seed(seed)
    image = keras.Input(pixels.shape[1:], name="photo")
    if features_of is not None:
        features = features_of(pixels.shape[1:])
    else:
        features = keras.Model(image, body(image) if batch_norm else tanh_body(image, high - low))
    x = (low + pixels.astype(np.float32) * (high - low) / 255).astype(np.float32)
    settle_batch_norm(features, x)
    found = np.asarray(features.predict_on_batch(x))
    spread = found.std(0) + 1e-3
    head = LogisticRegression(C=1.0, max_iter=2000).fit((found - found.mean(0)) / spread, labels)
    kernel = (head.coef_ / spread).T
    bias = head.intercept_ - (found.mean(0) / spread) @ head.coef_.T
    if len(head.classes_) == 2 and units == 2:
        kernel, bias = np.hstack([-kernel / 2, kernel / 2]), np.r_[-bias / 2, bias / 2]
    dense = keras.layers.Dense(units, activation=activation, name="score")
    network = keras.Model(image, dense(features(image)), name="theirs")
    dense.set_weights([kernel.astype(np.float32), np.ravel(bias).astype(np.float32)])
    return network


def settle_batch_norm(network: Any, x: NDArray[np.float32]) -> None:
    """Set batch-norm statistics to those of ``x``, as a training on it would."""
    import keras

    layers = [o for o in network.layers if isinstance(o, keras.layers.BatchNormalization)]
    for layer in layers:
        layer.momentum = 0.0
    network(x, training=True)
    for layer in layers:
        layer.momentum = 0.99
