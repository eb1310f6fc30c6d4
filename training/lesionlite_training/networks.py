"""The networks of a skin model: backbone with its scaling, the head in training, and the score."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_runtime.errors import UsageError
from lesionlite_training.backbones import Backbone
from lesionlite_training.checkpoints import Arrays
from lesionlite_training.configuration import FineTuning

_FEATURE_NORM = "feature_norm"
# The features change with every step of training, so their statistics forget fast.
_NORM_MOMENTUM = 0.9
_NORM_EPSILON = 1e-3
_NORM_GAIN = 2.0  # the first that was tried; no other was
# How layers are named after the block that they belong to, or that they end.
_BLOCK_NAMES = {
    "efficientnet_lite0": r"stem|block\d[a-d]|head",
    "efficientnet_lite0_multilevel": r"stem|block\d[a-d]|head",
    "mobilenet_v2": r"expanded_conv|block_\d+(?=_)|Conv_1",
    "inception_v3_keras": r"mixed\d+(?=$)",
}


def scaled_backbone(backbone: Backbone, size: int | None = None, *, pretrained: bool = True) -> Any:
    """A Keras model from uint8 pixels ``[n, H, W, 3]`` to features, the scaling inside.

    Args:
        backbone: the network.
        size: side of the images; by default the network's own.
        pretrained: load the published weights; else they are random.
    """
    import keras

    side = size or backbone.input_size
    pixels = keras.Input((side, side, 3), dtype="uint8", name="image")
    scaling = keras.layers.Rescaling(backbone.scale, offset=backbone.offset, name="scaling")
    network = backbone.build(pretrained=pretrained, size=size)
    return keras.Model(pixels, network(scaling(pixels)), name="features")


def training_network(features: Any, units: int, tuning: FineTuning | None = None) -> Any:
    """``features`` with a head of ``units`` logits, from Keras' initial weights.

    Args:
        features: a Keras model from pixels to features.
        units: logits wanted.
        tuning: says what stands between features and logits in training; None for nothing.
    """
    import keras

    x = features.outputs[0]
    if tuning is not None and tuning.head_norm == "batch":
        norm = keras.layers.BatchNormalization(
            momentum=_NORM_MOMENTUM,
            epsilon=_NORM_EPSILON,
            center=False,
            scale=False,
            name=_FEATURE_NORM,
        )
        x = keras.layers.Rescaling(_gain(x.shape[-1]), name="feature_scaling")(norm(x))
    if tuning is not None and tuning.dropout:
        x = keras.layers.Dropout(tuning.dropout, name="feature_dropout")(x)
    logits = keras.layers.Dense(units, name="logits")(x)
    return keras.Model(features.inputs, logits, name="training")


def with_norm(
    kernel: NDArray[np.float64], bias: NDArray[np.float64], features: NDArray[np.float32] | None
) -> list[NDArray[np.float64]]:
    """The weights of a head with batch-norm, in the order of its network's.

    Args:
        kernel: ``[features, units]``: for raw features, or where none are given for normalized
            ones.
        bias: ``[units]``.
        features: ``[n, features]``, whose statistics the batch-norm begins with: the logits are
            those of the head without one. None to begin with a mean of 0 and a variance of 1.
    """
    if features is None:
        return [np.zeros(len(kernel)), np.ones(len(kernel)), kernel, bias]
    mean, variance = features.mean(0, np.float64), features.var(0, dtype=np.float64)
    spread = np.sqrt(variance + _NORM_EPSILON) / _gain(len(kernel))
    return [mean, variance, kernel * spread[:, np.newaxis], bias + mean @ kernel]


def without_norm(weights: Arrays, tuning: FineTuning) -> Arrays:
    """The weights of a `training_network` with its head's batch-norm folded into the head.

    They are those of ``features``, the head's kernel and bias, as `score_network` takes them.
    """
    if tuning.head_norm == "none":
        return weights
    *body, mean, variance, kernel, bias = weights
    spread = np.sqrt(variance.astype(np.float64) + _NORM_EPSILON) / _gain(len(kernel))
    folded = kernel / spread[:, np.newaxis]
    shifted = bias - mean.astype(np.float64) @ folded
    return [*body, folded.astype(np.float32), shifted.astype(np.float32)]


def _gain(features: int) -> float:
    """What normalized features are multiplied by.

    A step of Adam moves each weight by about the learning rate, whatever its gradient; so a logit
    of many features would jump. Divided by the root of their number they move it as far as few do.
    """
    return _NORM_GAIN / math.sqrt(features)


def score_network(features: Any, weights: Arrays, positive: Sequence[bool] | None) -> Any:
    """The network that is saved: from uint8 pixels to the score, float32 ``[n, 1]``.

    Args:
        features: from pixels to features.
        weights: those of ``features``, the head's kernel and bias: see `without_norm`.
        positive: for a softmax head, whether each class is labelled 1: the score is the sum of
            those; None for a head of one sigmoid.
    """
    import keras

    if positive is None:
        score = keras.layers.Dense(1, activation="sigmoid", name="score")
        model = keras.Model(features.inputs, score(features.outputs[0]), name="lesion")
        model.set_weights(weights)
        return model
    classes = keras.layers.Dense(len(positive), activation="softmax", name="classes")
    score = keras.layers.Dense(1, use_bias=False, trainable=False, name="score")
    model = keras.Model(features.inputs, score(classes(features.outputs[0])), name="lesion")
    model.set_weights([*weights, np.array(positive, np.float32)[:, np.newaxis]])
    return model


def set_trainable(network: Any, backbone: Backbone, blocks: int | None, batch_norm: str) -> None:
    """Train the backbone's last ``blocks`` blocks and what stands behind them; None trains all.

    What stands before them is frozen. Frozen batch-norm layers, and with ``batch_norm="frozen"``
    all of the backbone's, keep their statistics.

    Raises:
        UsageError: when the backbone has fewer blocks, or none that are known.
    """
    layers = leaves(network)
    for layer in layers:
        layer.trainable = True  # a network from a file may come frozen
    if blocks is not None:
        block_of = check_blocks(network, backbone, blocks)
        known = list(dict.fromkeys(block_of))
        frozen = set(known[: len(known) - blocks])
        for layer, name in zip(layers, block_of, strict=False):
            layer.trainable = name not in frozen
    if batch_norm == "frozen":
        for layer in layers:
            if type(layer).__name__ == "BatchNormalization" and layer.name != _FEATURE_NORM:
                layer.trainable = False
            elif hasattr(layer, "keep_statistics"):  # a SavedModel, whose layers cannot be seen
                layer.keep_statistics = True


def check_blocks(network: Any, backbone: Backbone, blocks: int) -> list[str]:
    """The block of each layer of ``network``, up to the last that belongs to one.

    Raises:
        UsageError: when the backbone has fewer than ``blocks``, or none that are known.
    """
    found = _blocks(leaves(network), backbone)
    count = len(set(found))
    if blocks > count:
        raise UsageError(
            f"the backbone {backbone.name} has {count} blocks, not {blocks}", "pass fewer, or all"
        )
    return found


def trained_parameters(network: Any) -> tuple[int, int]:
    """How many parameters ``network`` has, and how many of them are trained."""

    def count(variables: Sequence[Any]) -> int:
        return int(sum(np.prod(variable.shape) for variable in variables))

    return count(network.weights), count(network.trainable_weights)


def class_targets(
    class_names: Sequence[str], names: Sequence[str], smoothing: float
) -> NDArray[np.float32]:
    """One row a class name, 1 for its place in ``names``, smoothed: float32 ``[n, classes]``."""
    places = {name: i for i, name in enumerate(names)}
    hot = np.eye(len(names))[[places[name] for name in class_names]]
    return (hot * (1 - smoothing) + smoothing / len(names)).astype(np.float32)


def leaves(network: Any) -> list[Any]:
    """The layers of ``network`` and of the networks within it, in order."""
    found: list[Any] = []
    for layer in network.layers:
        found += leaves(layer) if hasattr(layer, "layers") else [layer]
    return found


def _blocks(layers: Sequence[Any], backbone: Backbone) -> list[str]:
    """The block of each layer up to the last that a block is named by.

    A layer without such a name belongs to the block of the next one that has it.
    """
    pattern = _BLOCK_NAMES.get(backbone.name)
    if pattern is None:
        raise UsageError(
            f"the blocks of the backbone {backbone.name} are not known",
            "train all of it, or the head alone",
        )
    found: list[str] = []
    waiting = 0
    for layer in layers:
        match = re.match(pattern, layer.name)
        waiting += 1
        if match is not None:
            found += [match.group(0)] * waiting
            waiting = 0
    return found
