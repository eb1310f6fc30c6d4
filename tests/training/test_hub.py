"""TensorFlow Hub's feature vectors: how they are found, and the whole way to a proved file."""

from __future__ import annotations

import hashlib
import shutil
import sys
import types
import urllib.error
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlite_export.comparison import compare_images
from lesionlite_export.drawn import write_drawn_dataset
from lesionlite_export.hub_cache import cache_place
from lesionlite_export.keras_model import keras_outputs, load_keras, save_keras
from lesionlite_export.manifest import Manifest, read_isic_split
from lesionlite_export.parity import ScoreParity
from lesionlite_export.progress import Silent
from lesionlite_export.publish import export_model
from lesionlite_export.recipe import load_recipe
from lesionlite_export.sets import Sets
from lesionlite_export.verification import prepare_all
from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError
from lesionlite_training.backbones import get_backbone
from lesionlite_training.backbones.saved_models import INCEPTION_V3_URL
from lesionlite_training.configuration import Settings
from lesionlite_training.hub import is_handle, resolve_handle
from lesionlite_training.lesion import Trained, train_lesion

from ..hub_form import write_hub_form  # noqa: TID252 (no package to name)

CLASSES = {"melanoma": 1, "nevus": 0, "seborrheic_keratosis": 0}
SHA1 = "e9d69501e0667594e2c6ab8ab5a96bb3fe5f8cef"
# Two dozen drawings are too few for the gate's limits on shares and on the AUC.
LIMITS = {"auc_difference": None, "flip_rate": 0.1, "newly_missed_rate": 0.2}


def settings_for(backbone: str) -> Settings:
    return Settings(backbone=backbone, folds=3, regularization=0.05)


# How a handle is found.


def test_what_is_a_handle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for text in ("./m", "a/b", "/a", "m.keras", "folder", INCEPTION_V3_URL):
        assert is_handle(text), text
    for text in ("inception_v3", "no_folder", "efficientnet_lite0", ""):
        assert not is_handle(text), text


def test_the_place_in_the_cache_is_tensorflow_hubs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hashlib.sha1(INCEPTION_V3_URL.encode()).hexdigest() == SHA1
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    assert cache_place(INCEPTION_V3_URL) == tmp_path / SHA1
    monkeypatch.delenv("TFHUB_CACHE_DIR")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    assert cache_place(INCEPTION_V3_URL) == tmp_path / "temporary" / "tfhub_modules" / SHA1


def test_a_url_in_the_cache_needs_no_tensorflow_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    monkeypatch.setitem(sys.modules, "tensorflow_hub", None)
    (tmp_path / SHA1).mkdir()
    assert resolve_handle(INCEPTION_V3_URL) == tmp_path / SHA1


def test_without_tensorflow_hub_the_sentence_names_what_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    monkeypatch.setitem(sys.modules, "tensorflow_hub", None)
    with pytest.raises(MissingHere) as caught:
        resolve_handle(INCEPTION_V3_URL)
    sentence = str(caught.value)
    assert "tensorflow-hub cannot be imported (" in sentence
    for way in (
        "pip install 'lesionlite[hub]'",
        f"unpack the model into {tmp_path / SHA1} and set TFHUB_CACHE_DIR={tmp_path}",
        "name the folder of a SavedModel",
        "--backbone efficientnet_lite0",
    ):
        assert way in sentence
    assert "\n" not in sentence


def hub_that(monkeypatch: pytest.MonkeyPatch, resolve: Any) -> None:
    """Put a ``tensorflow_hub`` in place that resolves so."""
    module = types.ModuleType("tensorflow_hub")
    module.resolve = resolve  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorflow_hub", module)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (urllib.error.URLError("Name or service not known"), "Name or service not known"),
        (urllib.error.HTTPError("u", 404, "Not Found", None, None), "404: Not Found"),  # type: ignore[arg-type]
        (OSError("https://x does not appear to be a valid module.\nMore"), "a valid module."),
        (ValueError(), "ValueError"),
    ],
)
def test_a_download_that_fails_is_one_sentence_as_well(
    error: Exception, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))

    def fail(_url: str) -> str:
        raise error

    hub_that(monkeypatch, fail)
    with pytest.raises(MissingHere) as caught:
        resolve_handle(INCEPTION_V3_URL)
    sentence = str(caught.value)
    assert sentence.startswith(f"{INCEPTION_V3_URL} cannot be downloaded (")
    assert reason in sentence
    assert SHA1 in sentence
    assert "\n" not in sentence


