"""Levels: what the published blocks see, and one head made of two."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from lesionlite_export.keras_model import keras_outputs, load_keras
from lesionlite_export.manifest import Manifest, read_isic_split
from lesionlite_export.progress import Silent
from lesionlite_runtime.cli import main
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.pixels import decode, resize
from lesionlite_training.backbones import get_backbone
from lesionlite_training.checkpoints import read_checkpoint
from lesionlite_training.configuration import FineTuning, Settings, Stage
from lesionlite_training.copies import features_with_copies
from lesionlite_training.fold_networks import fold_network, open_folds
from lesionlite_training.head import fit_logits
from lesionlite_training.lesion import Trained, train_lesion
from lesionlite_training.lesion_contract import FINE_TUNED, WITH_LEVELS, training_record
from lesionlite_training.lesion_setup import Run, Setup, set_up
from lesionlite_training.levels import (
    CameraChange,
    check_levels,
    levels_network,
    mean_of_heads,
    with_levels,
)
from lesionlite_training.networks import scaled_backbone
from lesionlite_training.originals import CameraFiles
from lesionlite_training.plan import Plan, check_plan
from lesionlite_training.training_set import TrainingSet

LITE0 = get_backbone("efficientnet_lite0")
SIDE = 64
CLASSES = {"melanoma": 1, "nevus": 0, "seborrheic_keratosis": 0}
COPIES = ("jpeg", "noise")
TUNING = FineTuning(
    blocks=6,
    targets="classes",
    head_start="random",
    augmentation="flips",
    batch=8,
    stages=(Stage(1, 64),),
)
SETTINGS = Settings(folds=2, levels=True, copies=COPIES, fine_tuning=TUNING)


@pytest.fixture(scope="module")
def features() -> Any:
    """EfficientNet-Lite0 with random weights, for small images."""
    network = scaled_backbone(LITE0, SIDE, pretrained=False)
    generator = np.random.default_rng(0)
    network.set_weights([generator.uniform(0.1, 1, w.shape) / 9 for w in network.get_weights()])
    return network


def pixels(count: int, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, side, side, 3), np.uint8)


@pytest.mark.tensorflow
def test_levels_are_means_of_what_published_blocks_see(features: Any) -> None:
    import keras

    names = check_levels(features, LITE0, 6)
    assert [name[:7] for name in names] == [
        *("block1a", "block2a", "block2b", "block3a", "block3b"),
        *("block4a", "block4b", "block4c", "block5a", "block5b", "block5c"),
    ]
    body = features.layers[-1]
    tap = keras.Model(body.inputs, [body.get_layer(name).output for name in names])
    shown = pixels(2)
    seen = [np.asarray(x) for x in tap.predict_on_batch(shown * LITE0.scale + LITE0.offset)]
    found = levels_network(features, LITE0, 6).predict_on_batch(shown)
    assert found.shape == (2, 7360)
    middles = [x[:, q : x.shape[1] - q, q : x.shape[1] - q] for x in seen if (q := side_of(x)) >= 0]
    means = np.concatenate([x.mean((1, 2)) for x in (*seen, *middles)], axis=1)
    np.testing.assert_allclose(found, means, rtol=1e-4, atol=1e-6)


def side_of(activations: np.ndarray) -> int:
    """How much of each side is not the middle."""
    return round(activations.shape[1] / 4)


@pytest.mark.tensorflow
def test_features_stand_behind_the_levels_and_are_what_they_were(features: Any) -> None:
    shown = pixels(3)
    both = with_levels(features, LITE0, 6).predict_on_batch(shown)
    np.testing.assert_array_equal(
        both[:, :7360], levels_network(features, LITE0, 6).predict_on_batch(shown)
    )
    np.testing.assert_allclose(both[:, 7360:], features.predict_on_batch(shown), rtol=1e-6)


@pytest.mark.tensorflow
def test_no_concatenation_has_more_inputs_than_xnnpack_takes(features: Any) -> None:
    body = with_levels(features, LITE0, 6).layers[-1]
    joins = [layer for layer in body.layers if type(layer).__name__ == "Concatenate"]
    assert len(joins) > 1
    assert all(len(layer.input) <= 4 for layer in joins)


@pytest.mark.tensorflow
def test_levels_of_mobilenet_v2() -> None:
    backbone = get_backbone("mobilenet_v2")
    network = scaled_backbone(backbone, 32, pretrained=False)
    assert check_levels(network, backbone, 16) == [
        "expanded_conv_depthwise_relu",
        "block_1_depthwise_relu",
    ]
    assert levels_network(network, backbone, 16).output_shape == (None, 2 * (32 + 96))


@pytest.mark.tensorflow
def test_what_has_no_levels_is_refused(features: Any, tiny_backbone: Path) -> None:
    with pytest.raises(UsageError, match=r"no level is left .* 18 blocks"):
        check_levels(features, LITE0, 18)
    other = get_backbone(str(tiny_backbone), size=SIDE)
    with pytest.raises(UsageError, match=r"levels of the backbone .* are not known"):
        check_levels(scaled_backbone(other), other, 1)


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_the_logits_of_both_heads_are_averaged(seed: int, units: int) -> None:
    generator = np.random.default_rng(seed)
    shown = generator.normal(size=(4, 12))
    one = generator.normal(size=(5, units)), generator.normal(size=units)
    other = generator.normal(size=(7, units)), generator.normal(size=units)
    kernel, bias = mean_of_heads(one, other)
    wanted = (shown[:, :5] @ one[0] + one[1] + shown[:, 5:] @ other[0] + other[1]) / 2
    np.testing.assert_allclose(shown @ kernel + bias, wanted, atol=1e-12)


@pytest.fixture(scope="module")
def photos(few_drawings: Path) -> Manifest:
    """40 drawings."""
    return read_isic_split(few_drawings, "train")


@pytest.fixture(scope="module")
def trained(photos: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """EfficientNet-Lite0, 6 blocks of it trained for an epoch at 64 pixels, with levels."""
    folder = tmp_path_factory.mktemp("levels")
    return train_lesion(photos, CLASSES, folder / "m.keras", settings=SETTINGS, cache=folder)


@pytest.mark.tensorflow
def test_the_saved_score_is_that_of_the_mean_of_both_heads(trained: Trained) -> None:
    """From the run's weights and the published backbone, without the code that joins them."""
    run = trained.path.with_suffix(".run")
    *body, kernel, bias = read_checkpoint(run / "final" / "weights.npz").weights
    tuned, published = scaled_backbone(LITE0), scaled_backbone(LITE0)
    tuned.set_weights(body)
    image_input = trained.contract.input
    levels = features_with_copies(
        levels_network(published, LITE0, 6), trained.images, image_input, COPIES, None, Silent()
    )
    assert levels.shape == (40, 4 + len(COPIES), 7360)
    names = list(CLASSES)
    answers = np.array([names.index(item.image.class_name or "") for item in trained.images])
    fitted = fit_logits(levels, answers, 3, Settings.regularization)
    shown = np.stack([item.pixels for item in trained.images])
    logits = tuned.predict_on_batch(shown) @ kernel + bias + levels[:, 0] @ fitted[0] + fitted[1]
    shares = np.exp(logits / 2)
    wanted = shares[:, 0] / shares.sum(1)
    found = np.concatenate(list(keras_outputs(load_keras(trained.path).network, shown)))
    np.testing.assert_allclose(found.ravel(), wanted, atol=1e-5)


