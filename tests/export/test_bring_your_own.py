"""Other people's models from the command line to the device: exported, proved, verified, run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.export.brought import SEVEN, SIDE, draft_of, fitted, seven_draft, tinted
from tests.export.test_brought_tflite import converted
from tests.runtime.drafts import regression_draft

from lesionlite_export.drawn import write_drawn_dataset
from lesionlite_export.keras_model import network_sha256
from lesionlite_export.saved_model import saved_model_sha256
from lesionlite_runtime.cli import main
from lesionlite_runtime.container import read_contract
from lesionlite_runtime.contract import ClassifierContract, LabelsContract
from lesionlite_runtime.draft import AnyDraft
from lesionlite_runtime.label_classifier import LabelClassifier, open_classifier
from lesionlite_runtime.pixels import image_tensor

pytestmark = pytest.mark.tensorflow
Outcome = tuple[int, str, str]
Run = Callable[..., Outcome]
Pixels = NDArray[np.uint8]
COUNTS = {"melanoma": 12, "nevus": 12, "seborrheic_keratosis": 6}
# Few drawings, at the edge of what the fitted head tells apart: one may flip.
LIMITS = "auc_difference=none,flip_rate=0.1,newly_missed_rate=0.2"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line: (exit code, stdout, stderr)."""

    def call(*arguments: object) -> Outcome:
        code = main([str(argument) for argument in arguments])
        return (code, *capsys.readouterr())

    return call


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawings of two labels in the ISIC layout."""
    folder = tmp_path_factory.mktemp("two") / "drawn"
    write_drawn_dataset(folder, train=COUNTS, valid=COUNTS, seed=6, size=(64, 64))
    return folder


@pytest.fixture(scope="module")
def tints(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """Some of the drawings in seven tints, a class each, in the ISIC layout."""
    folder = tmp_path_factory.mktemp("seven")
    for split in ("train", "valid"):
        photos = sorted((data / split).rglob("*.jpg"))[::5]
        copies, labels = tinted(np.stack([image_tensor(photo, 64, 64) for photo in photos]))
        for number, (pixels, label) in enumerate(zip(copies, labels, strict=True)):
            place = folder / split / SEVEN[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place / f"{split}{number}.png")
    return folder


def tensors(folder: Path, classes: dict[str, int]) -> tuple[Pixels, list[int]]:
    """The train images as the network's input, and their labels."""
    files = [(path, classes[path.parent.name]) for path in sorted((folder / "train").rglob("*.*g"))]
    return np.stack([image_tensor(path, SIDE, SIDE) for path, _ in files]), [i for _, i in files]


@pytest.fixture(scope="module")
def core(data: Path) -> Any:
    """A network of one sigmoid on -1 to 1."""
    labels = {"melanoma": 1, "nevus": 0, "seborrheic_keratosis": 0}
    return fitted(*tensors(data, labels), low=-1, high=1)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory, core: Any) -> Path:
    """It as a ``.keras`` without a contract."""
    path = tmp_path_factory.mktemp("theirs") / "theirs.keras"
    core.save(path)
    return path


def written(draft: AnyDraft, folder: Path) -> Path:
    path = folder / "contract.json"
    path.write_bytes(draft.to_bytes())
    return path


RANGE = {"low": -1.0, "high": 1.0}


def test_a_keras_file_is_exported_run_and_verified(
    run: Run, theirs: Path, core: Any, data: Path, tmp_path: Path
) -> None:
    contract, out = written(draft_of(**RANGE), tmp_path), tmp_path / "m.tflite"
    line = ("export", theirs, "--contract", contract, "--recipe", "int8", "--data", data)
    code, text, err = run(*line, "--out", out, "--limits", LIMITS)
    assert (code, "published" in text) == (0, True), err
    assert "draft" not in err
    found = read_contract(out)
    assert isinstance(found, ClassifierContract)
    assert found.provenance.network_sha256 == network_sha256(core)
    assert (found.input.name, found.input.dtype, found.input.range) == ("image", "uint8", None)
    assert (found.output.name, found.output.dtype) == ("score", "float32")
    assert found.parity is not None
    assert found.parity.n == sum(COUNTS.values())
    classifier = open_classifier(out)
    errors = []
    for photo in sorted((data / "valid").rglob("*.jpg")):
        x = image_tensor(photo, SIDE, SIDE)[np.newaxis] / np.float32(127.5) - 1
        result = classifier.classify(photo)
        errors.append(abs(float(core(x)[0, 0]) - result.score))  # type: ignore[union-attr]
        assert result.findings == ()
    assert np.mean(errors) < 0.03
    code, text, err = run("verify", theirs, out, "--data", data, "--limits", LIMITS)
    assert (code, "proof      passed" in text) == (0, True)
    assert "made from another network" not in err
    other = tmp_path / "other.keras"
    fitted(*tensors(data, {name: 0 if name == "nevus" else 1 for name in COUNTS})).save(other)
    code, _, err = run("verify", other, out, "--data", data, "--limits", LIMITS)
    assert code == 3
    assert "was made from another network" in err


