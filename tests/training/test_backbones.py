"""The registry of backbones, those of keras.applications, and backbones by path."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlite_export.keras_model import network_sha256
from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError
from lesionlite_training.backbones import (
    Backbone,
    backbone_names,
    get_backbone,
    keras_applications,
    scaling,
)
from lesionlite_training.backbones.keras_applications import INCEPTION_V3_FILE, MOBILENET_V2_FILE

from ..hub_form import write_hub_form  # noqa: TID252 (no package to name)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "backbones.md").read_text("utf-8")
NAMES = (
    "efficientnet_lite0",
    "efficientnet_lite0_multilevel",
    "inception_v3",
    "inception_v3_keras",
    "mobilenet_v2",
)
APPLICATIONS = {"mobilenet_v2": 2_257_984, "inception_v3_keras": 21_802_784}
keras_tests = pytest.mark.tensorflow


# The registry.


def test_the_registry_declares_each_backbone() -> None:
    assert backbone_names() == NAMES
    for name in NAMES:
        backbone = get_backbone(name)
        assert backbone.name == name
        assert backbone.licence == "Apache-2.0"
        assert backbone.weights


def test_the_docs_have_the_registry_as_it_is() -> None:
    rows = re.findall(
        r"^\| `(\w+)`[^|]* \| (\d+) \| (.+?) \| (\d+) \| (.+?) \| (.+?) \|$", PAGE, re.M
    )
    shown = {name: tuple(rest) for name, *rest in rows}
    assert shown == {name: declared(get_backbone(name)) for name in NAMES}


def declared(backbone: Backbone) -> tuple[str, ...]:
    low, high = backbone.offset, 255 * backbone.scale + backbone.offset
    return (
        str(backbone.input_size),
        f"{low:.4g} to {high:.4g}",
        str(backbone.feature_size),
        backbone.licence,
        backbone.weights,
    )


def test_another_size_is_declared_and_built(monkeypatch: pytest.MonkeyPatch) -> None:
    smaller = get_backbone("efficientnet_lite0", size=96)
    assert smaller.input_size == 96
    assert get_backbone("efficientnet_lite0").input_size == 224
    for name, size, words in (
        ("inception_v3", 224, "takes images of 299 pixels alone, not of 224"),
        ("inception_v3_keras", 74, "images of 74 pixels are too small .* use 75 or more"),
        ("mobilenet_v2", 31, "use 32 or more"),
        ("efficientnet_lite0", 0, "use 32 or more"),
    ):
        with pytest.raises(UsageError, match=words):
            get_backbone(name, size=size)
        with pytest.raises(UsageError, match=words):
            get_backbone(name).build(size=size)


def test_a_known_range_cannot_be_changed() -> None:
    with pytest.raises(UsageError, match="the range of values of the backbone mobilenet_v2 is kn"):
        get_backbone("mobilenet_v2", value_range=(0.0, 1.0))


def test_a_name_of_the_registry_wins_over_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mobilenet_v2").mkdir()
    assert get_backbone("mobilenet_v2").input_size == 224


def test_an_unknown_name_is_refused_with_the_near_ones_and_the_other_ways() -> None:
    with pytest.raises(UsageError) as caught:
        get_backbone("inception_v4")
    assert str(caught.value) == (
        "unknown backbone 'inception_v4'; use one of: inception_v3, inception_v3_keras; or the "
        "path of a SavedModel or .keras file"
    )


@given(low=st.floats(-1000, 1000), width=st.floats(1e-3, 1000))
def test_scaling_brings_pixels_to_the_range(low: float, width: float) -> None:
    scale, offset = scaling((low, low + width), "float32")
    assert offset == low
    assert 255 * scale + offset == pytest.approx(low + width, rel=1e-9, abs=1e-9)


def test_scaling_without_a_range_and_with_a_wrong_one() -> None:
    assert scaling(None, "float32") == (1 / 255, 0.0)
    assert scaling(None, "uint8") == scaling((0.0, 255.0), "uint8") == (1.0, 0.0)
    with pytest.raises(UsageError, match="takes pixels of 0 to 255 as they are"):
        scaling((0.0, 1.0), "uint8")
    for wrong in ((1.0, 0.0), (1.0, 1.0), (float("nan"), 1.0), (0.0, float("inf"))):
        with pytest.raises(UsageError, match="is no range of values"):
            scaling(wrong, "float32")


# keras.applications.


@keras_tests
@pytest.mark.parametrize("name", APPLICATIONS)
def test_layers_have_the_same_names_each_time_and_at_each_size(name: str) -> None:
    """Keras would number those of the second network on from the first."""
    import keras

    backbone = get_backbone(name)
    network, small = backbone.build(pretrained=False), backbone.build(pretrained=False, size=96)
    assert network.count_params() == APPLICATIONS[name]
    assert network.input_shape == (None, backbone.input_size, backbone.input_size, 3)
    assert network.output_shape == (None, backbone.feature_size)
    assert small(keras.Input((96, 96, 3))).shape == (None, backbone.feature_size)
    names = [layer.name for layer in network.layers]
    assert len(set(names)) == len(names)
    assert [layer.name for layer in small.layers] == names
    assert (names[0], names[-1]) == ("scaled_image", "features")
    shapes = [(v.path, v.shape) for v in network.variables]
    assert [(v.path, v.shape) for v in small.variables] == shapes


@keras_tests
def test_the_published_weights_reach_every_layer_at_another_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Random weights, statistics included, stand in for the published ones."""
    import keras

    def application(side: int) -> Any:
        return keras.applications.MobileNetV2(
            weights=None, include_top=False, pooling="avg", input_shape=(side, side, 3)
        )

    keras.utils.set_random_seed(2)
    rng = np.random.default_rng(3)
    published, same = application(224), application(96)
    weights = [w * rng.uniform(0.8, 1.2, w.shape) for w in published.get_weights()]
    published.set_weights(weights)
    same.set_weights(weights)
    monkeypatch.setattr(keras_applications, "_published", lambda *_: published)
    built = get_backbone("mobilenet_v2").build(size=96)
    pixels = rng.random((2, 96, 96, 3), np.float32)
    wanted, found = same.predict_on_batch(pixels), built.predict_on_batch(pixels)
    assert found.shape == (2, 1280)
    assert wanted.max() > 0  # random weights of 52 layers make small features
    assert found / wanted.max() == pytest.approx(wanted / wanted.max(), abs=1e-4)


