"""Levels: what the blocks see that fine-tuning leaves as published, and a second head on it.

Gradient descent teaches the last blocks of a backbone much, and some of that by heart. The blocks
before them keep what ImageNet taught them: a logistic head on the mean activations of each errs
elsewhere. The network that is saved has both heads as one, whose logits are the mean of theirs; the
blocks below are run once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_runtime.errors import UsageError
from lesionlite_training.backbones import Backbone
from lesionlite_training.backbones.pooling import frame_and_middle
from lesionlite_training.networks import check_blocks, leaves

Logits = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Kernel ``[features, units]`` and bias ``[units]`` of a linear head."""

_JOINED = 4
# The activations behind a block's depthwise convolution: its widest view, of height and width.
_LEVEL_NAMES = {
    "efficientnet_lite0": r"block\d[a-d]_dw_relu6",
    "mobilenet_v2": r"(expanded_conv|block_\d+)_depthwise_relu",
}


@dataclass(frozen=True)
class CameraChange:
    """What the camera's file of an image changes in its levels.

    Attributes:
        places: int64 ``[p]``: of the image of each, among the training images.
        changes: float32 ``[p, levels]``: levels of the original less those of the image.
    """

    places: NDArray[np.int64]
    changes: NDArray[np.float32]

    def mean(self, learn: NDArray[np.int64]) -> NDArray[np.float64]:
        """Over the images ``learn``, float64 ``[levels]``; 0 where none of them has an original."""
        inside = np.isin(self.places, learn)
        return np.asarray(self.changes[inside].sum(0, np.float64) / max(1, int(inside.sum())))


def levels_network(features: Any, backbone: Backbone, blocks: int) -> Any:
    """From pixels to the levels: float32 ``[n, levels]``, over the frame and then over its middle.

    Args:
        features: a `scaled_backbone`; the network shares its layers.
        backbone: its registry entry.
        blocks: how many of its last blocks are trained; a level is taken from each block before.

    Raises:
        UsageError: see `check_levels`.
    """
    body = features.layers[-1]
    return _scaled(features, body, _levels(body, backbone, blocks))


def with_levels(features: Any, backbone: Backbone, blocks: int) -> Any:
    """From pixels to the levels and, behind them, the features: one network, run once.

    Args:
        features: as in `levels_network`.
        backbone: likewise.
        blocks: likewise.

    Raises:
        UsageError: see `check_levels`.
    """
    body = features.layers[-1]
    return _scaled(features, body, _by_fours([*_levels(body, backbone, blocks), body.outputs[0]]))


def check_levels(features: Any, backbone: Backbone, blocks: int) -> list[str]:
    """The layers whose activations are levels, in order.

    Raises:
        UsageError: when the backbone has none that are known, or none stays as published.
    """
    pattern = _LEVEL_NAMES.get(backbone.name)
    if pattern is None:
        raise UsageError(
            f"the levels of the backbone {backbone.name} are not known",
            f"train without levels, or use one of: {', '.join(_LEVEL_NAMES)}",
        )
    block_of = check_blocks(features, backbone, blocks)
    known = list(dict.fromkeys(block_of))
    published = set(known[: len(known) - blocks])
    found = [
        layer.name
        for layer, block in zip(leaves(features), block_of, strict=False)
        if block in published and re.fullmatch(pattern, layer.name)
    ]
    if not found:
        raise UsageError(
            f"no level is left of the backbone {backbone.name} if {blocks} blocks are trained",
            "train fewer blocks, or train without levels",
        )
    return found


def mean_of_heads(levels: Logits, features: Logits) -> Logits:
    """The head on levels and features whose logits are the mean of those of both heads."""
    kernel = np.concatenate([levels[0], features[0]]) / 2
    return kernel, (levels[1] + features[1]) / 2


def _levels(body: Any, backbone: Backbone, blocks: int) -> list[Any]:
    pooled = [
        frame_and_middle(body.get_layer(name).output, name)
        for name in check_levels(body, backbone, blocks)
    ]
    frames, middles = zip(*pooled, strict=True)
    return [*frames, *middles]


def _by_fours(outputs: list[Any]) -> list[Any]:
    """``outputs`` joined to four at most, in order.

    XNNPACK (LiteRT 2.3) takes concatenations of four inputs and leaves one of 23 to the built-in
    kernels, and the head behind it to a second piece of the graph.
    """
    import keras

    count = 0
    while len(outputs) > _JOINED:
        groups = [outputs[i : i + _JOINED] for i in range(0, len(outputs), _JOINED)]
        outputs = []
        for group in groups:
            count += len(group) > 1
            join = keras.layers.Concatenate(name=f"levels_part_{count}")
            outputs.append(join(group) if len(group) > 1 else group[0])
    return outputs


def _scaled(features: Any, body: Any, outputs: list[Any]) -> Any:
    """``features`` with other outputs of the network in it, by the same layers."""
    import keras

    joined = keras.layers.Concatenate(name="levels")(outputs)
    network = keras.Model(body.inputs, joined, name=body.name)
    pixels, scaling = features.inputs[0], features.get_layer("scaling")
    return keras.Model(pixels, network(scaling(pixels)), name="features")
