"""A file verified without Keras: against a release before it, and against recorded scores."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlite_export.keras_model import KerasModel
from lesionlite_export.parity import ScoreParity
from lesionlite_export.publish import Exported, export_model
from lesionlite_export.recipe import load_recipe
from lesionlite_export.recorded_reading import read_recorded
from lesionlite_export.recorded_writing import reference_lines
from lesionlite_export.reference import load_reference
from lesionlite_export.sets import Sets
from lesionlite_export.verification import verify_model
from lesionlite_export.verification_result import Verification
from lesionlite_runtime.classifier import Classifier
from lesionlite_runtime.container import append_members, split_members
from lesionlite_runtime.contract import CONTRACT_MEMBER, ClassifierContract
from lesionlite_runtime.contract_fields import SiteThreshold
from lesionlite_runtime.errors import ProofFailed, UnusableInput, UsageError

pytestmark = pytest.mark.tensorflow
NO_AUC: dict[str, float | None] = {"auc_difference": None}
FULL: dict[str, float | None] = {**NO_AUC, "flip_rate": None, "newly_missed_rate": None}


@pytest.fixture(scope="module")
def full(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: KerasModel, small_sets: Sets
) -> Path:
    """The tiny classifier as int8-full: integers out."""
    out = tmp_path_factory.mktemp("full") / "full.tflite"
    limits = {**FULL, "mean_score_error": None}
    return export_model(
        tiny_model, load_recipe("int8-full"), out, sets=small_sets, limits=limits
    ).path


def altered(source: Path, target: Path, **changes: Any) -> Path:
    """The file with another contract."""
    flatbuffer, members = split_members(source.read_bytes())
    contract = ClassifierContract.from_bytes(members[CONTRACT_MEMBER])
    new = replace(contract, **changes)
    target.write_bytes(append_members(flatbuffer, {CONTRACT_MEMBER: new.to_bytes()}))
    return target


def compared(reference: Path, file: Path, data: Path, **other: Any) -> Verification:
    return verify_model(load_reference(reference), file, data, limits=FULL, **other)


def test_a_release_is_compared_with_the_one_before_whatever_the_recipes(
    tiny_exported: Exported, full: Path, small_drawn: Path
) -> None:
    verified = compared(full, tiny_exported.path, small_drawn)
    parity = verified.parity
    assert isinstance(parity, ScoreParity)
    assert (verified.reference.kind, verified.reference.recipe) == ("tflite", "int8-full")
    assert verified.to_json()["same_network"] is True
    before, after = Classifier(full), Classifier(tiny_exported.path)
    for number, file in enumerate(parity.files):
        assert parity.score_keras[number] == before.classify(file).score
        assert parity.score_tflite[number] == after.classify(file).score
    assert np.all(parity.score_keras * 256 == np.rint(parity.score_keras * 256))
    turned = compared(tiny_exported.path, full, small_drawn)
    assert isinstance(turned.parity, ScoreParity)
    assert turned.parity.errors.tolist() == (-parity.errors).tolist()
    levels = turned.to_json()["levels"]
    assert levels["count"] == 256
    assert verified.to_json()["levels"] is None
    threshold = before.contract.threshold
    assert threshold.quantized is not None
    assert levels["threshold"] == pytest.approx(threshold.quantized * levels["step"])


def test_a_file_does_not_differ_from_itself(tiny_exported: Exported, small_drawn: Path) -> None:
    verified = compared(tiny_exported.path, tiny_exported.path, small_drawn)
    assert verified
    assert isinstance(verified.parity, ScoreParity)
    assert not verified.parity.errors.any()


def test_two_releases_decide_by_their_own_thresholds(
    tiny_exported: Exported, small_drawn: Path, tmp_path: Path
) -> None:
    contract = tiny_exported.contract
    assert isinstance(contract, ClassifierContract)
    low = SiteThreshold(0.0, "everyone is seen")
    before = altered(tiny_exported.path, tmp_path / "before.tflite", site_threshold=low)
    verified = compared(before, tiny_exported.path, small_drawn)
    parity = verified.parity
    assert isinstance(parity, ScoreParity)
    assert not parity.errors.any()
    assert (parity.threshold_keras, parity.threshold) == (0.0, contract.threshold.value)
    assert parity.refers_keras.all()
    assert parity.flipped.tolist() == (~parity.refers_tflite).tolist()
    assert verified.warnings[0] == (
        f"{before} decides at 0.0000 and {tiny_exported.path} at {contract.threshold.value:.4f}: "
        "a flip is a difference of their own decisions"
    )


def test_a_keras_model_decides_by_the_threshold_of_its_own_file(
    tiny_model: KerasModel, tiny_exported: Exported, small_drawn: Path, tmp_path: Path
) -> None:
    site = SiteThreshold(0.9, "few are seen")
    file = altered(tiny_exported.path, tmp_path / "site.tflite", site_threshold=site)
    parity = verify_model(tiny_model, file, small_drawn, limits=FULL).parity
    assert isinstance(parity, ScoreParity)
    assert parity.threshold == parity.threshold_keras == 0.9


@pytest.fixture(scope="module")
def saved(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_model: KerasModel,
    tiny_exported: Exported,
    small_drawn: Path,
) -> Path:
    """The Keras scores of the proof images, as `--save-reference` writes them."""
    verified = verify_model(tiny_model, tiny_exported.path, small_drawn, limits=FULL)
    path = tmp_path_factory.mktemp("saved") / "keras.jsonl"
    path.write_text("".join(f"{line}\n" for line in reference_lines(verified)))
    return path


def test_saved_scores_stand_for_the_keras_model(
    tiny_model: KerasModel, tiny_exported: Exported, small_drawn: Path, saved: Path
) -> None:
    wanted = verify_model(tiny_model, tiny_exported.path, small_drawn, limits=FULL)
    found = compared(saved, tiny_exported.path, small_drawn)
    assert found.parity.to_json() == wanted.parity.to_json()
    assert found.complete
    assert (found.reference.kind, found.reference.file) == ("recorded", str(saved))
    network = tiny_model.contract.provenance.network_sha256
    assert found.reference.network_sha256 == network
    assert found.to_json()["same_network"] is True


def test_the_scores_are_saved_although_an_image_has_gone(
    tiny_exported: Exported, small_drawn: Path, saved: Path, tmp_path: Path
) -> None:
    """Its digest is that of the bytes that were scored."""
    folder = tmp_path / "drawn"
    shutil.copytree(small_drawn, folder)
    verified = compared(saved, tiny_exported.path, folder)
    shutil.rmtree(folder)
    lines = [json.loads(line) for line in reference_lines(verified)]
    assert lines == [json.loads(line) for line in saved.read_text().splitlines()]


def results_of(file: Path, data: Path) -> Iterator[dict[str, Any]]:
    """What `lesionlite classify --json` writes of the proof images."""
    paths = sorted((data / "valid").glob("*/*"))
    yield from (result.to_json() for result in Classifier(file).classify_many(paths))


def test_results_of_classify_stand_for_the_file_that_gave_them(
    tiny_exported: Exported, full: Path, small_drawn: Path, tmp_path: Path
) -> None:
    path = tmp_path / "device.jsonl"
    lines = [json.dumps(one) for one in results_of(full, small_drawn)]
    path.write_text("\n".join(lines))
    found = compared(path, tiny_exported.path, small_drawn)
    wanted = compared(full, tiny_exported.path, small_drawn)
    assert found.parity.to_json() == wanted.parity.to_json()
    assert found.to_json()["same_network"] is None
    same = compared(path, full, small_drawn)
    assert isinstance(same.parity, ScoreParity)
    assert not same.parity.errors.any()
    assert same.to_json()["same_network"] is True


def test_what_only_one_side_has_is_left_out_by_name(
    tiny_exported: Exported, full: Path, small_drawn: Path, tmp_path: Path
) -> None:
    lines = list(results_of(full, small_drawn))
    gone, failed = lines.pop(3), lines.pop(4)
    failed["error"] = {"code": "unusable_input", "message": "it was too dark"}
    for key in ("sha256", "score"):
        del failed[key]
    path = tmp_path / "device.jsonl"
    path.write_text("\n".join(map(json.dumps, [*lines, failed, "torn"]))[:-3])
    found = compared(path, tiny_exported.path, small_drawn)
    assert isinstance(found.parity, ScoreParity)
    assert found.parity.n == 16
    assert not found.complete
    assert found.unscored == 0
    assert {item.image.path for item in found.unusable} == {
        Path(gone["file"]),
        Path(failed["file"]),
    }
    (reason,) = (str(i.error) for i in found.unusable if i.image.path == Path(failed["file"]))
    assert "failed: it was too dark" in reason
    assert [str(fault) for fault in found.faults] == [
        f"{path}: line 18: it was cut off; record the scores anew with `lesionlite classify "
        "--json` or `verify --save-reference`"
    ]


def test_scores_of_other_images_are_no_reference(
    tiny_exported: Exported, small_drawn: Path, tmp_path: Path
) -> None:
    path = tmp_path / "other.jsonl"
    line = {"schema": "lesionlite.recorded/1", "pixels_sha256": "0" * 64, "score": 0.5}
    path.write_text(json.dumps(line))
    with pytest.raises(UnusableInput, match=f"there is no score of it in {path}"):
        compared(path, tiny_exported.path, small_drawn)


def test_recorded_scores_of_other_labels_or_tasks_are_refused(
    tiny_exported: Exported, line_path: Path, small_drawn: Path, tmp_path: Path
) -> None:
    path = tmp_path / "other.jsonl"
    line = {"schema": "lesionlite.recorded/1", "pixels_sha256": "0" * 64}
    for extra in ({"scores": {"a": 0.5, "b": 0.1, "c": 0.4}}, {"score": 0.5, "score_of": "benign"}):
        path.write_text(json.dumps({**line, **extra}))
        with pytest.raises(UnusableInput, match="its label map is not that of"):
            compared(path, tiny_exported.path, small_drawn)
    path.write_text(json.dumps({**line, "score": 0.5}))
    regression = tmp_path / "line.tflite"
    export_model(load_reference(line_path), load_recipe("float32"), regression)  # type: ignore[arg-type]
    with pytest.raises(UnusableInput, match=r"regression, and .*other.jsonl has scores of images"):
        verify_model(read_recorded(path), regression, None)


def test_a_model_is_not_verified_on_images_that_it_has_seen(
    tiny_model: KerasModel, tiny_exported: Exported, small_drawn: Path, tmp_path: Path
) -> None:
    train = tmp_path / "seen"
    train.mkdir()
    (train / "valid").symlink_to(small_drawn / "train")  # `verify` takes the split valid
    with pytest.raises(UsageError) as caught:
        verify_model(tiny_model, tiny_exported.path, train)
    assert "20 of the 20 images are among those of the model's calibration" in str(caught.value)
    assert caught.value.exit_code == 2
    verified = verify_model(
        tiny_model, tiny_exported.path, train, limits=FULL, allow_training_images=True
    )
    seen = verified.to_json()["seen_images"]
    assert (seen["allowed"], seen["calibration"]["count"], seen["training"]["count"]) == (
        True,
        20,
        0,
    )
    assert seen["calibration"]["sources"][0] == str(tiny_exported.path)
    assert verified.warnings[0].startswith("20 images are among those of the model's calibration")


def test_training_images_are_found_by_the_list_that_is_named(
    tiny_model: KerasModel, tiny_exported: Exported, small_drawn: Path, tmp_path: Path
) -> None:
    listed = small_drawn / "trained.csv"
    names = sorted((small_drawn / "valid" / "nevus").iterdir())[:2]
    rows = [f"{name.relative_to(small_drawn)},0" for name in names]
    listed.write_text("\n".join(["filepath,label", *rows]))
    try:
        with pytest.raises(UsageError, match=r"2 of the 18 images are among .* training"):
            verify_model(tiny_model, tiny_exported.path, small_drawn, training=listed)
    finally:
        listed.unlink()
    verified = verify_model(
        tiny_model, tiny_exported.path, small_drawn, limits=FULL, training=small_drawn
    )
    seen = verified.to_json()["seen_images"]
    assert seen["training"] == {"sources": [str(small_drawn)], "count": 0, "files": []}


def test_a_file_that_gives_no_number_for_an_image_fails_the_proof(
    tiny_model: KerasModel,
    tiny_exported: Exported,
    small_drawn: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lesionlite_runtime import image_model

    class Broken:
        """The interpreter, but for the images that ``lost`` says, from 1 on."""

        def __init__(self, *arguments: Any) -> None:
            self._backend = image_model_open(*arguments)
            self._calls = 0

        name = "litert"

        def invoke(self, value: Any) -> Any:
            self._calls += 1
            return self._backend.invoke(value) * (np.nan if self._calls in lost else 1)

    lost: Collection[int] = [3]
    image_model_open = image_model.open_backend
    monkeypatch.setattr(image_model, "open_backend", Broken)
    nothing = dict.fromkeys(("flip_rate", "newly_missed_rate", "mean_score_error"), 1.0)
    limits: dict[str, float | None] = {**nothing, **NO_AUC}
    verified = verify_model(tiny_model, tiny_exported.path, small_drawn, limits=limits)
    assert not verified
    assert isinstance(verified.parity, ScoreParity)
    assert (verified.unscored, verified.parity.n) == (1, 17)
    assert str(verified.verdict.error("m.tflite")) == (
        "m.tflite: the proof failed: the file gives no score for 1 of the images that the "
        "reference scores; choose another recipe"
    )
    (item,) = verified.unusable
    assert "the model gave nan in place of a score" in str(item.error)
    lost = range(1, 19)
    with pytest.raises(ProofFailed) as caught:
        verify_model(tiny_model, tiny_exported.path, small_drawn, limits=limits)
    assert str(caught.value).startswith(
        f"{tiny_exported.path}: the proof failed: the file gives no score for 18 of the images "
        "that the reference scores, and a score for no image (no score by "
    )
    assert caught.value.exit_code == 3
