"""Fine-tuning end to end on drawings: who learns from what, and what is saved in the end."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lesionlite_export.keras_model import keras_outputs, load_keras, network_sha256
from lesionlite_export.manifest import LabelledImage, Manifest, read_isic_split
from lesionlite_export.progress import Silent
from lesionlite_export.publish import export_model
from lesionlite_export.recipe import load_recipe
from lesionlite_export.representative import PreparedImage
from lesionlite_export.sets import Sets
from lesionlite_export.statistics import auc
from lesionlite_export.verification import verify_model
from lesionlite_export.views import views_network, with_views
from lesionlite_runtime.classifier import Classifier
from lesionlite_runtime.codec import to_json
from lesionlite_runtime.container import read_contract, split_members
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.graph import read_graph
from lesionlite_training import fine_tuning, networks
from lesionlite_training.backbones import get_backbone
from lesionlite_training.checkpoints import read_checkpoint
from lesionlite_training.configuration import FineTuning, Settings, Stage
from lesionlite_training.fine_tuning import fine_tune
from lesionlite_training.lesion import Run, Trained, train_lesion
from lesionlite_training.lesion_contract import FINE_TUNED, HEAD_ALONE, image_input_of
from lesionlite_training.networks import scaled_backbone, score_network, training_network
from lesionlite_training.plan import Plan, check_plan
from lesionlite_training.threshold import choose_threshold
from lesionlite_training.trainer import LOG, TRAINED, Member
from lesionlite_training.training_set import TrainingSet
from lesionlite_training.trial import try_folds

from ..hub_form import write_hub_form  # noqa: TID252 (no package to name)

pytestmark = pytest.mark.tensorflow
CLASSES = {"melanoma": 1, "nevus": 0, "seborrheic_keratosis": 0}
SIDE = 40
QUICK = FineTuning(
    batch=8, optimizer="sgd", learning_rate=0.01, warmup_steps=2, ema=0.0, stages=(Stage(2),)
)
HEAD = replace(QUICK, blocks=0, augmentation="flips")


class Told(Silent):
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module")
def photos(few_drawings: Path) -> Manifest:
    """40 drawings, 16 of them melanomas."""
    return read_isic_split(few_drawings, "train")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for decoded drawings and features."""
    return tmp_path_factory.mktemp("cache")


Train = Callable[..., Trained]


