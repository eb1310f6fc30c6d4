"""Training the skin model end to end: on a few drawings, and on real photos where they are."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from lesionlite_export.drawn import write_drawn_dataset
from lesionlite_export.keras_model import keras_outputs, load_keras, network_sha256
from lesionlite_export.manifest import LabelledImage, Manifest, read_isic_split
from lesionlite_export.progress import Silent
from lesionlite_export.representative import list_digest
from lesionlite_export.seen import image_prefixes
from lesionlite_export.statistics import auc
from lesionlite_runtime.container import read_contract
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_training.backbones import get_backbone
from lesionlite_training.configuration import Settings
from lesionlite_training.features import features_of
from lesionlite_training.head import fit_head
from lesionlite_training.lesion import Trained, train_lesion
from lesionlite_training.networks import scaled_backbone
from lesionlite_training.threshold import choose_threshold

pytestmark = pytest.mark.tensorflow
CLASSES = {"melanoma": 1, "nevus": 0, "seborrheic_keratosis": 0}
SETTINGS = Settings(folds=3, seed=4)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """30 drawings: 12 melanomas, 12 nevi, 6 keratoses."""
    folder = tmp_path_factory.mktemp("drawn") / "drawn"
    counts = {"melanoma": 12, "nevus": 12, "seborrheic_keratosis": 6}
    write_drawn_dataset(folder, train=counts, valid={}, seed=2, size=(224, 224))
    return read_isic_split(folder, "train")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the features of these tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def trained(manifest: Manifest, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The model of `manifest`."""
    out = tmp_path_factory.mktemp("model") / "m.keras"
    return train_lesion(manifest, CLASSES, out, settings=SETTINGS, cache=cache)


@pytest.fixture(scope="module")
def features(trained: Trained, cache: Path) -> np.ndarray:
    """The features that `trained` was fitted on."""
    network = scaled_backbone(get_backbone("efficientnet_lite0"))
    return features_of(network, trained.images, cache, Silent())


def test_the_contract_says_how_it_was_trained(trained: Trained, manifest: Manifest) -> None:
    contract = trained.contract
    assert read_contract(trained.path) == contract
    assert contract.task == "binary_classification"
    assert contract.input.shape == (1, 224, 224, 3)
    assert contract.input.resize == "pillow-bilinear-v1"
    assert contract.output.classes == CLASSES
    assert contract.output.labels == ("benign", "malignant")
    provenance = contract.provenance
    assert provenance.backbone == "efficientnet_lite0"
    assert provenance.recipe is provenance.calibration is None
    assert contract.parity is contract.flatbuffer_sha256 is contract.flatbuffer_bytes is None
    training = provenance.training
    assert (training["n"], training["positives"]) == (30, 12)
    assert (training["folds"], training["seed"]) == (3, 4)
    assert training["grouping"] == {"by": [], "groups": 30, "without_id": 0}
    assert training["calibration"] is None
    assert training["images_sha256"] == list_digest(trained.images)
    assert training["image_prefixes"] == image_prefixes(trained.images)
    assert "sha256" in training["weights"]
    assert training["weights_licence"] == "Apache-2.0"
    assert provenance.tools["keras"]
    assert trained.unusable == ()
    assert [p.image for p in trained.images] == list(manifest.images)


def test_the_saved_model_passes_its_own_door(trained: Trained) -> None:
    loaded = load_keras(trained.path)
    assert loaded.contract == trained.contract
    assert network_sha256(loaded.network) == trained.contract.provenance.network_sha256
    assert list(trained.path.parent.iterdir()) == [trained.path]


def test_the_saved_models_scores_are_those_of_head_and_features(
    trained: Trained, features: np.ndarray
) -> None:
    labels = np.array([p.image.label for p in trained.images])
    head = fit_head(features, labels)
    network = load_keras(trained.path).network
    upright = np.concatenate(list(keras_outputs(network, (p.pixels for p in trained.images))))
    assert np.ptp(upright) > 0.3
    assert upright == pytest.approx(head.scores(features[:, 0]), abs=2e-5)
    mirrored = (np.flip(p.pixels, 1) for p in trained.images)
    scores = np.concatenate(list(keras_outputs(network, mirrored)))
    assert scores == pytest.approx(head.scores(features[:, 2]), abs=2e-5)


