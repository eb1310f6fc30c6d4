"""A first forward pass: a draft that is wrong is found out, and one that is right passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.export.brought import SEVEN, draft_of, fitted, seven_draft, tinted
from tests.export.test_brought_tflite import converted

from lesionlite_export.brought_keras import BroughtKeras, in_own_form
from lesionlite_export.brought_tflite import BroughtTflite, load_brought_tflite
from lesionlite_export.drawn import write_drawn_dataset
from lesionlite_export.first_pass import balanced, first_pass
from lesionlite_export.keras_model import KerasModel
from lesionlite_export.manifest import LabelledImage, read_isic_split
from lesionlite_export.representative import PreparedImage, prepare
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.draft import AnyDraft, contract_of_draft
from lesionlite_runtime.errors import UnusableInput

pytestmark = pytest.mark.tensorflow
Pixels = NDArray[np.uint8]
RANGES = {"0 to 1": (0.0, 1.0), "-1 to 1": (-1.0, 1.0), "0 to 255": (0.0, 255.0)}


def prepared(pixels: Pixels, labels: Sequence[int] | NDArray[np.int64]) -> list[PreparedImage]:
    return [
        PreparedImage(LabelledImage(Path(f"{i}.png"), int(label), str(label)), image, str(i))
        for i, (image, label) in enumerate(zip(pixels, labels, strict=True))
    ]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[PreparedImage]:
    """Drawings at 32 pixels: 24 melanomas, 24 others."""
    folder = tmp_path_factory.mktemp("first") / "drawn"
    counts = {"melanoma": 24, "nevus": 24}
    write_drawn_dataset(folder, train=counts, valid=counts, seed=4, size=(64, 64))
    contract = contract_of_draft(draft_of(), "0" * 64)
    assert isinstance(contract, ClassifierContract)
    manifest = read_isic_split(folder, "train", {"melanoma": 1, "nevus": 0})
    found = list(prepare(manifest.images, contract.input))
    return [item for item in found if isinstance(item, PreparedImage)]


@pytest.fixture(scope="module")
def pixels(images: list[PreparedImage]) -> Pixels:
    return np.stack([p.pixels for p in images])


@pytest.fixture(scope="module")
def labels(images: list[PreparedImage]) -> NDArray[np.int64]:
    return np.array([p.image.label for p in images])


def brought(core: Any, draft: AnyDraft) -> BroughtKeras:
    network = in_own_form(core, draft, "theirs.keras")
    return BroughtKeras("theirs.keras", network, contract_of_draft(draft, "0" * 64), draft, core)


@pytest.fixture(scope="module")
def networks(pixels: Pixels, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Networks of each range, with batch norm."""
    return {
        name: fitted(pixels, labels, low=low, high=high) for name, (low, high) in RANGES.items()
    }


def refused(source: Any, images: list[PreparedImage]) -> str:
    with pytest.raises(UnusableInput) as caught:
        first_pass(source, images)
    sentence = str(caught.value)
    assert sentence.startswith(f"{source.path}: ")
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize("stated", RANGES)
@pytest.mark.parametrize("true", RANGES)
def test_batch_norm_tells_a_wrong_range_and_passes_the_right_one(
    networks: dict[str, Any], images: list[PreparedImage], true: str, stated: str
) -> None:
    source = brought(networks[true], draft_of(low=RANGES[stated][0], high=RANGES[stated][1]))
    if stated == true:
        assert first_pass(source, images) == ()
        return
    if {true, stated} == {"0 to 1", "-1 to 1"}:
        told = " ".join(first_pass(source, images, trust=True))
    else:
        told = refused(source, images)
        assert "correct the draft, or pass --trust-contract if it is right" in told
    assert "the pixels are not those that its first batch norm was trained on" in told
    assert f"nats from them as {stated}, and " in told
    assert f" as {true}" in told


def test_what_is_refused_is_warned_of_where_the_contract_is_trusted(
    networks: dict[str, Any], images: list[PreparedImage]
) -> None:
    source = brought(networks["-1 to 1"], draft_of(low=0, high=255))
    assert any("first batch norm" in line for line in first_pass(source, images, trust=True))


def test_scores_tell_where_there_is_no_batch_norm(
    pixels: Pixels, labels: NDArray[np.int64], images: list[PreparedImage]
) -> None:
    def network(true: str) -> Any:
        low, high = RANGES[true]
        return fitted(pixels, labels, low=low, high=high, batch_norm=False)

    cores = {true: network(true) for true in RANGES}
    for true, core in cores.items():
        assert (
            first_pass(brought(core, draft_of(low=RANGES[true][0], high=RANGES[true][1])), images)
            == ()
        )
    sentence = refused(brought(cores["-1 to 1"], draft_of(low=0, high=255)), images)
    assert "the scores tell the labels apart less well as 0 to 255 (AUC 0." in sentence
    assert "as -1 to 1 (AUC 0.9" in sentence.partition(" than ")[2]
    assert "on 48 images" in sentence
    sentence = refused(brought(cores["0 to 255"], draft_of(low=-1, high=1)), images)
    assert "images lie within 0 of each other as -1 to 1; as 0 to 255 (AUC 0.9" in sentence
    told = first_pass(brought(cores["-1 to 1"], draft_of(low=0, high=1)), images)
    assert any("less well as 0 to 1 " in line and "as -1 to 1 (AUC" in line for line in told)


