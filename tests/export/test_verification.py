"""Both models on the same inputs: what is compared, and what cannot be."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlite_export.comparison import compare_regressions
from lesionlite_export.keras_model import KerasModel, load_keras, save_keras
from lesionlite_export.manifest import LabelledImage, Manifest, read_isic_split
from lesionlite_export.parity import ScoreParity, ValueParity
from lesionlite_export.progress import Silent
from lesionlite_export.publish import Exported, export_model
from lesionlite_export.recipe import load_recipe
from lesionlite_export.sets import Sets
from lesionlite_export.verification import prepare_all, verify_model
from lesionlite_export.verification_rendering import verification_lines
from lesionlite_runtime import Classifier
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.regressor import Regressor

pytestmark = pytest.mark.tensorflow
NO_AUC: dict[str, float | None] = {"auc_difference": None}


def test_verifying_repeats_the_proof_of_the_export(
    tiny_model: KerasModel, tiny_exported: Exported, small_drawn: Path
) -> None:
    verified = verify_model(tiny_model, tiny_exported.path, small_drawn, limits=NO_AUC)
    assert isinstance(verified.parity, ScoreParity)
    assert isinstance(tiny_exported.parity, ScoreParity)
    assert verified.parity.to_json() == tiny_exported.parity.to_json()
    assert verified
    assert verified.complete
    assert [warning.partition(":")[0] for warning in verified.warnings] == [
        "18 images are few",
        "only 6 images have the label 1",
    ]
    assert (verified.reference.kind, verified.candidate.kind) == ("keras", "tflite")
    assert verified.candidate.recipe == "int8"
    assert not verify_model(
        tiny_model, tiny_exported.path, small_drawn, limits={"max_score_error": 0.0}
    )


def test_scores_belong_to_their_images(
    tiny_model: KerasModel, tiny_exported: Exported, small_sets: Sets
) -> None:
    assert small_sets.proof is not None
    source = small_sets.proof.folder.parent
    parity = verify_model(tiny_model, tiny_exported.path, source).parity
    assert isinstance(parity, ScoreParity)
    classifier = Classifier(tiny_exported.path)
    assert parity.n == len(small_sets.proof.images)
    for number, image in enumerate(small_sets.proof.images):
        assert parity.files[number] == str(image.path)
        assert parity.labels[number] == image.label
        assert parity.score_tflite[number] == classifier.classify(image.path).score
    assert parity.threshold == classifier.threshold
    assert parity.score_keras == pytest.approx(parity.score_tflite, abs=0.2)
    assert np.corrcoef(parity.score_keras, parity.score_tflite)[0, 1] > 0.98


def another_network(
    make: Callable[..., Any], contract: ClassifierContract, path: Path
) -> KerasModel:
    save_keras(make(seed=7), contract, path)
    return load_keras(path)


def test_another_network_is_compared_with_a_warning(
    tiny_model: KerasModel,
    tiny_exported: Exported,
    small_drawn: Path,
    network_maker: Callable[..., Any],
    tmp_path: Path,
) -> None:
    assert isinstance(tiny_model.contract, ClassifierContract)
    other = another_network(network_maker, tiny_model.contract, tmp_path / "other.keras")
    verified = verify_model(other, tiny_exported.path, small_drawn)
    origins = [model.contract.provenance.network_sha256[:12] for model in (tiny_model, other)]
    assert verified.warnings[0] == (
        f"{tiny_exported.path} was made from another network ({origins[0]}) than {other.path} "
        f"({origins[1]}): this compares two models"
    )
    assert next(verification_lines(verified)).startswith("reference ")
    assert verified.to_json()["same_network"] is False
    assert isinstance(verified.parity, ScoreParity)
    assert np.abs(verified.parity.errors).max() > 0.1


def test_models_that_want_other_pixels_or_classes_are_not_compared(
    tiny_model: KerasModel,
    tiny_exported: Exported,
    small_drawn: Path,
    network_maker: Callable[..., Any],
    tmp_path: Path,
) -> None:
    contract = tiny_model.contract
    assert isinstance(contract, ClassifierContract)
    resized = replace(contract, input=replace(contract.input, resize="tf-bilinear-v1"))
    classes = {"melanoma": 1, "nevus": 0, "wart": 0}
    relabelled = replace(contract, output=replace(contract.output, classes=classes))
    for number, (altered, words) in enumerate(
        [
            (resized, "it wants other pixels than"),
            (relabelled, "its label map is not that of"),
        ]
    ):
        other = another_network(network_maker, altered, tmp_path / f"{number}.keras")
        with pytest.raises(UnusableInput, match=words) as caught:
            verify_model(other, tiny_exported.path, small_drawn)
        assert str(caught.value).startswith(f"{tiny_exported.path}: ")


def test_a_classifier_is_not_compared_with_a_line(
    tiny_model: KerasModel,
    tiny_exported: Exported,
    line_path: Path,
    small_drawn: Path,
    tmp_path: Path,
) -> None:
    line = load_keras(line_path)
    with pytest.raises(UnusableInput, match=r"binary_classification, and .*one for regr"):
        verify_model(line, tiny_exported.path, small_drawn)
    export_model(line, load_recipe("float32"), tmp_path / "line.tflite")
    with pytest.raises(UnusableInput, match=r"regression, and .*one for binary_classification"):
        verify_model(tiny_model, tmp_path / "line.tflite", None)


def test_a_classifier_needs_images(tiny_model: KerasModel, tiny_exported: Exported) -> None:
    with pytest.raises(UsageError, match="there are no images to compare the models on"):
        verify_model(tiny_model, tiny_exported.path, None)


def test_unreadable_images_are_left_out_by_name(
    tiny_model: KerasModel, tiny_exported: Exported, small_drawn: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "drawn"
    shutil.copytree(small_drawn, folder)
    bad = folder / "valid" / "melanoma" / "bad.jpg"
    bad.write_bytes(b"no image")
    verified = verify_model(tiny_model, tiny_exported.path, folder)
    assert [item.image.path for item in verified.unusable] == [bad]
    assert isinstance(verified.parity, ScoreParity)
    assert verified.parity.n == 18
    assert str(bad) not in verified.parity.files


def test_one_label_alone_is_compared_with_a_warning_and_proves_no_export(
    tiny_model: KerasModel, tiny_exported: Exported, small_drawn: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "drawn"
    shutil.copytree(small_drawn, folder)
    for path in (folder / "valid" / "melanoma").iterdir():
        path.write_bytes(b"no image")
    sets = Sets(read_isic_split(folder, "train"), read_isic_split(folder, "valid"))
    with pytest.raises(UnusableInput, match="all 12 images have the label 0"):
        export_model(tiny_model, load_recipe("int8"), tmp_path / "m.tflite", sets=sets)
    verified = verify_model(tiny_model, tiny_exported.path, folder)
    assert "all 12 images have the label 0: nothing is said of any other" in verified.warnings
    assert len(verified.unusable) == 6
    assert verified.to_json()["auc_difference"] is None


def test_an_altered_file_is_not_run(
    tiny_model: KerasModel, tiny_exported: Exported, small_drawn: Path, tmp_path: Path
) -> None:
    data = bytearray(tiny_exported.path.read_bytes())
    data[2000] ^= 1
    path = tmp_path / "m.tflite"
    path.write_bytes(data)
    with pytest.raises(UnusableInput, match="do not have the digest that its contract states"):
        verify_model(tiny_model, path, small_drawn)


def test_a_line_is_compared_over_its_whole_range(line_path: Path, tmp_path: Path) -> None:
    line = load_keras(line_path)
    out = tmp_path / "line.tflite"
    export_model(line, load_recipe("float32"), out)
    parity = compare_regressions(line, Regressor(out), points=5)
    assert parity.x.tolist() == [-20.0, -10.0, 0.0, 10.0, 20.0]
    assert parity.y_keras == pytest.approx([-41.0, -21.0, -1.0, 19.0, 39.0])
    assert parity.y_tflite == pytest.approx(parity.y_keras, abs=1e-5)
    verified = verify_model(line, out, None)
    assert isinstance(verified.parity, ValueParity)
    assert len(verified.parity.x) == 1001


def test_no_usable_image_is_an_unusable_set(
    classifier_contract_maker: Callable[..., ClassifierContract], tmp_path: Path
) -> None:
    images = (LabelledImage(tmp_path / "no.jpg", 1, ""),)
    image_input = classifier_contract_maker().input
    with pytest.raises(UnusableInput, match=r"^list.csv: none of its 1 images can be used \(.*no"):
        prepare_all(Manifest("list.csv", images), image_input, "", Silent())


@pytest.mark.data
def test_the_shipped_file_decides_like_its_keras_on_real_photos(
    lesion_model: KerasModel, shipped_model: Path, data_dir: Path
) -> None:
    """The gate's own limits, on the 148 proof images less the leaks."""
    verified = verify_model(lesion_model, shipped_model, data_dir / "isic2017")
    assert verified.warnings == verified.unusable == ()
    assert verified, verified.verdict.failures
    parity = verified.parity
    assert isinstance(parity, ScoreParity)
    assert (parity.n, parity.positives) == (148, 30)
    assert isinstance(lesion_model.contract, ClassifierContract)
    contract = Classifier(shipped_model).contract
    assert contract.threshold == lesion_model.contract.threshold
    assert contract.parity is not None
    # Kernels differ between processors, and with them int8 scores by a few hundredths.
    assert parity.measures()["mean_score_error"] == pytest.approx(
        contract.parity.mean_score_error, abs=0.005
    )
    assert abs(int(parity.flipped.sum()) - contract.parity.flips) <= 3