@pytest.fixture(scope="module")
def train(
    photos: Manifest,
    cache: Path,
    tiny_backbone: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Train:
    """Trains the tiny backbone on `photos` in a folder of its own."""

    def run(tuning: FineTuning, out: Path | None = None, **more: Any) -> Trained:
        backbone = more.pop("backbone", tiny_backbone)
        settings = Settings(backbone=str(backbone), size=SIDE, folds=2, seed=1, fine_tuning=tuning)
        path = out or tmp_path_factory.mktemp("trained") / "m.keras"
        arguments = {"cache": cache, "settings": settings, **more}
        return train_lesion(arguments.pop("manifest", photos), CLASSES, path, **arguments)

    return run


@pytest.fixture(scope="module")
def told() -> Told:
    """What `tuned` said."""
    return Told()


STAGED = replace(QUICK, stages=(Stage(1, 32), Stage(2)), validation=0.25, augmentation="mild")


@pytest.fixture(scope="module")
def tuned(train: Train, told: Told) -> Trained:
    """All of the backbone, in two stages, the epochs judged by held-back images."""
    return train(STAGED, report=told)


NORMED = replace(QUICK, head_norm="batch", dropout=0.2)


@pytest.fixture(scope="module")
def normed(train: Train) -> Trained:
    """All of the backbone, with batch-norm and dropout in front of the head."""
    return train(NORMED)


@pytest.fixture(scope="module")
def by_class(train: Train) -> Trained:
    """All of the backbone, under a softmax over the three classes."""
    return train(replace(QUICK, targets="classes", class_weights="balanced", label_smoothing=0.1))


def run_of(trained: Trained) -> Path:
    return trained.path.with_suffix(".run")


def rebuilt(trained: Trained, path: Path, member: str, positive: list[bool] | None = None) -> Any:
    """The score network of a member, from the weights in the run's folder."""
    backbone = get_backbone(str(path), size=SIDE)
    weights = read_checkpoint(run_of(trained) / member / TRAINED).weights
    return score_network(scaled_backbone(backbone), weights, positive)


def scores_of(network: Any, trained: Trained) -> np.ndarray:
    return np.concatenate(list(keras_outputs(network, (i.pixels for i in trained.images))))


def test_the_contract_says_how_it_was_tuned(tuned: Trained) -> None:
    contract = read_contract(tuned.path)
    assert contract == tuned.contract
    training = contract.provenance.training
    assert training["method"] == FINE_TUNED
    assert training["fine_tuning"] == to_json(STAGED)
    assert (training["n"], training["positives"], training["folds"]) == (40, 16, 2)
    labels = np.array([item.image.label for item in tuned.images])
    wanted = choose_threshold(labels, tuned.out_of_fold.scores, "sensitivity=0.90")
    assert tuned.contract.threshold == wanted
    assert tuned.auc == auc(labels, tuned.out_of_fold.scores)


def test_the_saved_network_is_the_final_one(tuned: Trained, tiny_backbone: Path) -> None:
    loaded = load_keras(tuned.path)
    assert network_sha256(loaded.network) == tuned.contract.provenance.network_sha256
    before = scores_of(rebuilt(tuned, tiny_backbone, "final"), tuned)
    assert np.ptp(before) > 0.01
    assert np.array_equal(scores_of(loaded.network, tuned), before)


def test_a_norm_in_front_of_the_head_is_folded_into_the_saved_network(
    normed: Trained, tiny_backbone: Path
) -> None:
    loaded = load_keras(normed.path).network
    kinds = [type(layer).__name__ for layer in loaded.layers]
    assert "Dropout" not in kinds
    assert "BatchNormalization" not in kinds
    backbone = get_backbone(str(tiny_backbone), size=SIDE)
    network = training_network(scaled_backbone(backbone), 1, NORMED)
    network.set_weights(read_checkpoint(run_of(normed) / "final" / TRAINED).weights)
    logits = scores_of(network, normed)
    assert np.ptp(logits) > 0.01
    assert scores_of(loaded, normed) == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-5)


def test_each_score_is_of_the_network_of_its_fold(tuned: Trained, tiny_backbone: Path) -> None:
    held_out = tuned.out_of_fold
    for fold in (0, 1):
        outside = held_out.folds == fold
        scores = scores_of(rebuilt(tuned, tiny_backbone, f"fold-{fold}"), tuned)
        assert np.array_equal(held_out.scores[outside], scores[outside])
        assert not np.allclose(held_out.scores[~outside], scores[~outside], atol=1e-4)


def test_the_runs_folder_holds_weights_and_logs(tuned: Trained) -> None:
    run = run_of(tuned)
    assert {path.name for path in tuned.path.parent.iterdir()} == {"m.keras", "m.run"}
    assert {path.name for path in run.iterdir()} == {"run.json", "fold-0", "fold-1", "final"}
    for member in ("fold-0", "fold-1", "final"):
        assert {path.name for path in (run / member).iterdir()} == {TRAINED, LOG}
        log = pd.read_csv(run / member / LOG)
        assert log["size"].fillna(SIDE).tolist() == [32, SIDE, SIDE]
        assert log["validation_loss"].notna().all()


def test_the_epoch_that_is_kept_is_the_best_at_the_last_size(tuned: Trained) -> None:
    for member in ("fold-0", "fold-1", "final"):
        kept = read_checkpoint(run_of(tuned) / member / TRAINED)
        log = pd.read_csv(run_of(tuned) / member / LOG)
        last = log[log["size"].isna()]
        assert kept.epoch == last["epoch"][last["validation_loss"].idxmin()]


def test_it_is_told_how_much_learns_from_how_many(tuned: Trained, told: Told) -> None:
    parameters = "1,481 parameters, 1,433 of them trained"
    assert [line for line in told.lines if "parameters" in line] == [
        f"fold 1 of 2: 15 images, {parameters}",
        f"fold 2 of 2: 15 images, {parameters}",
        f"the final network: 30 images, {parameters}",
    ]