@keras_tests
@pytest.mark.parametrize(
    ("name", "file_name"),
    [("mobilenet_v2", MOBILENET_V2_FILE), ("inception_v3_keras", INCEPTION_V3_FILE)],
)
def test_weights_that_cannot_be_downloaded_are_one_sentence(
    name: str, file_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy is a port that nothing listens on."""
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for variable in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(MissingHere) as caught:
        get_backbone(name).build()
    sentence = str(caught.value)
    assert sentence.startswith(
        f"the weights of {name} are not here and cannot be downloaded ([Errno"
    )
    assert f"place {file_name} into {tmp_path / 'models'}, or use --backbone eff" in sentence
    assert "\n" not in sentence
    assert get_backbone(name).weights.endswith(f"/{file_name}")


# By path.


@pytest.fixture(scope="module")
def feature_vector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel in the Hub's form, for images of 48 pixels."""
    return write_hub_form(tmp_path_factory.mktemp("hub") / "fv48")


@keras_tests
def test_a_saved_model_describes_itself(feature_vector: Path) -> None:
    backbone = get_backbone(str(feature_vector))
    assert (backbone.name, backbone.input_size, backbone.feature_size) == ("fv48", 48, 24)
    assert (backbone.scale, backbone.offset) == (1 / 255, 0.0)
    assert backbone.licence == "LicenseRef-unknown"
    assert re.fullmatch("SavedModel, sha256 [0-9a-f]{64}", backbone.weights)
    assert str(feature_vector.parent) not in repr((backbone.name, backbone.weights))
    first, again = backbone.build(), backbone.build()
    assert (first.input_shape, first.output_shape) == ((None, 48, 48, 3), (None, 24))
    assert network_sha256(first) == network_sha256(again)


@keras_tests
def test_range_and_size_of_a_saved_model_can_be_said(feature_vector: Path, tmp_path: Path) -> None:
    backbone = get_backbone(str(feature_vector), value_range=(-1.0, 1.0))
    assert (backbone.scale, backbone.offset) == (2 / 255, -1.0)
    flexible = str(write_hub_form(tmp_path / "any", side=None))
    with pytest.raises(UsageError, match="takes images of any size; say which side to use"):
        get_backbone(flexible)
    backbone = get_backbone(flexible, size=40)
    assert backbone.input_size == 40
    assert backbone.build().input_shape == (None, 40, 40, 3)
    assert backbone.build(size=64).input_shape == (None, 64, 64, 3)
    for call in (
        lambda: get_backbone(str(feature_vector), size=64),
        lambda: get_backbone(str(feature_vector)).build(size=64),
    ):
        with pytest.raises(UsageError, match=r"takes images of 48 pixels.* not (of )?64"):
            call()


@keras_tests
def test_random_weights_are_refused_where_there_are_none(feature_vector: Path) -> None:
    with pytest.raises(UsageError, match="has no random weights"):
        get_backbone(str(feature_vector)).build(pretrained=False)
    with pytest.raises(UsageError, match="inception_v3 has no random weights"):
        get_backbone("inception_v3").build(pretrained=False)


def extractor(dtype: str = "float32", side: int | None = 40) -> Any:
    """A Keras feature extractor of 6 features."""
    import keras

    keras.utils.set_random_seed(4)
    image = keras.Input((side, side, 3), dtype=dtype)
    x = keras.layers.Rescaling(1 / 255)(image) if dtype == "uint8" else image
    x = keras.layers.ReLU(6.0)(keras.layers.Conv2D(6, 3, strides=2)(x))
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))


