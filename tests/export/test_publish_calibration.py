"""What an export records of its calibration, and what it says of where the file runs."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lesionlite_export.drawn import write_drawn_dataset
from lesionlite_export.keras_model import KerasModel
from lesionlite_export.manifest import LabelledImage, Manifest, read_isic_split
from lesionlite_export.publish import Exported, export_model
from lesionlite_export.recipe import load_recipe
from lesionlite_export.representative import PreparedImage, prepare
from lesionlite_export.seen import known_sets, seen_images
from lesionlite_export.sets import Sets
from lesionlite_runtime.contract import image_contract
from lesionlite_runtime.errors import UnusableInput, UsageError

pytestmark = pytest.mark.tensorflow
LIMITS: dict[str, float | None] = {"auc_difference": None, "flip_rate": 0.2}
UNGATED: dict[str, float | None] = dict.fromkeys(
    ("flip_rate", "newly_missed_rate", "auc_difference", "mean_score_error")
)
Export = Callable[..., Exported]


@pytest.fixture
def export(tiny_model: KerasModel, small_sets: Sets, tmp_path: Path) -> Export:
    """Exports the tiny classifier to ``m.tflite``."""

    def run(recipe: str = "int8", out: str = "m.tflite", **more: object) -> Exported:
        arguments = {"sets": small_sets, "limits": LIMITS, "force": True, **more}
        return export_model(tiny_model, load_recipe(recipe), tmp_path / out, **arguments)

    return run


def calibration(exported: Exported) -> dict[str, object]:
    found = exported.contract.provenance.calibration
    assert found is not None
    return dict(found)


def test_the_list_repeats_the_export_to_the_same_bytes(export: Export, small_sets: Sets) -> None:
    first = export(sets=replace(small_sets, size=9, seed=4))
    assert first.representative_list is not None
    kept = first.representative_list.read_bytes()
    listed = first.representative_list.with_name("again.csv")
    listed.write_bytes(kept)
    again = export(out="again.tflite", sets=replace(small_sets, size=3, listed=listed))
    assert again.contract.flatbuffer_sha256 == first.contract.flatbuffer_sha256
    assert calibration(again)["images_sha256"] == calibration(first)["images_sha256"]
    assert calibration(again)["on"] == "a list of representative images"
    assert again.representative_list is not None
    assert again.representative_list.read_bytes() == kept
    other = export(out="other.tflite", sets=replace(small_sets, size=9, seed=5))
    assert other.contract.flatbuffer_sha256 != first.contract.flatbuffer_sha256


def test_a_list_of_other_pixels_is_refused(export: Export, small_sets: Sets) -> None:
    first = export(sets=replace(small_sets, size=9))
    assert first.representative_list is not None
    rows = list(csv.reader(first.representative_list.open(newline="")))
    rows[1][-1] = "0" * 64
    listed = first.representative_list.with_name("altered.csv")
    with listed.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    with pytest.raises(UnusableInput, match="are not those of line 2"):
        export(sets=replace(small_sets, listed=listed))


def test_equal_images_count_once_and_are_counted(
    export: Export, small_sets: Sets, tmp_path: Path
) -> None:
    assert small_sets.representative is not None
    images = small_sets.representative.images
    twice = tmp_path / "copy.jpg"
    twice.write_bytes(images[0].path.read_bytes())
    more = (*images, replace(images[0], path=twice))
    sets = replace(small_sets, representative=Manifest(str(tmp_path), more))
    assert calibration(export(sets=sets))["duplicates"] == 1
    assert calibration(export())["duplicates"] == 0


def test_the_contract_knows_each_image_that_calibrated(export: Export, small_sets: Sets) -> None:
    assert small_sets.representative is not None
    assert small_sets.proof is not None
    exported = export(sets=replace(small_sets, size=9, seed=4))
    contract = image_contract(exported.contract)
    known = list(known_sets(contract, str(exported.path)))

    def seen(images: Sequence[LabelledImage]) -> int:
        items = [p for p in prepare(images, contract.input) if isinstance(p, PreparedImage)]
        return len(seen_images(items, known).files["calibration"])

    assert seen(small_sets.representative.images) == 9
    assert seen(small_sets.proof.images) == 0


def test_the_method_changes_the_ranges_and_is_recorded(export: Export) -> None:
    plain, cut = export(), export(method="percentile_99.9")
    assert (calibration(plain)["method"], calibration(cut)["method"]) == (
        "min_max",
        "percentile_99.9",
    )
    assert plain.contract.flatbuffer_sha256 != cut.contract.flatbuffer_sha256
    with pytest.raises(UsageError, match="TFLiteConverter calibrates by min_max alone"):
        export("int8-plain", method="mse")


def test_images_of_another_kind_are_warned_of(
    export: Export, small_sets: Sets, tmp_path: Path
) -> None:
    from PIL import Image

    assert export().warnings == ()
    dark = tmp_path / "dark"
    counts = {"melanoma": 8, "nevus": 8, "seborrheic_keratosis": 4}
    write_drawn_dataset(dark, train=counts, valid=counts, seed=7, size=(64, 64))
    for path in (dark / "train").rglob("*.jpg"):
        Image.open(path).point(lambda value: value // 3).save(path)
    sets = replace(small_sets, representative=read_isic_split(dark, "train"))
    warnings = export(sets=sets, limits=UNGATED).warnings
    assert any("another brightness" in warning for warning in warnings)


def test_what_the_file_runs_on_is_recorded_and_can_be_asked_for(export: Export) -> None:
    exported = export("float32")
    runs_on = exported.contract.provenance.runs_on
    assert runs_on is not None
    assert runs_on["minimum_runtime"]["loads"]["tflite-runtime 2.14.0"] is True
    assert runs_on["accelerators"]["advice"].startswith("stay on the CPU")
    export("float32", min_runtime="2.14")
    with pytest.raises(UnusableInput, match=r"1\.5"):
        export("float32", out="old.tflite", min_runtime="1.5")
    assert not exported.path.with_name("old.tflite").exists()
    with pytest.raises(UsageError):
        export("float32", min_runtime="newest")


def test_the_same_bytes_twice(export: Export) -> None:
    """Contract and all: nothing in it is of the clock."""
    first = export()
    kept = first.path.read_bytes()
    assert export().path.read_bytes() == kept
