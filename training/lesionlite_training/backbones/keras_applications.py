"""Backbones of ``keras.applications``: MobileNetV2 and Keras' own Inception V3.

Their weights are not in any package: Keras downloads them, or finds them in its cache. Keras
numbers most layers by how many the process has made. Here they are numbered by their place in the
network, since its digest depends on their names.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lesionlite_export.noise import native_noise_logged
from lesionlite_runtime.errors import MissingHere
from lesionlite_training.backbones import needs_keras, register

if TYPE_CHECKING:
    import keras

# Both were trained on x / 127.5 - 1 (keras.applications' preprocess_input, mode "tf").
SCALE = 1 / 127.5
OFFSET = -1.0
WEIGHTS_URL = "https://storage.googleapis.com/tensorflow/keras-applications"
MOBILENET_V2_FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
INCEPTION_V3_FILE = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
_AUTOMATIC = re.compile(
    r"(conv2d|batch_normalization|activation|max_pooling2d|average_pooling2d|concatenate)(_\d+)?"
)


@register(
    name="mobilenet_v2",
    input_size=224,
    scale=SCALE,
    offset=OFFSET,
    feature_size=1280,
    licence="Apache-2.0",
    weights=f"{WEIGHTS_URL}/mobilenet_v2/{MOBILENET_V2_FILE}",
)
def build_mobilenet_v2(pretrained: bool, size: int) -> keras.Model:
    """MobileNetV2 1.0 without its ImageNet head, pooled; see `Backbone.build`."""
    application = needs_keras().applications.MobileNetV2
    return _build(application, "mobilenet_v2", 224, MOBILENET_V2_FILE, pretrained, size)


@register(
    name="inception_v3_keras",
    input_size=299,
    scale=SCALE,
    offset=OFFSET,
    feature_size=2048,
    licence="Apache-2.0",
    weights=f"{WEIGHTS_URL}/inception_v3/{INCEPTION_V3_FILE}",
    smallest_size=75,
)
def build_inception_v3_keras(pretrained: bool, size: int) -> keras.Model:
    """Keras' Inception V3 without its ImageNet head, pooled; see `Backbone.build`."""
    application = needs_keras().applications.InceptionV3
    return _build(application, "inception_v3_keras", 299, INCEPTION_V3_FILE, pretrained, size)


def weights_place(file_name: str) -> Path:
    """Where Keras looks for a file of weights before it downloads it."""
    named = os.environ.get("KERAS_HOME")
    return (Path(named) if named else Path.home() / ".keras") / "models" / file_name


def _build(
    application: Callable[..., Any],
    name: str,
    own_size: int,
    file_name: str,
    pretrained: bool,
    size: int,
) -> keras.Model:
    with native_noise_logged():
        if not pretrained:
            return _with_stable_names(_application(application, size, None), name, size)
        # Those of the network's own size, whatever the size: Keras has others for some sizes.
        published = _published(application, name, own_size, file_name)
        network = published if size == own_size else _application(application, size, None)
        model = _with_stable_names(network, name, size)
        model.set_weights(published.get_weights())
        return model


def _application(application: Callable[..., Any], size: int, weights: str | None) -> Any:
    shape = (size, size, 3)
    return application(weights=weights, include_top=False, pooling="avg", input_shape=shape)


def _published(application: Callable[..., Any], name: str, size: int, file_name: str) -> Any:
    try:
        return _application(application, size, "imagenet")
    except Exception as error:  # Keras raises a bare Exception for a download that failed
        reason = str(error).rpartition(" -- ")[2].partition("\n")[0] or type(error).__name__
        raise MissingHere(
            f"the weights of {name} are not here and cannot be downloaded ({reason})",
            f"place {file_name} into {weights_place(file_name).parent}, or use --backbone "
            "efficientnet_lite0, whose weights are installed, or the path of a SavedModel",
        ) from error


def _with_stable_names(network: Any, name: str, size: int) -> Any:
    import keras

    counts: Counter[str] = Counter()

    def renamed(layer: Any) -> Any:
        config = layer.get_config()
        if layer is network.layers[-1]:
            config["name"] = "features"
        elif match := _AUTOMATIC.fullmatch(layer.name):
            kind = match.group(1)
            config["name"] = f"{kind}_{counts[kind]:02d}"
            counts[kind] += 1
        return type(layer).from_config(config)

    image = keras.Input((size, size, 3), name="scaled_image")
    clone = keras.models.clone_model(network, input_tensors=image, clone_function=renamed)
    return keras.Model(clone.input, clone.output, name=name)
