"""Means of activations: over the frame, and over the middle, where a photo has the lesion."""

from __future__ import annotations

from typing import Any


def frame_and_middle(x: Any, name: str) -> tuple[Any, Any]:
    """The mean of ``x`` over the frame, and over half its height and width in the middle.

    Args:
        x: Keras tensor ``[n, H, W, C]``.
        name: begins the names of the layers.

    Returns:
        Two Keras tensors ``[n, C]``.
    """
    from keras import layers

    frame = layers.GlobalAveragePooling2D(name=f"{name}_mean")(x)
    middle = layers.Cropping2D(round(x.shape[1] / 4), name=f"{name}_middle")(x)
    return frame, layers.GlobalAveragePooling2D(name=f"{name}_middle_mean")(middle)
