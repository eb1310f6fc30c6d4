"""The door for HDF5 models (``.h5``): file and architecture are read before Keras loads them.

The loaders of that format know no safe mode that covers it: a Lambda layer's code runs, and a layer
may name any function of TensorFlow. So every class in the architecture must be on a list of what
networks are made of. HDF5 itself can point to other files, and unpack to more than it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from lesionlite_runtime.codec import parse_json
from lesionlite_runtime.errors import UnusableInput, printable

MAX_CONFIG_BYTES = 64 << 20
HUB_LAYER = "KerasLayer"
FUNCTION_LAYERS = frozenset({"TFOpLambda", "SlicingOpLambda"})
"""Layers that Keras 2 makes of calls of TensorFlow's functions."""

_LAYERS = """
    Sequential Functional Model InputLayer
    Conv1D Conv2D Conv3D Conv2DTranspose DepthwiseConv2D SeparableConv2D Convolution2D
    Dense Activation ReLU LeakyReLU PReLU ELU ThresholdedReLU Softmax
    BatchNormalization LayerNormalization GroupNormalization UnitNormalization SpectralNormalization
    MaxPooling1D MaxPooling2D AveragePooling1D AveragePooling2D GlobalAveragePooling1D
    GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D
    Dropout SpatialDropout1D SpatialDropout2D GaussianNoise GaussianDropout AlphaDropout
    ActivityRegularization
    Add Subtract Multiply Average Maximum Minimum Concatenate Dot
    Flatten Reshape Permute RepeatVector ZeroPadding2D Cropping2D UpSampling2D Identity
    Rescaling Normalization Resizing CenterCrop
    RandomFlip RandomRotation RandomZoom RandomTranslation RandomContrast RandomBrightness
    RandomCrop RandomHeight RandomWidth
    MultiHeadAttention Attention EinsumDense Embedding
"""
_PARTS = """
    Zeros Ones Constant RandomNormal RandomUniform TruncatedNormal VarianceScaling Orthogonal
    Identity GlorotUniform GlorotNormal HeUniform HeNormal LecunUniform LecunNormal
    L1 L2 L1L2 OrthogonalRegularizer MaxNorm MinMaxNorm NonNeg UnitNorm RadialConstraint
    Policy DTypePolicy TensorShape __tuple__ __keras_tensor__ __ellipsis__ slice function
"""
_ACTIVATIONS = """
    relu relu6 leaky_relu elu selu gelu silu swish mish sigmoid hard_sigmoid hard_silu hard_swish
    softmax log_softmax softplus softsign tanh exponential linear
"""
_FUNCTIONS = """
    __operators__.add __operators__.getitem math.add math.subtract math.multiply math.divide
    math.truediv math.negative math.square math.sqrt math.maximum math.minimum math.reduce_mean
    math.reduce_max math.reduce_sum math.sigmoid math.tanh math.exp math.l2_normalize nn.relu
    nn.relu6 nn.softmax nn.sigmoid nn.silu nn.swish nn.gelu cast reshape concat expand_dims squeeze
    transpose clip_by_value reduce_mean image.resize split stack
"""
ALLOWED_CLASSES = frozenset(f"{_LAYERS} {_PARTS} {HUB_LAYER}".split())
"""What an architecture may name, beside `FUNCTION_LAYERS` with `ALLOWED_FUNCTIONS`."""
ALLOWED_FUNCTIONS = frozenset(_FUNCTIONS.split())
"""What a `TFOpLambda` may call, by TensorFlow's names."""
_MODULES = ("keras", "tf_keras", "tensorflow.keras", "builtins")


def checked_config(path: str | os.PathLike[str], *, allow_code: bool = False) -> Any:
    """The architecture of the HDF5 model at ``path``, as parsed JSON.

    Args:
        path: the file.
        allow_code: let classes pass that are not on the list.

    Raises:
        UnusableInput: when it is damaged, holds weights alone, points to other files, unpacks to
            more than it is, or names a class that is not on the list.
    """
    import h5py

    file = os.fspath(path)
    try:
        with h5py.File(path, "r") as archive:
            _check_parts(archive, os.stat(path).st_size, file)  # noqa: PTH116
            stated = archive.attrs.get("model_config")
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise UnusableInput(
            "this is no HDF5 file, or a damaged one", "copy it anew", file
        ) from error
    if stated is None:
        raise UnusableInput(
            "this file holds weights without their network",
            "save the whole model, with model.save and not save_weights",
            file,
        )
    text = stated.encode() if isinstance(stated, str) else bytes(stated)
    if len(text) > MAX_CONFIG_BYTES:
        raise UnusableInput("the architecture is too large", "pass a smaller network", file)
    config = parse_json(text, file)
    refused = [] if allow_code else sorted(set(_refused(config)))
    if refused:
        raise UnusableInput(
            "this model holds code of its maker's, or layers that no image network needs "
            f"({printable(', '.join(refused))})",
            "save it without, or pass --allow-code if you trust whoever made it",
            file,
        )
    return config


def class_names(config: Any) -> Iterator[str]:
    """Every class that an architecture names."""
    for part in _objects(config):
        if "class_name" in part:
            yield str(part["class_name"])


def _refused(config: Any) -> Iterator[str]:
    for part in _objects(config):
        kind, inner = part.get("class_name"), part.get("config")
        module = part.get("module")
        if kind in FUNCTION_LAYERS:
            function = inner.get("function") if isinstance(inner, dict) else None
            if kind == "TFOpLambda" and function not in ALLOWED_FUNCTIONS:
                yield f"{kind} of {function}"
        elif kind == "function":
            if inner not in _ACTIVATIONS.split():
                yield f"the function {inner}"
        elif kind is not None and kind not in ALLOWED_CLASSES:
            yield str(kind)
        if module is not None and str(module).split(".")[0] not in _MODULES:
            yield f"the module {module}"


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value, at any depth."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def _check_parts(archive: Any, file_bytes: int, file: str) -> None:
    """Refuse links to elsewhere, data that lies elsewhere, and data larger than the file."""
    import h5py

    total, groups = 0, [archive]
    while groups:
        group = groups.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise _elsewhere(name, file)
            item = group[name]
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise _elsewhere(name, file)
                total += item.nbytes
        if total > file_bytes:
            raise UnusableInput(
                "the weights in this file are compressed, or overlap",
                "save it anew with Keras, which compresses nothing",
                file,
            )


def _elsewhere(name: str, file: str) -> UnusableInput:
    return UnusableInput(
        f"{printable(name)} in this file leads to data elsewhere", "save it anew with Keras", file
    )