def test_a_wrong_range_leaves_nothing_unless_it_is_trusted(
    run: Run, theirs: Path, data: Path, tmp_path: Path
) -> None:
    contract, out = written(draft_of(low=0, high=255), tmp_path), tmp_path / "m.tflite"
    line = ("export", theirs, "--contract", contract, "--recipe", "float32", "--data", data)
    code, text, err = run(*line, "--out", out)
    assert (code, text) == (5, "")
    assert "the pixels are not those that its first batch norm was trained on" in err
    assert "as -1 to 1; correct the draft, or pass --trust-contract" in err
    assert list(tmp_path.iterdir()) == [contract]
    code, _, err = run(*line, "--out", out, "--trust-contract")
    assert code == 0
    assert "the pixels are not those" in err
    assert out.exists()


def test_a_saved_model_of_seven_labels(run: Run, tints: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "theirs", tmp_path / "m.tflite"
    pixels, labels = tensors(tints, {name: i for i, name in enumerate(SEVEN)})
    fitted(pixels, labels, units=7, activation="softmax").export(str(folder), verbose=False)
    contract = written(seven_draft(), tmp_path)
    limits = "flip_rate=0.1,accuracy_difference=0.1"
    line = ("export", folder, "--contract", contract, "--data", tints, "--out", out)
    code, text, err = run(*line, "--limits", limits, "--json")
    assert code == 0, err
    assert json.loads(text)["proof"]["tflite"]["accuracy"]["value"] > 0.8
    found = read_contract(out)
    assert isinstance(found, LabelsContract)
    assert found.provenance.network_sha256 == saved_model_sha256(folder)
    assert found.provenance.calibration is not None
    assert sum(found.provenance.calibration["labels"].values()) == len(labels)
    classifier = open_classifier(out)
    assert isinstance(classifier, LabelClassifier)
    photos = sorted((tints / "valid").rglob("*.png"))
    right = [classifier.classify(photo).decision == photo.parent.name for photo in photos]
    assert np.mean(right) > 0.8
    code, text, _ = run("verify", folder, out, "--data", tints, "--limits", limits)
    assert (code, "of 7 labels" in text) == (0, True)
    code, _, err = run(*line, "--force", "--label", "plain=7")
    assert code == 2
    assert "the class plain has the label 7, not 0 to 6" in err


def test_a_tflite_gets_a_contract_and_is_compared_with_its_origin(
    run: Run, theirs: Path, core: Any, data: Path, tmp_path: Path
) -> None:
    """Its batch is open, and it takes float pixels of -1 to 1."""
    contract, given = written(draft_of(**RANGE), tmp_path), tmp_path / "theirs.tflite"
    given.write_bytes(converted(core))
    out = tmp_path / "attached.tflite"
    assert run("contract", "attach", given, "--contract", contract, "--out", out)[0] == 0
    code, text, err = run("verify", theirs, out, "--data", data, "--limits", "max_score_error=1e-4")
    assert (code, "0 of 30 flipped" in text) == (0, True), err
    assert f"{out} was made by another converter, and does not say from what" in err
    assert "not known: the file does not say from what network it was made" in text
    assert f"{out}, model {read_contract(out).model_id}, no recipe" in text
    code, _, err = run("verify", given, out, "--data", data, "--limits", "max_score_error=1e-5")
    assert (code, "another" in err) == (0, False)
    made = tmp_path / "int8.tflite"
    line = ("export", given, "--contract", contract, "--data", data, "--limits", LIMITS)
    code, _, err = run(*line, "--out", made)
    assert code == 0, err
    parity = read_contract(made).parity
    assert parity is not None
    assert parity.reference is not None
    assert run("verify", given, made, "--data", data, "--limits", LIMITS)[0] == 0
    assert run("verify", theirs, made, "--data", data, "--limits", LIMITS)[0] == 0
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    line = ("export", given, "--contract", written(draft_of(high=255), wrong), "--data", data)
    code, _, err = run(*line, "--out", wrong / "m.tflite", "--recipe", "float32")
    assert code == 5
    assert "of each other as 0 to 255; as " in err
    assert "they tell the labels apart" in err


def test_an_hdf5_file(run: Run, core: Any, data: Path, tmp_path: Path) -> None:
    given, out = tmp_path / "theirs.h5", tmp_path / "m.tflite"
    core.save(given)
    contract = written(draft_of(**RANGE), tmp_path)
    line = ("export", given, "--contract", contract, "--recipe", "float16", "--data", data)
    assert run(*line, "--out", out, "--limits", LIMITS)[0] == 0
    assert run("verify", given, out, "--data", data, "--limits", LIMITS)[0] == 0


def test_a_regression_in_every_form(run: Run, tmp_path: Path) -> None:
    import keras

    x = keras.Input((1,))
    line = keras.Model(x, keras.layers.Dense(1)(x))
    line.layers[-1].set_weights([np.array([[2.0]]), np.array([-1.0])])
    line.save(tmp_path / "line.keras")
    line.export(str(tmp_path / "line"), verbose=False)
    (tmp_path / "line.tflite").write_bytes(converted(line))
    contract = tmp_path / "contract.json"
    contract.write_text(json.dumps(regression_draft()))
    for name in ("line.keras", "line", "line.tflite"):
        out = tmp_path / "m.tflite"
        command = ("export", tmp_path / name, "--contract", contract, "--out", out, "--force")
        assert run(*command)[0] == 0
        code, text, _ = run("predict", out, "10", "--json")
        assert (code, json.loads(text)["y"]) == (0, pytest.approx(19, abs=0.3))
        assert run("verify", tmp_path / name, out)[0] == 0


def test_code_is_not_run_unasked(run: Run, core: Any, data: Path, tmp_path: Path) -> None:
    import keras

    image = keras.Input((SIDE, SIDE, 3))
    network = keras.Model(image, core(keras.layers.Lambda(lambda x: x * 1.0)(image)))
    given, out = tmp_path / "theirs.keras", tmp_path / "m.tflite"
    network.save(given)
    contract = written(draft_of(**RANGE), tmp_path)
    line = ("export", given, "--contract", contract, "--recipe", "float32", "--data", data)
    code, _, err = run(*line, "--out", out)
    assert code == 5
    assert "holds code of its maker's (a Lambda layer)" in err
    assert run(*line, "--out", out, "--allow-code")[0] == 0
    assert run("verify", given, out, "--data", data)[0] == 5
    assert run("verify", given, out, "--data", data, "--allow-code")[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "low", "settings"),
    [
        ("MobileNetV2", -1, {"alpha": 0.35}),
        ("MobileNetV3Small", 0, {"alpha": 0.75}),
    ],
)
def test_networks_of_keras_applications(
    run: Run, data: Path, tmp_path: Path, name: str, low: int, settings: dict[str, Any]
) -> None:
    """The plumbing: random weights, batch norm settled and a head fitted to the drawings."""
    import keras

    def features(shape: tuple[int, ...]) -> Any:
        application = getattr(keras.applications, name)
        return application(
            input_shape=shape, weights=None, include_top=False, pooling="avg", **settings
        )

    high = 1 if low < 0 else 255
    labels = {"melanoma": 1, "nevus": 0, "seborrheic_keratosis": 0}
    network = fitted(*tensors(data, labels), low=low, high=high, features_of=features)
    given, contract = tmp_path / "theirs.keras", tmp_path / "contract.json"
    network.save(given)
    out = tmp_path / "float32.tflite"
    options = ["--size", SIDE, SIDE, "--value-range", low, high, "--resize", "pillow-bilinear-v1"]
    options = options[3:] if low < 0 else options  # the file says the side
    options += ["--labels", "benign,malignant", "--threshold", 0.5, "--rule", "by convention"]
    options += ["--classes", "melanoma=malignant,nevus=benign,seborrheic_keratosis=benign"]
    assert run("contract", "init", given, "--out", contract, *options)[0] == 0
    line = ("export", given, "--contract", contract, "--data", data)
    code, _, err = run(
        *line, "--recipe", "float32", "--out", out, "--limits", "max_score_error=1e-4"
    )
    assert code == 0, err
    assert run("verify", given, out, "--data", data, "--limits", "max_score_error=1e-4")[0] == 0
    code, _, err = run(*line, "--out", tmp_path / "int8.tflite", "--no-proof")
    assert code == 0, err