def test_the_threshold_comes_from_out_of_fold_scores_alone(
    trained: Trained, features: np.ndarray
) -> None:
    """Computed anew here, with scikit-learn's folds and no code of the trainer's loop."""
    labels = np.array([p.image.label for p in trained.images])
    scores = np.zeros(30)
    folds = StratifiedKFold(3, shuffle=True, random_state=4).split(labels, labels)
    for inside, outside in folds:
        assert not set(inside) & set(outside)
        scores[outside] = fit_head(features[inside], labels[inside]).scores(features[outside, 0])
    assert trained.out_of_fold.scores == pytest.approx(scores, abs=1e-12)
    assert trained.contract.threshold == choose_threshold(labels, scores, "sensitivity=0.90")
    assert trained.contract.threshold.chosen_on.kind == "out_of_fold"
    assert trained.auc == auc(labels, scores)
    in_fold = fit_head(features, labels).scores(features[:, 0])
    assert trained.contract.threshold != choose_threshold(labels, in_fold, "sensitivity=0.90")


def test_the_saved_models_score_is_the_calibrated_one(
    trained: Trained, manifest: Manifest, cache: Path, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, calibrate="platt")
    out = tmp_path / "m.keras"
    again = train_lesion(manifest, CLASSES, out, settings=settings, cache=cache)
    assert again.calibration is not None
    line = again.calibration.calibration
    assert line.kind == "platt"
    assert line.slope != pytest.approx(1, abs=0.02)
    assert again.contract.provenance.training["calibration"] == again.calibration.to_json()
    pixels = [p.pixels for p in trained.images]
    before, after = (
        np.concatenate(list(keras_outputs(load_keras(model.path).network, iter(pixels))))
        for model in (trained, again)
    )
    assert after == pytest.approx(line.apply(before), abs=1e-6)
    # The threshold moves with the scores, and the decisions and figures stay.
    held_out = again.out_of_fold
    assert held_out.scores == pytest.approx(line.apply(trained.out_of_fold.scores), abs=1e-6)
    old, new = trained.contract.threshold, again.contract.threshold
    assert new == choose_threshold(
        np.array([p.image.label for p in again.images]), held_out.scores, settings.rule
    )
    assert np.array_equal(held_out.scores >= new.value, trained.out_of_fold.scores >= old.value)
    assert new.value != old.value
    assert (new.sensitivity, new.specificity) == (old.sensitivity, old.specificity)
    assert again.auc == trained.auc


def with_facts(manifest: Manifest, *facts: dict[str, str]) -> Manifest:
    """``manifest`` with what its lines say of each image, the last for all the rest."""
    padded = [*facts, *[facts[-1]] * len(manifest.images)]
    images = (replace(i, facts=f) for i, f in zip(manifest.images, padded, strict=False))
    return replace(manifest, images=tuple(images))


def test_the_images_of_a_patient_are_held_out_together(
    manifest: Manifest, cache: Path, tmp_path: Path
) -> None:
    patients = [{"patient_id": f"p{i % 10}"} for i in range(len(manifest.images))]
    grouped = with_facts(manifest, *patients)
    settings = replace(SETTINGS, seed=0)
    out = tmp_path / "m.keras"
    trained = train_lesion(grouped, CLASSES, out, settings=settings, cache=cache)
    assert trained.grouping.by == ("patient_id",)
    assert trained.contract.provenance.training["grouping"] == {
        "by": ["patient_id"],
        "groups": 10,
        "without_id": 0,
    }
    held_out = {
        (p.image.facts["patient_id"], fold)
        for p, fold in zip(trained.images, trained.out_of_fold.folds.tolist(), strict=True)
    }
    assert len(held_out) == 10
    loose = replace(settings, group="none")
    out = tmp_path / "loose.keras"
    alone = train_lesion(grouped, CLASSES, out, settings=loose, cache=cache)
    assert alone.grouping.by == ()
    assert not np.array_equal(alone.out_of_fold.folds, trained.out_of_fold.folds)
    # The folds decide nothing of the network itself.
    assert alone.contract.model_id == trained.contract.model_id


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            [{"patient_id": "p", "lesion_id": "a"}, {"patient_id": "q", "lesion_id": "a"}, {}],
            "the lesion a is of the patient p in one line and of q in the line of this image",
        ),
        (
            [{"patient_id": f"p{i // 15}"} for i in range(30)],
            "one label has 2 groups, fewer than the 3 folds; add images, or pass fewer --folds",
        ),
    ],
)
def test_groups_that_cannot_be_held_out_are_refused_before_the_network_runs(
    manifest: Manifest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    facts: list[dict[str, str]],
    message: str,
) -> None:
    def computing(*_: object) -> object:
        raise AssertionError("the network ran")

    monkeypatch.setattr("lesionlite_training.features._run", computing)
    with pytest.raises(UnusableInput) as caught:
        train_lesion(with_facts(manifest, *facts), CLASSES, tmp_path / "m.keras", settings=SETTINGS)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["patient_id", "lesion_id"])