@pytest.mark.tensorflow
def test_blocks_below_are_the_published_ones(trained: Trained) -> None:
    network = load_keras(trained.path).network
    body = next(layer for layer in network.layers if hasattr(layer, "layers"))
    published = scaled_backbone(LITE0).layers[-1]
    for name, same in (("block5c_dw_conv", True), ("block6a_dw_conv", False)):
        weights = body.get_layer(name).get_weights(), published.get_layer(name).get_weights()
        assert np.array_equal(weights[0][0], weights[1][0]) == same


@pytest.mark.tensorflow
def test_the_contract_tells_of_levels_and_copies(trained: Trained) -> None:
    training = trained.contract.provenance.training
    assert training["method"] == WITH_LEVELS
    assert training["copies"] == list(COPIES)


@pytest.mark.tensorflow
def test_a_fold_without_a_class_is_refused_before_training(
    photos: Manifest, trained: Trained
) -> None:
    """A head on levels is fitted to the classes of each fold, whatever the other starts from."""
    names = [item.image.class_name or "" for item in trained.images]
    data = TrainingSet(
        trained.images, np.array([item.image.label for item in trained.images]), names, None, None,
        dict(CLASSES),
    )  # fmt: skip
    plan = Plan(LITE0, trained.contract.input, TUNING, 0, 0.003, None, Path("run"), levels=True)
    folds = np.array([int(name == "nevus") for name in names])
    with pytest.raises(UnusableInput, match="no image of the class"):
        check_plan(plan, data, folds, scaled_backbone(LITE0))
    check_plan(replace(plan, levels=False), data, folds, scaled_backbone(LITE0))