@pytest.mark.parametrize("true", ["0 to 1", "-1 to 1"])
def test_a_float_file_whose_batch_norm_is_folded(
    networks: dict[str, Any], images: list[PreparedImage], tmp_path: Path, true: str
) -> None:
    low, high = RANGES[true]
    path = tmp_path / "theirs.tflite"
    path.write_bytes(converted(networks[true]))
    source = load_brought_tflite(path, draft_of(low=low, high=high))
    assert isinstance(source, BroughtTflite)
    assert first_pass(source, images) == ()
    source = load_brought_tflite(path, draft_of(low=0, high=255))
    assert isinstance(source, BroughtTflite)
    sentence = refused(source, images)
    assert "the scores of all 48 images lie within" in sentence
    assert f"as {true} (AUC 0.9" in sentence
    assert " they tell the labels apart; correct the draft" in sentence


def test_labels_the_wrong_way_round(networks: dict[str, Any], images: list[PreparedImage]) -> None:
    draft = draft_of(labels=["malignant", "benign"])
    sentence = refused(brought(networks["0 to 1"], draft), images)
    assert "the scores are higher for benign than for malignant (AUC 0.0" in sentence
    assert "the labels or score_of are the wrong way round" in sentence


def test_scores_that_do_not_depend_on_the_image(images: list[PreparedImage]) -> None:
    import keras

    dead = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.GlobalAveragePooling2D()])
    dead.add(keras.layers.Dense(1, "sigmoid", kernel_initializer="zeros"))
    sentence = refused(brought(dead, draft_of()), images)
    assert "the scores of all 48 images lie within 0 of each other as 0 to 1" in sentence
    slight = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.GlobalAveragePooling2D()])
    slight.add(keras.layers.Dense(1, "sigmoid"))
    slight.layers[-1].set_weights([np.full((3, 1), -0.02), np.zeros(1)])
    told = " ".join(first_pass(brought(slight, draft_of()), images, trust=True))
    assert "images lie within 0.0" in told
    assert "check range and values in the draft" in told


def test_one_decision_for_all_is_told(
    networks: dict[str, Any], images: list[PreparedImage]
) -> None:
    source = brought(networks["0 to 1"], draft_of())
    assert isinstance(source.contract, ClassifierContract)
    for value, word in ((0.0, "each"), (1.0, "none")):
        threshold = replace(source.contract.threshold, value=value)
        moved = replace(source, contract=replace(source.contract, threshold=threshold))
        (told,) = first_pass(moved, images)
        assert f"at the threshold {value:g} {word} of 48 images of both labels is" in told


def test_what_the_outputs_are_is_checked_first(
    networks: dict[str, Any], images: list[PreparedImage]
) -> None:
    told = first_pass(brought(networks["0 to 1"], draft_of(values="sigmoid_logits")), images)
    assert any("if they are scores already and no logits" in line for line in told)


def test_seven_labels(pixels: Pixels) -> None:
    tints, labels = tinted(pixels)
    core = fitted(tints, labels, units=7, activation="softmax")
    images = prepared(tints, labels)
    draft = seven_draft()
    source = brought(core, draft)
    assert first_pass(source, images) == ()
    assert "first batch norm" in refused(brought(core, seven_draft(high=255)), images)
    turned = [*SEVEN[1:], SEVEN[0]]
    relabelled = prepared(tints, [turned.index(SEVEN[label]) for label in labels])
    sentence = refused(brought(core, seven_draft(labels=turned)), relabelled)
    assert "the labels fit the images better in the order" in sentence
    assert "add up to" in refused(brought(core, seven_draft(values="softmax_logits")), images)


def test_few_images_or_none_are_told(networks: dict[str, Any], images: list[PreparedImage]) -> None:
    source = brought(networks["0 to 1"], draft_of(low=0, high=255))
    assert first_pass(source, []) == ("nothing of the contract was checked, for want of images",)
    assert first_pass(source, images[:3]) == ("3 images are too few to check the contract on",)


def test_images_of_each_label_are_looked_at(images: list[PreparedImage]) -> None:
    few = [p for p in images if p.image.label == 1][:3]
    many = [p for p in images if p.image.label == 0] * 3
    counts = [p.image.label for p in balanced([*many, *few])]
    assert (counts.count(0), counts.count(1)) == (32, 3)


@pytest.mark.data
@pytest.mark.parametrize("stated", ["0 to 255", "-1 to 1"])
def test_the_trained_network_on_real_photos(
    lesion_model: KerasModel, data_dir: Path, stated: str
) -> None:
    """What comes before its own scaling taken away, it wants nearly -1 to 1."""
    import keras

    network = lesion_model.network
    body = network.get_layer("efficientnet_lite0")
    score = body.outputs[0]
    for layer in network.layers[network.layers.index(body) + 1 :]:
        score = layer(score)
    core = keras.Model(body.inputs[0], score)
    low, high = RANGES[stated]
    draft = draft_of(224, low=low, high=high)
    source = brought(core, draft)
    manifest = read_isic_split(data_dir / "isic2017", "valid")
    assert isinstance(source.contract, ClassifierContract)
    found = prepare(manifest.images, source.contract.input)
    images = [p for p in found if isinstance(p, PreparedImage)]
    if stated == "-1 to 1":
        assert not any("batch norm" in line for line in first_pass(source, images))
    else:
        sentence = refused(source, images)
        assert "nats from them as 0 to 255, and " in sentence