def test_what_was_downloaded_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "empty"))
    hub_that(monkeypatch, lambda url: str(tmp_path / url.rpartition("/")[2]))
    assert resolve_handle(INCEPTION_V3_URL) == tmp_path / "4"


def test_paths_that_are_no_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableInput, match="no such file or folder; check the path"):
        resolve_handle(str(tmp_path / "no"))
    archive = tmp_path / "inception_v3.tar.gz"
    archive.write_bytes(b"\x1f\x8b")
    with pytest.raises(UnusableInput, match="the folder of a SavedModel; unpack an archive"):
        resolve_handle(str(archive))


@pytest.mark.parametrize("url", ["http://tfhub.dev/x/1", "gs://bucket/x", "hf://x/y"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match=f"{url} is no https URL"):
        resolve_handle(url)


# The whole way, with a real SavedModel.


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawings of 64 x 64 pixels: 30 to train on, 24 to prove on."""
    folder = tmp_path_factory.mktemp("drawn") / "drawn"
    write_drawn_dataset(
        folder,
        train={"melanoma": 12, "nevus": 12, "seborrheic_keratosis": 6},
        valid={"melanoma": 10, "nevus": 8, "seborrheic_keratosis": 6},
        seed=2,
        size=(64, 64),
    )
    return folder


@pytest.fixture(scope="module")
def manifest(drawn: Path) -> Manifest:
    """The training images of `drawn`."""
    return read_isic_split(drawn, "train")


@pytest.fixture(scope="module")
def feature_vector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel in the Hub's form, for images of 48 pixels."""
    return write_hub_form(tmp_path_factory.mktemp("hub") / "feature_vector")


@pytest.fixture(scope="module")
def trained(
    manifest: Manifest, feature_vector: Path, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    """A classifier on a copy of `feature_vector`, which is deleted again."""
    folder = tmp_path_factory.mktemp("model")
    shutil.copytree(feature_vector, folder / "feature_vector")
    settings = settings_for(str(folder / "feature_vector"))
    done = train_lesion(manifest, CLASSES, folder / "m.keras", settings=settings)
    shutil.rmtree(folder / "feature_vector")
    return done


def pixels_of(trained: Trained) -> np.ndarray:
    return np.stack([p.pixels for p in trained.images])


@pytest.mark.tensorflow
def test_a_frozen_feature_vector_is_trained_and_saved_whole(
    trained: Trained, feature_vector: Path
) -> None:
    """The scores are computed anew from the SavedModel and the head, without the layer."""
    import tensorflow as tf

    assert trained.contract.input.shape == (1, 48, 48, 3)
    training = trained.contract.provenance.training
    assert training["weights"].startswith("SavedModel, sha256 ")
    assert training["weights_licence"] == "LicenseRef-unknown"
    network = load_keras(trained.path).network
    pixels = pixels_of(trained)
    scores = np.concatenate(list(keras_outputs(network, pixels)))
    assert np.ptp(scores) > 0.05
    module = tf.saved_model.load(str(feature_vector))
    features = module(pixels.astype(np.float32) / 255, training=False).numpy()
    kernel, bias = network.get_layer("score").get_weights()
    assert scores == pytest.approx(1 / (1 + np.exp(-(features @ kernel + bias)))[:, 0], abs=1e-5)


@pytest.mark.tensorflow
@pytest.mark.parametrize("recipe", ["int8", "float32"])
def test_the_model_is_exported_and_proved(
    recipe: str, trained: Trained, drawn: Path, manifest: Manifest, tmp_path: Path
) -> None:
    model = load_keras(trained.path)
    proof = read_isic_split(drawn, "valid")
    exported = export_model(
        model,
        load_recipe(recipe),
        tmp_path / "m.tflite",
        sets=Sets(manifest, proof),
        limits=LIMITS,
    )
    assert exported.contract.parity is not None
    assert isinstance(exported.parity, ScoreParity)
    assert exported.parity.n == 24
    images = prepare_all(proof, trained.contract.input, "", Silent()).images
    parity = compare_images(model, tmp_path / "m.tflite", images, Silent())
    assert np.ptp(parity.score_keras) > 0.1
    assert np.abs(parity.errors).max() < (1e-5 if recipe == "float32" else 0.08)


@pytest.mark.tensorflow
def test_a_fine_tuned_feature_vector_is_exported_and_proved(
    trained: Trained, feature_vector: Path, drawn: Path, manifest: Manifest, tmp_path: Path
) -> None:
    """Its own values stand in the file: not those that the SavedModel came with."""
    import keras

    folder = tmp_path / "feature_vector"
    shutil.copytree(feature_vector, folder)
    keras.utils.set_random_seed(0)
    features = get_backbone(str(folder)).build()
    image = keras.Input((48, 48, 3), dtype="uint8", name="image")
    scaled = keras.layers.Rescaling(1 / 255, name="scaling")(image)
    score = keras.layers.Dense(1, activation="sigmoid", name="score")
    model = keras.Model(image, score(features(scaled)), name="lesion")
    labels = np.array([p.image.label for p in trained.images], np.float32)
    model.compile(keras.optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.8), "bce")
    model.fit(pixels_of(trained), labels, batch_size=10, epochs=6, verbose=0)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    contract = trained.contract
    save_keras(
        model,
        replace(contract, threshold=replace(contract.threshold, value=0.5)),
        tmp_path / "m.keras",
    )
    wanted = model.predict_on_batch(pixels_of(trained))
    fresh = get_backbone(str(folder)).build()
    shutil.rmtree(folder)
    loaded = load_keras(tmp_path / "m.keras")
    assert loaded.network.predict_on_batch(pixels_of(trained)) == pytest.approx(wanted, abs=1e-6)
    moved = [np.abs(a.numpy() - b.numpy()).max() for a, b in paired(features, fresh)]
    assert min(moved) > 1e-4
    exported = export_model(
        loaded,
        load_recipe("int8"),
        tmp_path / "m.tflite",
        sets=Sets(manifest, read_isic_split(drawn, "valid")),
        limits=LIMITS,
    )
    assert isinstance(exported.parity, ScoreParity)
    assert np.ptp(exported.parity.score_keras) > 0.05


def paired(first: Any, second: Any) -> list[tuple[Any, Any]]:
    assert [v.path for v in first.variables] == [v.path for v in second.variables]
    return list(zip(first.variables, second.variables, strict=True))


@pytest.mark.tensorflow
def test_a_url_in_the_cache_is_trained_like_its_folder(
    trained: Trained,
    feature_vector: Path,
    manifest: Manifest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    shutil.copytree(feature_vector, tmp_path / "cache" / SHA1)
    out = tmp_path / "m.keras"
    again = train_lesion(manifest, CLASSES, out, settings=settings_for(INCEPTION_V3_URL))
    assert again.contract.provenance.backbone == INCEPTION_V3_URL
    ours, theirs = again.contract.provenance.training, trained.contract.provenance.training
    assert ours["weights"] == theirs["weights"]
    scores = [
        np.concatenate(list(keras_outputs(load_keras(t.path).network, pixels_of(t))))
        for t in (again, trained)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


@pytest.mark.tensorflow
def test_the_tutorials_network_comes_by_its_name_from_the_cache(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small network with the inputs and outputs of the tutorial's stands in for it."""
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    place = tmp_path / "cache" / SHA1
    write_hub_form(place, side=299, features=2048, width=8, stride=8)
    few = Manifest(manifest.source, manifest.images[::3])
    settings = replace(settings_for("inception_v3"), folds=2)
    trained = train_lesion(few, CLASSES, tmp_path / "m.keras", settings=settings)
    shutil.rmtree(place)
    assert trained.contract.input.shape == (1, 299, 299, 3)
    assert trained.contract.provenance.backbone == "inception_v3"
    assert trained.contract.provenance.training["weights"] == INCEPTION_V3_URL
    assert load_keras(trained.path).network.count_params() > 8 * 2048
    write_hub_form(place, side=299, features=100, stride=8)
    with pytest.raises(UnusableInput, match="gives 100 features, not 2048; download it anew"):
        get_backbone("inception_v3").build()