def test_without_validation_the_final_network_learns_from_all(train: Train, tmp_path: Path) -> None:
    report = Told()
    trained = train(HEAD, tmp_path / "m.keras", report=report)
    assert [line.partition(" p")[0] for line in report.lines if "parameters" in line] == [
        "fold 1 of 2: 20 images, 17",
        "fold 2 of 2: 20 images, 17",
        "the final network: 40 images, 17",
    ]
    assert trained.contract.provenance.training["method"] == HEAD_ALONE
    assert read_checkpoint(run_of(trained) / "final" / TRAINED).epoch == 2
    load_keras(trained.path)


def test_the_head_starts_from_the_one_on_frozen_features(
    train: Train, photos: Manifest, cache: Path, tiny_backbone: Path, tmp_path: Path
) -> None:
    """A rate of next to nothing leaves it where it starts, and random weights elsewhere."""
    still = replace(HEAD, learning_rate=1e-9, weight_decay=0.0)
    frozen = Settings(backbone=str(tiny_backbone), size=SIDE, folds=2, seed=1)
    out = tmp_path / "frozen.keras"
    wanted = train_lesion(photos, CLASSES, out, settings=frozen, cache=cache).out_of_fold.scores
    found = train(still, tmp_path / "still.keras").out_of_fold.scores
    assert found == pytest.approx(wanted, abs=1e-5)
    behind_norm = train(replace(still, head_norm="batch"), tmp_path / "norm.keras")
    assert behind_norm.out_of_fold.scores == pytest.approx(wanted, abs=0.01)
    other = train(replace(still, head_start="random"), tmp_path / "random.keras")
    assert not np.allclose(other.out_of_fold.scores, wanted, atol=0.01)


