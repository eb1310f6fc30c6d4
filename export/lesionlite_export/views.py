"""Several views of an image in one network: turned and flipped copies, and the mean of the scores.

A lesion has no upright side, so the mean of its scores over turns and flips is as right as one of
them, and steadier. The copies are made by operators in the graph: clients change nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.keras_model import KerasModel
from lesionlite_runtime.contract import classifier_contract
from lesionlite_runtime.contract_checks import VIEWS
from lesionlite_runtime.errors import UsageError

_AXES: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (1, 2))
"""Axes to flip: none, each, and both, which is the half turn."""


def with_views(model: KerasModel, views: int) -> KerasModel:
    """``model`` with the mean score of ``views`` copies of the image, and the threshold for it.

    Args:
        model: a classifier of two labels.
        views: 1, 4 (the image, its two mirror images and its half turn) or 8 (these and their
            quarter turns).

    Raises:
        UsageError: when there is no such number of views, the contract has no threshold for it, or
            the image that is to be turned is no square.
    """
    if views not in VIEWS:
        raise UsageError(f"{views} views are not possible", f"pass one of {VIEWS}")
    if views == 1:
        return model
    contract = classifier_contract(model.contract, model.path)
    threshold = next(
        (v.threshold for v in contract.views_thresholds or () if v.views == views), None
    )
    if threshold is None:
        raise UsageError(
            f"the model has no threshold for {views} views",
            "train it with `lesionlite train lesion --fine-tune ...`, which chooses one",
            model.path,
        )
    if views > 4 and contract.input.height != contract.input.width:
        raise UsageError("an image that is no square cannot be turned", "pass 4 views", model.path)
    provenance = replace(contract.provenance, views=views)
    return KerasModel(
        model.path,
        views_network(model.network, views),
        replace(contract, threshold=threshold, views_thresholds=None, provenance=provenance),
    )


def pixel_views(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The copies of one image ``[H, W, 3]``, in the order of a file's views."""
    return [
        np.flip(of, tuple(axis - 1 for axis in axes))
        for of in (pixels, pixels.transpose(1, 0, 2))
        for axes in _AXES
    ]


def views_network(network: Any, views: int) -> Any:
    """A Keras model of the mean output of ``network`` over ``views`` copies of its input."""
    import keras

    image = keras.Input(network.inputs[0].shape[1:], dtype=network.inputs[0].dtype, name="image")
    turned = keras.ops.transpose(image, (0, 2, 1, 3)) if views > len(_AXES) else None
    copies = [
        keras.ops.flip(of, axes) if axes else of
        for of in (image, turned)
        if of is not None
        for axes in _AXES
    ]
    stacked = keras.ops.concatenate(copies, axis=0)
    units = network.outputs[0].shape[-1]
    by_view = keras.ops.reshape(network(stacked), (views, -1, units))
    return keras.Model(image, keras.ops.mean(by_view, axis=0), name="views_of_network")
