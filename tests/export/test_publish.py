"""The export line: what is published is proved, and what is not proved leaves nothing behind."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from lesionlite_export.gate import parse_limits
from lesionlite_export.keras_model import KerasModel, keras_outputs, load_keras
from lesionlite_export.manifest import LabelledImage, Manifest, read_isic_split
from lesionlite_export.metadata import read_metadata
from lesionlite_export.metadata_description import LABELS_MEMBER, float32_threshold
from lesionlite_export.parity import ScoreParity, ValueParity
from lesionlite_export.publish import Exported, export_model
from lesionlite_export.recipe import load_recipe, recipe_names
from lesionlite_export.representative import PreparedImage
from lesionlite_export.sets import Sets
from lesionlite_export.tools import tool_versions
from lesionlite_runtime import Classifier
from lesionlite_runtime.container import read_contract, split_members
from lesionlite_runtime.contract import CONTRACT_MEMBER, ClassifierContract, classifier_contract
from lesionlite_runtime.door import open_model
from lesionlite_runtime.errors import MissingHere, ProofFailed, UnusableInput, UsageError
from lesionlite_runtime.pixels import image_tensor, pixels_sha256
from lesionlite_runtime.regressor import Regressor

pytestmark = pytest.mark.tensorflow
T = TypeVar("T")
LINE_RECIPES = [name for name in recipe_names() if "value" in load_recipe(name).operators]
RECIPES = ["float32", "float16", "dynamic", "int8"]
ExportDrawn = Callable[[str], Exported]


class Watcher:
    """A reporter that notes what is begun, and raises ``error`` when ``at`` is."""

    def __init__(self, at: str = "", error: BaseException | None = None) -> None:
        self.begun: list[str] = []
        self._at = at
        self._error = error

    def _begin(self, label: str) -> None:
        self.begun.append(label)
        if self._error is not None and self._at in label:
            raise self._error

    def phase(self, label: str) -> contextlib.AbstractContextManager[None]:
        """Note ``label``."""
        self._begin(label)
        return contextlib.nullcontext()

    def track(self, items: Iterable[T], label: str, total: int) -> Iterator[T]:
        """Note ``label`` with the second of ``items``: in the midst of the work."""
        del total
        for number, item in enumerate(items):
            if number == 1:
                self._begin(label)
            yield item

    def say(self, line: str) -> None:
        """Note ``line``."""
        self.begun.append(line)


# The full network, by every recipe.


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipes_file_has_the_one_interface(export_drawn: ExportDrawn, recipe: str) -> None:
    model = open_model(export_drawn(recipe).path)
    image, score = (
        (name, model.graph.tensors[index])
        for side in (model.graph.inputs, model.graph.outputs)
        for name, index in side.items()
    )
    assert (image[0], image[1].shape, image[1].dtype) == ("image", (1, 224, 224, 3), "uint8")
    assert (score[0], score[1].shape, score[1].dtype) == ("score", (1, 1), "float32")
    assert image[1].scales == score[1].scales == ()


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipes_file_tells_other_clients_its_labels_and_threshold(
    export_drawn: ExportDrawn, recipe: str
) -> None:
    exported = export_drawn(recipe)
    flatbuffer, members = split_members(exported.path.read_bytes())
    assert sorted(members) == [LABELS_MEMBER, CONTRACT_MEMBER]
    assert members[LABELS_MEMBER] == b"malignant\n"
    metadata = read_metadata(flatbuffer)
    assert metadata is not None
    (score,) = metadata["subgraph_metadata"][0]["output_tensor_metadata"]
    (unit,) = score["process_units"]
    contract = classifier_contract(exported.contract)
    threshold = float32_threshold(contract.threshold.value)
    assert unit["options"] == {"global_score_threshold": pytest.approx(threshold, abs=0)}


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipes_file_carries_its_contract(
    export_drawn: ExportDrawn, lesion_model: KerasModel, recipe: str
) -> None:
    exported = export_drawn(recipe)
    contract = read_contract(exported.path)
    origin = lesion_model.contract
    assert isinstance(contract, ClassifierContract)
    assert isinstance(origin, ClassifierContract)
    assert contract == exported.contract
    assert contract.threshold == origin.threshold
    assert (contract.input, contract.output) == (origin.input, origin.output)
    assert contract.provenance.recipe == recipe
    assert contract.provenance.network_sha256 == origin.provenance.network_sha256
    assert contract.provenance.training == origin.provenance.training
    assert contract.provenance.tools.items() >= tool_versions().items()
    assert (contract.provenance.calibration is not None) == (recipe == "int8")
    flatbuffer, members = split_members(exported.path.read_bytes())
    assert CONTRACT_MEMBER in members
    assert contract.flatbuffer_bytes == len(flatbuffer)
    assert exported.bytes == exported.path.stat().st_size


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_device_scores_what_the_proof_says(
    export_drawn: ExportDrawn, drawn_proof: list[PreparedImage], recipe: str
) -> None:
    exported = export_drawn(recipe)
    classifier = Classifier(exported.path)
    parity = exported.parity
    assert isinstance(parity, ScoreParity)
    for number, image in enumerate(drawn_proof[::5]):
        result = classifier.classify(image.image.path)
        assert parity.files[number * 5] == result.file
        assert result.score == parity.score_tflite[number * 5]
        assert result.findings == ()
        assert result.model == exported.contract.model_id


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_proof_is_of_keras_on_the_same_pixels(
    export_drawn: ExportDrawn,
    lesion_model: KerasModel,
    drawn_proof: list[PreparedImage],
    recipe: str,
) -> None:
    exported = export_drawn(recipe)
    parity, verdict = exported.parity, exported.verdict
    assert isinstance(parity, ScoreParity)
    assert verdict
    chunks = list(keras_outputs(lesion_model.network, (p.pixels for p in drawn_proof)))
    assert parity.score_keras == pytest.approx(np.concatenate(chunks), abs=1e-6)
    assert parity.labels.tolist() == [p.image.label for p in drawn_proof]
    contract = exported.contract
    assert isinstance(contract, ClassifierContract)
    assert contract.parity == parity.for_contract(dict(verdict.limits))
    assert parity.threshold == contract.threshold.value
    for name, limit in verdict.limits.items():
        assert limit is None or verdict.would_pass[name] <= limit
    # On both sides of the threshold, or a comparison of decisions would say nothing.
    referred = parity.score_keras >= parity.threshold
    assert 4 <= referred.sum() <= len(referred) - 4


def test_sizes_are_ordered(export_drawn: ExportDrawn) -> None:
    float32, float16, dynamic, int8 = (export_drawn(recipe).bytes for recipe in RECIPES)
    assert 0.49 < float16 / float32 < 0.52
    assert 0.25 < dynamic / float32 < 0.30
    assert dynamic < int8 < 0.31 * float32


def test_errors_are_ordered(export_drawn: ExportDrawn) -> None:
    errors = []
    for recipe in RECIPES:
        parity = export_drawn(recipe).parity
        assert isinstance(parity, ScoreParity)
        errors.append(parity.measures()["mean_score_error"] or 0.0)
    float32, float16, dynamic, int8 = errors
    assert 0 < float32 < 1e-5
    assert float32 < float16 < int8 < dynamic


def test_int8_twice_gives_the_same_file_and_the_same_list(
    export_drawn: ExportDrawn, lesion_model: KerasModel, drawn_sets: Sets, tmp_path: Path
) -> None:
    first = export_drawn("int8")
    assert first.verdict is not None
    out = tmp_path / "other name.tflite"
    second = export_model(
        lesion_model, load_recipe("int8"), out, sets=drawn_sets, limits=first.verdict.limits
    )
    assert out.read_bytes() == first.path.read_bytes()
    assert first.representative_list is not None
    assert second.representative_list == tmp_path / "other name.representative.csv"
    assert second.representative_list.read_bytes() == first.representative_list.read_bytes()


# The gate, on a tiny network.


def export_tiny(
    model: KerasModel, sets: Sets | None, out: Path, recipe: str = "int8", **options: Any
) -> Exported:
    """An export whose AUC is not gated unless ``limits`` say so."""
    if sets is not None:
        options["limits"] = {"auc_difference": None, **options.get("limits", {})}
    return export_model(model, load_recipe(recipe), out, sets=sets, **options)


def test_the_list_names_what_calibrated_the_file(tiny_exported: Exported, small_sets: Sets) -> None:
    assert small_sets.representative is not None
    path = tiny_exported.path.with_name("tiny.representative.csv")
    assert tiny_exported.representative_list == path
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert len(rows) == len(small_sets.representative.images)
    for row in rows:
        pixels = image_tensor(small_sets.representative.folder / row["filepath"], 32, 32)
        assert pixels_sha256(pixels) == row["pixels_sha256"]
    calibration = tiny_exported.contract.provenance.calibration
    assert calibration is not None
    assert calibration["n"] == 20
    assert calibration["positives"] == 8


@pytest.mark.parametrize("recipe", ["int8", "float32"])
def test_another_folder_and_relative_paths_give_the_same_bytes(
    recipe: str,
    tiny_path: Path,
    small_drawn: Path,
    small_sets: Sets,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = export_tiny(load_keras(tiny_path), small_sets, tmp_path / "first.tflite", recipe)
    elsewhere = tmp_path / "else where" / "deep"
    shutil.copytree(small_drawn, elsewhere / "photos")
    shutil.copy(tiny_path, elsewhere / "renamed.keras")
    monkeypatch.chdir(elsewhere)
    sets = Sets(*(read_isic_split(Path("photos"), split) for split in ("train", "valid")))
    second = export_tiny(load_keras("renamed.keras"), sets, Path("second.tflite"), recipe)
    assert second.path.read_bytes() == first.path.read_bytes()
    if first.representative_list is not None:
        assert second.representative_list is not None
        assert second.representative_list.read_bytes() == first.representative_list.read_bytes()


def test_the_sample_has_the_size_and_seed_that_were_asked_for(
    tiny_model: KerasModel, small_sets: Sets, tmp_path: Path
) -> None:
    lists = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        sets = replace(small_sets, size=10, seed=seed)
        exported = export_tiny(tiny_model, sets, tmp_path / f"{name}.tflite")
        assert exported.representative_list is not None
        lists.append(exported.representative_list.read_text())
        calibration = exported.contract.provenance.calibration
        assert calibration is not None
        assert (calibration["n"], calibration["seed"]) == (10, seed)
    assert lists[0] == lists[1] != lists[2]


def test_a_failed_proof_leaves_nothing_and_says_what_would_pass(
    tiny_model: KerasModel, small_sets: Sets, tmp_path: Path
) -> None:
    out = tmp_path / "m.tflite"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(scratch))
        with pytest.raises(ProofFailed) as caught:
            export_tiny(tiny_model, small_sets, out, limits={"mean_score_error": 0.0})
    assert list(tmp_path.iterdir()) == [scratch]
    assert list(scratch.iterdir()) == []
    assert caught.value.exit_code == 3

    sentence = str(caught.value)
    assert sentence.startswith(
        f"{out}: the proof failed: mean_score_error (mean absolute error of the score) is 0.0"
    )
    assert ", over its limit 0; choose another recipe; `--limits mean_score_error=0.0" in sentence
    limits = sentence.partition("`--limits ")[2].partition("`")[0]
    exported = export_tiny(tiny_model, small_sets, out, limits=parse_limits([limits]))
    assert exported.verdict
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["m.representative.csv", "m.tflite", "scratch"]
    assert read_contract(out) == exported.contract


def test_a_failed_proof_leaves_what_was_there(
    tiny_model: KerasModel, small_sets: Sets, tmp_path: Path
) -> None:
    out, listed = tmp_path / "m.tflite", tmp_path / "m.representative.csv"
    out.write_text("the model of yesterday")
    listed.write_text("its list")
    with pytest.raises(ProofFailed):
        export_tiny(tiny_model, small_sets, out, limits={"mean_score_error": 0.0}, force=True)
    assert out.read_text() == "the model of yesterday"
    assert listed.read_text() == "its list"


def test_nothing_is_overwritten_without_force_and_no_work_is_done_first(
    tiny_model: KerasModel, small_sets: Sets, tmp_path: Path
) -> None:
    for name in ("m.tflite", "m.representative.csv"):
        folder = tmp_path / name.partition(".")[2]
        folder.mkdir()
        (folder / name).write_text("mine")
        watcher = Watcher()
        with pytest.raises(UsageError, match="the file exists already; pass --force") as caught:
            export_tiny(tiny_model, small_sets, folder / "m.tflite", report=watcher)
        assert str(folder / name) in str(caught.value)
        assert watcher.begun == []
        assert [path.name for path in folder.iterdir()] == [name]
        assert (folder / name).read_text() == "mine"


def test_force_overwrites_both(tiny_model: KerasModel, small_sets: Sets, tmp_path: Path) -> None:
    out, listed = tmp_path / "m.tflite", tmp_path / "m.representative.csv"
    out.write_text("mine")
    listed.write_text("mine")
    export_tiny(tiny_model, small_sets, out, force=True)
    assert read_contract(out).provenance.recipe == "int8"
    assert listed.read_text().startswith("filepath,label")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_recipe_without_calibration_minds_no_list(
    tiny_model: KerasModel, small_sets: Sets, tmp_path: Path
) -> None:
    (tmp_path / "m.representative.csv").write_text("mine")
    exported = export_tiny(tiny_model, small_sets, tmp_path / "m.tflite", "float32")
    assert exported.representative_list is None
    assert exported.contract.provenance.calibration is None
    assert (tmp_path / "m.representative.csv").read_text() == "mine"


def test_the_model_itself_is_never_overwritten(tiny_model: KerasModel, small_sets: Sets) -> None:
    path = Path(tiny_model.path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="this is the model that is to be exported"):
        export_tiny(tiny_model, small_sets, path, force=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("recipe", "which", "prove", "words"),
    [
        ("int8", None, True, "needs images to be calibrated and proved on; pass --data FOLDER"),
        ("int8", None, False, "needs images to be calibrated and proved on"),
        ("float32", None, True, "needs images to be calibrated and proved on"),
        ("int8", "representative", True, "there are no proof images; pass --proof CSV, or --no-p"),
        ("int8", "proof", True, "the recipe int8 needs representative images; pass --represent"),
        ("int8", "proof", False, "the recipe int8 needs representative images"),
    ],
)
def test_missing_sets_are_wrong_usage_and_no_work_is_done_first(
    tiny_model: KerasModel,
    small_sets: Sets,
    tmp_path: Path,
    recipe: str,
    which: str | None,
    prove: bool,
    words: str,
) -> None:
    sets = {
        None: None,
        "representative": replace(small_sets, proof=None),
        "proof": replace(small_sets, representative=None),
    }[which]
    watcher = Watcher()
    with pytest.raises(UsageError) as caught:
        export_tiny(tiny_model, sets, tmp_path / "m.tflite", recipe, prove=prove, report=watcher)
    assert words in str(caught.value)
    assert watcher.begun == []
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_calibrated_needs_no_representative_images(
    tiny_model: KerasModel, small_sets: Sets, tmp_path: Path
) -> None:
    sets = replace(small_sets, representative=None)
    assert export_tiny(tiny_model, sets, tmp_path / "m.tflite", "dynamic").verdict
    bare = export_tiny(tiny_model, None, tmp_path / "bare.tflite", "float16", prove=False)
    assert bare.parity is None


def test_an_unproved_file_says_so_with_every_result(
    tiny_model: KerasModel, small_sets: Sets, tmp_path: Path
) -> None:
    out = tmp_path / "m.tflite"
    sets = replace(small_sets, proof=None)
    exported = export_tiny(tiny_model, sets, out, prove=False)
    assert exported.parity is exported.verdict is None
    contract = read_contract(out)
    assert contract.parity is None
    assert json.loads(contract.to_bytes())["parity"] is None
    assert small_sets.proof is not None
    result = Classifier(out).classify(small_sets.proof.images[0].path)
    assert result.findings == ("unproved_model",)


def with_copy(sets: Sets, folder: Path) -> tuple[Sets, Path]:
    """``sets`` with a copy of a representative image among the proof, under another name."""
    assert sets.representative is not None
    assert sets.proof is not None
    copy = folder / "renamed.jpg"
    shutil.copyfile(sets.representative.images[0].path, copy)
    images = (*sets.proof.images, LabelledImage(copy, 1, "melanoma"))
    return replace(sets, proof=Manifest(sets.proof.source, images)), copy


def test_a_proof_on_a_calibration_image_is_refused_before_converting(
    tiny_model: KerasModel, small_sets: Sets, tmp_path: Path
) -> None:
    sets, copy = with_copy(small_sets, tmp_path)
    watcher = Watcher()
    with pytest.raises(UnusableInput) as caught:
        export_tiny(tiny_model, sets, tmp_path / "m.tflite", report=watcher)
    assert str(caught.value).startswith(f"{copy}: the proof image has the same pixels as")
    assert watcher.begun == ["Reading representative images", "Reading proof images"]
    assert list(tmp_path.iterdir()) == [copy]


def test_a_proof_of_one_label_is_refused(
    tiny_model: KerasModel, small_sets: Sets, tmp_path: Path
) -> None:
    """It has no AUC, and a file that misses every melanoma would pass a proof without any."""
    assert small_sets.proof is not None
    for label in (0, 1):
        images = tuple(image for image in small_sets.proof.images if image.label == label)
        sets = replace(small_sets, proof=replace(small_sets.proof, images=images))
        with pytest.raises(UnusableInput, match=f"all {len(images)} images have the label {label}"):
            export_tiny(tiny_model, sets, tmp_path / "m.tflite")
    assert list(tmp_path.iterdir()) == []


def test_images_that_cannot_be_read_are_left_out_by_name(
    tiny_model: KerasModel, small_sets: Sets, tmp_path: Path
) -> None:
    assert small_sets.representative is not None
    assert small_sets.proof is not None
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")

    def spoilt(manifest: Manifest, label: int) -> Manifest:
        return replace(manifest, images=(*manifest.images, LabelledImage(bad, label, "nevus")))

    sets = replace(
        small_sets,
        representative=spoilt(small_sets.representative, 0),
        proof=spoilt(small_sets.proof, 0),
    )
    exported = export_tiny(tiny_model, sets, tmp_path / "m.tflite")
    assert [item.image.path for item in exported.unusable] == [bad, bad]
    assert isinstance(exported.parity, ScoreParity)
    assert exported.parity.n == len(small_sets.proof.images)
    calibration = exported.contract.provenance.calibration
    assert calibration is not None
    assert calibration["n"] == 20


def test_a_set_of_which_nothing_can_be_read_is_refused(
    tiny_model: KerasModel, small_sets: Sets, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    images = (LabelledImage(bad, 0, ""), LabelledImage(tmp_path / "missing.jpg", 1, ""))
    sets = replace(small_sets, proof=Manifest("proof.csv", images))
    with pytest.raises(
        UnusableInput, match=r"^proof.csv: none of its 2 images can be used \(.*bad"
    ):
        export_tiny(tiny_model, sets, tmp_path / "m.tflite")


@pytest.mark.parametrize(
    "at",
    ["Reading repr", "Reading proof", "Converting", "Correcting", "with Keras", "with the .tflite"],
)
def test_an_interruption_leaves_nothing(
    tiny_model: KerasModel, small_sets: Sets, tmp_path: Path, at: str
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    watcher = Watcher(at, KeyboardInterrupt())
    assert small_sets.proof is not None
    # More images than a batch holds, so that Keras is in the midst of them, too.
    proof = replace(small_sets.proof, images=small_sets.proof.images * 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(scratch))
        with pytest.raises(KeyboardInterrupt):
            export_tiny(
                tiny_model, replace(small_sets, proof=proof), tmp_path / "m.tflite", report=watcher
            )
    assert at in watcher.begun[-1]
    assert list(tmp_path.iterdir()) == [scratch]
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("files_before", [0, 1])
def test_an_interruption_while_publishing_leaves_neither_file(
    tiny_model: KerasModel,
    small_sets: Sets,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files_before: int,
) -> None:
    synced: list[int] = []

    def interrupted(handle: int) -> None:
        synced.append(handle)
        if len(synced) > files_before:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_tiny(tiny_model, small_sets, tmp_path / "m.tflite")
    assert len(synced) == files_before + 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_folder_that_cannot_be_written_is_missing_here(
    tiny_model: KerasModel,
    small_sets: Sets,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: int,
) -> None:
    """A user without rights would see this; root, whom tests may run as, has all rights."""
    make = tempfile.mkstemp

    def refusing(*args: Any, **options: Any) -> tuple[int, str]:
        if options.get("dir") == tmp_path:
            raise OSError(fault, os.strerror(fault))
        return make(*args, **options)

    def kept(path: Path, missing_ok: bool = False) -> None:
        """A read-only file system refuses to remove even what is not there."""
        if path.parent == tmp_path:
            raise OSError(fault, os.strerror(fault))
        remove(path, missing_ok)

    remove = Path.unlink
    monkeypatch.setattr(tempfile, "mkstemp", refusing)
    monkeypatch.setattr(Path, "unlink", kept)
    out = tmp_path / "m.tflite"
    with pytest.raises(MissingHere) as caught:
        export_tiny(tiny_model, small_sets, out)
    assert caught.value.exit_code == 6
    assert str(caught.value).startswith(f"{out}: the file cannot be written (")
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_folder_is_told_before_any_work(
    tiny_model: KerasModel, small_sets: Sets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    watcher = Watcher()
    with pytest.raises(MissingHere, match=r"the file cannot be written \(read-only"):
        export_tiny(tiny_model, small_sets, tmp_path / "m.tflite", report=watcher)
    assert watcher.begun == []


def test_a_missing_folder_is_wrong_usage(
    tiny_model: KerasModel, small_sets: Sets, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="the folder for it does not exist"):
        export_tiny(tiny_model, small_sets, tmp_path / "no" / "m.tflite")
    with pytest.raises(UsageError, match="this is a folder"):
        export_tiny(tiny_model, small_sets, tmp_path)


def test_a_network_that_the_recipe_cannot_hold_is_refused(
    tiny_model: KerasModel, small_sets: Sets, tmp_path: Path, network_maker: Callable[..., Any]
) -> None:
    from keras import layers

    network = network_maker(body=layers.Conv2D(8, 3, activation="softsign", name="c"))
    model = KerasModel("m.keras", network, tiny_model.contract)
    with pytest.raises(UnusableInput, match=r"does not allow .*ABS"):
        export_tiny(model, small_sets, tmp_path / "m.tflite", "float32")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("recipe", LINE_RECIPES)
def test_a_line_is_proved_on_its_range_without_images(
    line_path: Path, tmp_path: Path, recipe: str
) -> None:
    out = tmp_path / "line.tflite"
    exported = export_tiny(load_keras(line_path), None, out, recipe)
    assert isinstance(exported.parity, ValueParity)
    assert len(exported.parity.x) == 1001
    assert exported.representative_list is None
    assert [path.name for path in tmp_path.iterdir()] == ["line.tflite"]
    contract = read_contract(out)
    assert contract.parity is not None
    assert contract.parity.n == 1001
    largest = 41 * (0.02 if recipe in ("int8", "int8-plain") else 0.005)
    for x in (-20.0, -3.7, 0.0, 12.5, 20.0):
        assert Regressor(out).predict(x) == pytest.approx(2 * x - 1, abs=largest)


def test_a_line_that_the_file_bends_is_refused(line_path: Path, tmp_path: Path) -> None:
    with pytest.raises(ProofFailed, match=r"max_relative_error .* over its limit 1e-06"):
        export_tiny(
            load_keras(line_path),
            None,
            tmp_path / "line.tflite",
            limits={"max_relative_error": 1e-6},
        )
    assert list(tmp_path.iterdir()) == []