@keras_tests
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_keras_file_is_a_backbone(dtype: str, tmp_path: Path) -> None:
    network = extractor(dtype)
    network.save(tmp_path / "fv.keras")
    backbone = get_backbone(str(tmp_path / "fv.keras"))
    assert (backbone.name, backbone.input_size, backbone.feature_size) == ("fv.keras", 40, 6)
    assert re.fullmatch("Keras model, sha256 [0-9a-f]{64}", backbone.weights)
    pixels = np.random.default_rng(6).integers(0, 256, (3, 40, 40, 3)).astype(np.uint8)
    scaled = pixels * np.float32(backbone.scale) + np.float32(backbone.offset)
    given = pixels if dtype == "uint8" else pixels / np.float32(255)
    wanted = network.predict_on_batch(given)
    assert wanted.std() > 0.01
    built = backbone.build()
    assert built.input_shape == (None, 40, 40, 3)
    assert built.predict_on_batch(scaled) == pytest.approx(wanted, abs=1e-5)
    with pytest.raises(UsageError, match="has no random weights"):
        backbone.build(pretrained=False)


@keras_tests
def test_a_keras_file_for_any_size_needs_one(tmp_path: Path) -> None:
    path = tmp_path / "fv.keras"
    extractor(side=None).save(path)
    with pytest.raises(UsageError, match="takes images of any size"):
        get_backbone(str(path))
    backbone = get_backbone(str(path), size=64)
    assert backbone.build().input_shape == (None, 64, 64, 3)
    assert backbone.build(size=48).input_shape == (None, 48, 48, 3)
    extractor().save(path)
    with pytest.raises(UsageError, match="takes images of 40 pixels, not 64"):
        get_backbone(str(path), size=64)


@keras_tests
def test_a_saved_model_in_a_keras_file_is_one_as_well(feature_vector: Path, tmp_path: Path) -> None:
    copy = tmp_path / "fv"
    shutil.copytree(feature_vector, copy)
    network = get_backbone(str(copy)).build()
    network.save(tmp_path / "fv.keras")
    shutil.rmtree(copy)
    pixels = np.random.default_rng(6).random((3, 48, 48, 3), np.float32)
    built = get_backbone(str(tmp_path / "fv.keras")).build()
    wanted = network.predict_on_batch(pixels)
    assert built.predict_on_batch(pixels) == pytest.approx(wanted, abs=1e-6)


@keras_tests
def test_keras_files_that_are_no_feature_extractors_are_refused(tmp_path: Path) -> None:
    import keras

    def refused(network: Any = None) -> str:
        path = tmp_path / "m.keras"
        if network is not None:
            network.save(path)
        with pytest.raises(UnusableInput) as caught:
            get_backbone(str(path))
        sentence = str(caught.value)
        assert sentence.startswith(f"{path}: ")
        return sentence

    assert "no such file" in refused()
    whole = extractor()
    map_of_features = whole.layers[-2].output
    cases = {
        "returns [None, 19, 19, 6], not vectors": keras.Model(whole.inputs, map_of_features),
        "1 inputs and 2 outputs": keras.Model(whole.inputs, [whole.outputs[0], map_of_features]),
        "takes [None, 9], not batches of square RGB": keras.Sequential(
            [keras.Input((9,)), keras.layers.Dense(3)]
        ),
        "takes [None, 40, 48, 3], not batches of square RGB": keras.Sequential(
            [keras.Input((40, 48, 3)), keras.layers.GlobalAveragePooling2D()]
        ),
        "takes int32, not float32 or uint8": keras.Sequential(
            [keras.Input((40, 40, 3), dtype="int32"), keras.layers.GlobalAveragePooling2D()]
        ),
    }
    for words, network in cases.items():
        assert words in refused(network)
    lambda_layer = keras.layers.Lambda(lambda x: x[:, 0, 0])
    evil = keras.Sequential([keras.Input((40, 40, 3)), lambda_layer])
    assert "this model holds code of its maker's (a Lambda layer)" in refused(evil)


@keras_tests
def test_a_model_that_lesionlite_trained_is_refused() -> None:
    with pytest.raises(UnusableInput, match=r"lesion\.keras: this model was trained by lesionlite"):
        get_backbone(str(ROOT / "samples" / "lesion.keras"))


def test_paths_where_nothing_fits_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_text("a text")
    with pytest.raises(UnusableInput, match=r"neither a \.keras nor a \.tflite"):
        get_backbone(str(tmp_path / "m.keras"))
    with pytest.raises(UnusableInput, match="holds no SavedModel"):
        get_backbone(str(tmp_path))
    with pytest.raises(UnusableInput, match="no such file or folder"):
        get_backbone(str(tmp_path / "no"))