def test_the_last_blocks_alone_are_trained(
    train: Train, tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(networks._BLOCK_NAMES, tiny_backbone.name, "one|two")
    trained = train(replace(QUICK, blocks=1), tmp_path / "m.keras")
    backbone = scaled_backbone(get_backbone(str(tiny_backbone), size=SIDE))
    before = {v.path.split("/")[-2] + v.name: np.asarray(v) for v in backbone.weights}
    network = load_keras(trained.path).network
    after = {v.path.split("/")[-2] + v.name: np.asarray(v) for v in network.weights}
    changed = {name for name, value in before.items() if not np.array_equal(value, after[name])}
    kinds = ("gamma", "beta", "moving_mean", "moving_variance")
    assert changed == {"two_convkernel", *(f"two_bn{kind}" for kind in kinds)}


def test_a_saved_model_is_tuned_and_loaded_without_its_folder(train: Train, tmp_path: Path) -> None:
    folder = write_hub_form(tmp_path / "hub", side=SIDE)
    tuning = replace(QUICK, stages=(Stage(1),))
    trained = train(tuning, tmp_path / "m.keras", backbone=folder)
    start = scaled_backbone(get_backbone(str(folder))).get_weights()
    shutil.rmtree(folder)
    after = load_keras(trained.path).network.get_weights()
    assert not any(np.array_equal(a, b) for a, b in zip(start, after, strict=False))


@pytest.mark.slow
def test_a_run_that_is_interrupted_goes_on_to_the_same_network(
    train: Train, dropout_backbone: Path, tmp_path: Path
) -> None:
    """Dropout's random numbers go on where they were."""
    backbone = dropout_backbone
    tuning = replace(QUICK, stages=(Stage(3),), optimizer="adamw", ema=0.9)
    whole = train(tuning, tmp_path / "whole.keras", backbone=backbone)

    def interrupt(member: str, row: dict[str, Any]) -> None:
        if (member, row["epoch"]) == ("fold-1", 2):
            raise KeyboardInterrupt

    out, folder = tmp_path / "broken.keras", tmp_path / "run"
    report = Told()
    with pytest.raises(KeyboardInterrupt):
        train(tuning, out, run=Run(folder, watcher=interrupt), report=report, backbone=backbone)
    assert report.lines[-1] == (
        f"{folder} keeps what is trained so far; --resume goes on from there"
    )
    assert not out.exists()
    seen: list[tuple[str, int]] = []
    watcher = lambda member, row: seen.append((member, row["epoch"]))  # noqa: E731
    again = train(tuning, out, run=Run(folder, resume=True, watcher=watcher), backbone=backbone)
    assert seen == [("fold-1", 3), ("final", 1), ("final", 2), ("final", 3)]
    assert again.contract.provenance.network_sha256 == whole.contract.provenance.network_sha256
    assert np.array_equal(again.out_of_fold.scores, whole.out_of_fold.scores)


def test_a_finished_run_gives_another_threshold_without_training(
    tuned: Trained, tiny_backbone: Path, photos: Manifest, cache: Path, tmp_path: Path
) -> None:
    def fail(member: str, row: dict[str, Any]) -> None:
        raise AssertionError("an epoch was trained")

    settings = Settings(
        backbone=str(tiny_backbone),
        size=SIDE,
        folds=2,
        seed=1,
        rule="specificity=0.75",
        fine_tuning=STAGED,
    )
    run = Run(run_of(tuned), resume=True, watcher=fail)
    out = tmp_path / "other.keras"
    other = train_lesion(photos, CLASSES, out, settings=settings, cache=cache, run=run)
    assert other.contract.provenance.network_sha256 == tuned.contract.provenance.network_sha256
    assert other.contract.threshold.rule == "specificity=0.75"


# Sets without files: what is learnt from which image can be told by changing that image alone.


def noise_set(seed: int = 0, size: int = 16) -> TrainingSet:
    """32 images of noise with labels that nothing in them tells, and numbers as features."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (32, SIDE, SIDE, 3), np.uint8)
    labels = np.arange(32) % 2
    images = tuple(
        PreparedImage(LabelledImage(Path(f"{i}.png"), int(label), ""), image, str(i))
        for i, (image, label) in enumerate(zip(pixels, labels, strict=True))
    )
    features = generator.normal(size=(32, 4, size)).astype(np.float32)
    names = ["malignant" if label else "benign" for label in labels]
    return TrainingSet(images, labels, names, None, features, {"benign": 0, "malignant": 1})


def changed_in(data: TrainingSet, where: np.ndarray) -> TrainingSet:
    """``data`` with other pixels, other features and the other label for the images ``where``."""
    other = noise_set(1)
    labels = np.where(where, 1 - data.labels, data.labels)
    assert data.features is not None
    assert other.features is not None
    return replace(
        data,
        images=tuple(
            replace(theirs, image=replace(theirs.image, label=int(label))) if change else ours
            for ours, theirs, change, label in zip(
                data.images, other.images, where, labels, strict=True
            )
        ),
        labels=labels,
        class_names=["malignant" if label else "benign" for label in labels],
        features=np.where(where[:, None, None], other.features, data.features),
    )


def plan_of(backbone: Path, tuning: FineTuning, folder: Path) -> Plan:
    known = get_backbone(str(backbone), size=SIDE)
    image_input = image_input_of(known, "pillow-bilinear-v1")
    return Plan(known, image_input, tuning, 1, 0.1, None, folder)


@pytest.mark.parametrize("blocks", [None, 0])
def test_a_folds_network_never_sees_the_folds_images(
    tiny_backbone: Path, tmp_path: Path, blocks: int | None
) -> None:
    """Neither to learn from, nor to start from, nor to judge its epochs by."""
    tuning = replace(
        QUICK, blocks=blocks, augmentation="none", validation=0.25, class_weights="sqrt"
    )
    folds = np.arange(32) // 2 % 2
    data = noise_set()
    weights = {}
    for name, shown in (("one", data), ("other", changed_in(data, folds == 0))):
        plan = plan_of(tiny_backbone, tuning, tmp_path / name)
        plan.folder.mkdir()
        fine_tune(plan, shown, folds, Silent())
        for member in ("fold-0", "fold-1", "final"):
            weights[name, member] = read_checkpoint(plan.folder / member / TRAINED).weights

    def same(member: str) -> bool:
        pairs = zip(weights["one", member], weights["other", member], strict=True)
        return all(np.array_equal(a, b) for a, b in pairs)

    assert same("fold-0")
    assert not same("fold-1")
    assert not same("final")


def _flat(pretrained: bool, side: int) -> Any:
    """From images to 64 numbers."""
    import keras

    image = keras.Input((side, side, 3), name="scaled_image")
    flat = keras.layers.Flatten()(keras.layers.AveragePooling2D(8)(image))
    return keras.Model(image, keras.layers.Dense(64)(flat))


def test_what_can_only_be_memorized_is_known_to_the_final_network_alone(
    tiny_backbone: Path, tmp_path: Path
) -> None:
    data, folds = noise_set(size=64), np.arange(32) // 2 % 2
    tuning = replace(
        HEAD, augmentation="none", learning_rate=0.1, stages=(Stage(30),), weight_decay=0.0
    )
    plan = plan_of(tiny_backbone, tuning, tmp_path)
    plan = replace(plan, backbone=replace(plan.backbone, feature_size=64, factory=_flat))
    held_out, network = fine_tune(plan, data, folds, Silent())
    assert data.features is not None
    kernel, bias = network.get_weights()[-2:]
    final = data.features[:, 0] @ kernel[:, 0] + bias
    assert auc(data.labels, final).value == 1.0
    assert 0.15 < auc(data.labels, held_out.scores).value < 0.85


def test_a_teacher_never_sees_the_folds_images_either(tiny_backbone: Path, tmp_path: Path) -> None:
    """The student of a fold learns from its teacher alone here, and its targets move with it."""
    tuning = replace(QUICK, augmentation="none", distillation=1.0)
    folds = np.arange(32) // 2 % 2
    data = noise_set()
    weights = {}
    members = [f"{m}{end}" for m in ("fold-0", "fold-1", "final") for end in ("", "-teacher")]
    for name, shown in (("one", data), ("other", changed_in(data, folds == 0))):
        plan = plan_of(tiny_backbone, tuning, tmp_path / name)
        plan.folder.mkdir()
        fine_tune(plan, shown, folds, Silent())
        assert {path.name for path in plan.folder.iterdir()} == set(members)
        for member in members:
            weights[name, member] = read_checkpoint(plan.folder / member / TRAINED).weights

    def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
        return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))

    for member in members:
        assert same(weights["one", member], weights["other", member]) == ("fold-0" in member)
    assert not same(weights["one", "fold-0"], weights["one", "fold-0-teacher"])


def test_the_teacher_is_the_network_that_is_trained_without_one(
    tiny_backbone: Path, tmp_path: Path
) -> None:
    folds, kept = np.arange(32) // 2 % 2, {}
    still = replace(QUICK, augmentation="none")
    for name, share in (("alone", 0.0), ("taught", 0.5)):
        plan = plan_of(tiny_backbone, replace(still, distillation=share), tmp_path / name)
        plan.folder.mkdir()
        fine_tune(plan, noise_set(), folds, Silent(), trial=1)
        member = "fold-0" if name == "alone" else "fold-0-teacher"
        kept[name] = read_checkpoint(plan.folder / member / TRAINED).weights
    assert all(map(np.array_equal, kept["alone"], kept["taught"]))


class Caught(Exception):
    """Carries a member out of `fine_tune`."""


@pytest.fixture
def first_member(tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The first member that `fine_tune` would train."""

    def stop(member: Member, *_: object) -> None:
        raise Caught(member)

    monkeypatch.setattr(fine_tuning, "train_member", stop)

    def member(data: TrainingSet, folds: np.ndarray, **changes: Any) -> Member:
        tuning = replace(QUICK, augmentation="none", **changes)
        with pytest.raises(Caught) as caught:
            fine_tune(plan_of(tiny_backbone, tuning, tmp_path), data, folds, Silent())
        found: Member = caught.value.args[0]
        return found

    return member


@pytest.mark.parametrize(
    ("class_weights", "ratio"), [("none", 1.0), ("sqrt", 3**0.5), ("balanced", 3.0)]
)
def test_rare_labels_weigh_more(first_member: Any, class_weights: str, ratio: float) -> None:
    data = noise_set()
    labels = (np.arange(32) % 4 == 0).astype(np.int64)
    folds = np.arange(32) // 4 % 2
    found = first_member(replace(data, labels=labels), folds, class_weights=class_weights)
    examples = found.examples(None)
    rare = examples.targets[:, 0] == 1
    assert rare.sum() == 4
    assert examples.weights.mean() == pytest.approx(1)
    assert examples.weights[rare] / examples.weights[~rare][0] == pytest.approx(ratio)


def test_rare_classes_weigh_more_and_targets_are_smoothed(first_member: Any) -> None:
    data = noise_set()
    names = ["a" if i % 4 == 0 else "b" if i % 4 == 1 else "c" for i in range(32)]
    classes = {"a": 1, "b": 0, "c": 0}
    found = first_member(
        replace(data, class_names=names, classes=classes),
        np.arange(32) // 4 % 2,
        targets="classes",
        class_weights="balanced",
        label_smoothing=0.3,
    )
    examples = found.examples(None)
    assert examples.targets[:3] == pytest.approx(
        np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    )
    assert examples.weights[:4] == pytest.approx([4 / 3, 4 / 3, 2 / 3, 2 / 3])


def test_labels_are_smoothed_to_both_sides(first_member: Any) -> None:
    examples = first_member(noise_set(), np.arange(32) // 2 % 2, label_smoothing=0.2).examples(None)
    assert examples.targets[:2, 0] == pytest.approx([0.1, 0.9])


def test_held_back_images_are_no_examples_and_groups_stay_together(first_member: Any) -> None:
    data = noise_set()
    groups = [f"patient {i // 4}" for i in range(32)]
    folds = np.arange(32) // 4 % 2
    found = first_member(replace(data, groups=groups), folds, validation=0.25)
    place = {image.pixels.tobytes(): i for i, image in enumerate(data.images)}
    chance = np.random.default_rng(0)
    examples = found.examples(None)
    learnt = {place[examples.read(i, chance).tobytes()] for i in range(len(examples.targets))}
    held = {place[image.tobytes()] for inputs, _ in found.validation(None) for image in inputs}
    assert learnt | held == set(np.flatnonzero(folds == 1))
    assert len(held) == 4
    assert not {groups[i] for i in learnt} & {groups[i] for i in held}


def test_too_few_images_to_hold_any_back_is_one_sentence(first_member: Any) -> None:
    with pytest.raises(UnusableInput) as caught:
        first_member(noise_set(), np.arange(32) // 2 % 2, validation=0.05)
    assert str(caught.value) == (
        "no share of 1/20 can be held back from the images of a fold (one label has 8 images, "
        "fewer than the 20 folds); add images, or set another validation share"
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"classes": {"benign": 0, "malignant": 1, "dermatofibroma": 0}},
            "no image has the class dermatofibroma; leave it out of the classes, or train with",
        ),
        (
            {"class_names": ["nevus", *["benign", "malignant"] * 15, "benign"]},
            "0.png: the image has no class, or one without a label (nevus); give it one, or train",
        ),
        (
            {"class_names": ["malignant" if i < 2 else "benign" for i in range(32)]},
            "a fold's network would see no image of the class malignant; add images of it, or",
        ),
    ],
)
def test_classes_that_cannot_be_learnt_are_one_sentence(
    tiny_backbone: Path, tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    data = replace(noise_set(), **changes)
    tuning = replace(QUICK, blocks=0, augmentation="none", targets="classes")
    plan = plan_of(tiny_backbone, tuning, tmp_path)
    with pytest.raises(UnusableInput) as caught:
        check_plan(plan, data, np.arange(32) // 2 % 2, scaled_backbone(plan.backbone))
    assert str(caught.value).startswith(problem)


def test_an_image_without_a_class_is_named_where_classes_are_learnt(
    train: Train, photos: Manifest, tmp_path: Path
) -> None:
    images = (replace(photos.images[0], class_name=""), *photos.images[1:])
    unnamed = replace(photos, images=images)
    with pytest.raises(UnusableInput) as caught:
        train(replace(HEAD, targets="classes"), tmp_path / "c.keras", manifest=unnamed)
    assert str(caught.value).startswith(
        f"{images[0].path}: the image has no class, or one without a label (malignant)"
    )


def test_an_image_that_is_gone_while_it_is_in_use_is_named(
    train: Train, photos: Manifest, tmp_path: Path
) -> None:
    """TensorFlow makes an error of its own of any that is raised while it reads."""
    copies = tmp_path / "photos"
    copies.mkdir()
    images = []
    for image in photos.images:
        copy = copies / image.path.name
        shutil.copyfile(image.path, copy)
        images.append(replace(image, path=copy))
    own = tmp_path / "cache"

    def remove(member: str, row: dict[str, Any]) -> None:
        shutil.rmtree(own / "pixels", ignore_errors=True)
        for image in images:
            image.path.unlink(missing_ok=True)

    run = Run(tmp_path / "run", watcher=remove)
    slow = replace(QUICK, stages=(Stage(50),), augmentation="none")
    manifest = replace(photos, images=tuple(images))
    with pytest.raises(UnusableInput) as caught:
        train(slow, tmp_path / "m.keras", manifest=manifest, cache=own, run=run)
    assert str(caught.value).startswith(f"{copies}/")
    assert ": no such file" in str(caught.value)


def test_a_softmax_model_is_loaded_scored_and_recorded(
    by_class: Trained, tiny_backbone: Path
) -> None:
    loaded = load_keras(by_class.path)
    assert [layer.name for layer in loaded.network.layers[-2:]] == ["classes", "score"]
    assert loaded.network.layers[-1].get_weights()[0].ravel().tolist() == [1.0, 0.0, 0.0]
    assert by_class.contract.provenance.training["fine_tuning"]["targets"] == "classes"
    before = scores_of(rebuilt(by_class, tiny_backbone, "final", [True, False, False]), by_class)
    assert np.array_equal(scores_of(loaded.network, by_class), before)


def test_a_softmax_model_is_exported_with_its_head_in_float(
    by_class: Trained, few_drawings: Path, tmp_path: Path
) -> None:
    sets = Sets(*(read_isic_split(few_drawings, split) for split in ("train", "valid")))
    limits = {"auc_difference": None, "flip_rate": 0.2, "newly_missed_rate": None}
    out = tmp_path / "m.tflite"
    model = load_keras(by_class.path)
    exported = export_model(model, load_recipe("int8"), out, sets=sets, limits=limits)
    assert exported.parity is not None
    graph = read_graph(split_members(out.read_bytes())[0])
    kinds = [
        (o.name, graph.tensors[o.outputs[0]].dtype)
        for o in graph.operators
        if o.name in ("CONV_2D", "FULLY_CONNECTED", "SOFTMAX")
    ]
    assert kinds == [
        ("CONV_2D", "int8"),
        ("CONV_2D", "int8"),
        ("FULLY_CONNECTED", "float32"),
        ("SOFTMAX", "float32"),
        ("FULLY_CONNECTED", "float32"),
    ]
    scores = scores_of(model.network, by_class)
    found = [Classifier(out).score(item.pixels[np.newaxis]) for item in by_class.images[:8]]
    assert found == pytest.approx(scores[:8], abs=0.02)


def test_the_thresholds_for_several_views_are_of_mean_scores(
    by_class: Trained, tiny_backbone: Path
) -> None:
    labels = np.array([item.image.label for item in by_class.images])
    held_out = by_class.out_of_fold
    for fold in (0, 1):
        outside = np.flatnonzero(held_out.folds == fold)
        positive = [True, False, False]
        network = rebuilt(by_class, tiny_backbone, f"fold-{fold}", positive)
        for views in (4, 8):
            pixels = np.stack([by_class.images[i].pixels for i in outside])
            scores = np.asarray(views_network(network, views).predict_on_batch(pixels)).ravel()
            assert held_out.views[views][outside] == pytest.approx(scores, abs=1e-6)
    assert np.abs(held_out.views[8] - held_out.scores).max() > 1e-3
    found = {v.views: v.threshold for v in by_class.contract.views_thresholds or ()}
    assert found == {
        n: choose_threshold(labels, held_out.views[n], "sensitivity=0.90") for n in (4, 8)
    }
    assert by_class.views_aucs == {n: auc(labels, held_out.views[n]) for n in (4, 8)}


def test_a_file_of_eight_views_is_proved_and_verified(
    by_class: Trained, few_drawings: Path, tmp_path: Path
) -> None:
    sets = Sets(*(read_isic_split(few_drawings, split) for split in ("train", "valid")))
    limits = {"auc_difference": None, "flip_rate": 0.2, "newly_missed_rate": None}
    out = tmp_path / "m.tflite"
    model = load_keras(by_class.path)
    exported = export_model(
        with_views(model, 8), load_recipe("int8"), out, sets=sets, limits=limits
    )
    contract = exported.contract
    assert contract.provenance.views == 8
    assert (by_class.contract.views_thresholds or ())[1].threshold == contract.threshold
    verified = verify_model(model, out, few_drawings)
    assert verified.to_json()["same_network"] is True
    seen = verified.to_json()["seen_images"]
    assert (seen["training"]["count"], seen["calibration"]["count"]) == (0, 0)
    assert seen["training"]["sources"] == [str(out), str(by_class.path)]
    sets = Sets(sets.representative, read_isic_split(few_drawings, "train"))
    with pytest.raises(UnusableInput, match=r"the proof image is one of those that .* trained on"):
        export_model(model, load_recipe("float32"), tmp_path / "f.tflite", sets=sets)
    assert verified.parity.measures() == exported.parity.measures()
    classifier = Classifier(out)
    pixels = by_class.images[0].pixels
    turned = [classifier.score(np.rot90(pixels, k)[np.newaxis].copy()) for k in range(4)]
    assert turned == pytest.approx([turned[0]] * 4, abs=1e-6)


def test_a_trial_trains_the_first_folds_and_a_run_goes_on_from_it(
    by_class: Trained, photos: Manifest, cache: Path, tiny_backbone: Path, tmp_path: Path
) -> None:
    tuning = replace(QUICK, targets="classes", class_weights="balanced", label_smoothing=0.1)
    settings = Settings(backbone=str(tiny_backbone), size=SIDE, folds=2, seed=1, fine_tuning=tuning)
    run, out = Run(tmp_path / "run", resume=True), tmp_path / "m.keras"
    trial = try_folds(photos, CLASSES, 1, settings, run, cache=cache)
    assert {path.name for path in run.folder.iterdir()} == {"run.json", "fold-0"}
    first = by_class.out_of_fold.folds == 0
    assert len(trial.labels) == first.sum()
    for views, scores in trial.scores().items():
        whole = by_class.out_of_fold
        wanted = whole.scores if views == 1 else whole.views[views]
        assert scores == pytest.approx(wanted[first], abs=1e-6)
        assert trial.fold_aucs(scores) == [auc(trial.labels, scores).value]
    before = (run.folder / "fold-0" / TRAINED).stat().st_mtime_ns
    trained = train_lesion(photos, CLASSES, out, settings=settings, cache=cache, run=run)
    assert (run.folder / "fold-0" / TRAINED).stat().st_mtime_ns == before
    assert network_sha256(load_keras(out).network) == by_class.contract.provenance.network_sha256
    assert trained.contract.threshold == by_class.contract.threshold


def test_a_trial_is_of_fine_tuning_and_of_folds_that_there_are(
    photos: Manifest, tiny_backbone: Path, tmp_path: Path
) -> None:
    settings = Settings(backbone=str(tiny_backbone), size=SIDE, folds=2)
    run = Run(tmp_path / "run")
    with pytest.raises(UsageError, match="a trial is of fine-tuning"):
        try_folds(photos, CLASSES, 1, settings, run)
    with pytest.raises(UsageError, match="there are 2 folds, not 3"):
        try_folds(photos, CLASSES, 3, replace(settings, fine_tuning=QUICK), run)
    assert not run.folder.exists()