@pytest.mark.tensorflow
def test_too_few_originals_are_refused_before_training(trained: Trained) -> None:
    """A share that judges the epochs is not learnt from, and its originals do not count."""
    names = [item.image.class_name or "" for item in trained.images]
    labels = np.array([item.image.label for item in trained.images])
    data = TrainingSet(trained.images, labels, names, None, None, dict(CLASSES))
    plan = Plan(LITE0, trained.contract.input, TUNING, 0, 0.003, None, Path("run"), levels=True)
    files = CameraFiles(np.arange(10), trained.images[:10], (), 0, Path("camera"))
    folds = np.arange(40) % 2
    network = scaled_backbone(LITE0)
    check_plan(plan, data, folds, network, files)
    judged = replace(plan, tuning=replace(TUNING, validation=0.5))
    check_plan(judged, data, folds, network)
    with pytest.raises(UnusableInput, match=r"fold 1 of 2 would learn from [0-4] originals in it"):
        check_plan(judged, data, folds, network, files)


def of_run(trained: Trained, photos: Manifest, settings: Settings) -> Setup:
    return set_up(photos, CLASSES, settings, trained.path.parent, Silent())


@pytest.mark.tensorflow
def test_a_fold_s_network_scores_what_it_held_out_as_in_training(
    trained: Trained, photos: Manifest
) -> None:
    setup = of_run(trained, photos, SETTINGS)
    plan, data = open_folds(setup, trained.path.with_suffix(".run"), Silent())
    network = fold_network(setup, plan, data, 1)
    held_out = np.flatnonzero(setup.folds == 1)
    scores = np.concatenate(
        list(keras_outputs(network, (setup.images[i].pixels for i in held_out)))
    )
    np.testing.assert_allclose(scores.ravel(), trained.out_of_fold.scores[held_out], atol=1e-6)


@pytest.mark.tensorflow
def test_folds_of_another_run_are_refused(
    trained: Trained, photos: Manifest, tmp_path: Path
) -> None:
    run = trained.path.with_suffix(".run")
    for changes, field in (
        ({"seed": 1}, "folds"),
        ({"fine_tuning": replace(TUNING, blocks=5)}, "fine_tuning.blocks"),
    ):
        other = of_run(trained, photos, replace(SETTINGS, **changes))
        with pytest.raises(UsageError, match=f"the run in this folder differs in {field}"):
            open_folds(other, run, Silent())
    with pytest.raises(UsageError, match="no run of a fine-tuning in this folder"):
        open_folds(of_run(trained, photos, SETTINGS), tmp_path, Silent())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.tensorflow
