"""A model of three labels, exported and verified: against Keras, a release, recorded results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export.keras_model import load_keras, save_keras
from lesionlite_export.labels_parity import LabelScoreParity
from lesionlite_export.manifest import read_isic_split
from lesionlite_export.publish import export_model
from lesionlite_export.recipe import load_recipe
from lesionlite_export.recorded_writing import reference_lines
from lesionlite_export.reference import load_reference
from lesionlite_export.sets import Sets
from lesionlite_export.verification import verify_model
from lesionlite_export.verification_rendering import verification_lines
from lesionlite_export.verification_result import Verification
from lesionlite_runtime.container import append_members, split_members
from lesionlite_runtime.contract import CONTRACT_MEMBER, LabelsContract
from lesionlite_runtime.contract_fields import LabelsOutput, LabelThresholds
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.label_classifier import LabelClassifier

from .conftest import PROVENANCE, SIDE, classifier_contract_of

pytestmark = pytest.mark.tensorflow
LABELS = ("nevus", "melanoma", "seborrheic_keratosis")
NOTHING: dict[str, float | None] = dict.fromkeys(
    ("flip_rate", "accuracy_difference", "mean_score_error")
)


@pytest.fixture(scope="module")
def keras_path(tmp_path_factory: pytest.TempPathFactory, small_pixels: NDArray[np.uint8]) -> Path:
    """A tiny network of three labels whose decisions on `small_pixels` differ."""
    import keras

    keras.utils.set_random_seed(3)
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="scaling")(image)
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="stem")(x)
    features = keras.Model(image, keras.layers.GlobalAveragePooling2D(name="mean")(x))
    found = np.asarray(features.predict_on_batch(small_pixels))
    head = keras.layers.Dense(3, activation="softmax", name="score")
    network = keras.Model(image, head(features.outputs[0]), name="three")
    kernel = np.random.default_rng(0).normal(size=(8, 3)) / found.std(0)[:, np.newaxis]
    head.set_weights([kernel, -found.mean(0) @ kernel])
    contract = LabelsContract(
        schema="lesionlite.contract/1",
        task="multiclass_classification",
        input=classifier_contract_of().input,
        output=LabelsOutput("score", "float32", LABELS, {n: i for i, n in enumerate(LABELS)}),
        threshold=None,
        provenance=PROVENANCE,
        parity=None,
        flatbuffer_sha256=None,
        flatbuffer_bytes=None,
    )
    path = tmp_path_factory.mktemp("three") / "three.keras"
    save_keras(network, contract, path)
    return path


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory, keras_path: Path, small_drawn: Path
) -> dict[str, Path]:
    """It by two recipes."""
    classes = {name: index for index, name in enumerate(LABELS)}
    sets = Sets(*(read_isic_split(small_drawn, split, classes) for split in ("train", "valid")))
    folder, found = tmp_path_factory.mktemp("labels"), {}
    for recipe in ("float32", "int8"):
        found[recipe] = folder / f"{recipe}.tflite"
        export_model(
            load_keras(keras_path), load_recipe(recipe), found[recipe], sets=sets, limits=NOTHING
        )
    return found


def verified(reference: Path, file: Path, data: Path) -> Verification:
    return verify_model(load_reference(reference), file, data, limits=NOTHING)


def test_decisions_are_compared_with_keras(
    keras_path: Path, files: dict[str, Path], small_drawn: Path
) -> None:
    found = verified(keras_path, files["int8"], small_drawn)
    parity = found.parity
    assert isinstance(parity, LabelScoreParity)
    model = LabelClassifier(files["int8"])
    for place, file in enumerate(parity.files):
        assert (
            dict(zip(LABELS, parity.scores_tflite[place], strict=True))
            == model.classify(file).scores
        )
        assert LABELS[parity.labels[place]] == Path(file).parent.name
    assert len(np.unique(parity.decisions_keras)) > 1
    assert np.abs(parity.scores_tflite - parity.scores_keras).max() < 0.2
    body = found.to_json()
    assert body["task"] == "multiclass_classification"
    assert body["candidate"]["threshold"] is None
    assert [group["n"] for group in body["groups"]["class"]] == [6, 8, 4]
    assert "decisions  " in "\n".join(verification_lines(found))


def test_a_release_and_recorded_scores_are_references(
    keras_path: Path, files: dict[str, Path], small_drawn: Path, tmp_path: Path
) -> None:
    float32, int8 = files["float32"], files["int8"]
    wanted = verified(float32, int8, small_drawn)
    results = tmp_path / "results.jsonl"
    paths = sorted((small_drawn / "valid").glob("*/*"))
    lines = [json.dumps(r.to_json()) for r in LabelClassifier(float32).classify_many(paths)]
    results.write_text("\n".join(lines))
    assert verified(results, int8, small_drawn).parity.to_json() == wanted.parity.to_json()
    saved = tmp_path / "saved.jsonl"
    saved.write_text("\n".join(reference_lines(wanted)))
    again = verified(saved, int8, small_drawn)
    assert again.parity.to_json() == wanted.parity.to_json()
    assert again.to_json()["same_network"] is True


def test_recorded_scores_of_other_labels_are_refused(
    files: dict[str, Path], small_drawn: Path, tmp_path: Path
) -> None:
    path = tmp_path / "other.jsonl"
    scores = {"nevus": 0.5, "melanoma": 0.3, "wart": 0.2}
    line = {"schema": "lesionlite.recorded/1", "pixels_sha256": "0" * 64, "scores": scores}
    path.write_text(json.dumps(line))
    with pytest.raises(UnusableInput, match="its label map is not that of"):
        verified(path, files["float32"], small_drawn)


def with_thresholds(source: Path, target: Path, at: float) -> Path:
    """The file with a contract by which each label needs the score ``at``."""
    flatbuffer, members = split_members(source.read_bytes())
    contract = LabelsContract.from_bytes(members[CONTRACT_MEMBER])
    new = replace(contract, threshold=LabelThresholds(dict.fromkeys(LABELS, at), "by hand"))
    target.write_bytes(append_members(flatbuffer, {CONTRACT_MEMBER: new.to_bytes()}))
    return target


@pytest.fixture
def low(files: dict[str, Path], tmp_path: Path) -> Path:
    return with_thresholds(files["float32"], tmp_path / "low.tflite", 0.1)


@pytest.fixture
def high(files: dict[str, Path], tmp_path: Path) -> Path:
    return with_thresholds(files["float32"], tmp_path / "high.tflite", 0.6)


def decisions(file: Path, data: Path) -> list[str | None]:
    paths = sorted((data / "valid").glob("*/*"))
    return [LabelClassifier(file).classify(path).decision for path in paths]


def test_two_releases_decide_by_their_own_thresholds(
    low: Path, high: Path, small_drawn: Path
) -> None:
    found = verified(low, high, small_drawn)
    parity = found.parity
    assert isinstance(parity, LabelScoreParity)
    assert not parity.largest_errors.any()
    pair = zip(decisions(low, small_drawn), decisions(high, small_drawn), strict=True)
    wanted = [one != other for one, other in pair]
    assert any(wanted)
    assert parity.flipped.tolist() == wanted
    texts = [", ".join(f"{name} {at:.4f}" for name in sorted(LABELS)) for at in (0.1, 0.6)]
    assert found.warnings[0] == (
        f"{low} decides by thresholds ({texts[0]}) and {high} by thresholds ({texts[1]}): a flip "
        "is a difference of their own decisions"
    )
    lines = list(verification_lines(found))
    assert "origin     the same model, with another contract" in lines
    assert found.to_json()["reference"]["thresholds"] == dict.fromkeys(LABELS, 0.1)
    same = verified(low, low, small_drawn)
    assert not same.parity.flipped.any()  # type: ignore[union-attr]
    assert "origin     the same file" in list(verification_lines(same))
    assert "their own decisions" not in " ".join(same.warnings)


def test_highest_scores_against_thresholds_are_a_difference_too(
    files: dict[str, Path], high: Path, small_drawn: Path
) -> None:
    found = verified(files["float32"], high, small_drawn)
    assert found.parity.flipped.any()  # type: ignore[union-attr]
    assert f"{files['float32']} decides by the highest score and {high} by thr" in found.warnings[0]


def test_a_keras_model_decides_by_the_thresholds_of_its_own_file(
    keras_path: Path, high: Path, small_drawn: Path
) -> None:
    found = verified(keras_path, high, small_drawn)
    parity = found.parity
    assert isinstance(parity, LabelScoreParity)
    assert (parity.decisions_keras == -1).any()
    assert "their own decisions" not in " ".join(found.warnings)


def test_recorded_decisions_are_those_that_were_made(
    low: Path, high: Path, small_drawn: Path, tmp_path: Path
) -> None:
    """By `classify --json`, and by --save-reference."""
    wanted = verified(low, high, small_drawn)
    results, saved = tmp_path / "results.jsonl", tmp_path / "saved.jsonl"
    paths = sorted((small_drawn / "valid").glob("*/*"))
    lines = [json.dumps(r.to_json()) for r in LabelClassifier(low).classify_many(paths)]
    results.write_text("\n".join(lines))
    saved.write_text("\n".join(reference_lines(wanted)))
    count = wanted.to_json()["flips"]["count"]
    for path in (results, saved):
        found = verified(path, high, small_drawn)
        assert found.parity.to_json() == wanted.parity.to_json()
        assert (
            f"{path} has {count} decisions that {high} would not make of the recorded scores: a "
            "flip is a difference of their own decisions"
        ) in found.warnings
        assert "origin     the same model" in list(verification_lines(found))
    # Without a decision the file's own thresholds say what it would be.
    bare = [{**json.loads(line), "decision": "gone"} for line in lines]
    for line in bare:
        del line["decision"]
    results.write_text("\n".join(map(json.dumps, bare)))
    assert not verified(results, high, small_drawn).parity.flipped.any()  # type: ignore[union-attr]