def test_copies_of_two_lesions_or_patients_are_refused(
    manifest: Manifest, tmp_path: Path, name: str
) -> None:
    copy, original = tmp_path / "copy.jpg", manifest.images[0]
    shutil.copyfile(original.path, copy)
    images = (replace(original, facts={name: "a"}), *manifest.images[1:])
    spoilt = with_images(
        replace(manifest, images=images),
        LabelledImage(copy, original.label, original.class_name, {name: "b"}),
    )
    with pytest.raises(UnusableInput) as caught:
        train_lesion(spoilt, CLASSES, tmp_path / "m.keras", settings=SETTINGS)
    assert str(caught.value) == (
        f"{copy}: this image has the pixels of {original.path}, and another {name}; "
        "correct one of the ids, or leave both out"
    )


def test_each_fold_has_its_own_auc(trained: Trained) -> None:
    labels = np.array([p.image.label for p in trained.images])
    held_out = trained.out_of_fold
    wanted = [
        roc_auc_score(labels[held_out.folds == fold], held_out.scores[held_out.folds == fold])
        for fold in range(3)
    ]
    assert trained.fold_aucs == pytest.approx(wanted)


def test_the_second_time_the_cache_is_used_and_the_model_is_the_same(
    trained: Trained,
    manifest: Manifest,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def computing(*_: object) -> object:
        raise AssertionError("the features were computed again")

    monkeypatch.setattr("lesionlite_training.features._run", computing)
    out = tmp_path / "again.keras"
    again = train_lesion(manifest, CLASSES, out, settings=SETTINGS, cache=cache)
    assert again.contract == trained.contract
    with pytest.raises(AssertionError):
        train_lesion(manifest, CLASSES, tmp_path / "b.keras", settings=SETTINGS, cache=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"again.keras", "pixels"}


def test_a_damaged_cache_is_survived(
    trained: Trained, manifest: Manifest, cache: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "cache"
    shutil.copytree(cache, damaged)
    (features,) = damaged.glob("features-*.npz")
    (whole,) = cache.glob("features-*.npz")
    pixels = sorted(path for path in damaged.glob("pixels/**/*") if path.is_file())
    assert len(pixels) == len(manifest.images)
    for kept in (features, pixels[0]):
        kept.write_bytes(kept.read_bytes()[:1000])
    out = tmp_path / "again.keras"
    again = train_lesion(manifest, CLASSES, out, settings=SETTINGS, cache=damaged)
    # Sums run in another order from time to time, so that weights may differ in a last digit.
    assert again.out_of_fold.scores == pytest.approx(trained.out_of_fold.scores, abs=1e-4)
    assert features.stat().st_size == whole.stat().st_size
    assert pixels[0].read_bytes() == (cache / pixels[0].relative_to(damaged)).read_bytes()


def test_without_a_cache_nothing_is_kept_and_the_model_is_the_same(
    trained: Trained, manifest: Manifest, tmp_path: Path
) -> None:
    again = train_lesion(manifest, CLASSES, tmp_path / "again.keras", settings=SETTINGS)
    assert again.out_of_fold.scores == pytest.approx(trained.out_of_fold.scores, abs=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["again.keras"]


def with_images(manifest: Manifest, *more: LabelledImage) -> Manifest:
    return replace(manifest, images=(*manifest.images, *more))


def test_copies_with_another_label_are_refused(manifest: Manifest, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jpg"
    original = manifest.images[0]
    shutil.copyfile(original.path, copy)
    spoilt = with_images(manifest, LabelledImage(copy, 1 - original.label, "nevus"))
    with pytest.raises(UnusableInput) as caught:
        train_lesion(spoilt, CLASSES, tmp_path / "m.keras", settings=SETTINGS)
    assert str(caught.value) == (
        f"{copy}: this image has the pixels of {original.path}, and another label; "
        "correct one of the labels, or leave both out"
    )
    assert list(tmp_path.iterdir()) == [copy]


def test_copies_with_the_same_label_are_trained_on_once(
    trained: Trained, manifest: Manifest, cache: Path, tmp_path: Path
) -> None:
    """In two folds at once a copy would be scored by a head that has seen it."""
    copy = tmp_path / "copy.jpg"
    original = manifest.images[0]
    shutil.copyfile(original.path, copy)
    doubled = with_images(manifest, LabelledImage(copy, original.label, original.class_name))
    out = tmp_path / "m.keras"
    again = train_lesion(doubled, CLASSES, out, settings=SETTINGS, cache=cache)
    assert again.contract == trained.contract
    assert copy not in [p.image.path for p in again.images]


def test_unreadable_images_are_left_out_by_name(
    trained: Trained, manifest: Manifest, cache: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    spoilt = with_images(manifest, LabelledImage(bad, 1, "melanoma"))
    again = train_lesion(spoilt, CLASSES, tmp_path / "m.keras", settings=SETTINGS, cache=cache)
    (item,) = again.unusable
    assert item.image.path == bad
    assert str(item.error).startswith(f"{bad}: ")
    assert again.contract == trained.contract


def test_fewer_images_than_folds_are_refused(
    manifest: Manifest, cache: Path, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, folds=13)
    with pytest.raises(UnusableInput, match="one label has 12 images, fewer than the 13 folds"):
        train_lesion(manifest, CLASSES, tmp_path / "m.keras", settings=settings, cache=cache)
    assert list(tmp_path.iterdir()) == []


def test_one_label_is_refused_before_any_work(manifest: Manifest, tmp_path: Path) -> None:
    benign = tuple(image for image in manifest.images if image.label == 0)
    with pytest.raises(UnusableInput, match="all 18 images have the label 0"):
        train_lesion(Manifest("list.csv", benign), CLASSES, tmp_path / "m.keras")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"backbone": "efficientnet_lite9"}, "unknown backbone 'efficientnet_lite9'; use one"),
        ({"resize": "bilinear"}, "unknown resize method 'bilinear'; did you mean"),
        ({"rule": "accuracy=0.9"}, "there is no threshold rule 'accuracy=0.9'"),
        ({"group": "patient"}, "unknown grouping 'patient'; did you mean patient_id"),
        ({"calibrate": "isotonic"}, "unknown calibration 'isotonic'; did you mean"),
    ],
)
def test_unknown_settings_are_wrong_usage(
    manifest: Manifest, tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        train_lesion(manifest, CLASSES, tmp_path / "m.keras", settings=Settings(**settings))
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_out_that_cannot_be_written_is_refused_before_any_work(
    manifest: Manifest, tmp_path: Path
) -> None:
    taken = tmp_path / "taken.keras"
    taken.write_text("mine")
    for out, words in (
        (taken, "the file exists already; pass --force"),
        (tmp_path / "m.h5", "the name does not end in .keras"),
        (tmp_path / "no" / "m.keras", "the folder for it does not exist"),
    ):
        with pytest.raises(UsageError, match=words):
            train_lesion(manifest, CLASSES, out, settings=SETTINGS)
    assert taken.read_text() == "mine"


def test_a_manifest_of_which_nothing_can_be_read(tmp_path: Path) -> None:
    images = tuple(LabelledImage(tmp_path / f"{i}.jpg", i % 2, "") for i in range(4))
    with pytest.raises(UnusableInput, match=r"list.csv: none of its 4 images can be used"):
        train_lesion(Manifest("list.csv", images), CLASSES, tmp_path / "m.keras")


@pytest.mark.data
def test_on_real_photos_the_features_mean_something(data_dir: Path, tmp_path: Path) -> None:
    """A random backbone reaches 0.65 here, hand-made features 0.71.

    With LESIONLITE_CACHE set, the features are kept for the next run of the tests.
    """
    manifest = read_isic_split(data_dir / "isic2017", "train")
    kept = os.environ.get("LESIONLITE_CACHE")
    cache = Path(kept) if kept else None
    trained = train_lesion(manifest, CLASSES, tmp_path / "m.keras", cache=cache)
    assert trained.auc.value > 0.76
    assert trained.auc.low > 0.72
    assert min(trained.fold_aucs) > 0.70
    threshold = trained.contract.threshold
    assert 0.90 <= threshold.sensitivity.value < 0.91
    assert threshold.specificity.value > 0.35
    assert threshold.chosen_on.n == len(trained.images) == 1966
    assert threshold.table is not None
    assert len(threshold.table) == 13
    shipped = load_keras(Path(__file__).parents[2] / "samples" / "lesion.keras").contract
    assert isinstance(shipped, ClassifierContract)
    # What ships is another network, which learnt from these very images.
    assert shipped.provenance.training["images_sha256"] == list_digest(trained.images)