def test_a_run_is_finished_with_levels_or_without(
    trained: Trained, photos: Manifest, tmp_path: Path
) -> None:
    """Neither levels nor the strength of the head on them has a say in what is trained."""
    folder = tmp_path / "run"
    shutil.copytree(trained.path.with_suffix(".run"), folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("weights.npz")}
    again = train_lesion(
        photos,
        CLASSES,
        tmp_path / "m.keras",
        settings=replace(SETTINGS, levels=False, copies=(), regularization=0.1),
        cache=trained.path.parent,
        run=Run(folder, resume=True),
    )
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("weights.npz")} == before
    assert not np.allclose(again.out_of_fold.scores, trained.out_of_fold.scores, atol=1e-3)
    assert again.contract.provenance.training["method"] == FINE_TUNED


def test_the_mean_change_is_of_images_that_are_learnt_from() -> None:
    changes = np.array([[1, 2], [3, 5], [5, 11]], np.float32)
    camera = CameraChange(np.array([7, 2, 4]), changes)
    np.testing.assert_array_equal(camera.mean(np.array([0, 2, 4, 6])), [4, 8])
    np.testing.assert_array_equal(camera.mean(np.array([0, 1])), [0, 0])


@pytest.fixture(scope="module")
def camera_files(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Originals of 12 of the images, which have noise that the images have lost; one is broken."""
    folder = tmp_path_factory.mktemp("camera")
    generator = np.random.default_rng(5)
    for item in trained.images[::3][:12]:
        large = resize(decode(item.image.path), 256, 256)
        noise = generator.normal(0, 40, large.shape)
        noisy = np.clip(large + noise, 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{item.image.path.stem}.png")
    (folder / f"{trained.images[-1].image.path.stem}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


@pytest.mark.tensorflow
def test_a_head_on_levels_does_not_answer_to_what_the_camera_s_files_change(
    trained: Trained, photos: Manifest, camera_files: Path
) -> None:
    setup = set_up(photos, CLASSES, SETTINGS, trained.path.parent, Silent(), camera_files)
    assert [item.image.path.parent for item in setup.camera_files.unusable] == [camera_files]
    assert setup.unusable == ()
    files = setup.camera_files
    plan, data = open_folds(setup, trained.path.with_suffix(".run"), Silent())
    assert data.camera is not None
    images = np.stack([setup.images[place].pixels for place in files.places])
    originals = np.stack([tensor.pixels for tensor in files.tensors])
    levels = levels_network(setup.network, LITE0, 6)
    change = levels.predict_on_batch(originals) - levels.predict_on_batch(images)
    np.testing.assert_allclose(data.camera.changes, change, atol=1e-4)
    learnt = setup.folds[files.places] != 1
    assert 0 < learnt.sum() < len(learnt)

    def answers(network: Any) -> NDArray[np.float64]:
        """Of the classes' logits to the change in the images that are learnt from."""
        (head,) = [layer for layer in network.layers if layer.name == "classes"]
        return np.abs(change[learnt].mean(0) @ head.get_weights()[0][:7360])

    assert answers(fold_network(setup, plan, data, 1)).max() < 1e-4
    assert answers(fold_network(setup, plan, replace(data, camera=None), 1)).max() > 1e-2
    record = training_record(
        SETTINGS, setup.images, setup.labels, setup.grouping, None, files.tensors
    )
    assert record["originals"] == 12
    assert "originals" not in trained.contract.provenance.training
    assert record["image_prefixes"] != trained.contract.provenance.training["image_prefixes"]


def test_originals_without_levels_are_refused(photos: Manifest, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="originals are for a head on levels"):
        set_up(photos, CLASSES, Settings(), None, Silent(), tmp_path)


def test_the_command_refuses_originals_without_levels(
    few_drawings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["train", "lesion", "--data", str(few_drawings), "--originals", str(tmp_path)]
    assert main([*line, "--out", str(tmp_path / "m.keras"), "--quiet"]) == 2
    assert capsys.readouterr().err == (
        "lesionlite: originals are for a head on levels, and this network has none; set levels in "
        "the configuration, or leave the originals out\n"
    )
