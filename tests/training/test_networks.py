"""The networks of a skin model: what is frozen, and that the score is the head's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlite_runtime.errors import UsageError
from lesionlite_training.backbones import get_backbone
from lesionlite_training.configuration import FineTuning
from lesionlite_training.networks import (
    class_targets,
    scaled_backbone,
    score_network,
    set_trainable,
    trained_parameters,
    training_network,
    with_norm,
    without_norm,
)

from ..hub_form import write_hub_form  # noqa: TID252 (no package to name)

LITE0 = get_backbone("efficientnet_lite0")
SIDE = 32


@pytest.fixture(scope="module")
def features() -> Any:
    """EfficientNet-Lite0 with random weights, for small images."""
    return scaled_backbone(LITE0, SIDE, pretrained=False)


@pytest.fixture(scope="module")
def network(features: Any) -> Any:
    """`features` with one logit; each test sets what of it is trained."""
    return training_network(features, 1)


@pytest.fixture
def untouched(network: Any) -> Any:
    """`network` with all of it trainable."""
    freeze(network, True)
    return network


def freeze(network: Any, trainable: bool) -> None:
    for layer in network.layers:
        if hasattr(layer, "layers"):
            freeze(layer, trainable)
        else:
            layer.trainable = trainable


def trained(network: Any) -> set[str]:
    """The layers with weights that are trained."""
    return {variable.path.split("/")[-2] for variable in network.trainable_variables}


def pixels(n: int, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), np.uint8)


def names(*blocks: str) -> set[str]:
    kinds = ("expand", "dw", "project")
    inner = {f"{b}_{k}_{p}" for b in blocks for k in kinds for p in ("conv", "bn")}
    return inner | {"head_conv", "head_bn", "logits"}


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("blocks", "layers"),
    [
        (0, {"logits"}),
        (1, names()),
        (2, names("block7a")),
        (4, names("block7a", "block6d", "block6c")),
    ],
)
def test_the_last_blocks_are_trained(untouched: Any, blocks: int, layers: set[str]) -> None:
    set_trainable(untouched, LITE0, blocks, "train")
    assert trained(untouched) == layers


@pytest.mark.tensorflow
@pytest.mark.parametrize("blocks", [None, 18])
def test_all_blocks_are_trained(untouched: Any, blocks: int | None) -> None:
    everything = trained(untouched)
    assert {"stem_conv", "block1a_dw_conv"} < everything
    set_trainable(untouched, LITE0, blocks, "train")
    assert trained(untouched) == everything


@pytest.mark.tensorflow
@pytest.mark.parametrize("blocks", [None, 2])
def test_frozen_batch_norm_has_no_trained_weight(untouched: Any, blocks: int | None) -> None:
    set_trainable(untouched, LITE0, blocks, "train")
    before = trained(untouched)
    set_trainable(untouched, LITE0, blocks, "frozen")
    assert trained(untouched) == {name for name in before if not name.endswith("_bn")}


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("blocks", "batch_norm", "learning"),
    [
        (None, "train", {"stem_bn", "block7a_dw_bn", "head_bn"}),
        (2, "train", {"block7a_dw_bn", "head_bn"}),
        (2, "frozen", set()),
        (0, "train", set()),
    ],
)
def test_statistics_move_where_batch_norm_learns(
    untouched: Any, blocks: int | None, batch_norm: str, learning: set[str]
) -> None:
    set_trainable(untouched, LITE0, blocks, batch_norm)
    watched = [
        variable
        for variable in untouched.variables
        if variable.path.split("/")[-2] in ("stem_bn", "block7a_dw_bn", "head_bn")
        and variable.name.startswith("moving")
    ]
    assert len(watched) == 6
    before = [np.asarray(variable).copy() for variable in watched]
    untouched([pixels(4)], training=True)
    moved = {
        variable.path.split("/")[-2]
        for variable, old in zip(watched, before, strict=True)
        if not np.array_equal(np.asarray(variable).copy(), old)
    }
    assert moved == learning


@pytest.mark.tensorflow
def test_more_blocks_than_there_are_are_refused(untouched: Any) -> None:
    with pytest.raises(UsageError) as caught:
        set_trainable(untouched, LITE0, 19, "train")
    assert str(caught.value) == (
        "the backbone efficientnet_lite0 has 18 blocks, not 19; pass fewer, or all"
    )


@pytest.mark.tensorflow
def test_blocks_of_a_backbone_that_is_not_known_are_refused(tiny_backbone: Path) -> None:
    backbone = get_backbone(str(tiny_backbone), size=SIDE)
    network = training_network(scaled_backbone(backbone), 1)
    with pytest.raises(UsageError) as caught:
        set_trainable(network, backbone, 1, "train")
    assert str(caught.value) == (
        "the blocks of the backbone tiny.keras are not known; train all of it, or the head alone"
    )
    set_trainable(network, backbone, None, "train")
    assert trained(network) == {"one_conv", "one_bn", "two_conv", "two_bn", "logits"}


@pytest.mark.tensorflow
def test_a_network_that_comes_frozen_is_trained(tmp_path: Path) -> None:
    import keras

    x = image = keras.Input((SIDE, SIDE, 3), name="image")
    x = keras.layers.Conv2D(4, 3, name="frozen_conv", trainable=False)(x)
    path = tmp_path / "f.keras"
    keras.Model(image, keras.layers.GlobalAveragePooling2D(name="features")(x)).save(path)
    backbone = get_backbone(str(path))
    network = training_network(scaled_backbone(backbone), 1)
    assert trained(network) == {"logits"}
    set_trainable(network, backbone, None, "train")
    assert trained(network) == {"frozen_conv", "logits"}


@pytest.mark.tensorflow
@pytest.mark.parametrize("batch_norm", ["train", "frozen"])
def test_a_saved_model_learns_with_or_without_its_statistics(
    tmp_path: Path, batch_norm: str
) -> None:
    backbone = get_backbone(str(write_hub_form(tmp_path / "hub", side=SIDE)))
    network = training_network(scaled_backbone(backbone), 1)
    set_trainable(network, backbone, None, batch_norm)
    assert len(network.trainable_variables) == 4 + 2
    statistics = [v for v in network.variables if "moving" in v.path]
    assert len(statistics) == 2
    before = [np.asarray(v).copy() for v in statistics]
    network([pixels(4)], training=True)
    moved = [not np.array_equal(a, v) for a, v in zip(before, statistics, strict=True)]
    assert moved == [batch_norm == "train"] * 2


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("name", "side", "count", "last"),
    [
        ("mobilenet_v2", 32, 18, {"Conv_1", "Conv_1_bn"}),
        ("inception_v3_keras", 75, 11, {f"conv2d_{i}" for i in range(85, 94)}),
    ],
)
def test_the_blocks_of_the_other_backbones(
    name: str, side: int, count: int, last: set[str]
) -> None:
    backbone = get_backbone(name)
    network = training_network(scaled_backbone(backbone, side, pretrained=False), 1)
    with pytest.raises(UsageError, match=f"has {count} blocks, not {count + 1}"):
        set_trainable(network, backbone, count + 1, "train")
    everything = trained(network)
    set_trainable(network, backbone, count, "train")
    assert trained(network) == everything
    set_trainable(network, backbone, 1, "train")
    found = {layer for layer in trained(network) if "batch_norm" not in layer}
    assert found == last | {"logits"}


@pytest.mark.tensorflow
def test_the_weights_are_the_same_at_all_sizes() -> None:
    own, small = (scaled_backbone(LITE0, size) for size in (None, 64))
    assert own.input_shape[1:3] == (224, 224)
    assert small.input_shape[1:3] == (64, 64)
    paths = [[variable.path for variable in n.weights] for n in (own, small)]
    assert paths[0] == paths[1]
    pairs = zip(own.get_weights(), small.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def tiny(tiny_backbone: Path) -> Any:
    """A small network to features that differ from image to image."""
    return scaled_backbone(get_backbone(str(tiny_backbone), size=SIDE))


def with_head(features: Any, *bias: float) -> tuple[Any, np.ndarray]:
    """A training network whose logits spread, and its logits, float64 ``[8, units]``."""
    network = training_network(features, len(bias))
    *body, kernel, _ = network.get_weights()
    logits = np.asarray(network.predict_on_batch(pixels(8)))
    gain = 5 / np.ptp(logits, axis=0)
    network.set_weights([*body, kernel * gain, bias - logits.mean(0) * gain])
    return network, np.asarray(network.predict_on_batch(pixels(8)), np.float64)


@pytest.mark.tensorflow
def test_the_score_is_the_sigmoid_of_the_logit(tiny: Any) -> None:
    network, logits = with_head(tiny, 0.3)
    assert np.ptp(logits) > 4
    score = score_network(tiny, network.get_weights(), None)
    found = np.asarray(score.predict_on_batch(pixels(8)))
    assert found.shape == (8, 1)
    assert found == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize("positive", [(True, False, False), (False, True, True)])
def test_the_score_of_a_softmax_is_the_share_of_the_positive_classes(
    tiny: Any, positive: tuple[bool, ...]
) -> None:
    network, logits = with_head(tiny, 0.5, 0.0, -0.5)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wanted = shares[:, list(positive)].sum(1, keepdims=True)
    assert np.ptp(wanted) > 0.1
    score = score_network(tiny, network.get_weights(), positive)
    assert np.asarray(score.predict_on_batch(pixels(8))) == pytest.approx(wanted, abs=1e-6)
    assert trained_parameters(score)[0] == trained_parameters(network)[0] + 3


NORMED = FineTuning(head_norm="batch", dropout=0.5)


@pytest.mark.tensorflow
def test_the_norm_of_the_head_is_folded_into_it(tiny: Any) -> None:
    network = training_network(tiny, 1, NORMED)
    *body, mean, _, kernel, _ = network.get_weights()
    generator = np.random.default_rng(0)
    features = np.asarray(tiny.predict_on_batch(pixels(8)))
    network.set_weights(
        [
            *body,
            features.mean(0),
            features.var(0) * generator.uniform(0.5, 2, mean.shape),
            generator.normal(0, 2, kernel.shape),
            np.array([0.3]),
        ]
    )
    logits = np.asarray(network.predict_on_batch(pixels(8)), np.float64)
    assert np.ptp(logits) > 0.5
    weights = without_norm(network.get_weights(), NORMED)
    assert [w.shape for w in weights] == [w.shape for w in training_network(tiny, 1).get_weights()]
    found = np.asarray(score_network(tiny, weights, None).predict_on_batch(pixels(8)))
    assert found == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-5)


@pytest.mark.tensorflow
def test_a_head_on_features_is_the_same_behind_a_norm(tiny: Any) -> None:
    plain, logits = with_head(tiny, 0.3, -0.2)
    *body, kernel, bias = plain.get_weights()
    features = np.asarray(tiny.predict_on_batch(pixels(8)))
    network = training_network(tiny, 2, NORMED)
    network.set_weights([*body, *with_norm(kernel, bias, features)])
    found = np.asarray(network.predict_on_batch(pixels(8)))
    assert found == pytest.approx(logits, abs=1e-3)


def test_a_head_without_features_is_for_normalized_ones() -> None:
    kernel, bias = np.ones((5, 2)), np.zeros(2)
    mean, variance, *head = with_norm(kernel, bias, None)
    assert (mean.tolist(), variance.tolist()) == ([0.0] * 5, [1.0] * 5)
    assert np.array_equal(head[0], kernel)
    assert np.array_equal(head[1], bias)


def test_without_a_norm_the_weights_stay_as_they_are() -> None:
    weights = [np.ones((5, 2), np.float32), np.zeros(2, np.float32)]
    assert without_norm(weights, FineTuning()) is weights


@pytest.mark.tensorflow
def test_the_norm_of_the_head_learns_where_the_backbones_is_frozen(tiny: Any) -> None:
    network = training_network(tiny, 1, NORMED)
    set_trainable(network, get_backbone("efficientnet_lite0"), None, "frozen")
    before = network.get_weights()
    network([pixels(8)], training=True)
    moved = [not np.array_equal(a, b) for a, b in zip(before, network.get_weights(), strict=True)]
    assert moved == [False] * (len(before) - 4) + [True, True, False, False]
    network.trainable = True


@pytest.mark.tensorflow
def test_dropout_leaves_features_out_in_training_alone(tiny: Any) -> None:
    network = training_network(tiny, 1, FineTuning(dropout=0.9))
    one = pixels(1)
    shown = {float(np.asarray(network([one], training=True)).item()) for _ in range(20)}
    assert len(shown) > 1
    assert len({float(network.predict_on_batch(one).item()) for _ in range(3)}) == 1


@pytest.mark.tensorflow
def test_blocks_of_the_multilevel_backbone() -> None:
    backbone = get_backbone("efficientnet_lite0_multilevel")
    network = training_network(scaled_backbone(backbone, SIDE, pretrained=False), 1)
    set_trainable(network, backbone, 2, "train")
    assert trained(network) == names("block7a")


@pytest.mark.tensorflow
def test_parameters_are_counted(untouched: Any) -> None:
    total = 3_413_024 + 1280 + 1
    statistics = trained_parameters(untouched)[0] - trained_parameters(untouched)[1]
    assert trained_parameters(untouched) == (total, total - statistics)
    assert statistics > 0
    set_trainable(untouched, LITE0, 0, "train")
    assert trained_parameters(untouched) == (total, 1281)


classes = st.lists(st.text(max_size=5), min_size=2, max_size=6, unique=True)


@given(st.data(), classes, st.floats(0, 1, exclude_max=True))
def test_class_targets_are_shares_with_the_class_ahead(
    data: st.DataObject, known: list[str], smoothing: float
) -> None:
    shown = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=8))
    targets = class_targets(shown, known, smoothing)
    assert targets.dtype == np.float32
    assert targets.shape == (len(shown), len(known))
    assert targets.sum(1) == pytest.approx(1, abs=1e-6)
    rest = smoothing / len(known)
    for row, name in zip(targets, shown, strict=True):
        assert row[known.index(name)] == pytest.approx(1 - smoothing + rest, abs=1e-6)
        assert np.delete(row, known.index(name)) == pytest.approx(rest, abs=1e-6)
