"""A comparison layer by layer: what it finds in files as they are, and what it refuses."""

from __future__ import annotations

import math
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export import quantize
from lesionlite_export.convert import float32_tflite
from lesionlite_export.keras_model import KerasModel, load_keras, save_keras
from lesionlite_export.layers import reference as layers_reference
from lesionlite_export.layers.compare import compare_layers
from lesionlite_export.layers.result import LayerReport
from lesionlite_export.make import Form, make
from lesionlite_export.publish import export_model
from lesionlite_export.recipe import load_recipe
from lesionlite_export.tflite_model import TfliteModel, load_tflite
from lesionlite_runtime.classifier import Classifier
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.graph import read_graph

pytestmark = pytest.mark.tensorflow
Tensors = list[NDArray[np.uint8]]
Write = Callable[..., Path]


def by_layer(report: LayerReport, name: str) -> Any:
    return next(layer for layer in report.layers if layer.layer == name)


@pytest.fixture(scope="module")
def int8_report(
    deep_model: KerasModel, deep_files: dict[str, Path], small_drawn: Path
) -> LayerReport:
    """The small network's int8 file against Keras."""
    return compare_layers(deep_model, deep_files["int8"], small_drawn, images=6, seed=3)


def test_rows_are_the_operators_in_graph_order(
    int8_report: LayerReport, deep_files: dict[str, Path]
) -> None:
    graph = load_tflite(deep_files["int8"]).opened.graph
    assert [(r.operator, r.name) for r in int8_report.layers] == [
        (i, o.name) for i, o in enumerate(graph.operators)
    ]
    assert [r.tensor for r in int8_report.layers] == [
        graph.tensors[o.outputs[0]].name for o in graph.operators
    ]
    assert by_layer(int8_report, "second_dw").layers == (
        "second_dw",
        "second_dw_bn",
        "second_dw_relu6",
    )


def test_it_says_what_was_compared(int8_report: LayerReport, deep_model: KerasModel) -> None:
    assert int8_report.reference.form == "keras"
    assert int8_report.reference.file == deep_model.path
    assert int8_report.reference.keras_difference is not None
    assert 0 <= int8_report.reference.keras_difference < 1e-5
    assert (int8_report.inputs.n, int8_report.inputs.of, int8_report.inputs.seed) == (6, 18, 3)
    assert int8_report.kernels.startswith("LiteRT ")


def test_the_last_row_is_the_scores_own_error(
    deep_float32: TfliteModel,
    deep_files: dict[str, Path],
    small_drawn: Path,
    small_sets: Any,
) -> None:
    """On all images, against scores that other code computed."""
    report = compare_layers(deep_float32, deep_files["int8-plain"], small_drawn, images=18)
    photos = [image.path for image in small_sets.proof.images]
    models = [Classifier(path) for path in (deep_float32.path, deep_files["int8-plain"])]
    right, own = (np.array([m.score(m.tensor(p)) for p in photos]) for m in models)
    last = report.layers[-1]
    assert last.max_error == pytest.approx(np.abs(own - right).max(), abs=1e-6)
    snr = 10 * np.log10((right @ right) / ((own - right) @ (own - right)))
    assert last.snr_db == pytest.approx(snr, abs=0.01)


def test_the_same_images_give_the_same_report(
    deep_float32: TfliteModel, deep_files: dict[str, Path], small_drawn: Path
) -> None:
    first, second, other = (
        compare_layers(deep_float32, deep_files["int8"], small_drawn, images=4, seed=seed)
        for seed in (0, 0, 1)
    )
    assert first.to_json() == second.to_json()
    assert first.inputs.sha256 != other.inputs.sha256


def test_float32_against_itself_is_exact(deep_float32: TfliteModel, small_drawn: Path) -> None:
    report = compare_layers(deep_float32, deep_float32.path, small_drawn, images=3)
    assert all(r.snr_db is None and r.added_snr_db is None for r in report.layers)
    assert report.named == ()
    assert report.starts_at is None
    assert report.reference.form == "tflite"
    assert report.reference.keras_difference is None


@pytest.mark.parametrize("recipe", ["float16", "dynamic", "int8", "int8-raw", "int8-full"])
def test_a_row_says_which_part_makes_its_error(
    recipe: str, deep_float32: TfliteModel, deep_files: dict[str, Path], small_drawn: Path
) -> None:
    report = compare_layers(deep_float32, deep_files[recipe], small_drawn, images=4)
    parts = by_layer(report, "second_expand").parts_db
    assert parts["weights"] is not None
    integers = recipe.startswith("int8")
    assert (parts["range"] is not None) is integers
    assert (parts["arithmetic"] is not None) is (recipe == "dynamic") or integers
    for row in report.layers:
        # Only rounding is at work: no layer loses more than a few percent of its signal.
        assert row.added_snr_db is None or row.added_snr_db > 25
        assert (row.range is not None) is (row.dtype in ("int8", "uint8"))


def test_a_layer_behind_the_error_is_given_it_and_adds_none(
    deep_float32: TfliteModel,
    deep_files: dict[str, Path],
    damaged: Callable[..., Path],
    small_drawn: Path,
) -> None:
    whole = compare_layers(deep_float32, deep_files["int8"], small_drawn, images=4)
    row = by_layer(whole, "first_dw")
    path = damaged(deep_files["int8"], row.operator, "weights", 0.2)
    report = compare_layers(deep_float32, path, small_drawn, images=4)
    worse = by_layer(report, "first_dw")
    assert worse.added_snr_db < row.added_snr_db - 15
    behind, before = by_layer(report, "first_project"), by_layer(whole, "first_project")
    assert behind.snr_db < before.snr_db - 10
    assert behind.added_snr_db == pytest.approx(before.added_snr_db, abs=1e-6)
    assert report.starts_at is not None
    assert report.starts_at.layer.layer == "first_dw"


def test_the_effect_on_the_score_is_that_of_the_error_alone(
    deep_float32: TfliteModel,
    deep_files: dict[str, Path],
    damaged: Callable[..., Path],
    small_drawn: Path,
    small_sets: Any,
) -> None:
    """In a float16 file all else is nearly exact, so that the whole file shows the same change."""
    intact = compare_layers(deep_float32, deep_files["float16"], small_drawn, images=18)
    assert intact.named == ()
    row = by_layer(intact, "second_expand")
    flatbuffer = bytearray(load_tflite(deep_files["float16"]).flatbuffer)
    graph = read_graph(bytes(flatbuffer))
    widened = graph.operators[row.operator].inputs[1]
    maker = next(o for o in graph.operators if widened in o.outputs)
    tensor = graph.tensors[maker.inputs[0]]
    place = slice(tensor.constant_offset, tensor.constant_offset + tensor.constant_bytes)
    flatbuffer[place] = (np.frombuffer(flatbuffer[place], "<f2") * np.float16(1.25)).tobytes()
    path = write_with(deep_files["float16"], bytes(flatbuffer), small_drawn.parent)
    report = compare_layers(deep_float32, path, small_drawn, images=18)
    (named,) = report.named
    assert (named.layer.layer, [c.cause.code for c in named.causes]) == (
        "second_expand",
        ["weights_changed"],
    )
    photos = [image.path for image in small_sets.proof.images]
    models = [Classifier(p) for p in (deep_files["float16"], path)]
    right, own = (np.array([m.score(m.tensor(p)) for p in photos]) for m in models)
    assert named.change is not None
    assert named.change.max == pytest.approx(np.abs(own - right).max(), rel=0.02)
    assert named.change.mean == pytest.approx(np.abs(own - right).mean(), rel=0.02)
    assert named.change.max > 0.005


def write_with(model: Path, flatbuffer: bytes, folder: Path) -> Path:
    """A copy of ``model`` with another FlatBuffer, under a renewed digest."""
    from lesionlite_runtime.container import append_members, contract_of, split_members
    from lesionlite_runtime.contract import CONTRACT_MEMBER, with_flatbuffer

    contract = contract_of(split_members(model.read_bytes())[1], str(model))
    members = {CONTRACT_MEMBER: with_flatbuffer(contract, flatbuffer).to_bytes()}
    path = folder / "rewritten.tflite"
    path.write_bytes(append_members(flatbuffer, members))
    return path


@pytest.mark.parametrize("method", ["min_max", "percentile_99.9", "mse"])
def test_a_calibration_on_other_images_is_no_damage(
    method: str,
    deep_model: KerasModel,
    deep_float32: TfliteModel,
    tiny_tensors: Tensors,
    write_tflite: Write,
    small_drawn: Path,
) -> None:
    """Dark, flat images leave every range too narrow: jumps, and not one contradiction."""
    dark = [(tensor // 4 + 20).astype(np.uint8) for tensor in tiny_tensors[:4]]
    made = make(deep_model, load_recipe("int8"), dark, method=method).flatbuffer
    provenance = replace(deep_model.contract.provenance, calibration={"method": method})
    path = write_tflite(made, replace(deep_model.contract, provenance=provenance))
    report = compare_layers(deep_float32, path, small_drawn, images=12)
    assert [n.layer.layer for n in report.named if n.damage] == []
    codes = {c.cause.code for named in report.named for c in named.causes}
    assert codes & ({"not_covered", "zero_point"} if method == "min_max" else {"clipped"})


def test_one_scale_for_all_channels_is_named(
    deep_model: KerasModel, write_tflite: Write, small_drawn: Path
) -> None:
    """Channels of very different weights, whose inputs make up for it, as batch norm folds them."""
    uneven = load_keras(deep_model.path).network
    sizes = np.geomspace(0.02, 5, 8)
    for name, factors in (("stem_bn", sizes), ("first_dw_bn", 1 / sizes)):
        layer = uneven.get_layer(name)
        gamma, beta, mean, variance = layer.get_weights()
        shift = beta * factors if name == "stem_bn" else beta
        layer.set_weights([gamma * factors, shift, mean * 0, variance])
    float32 = float32_tflite(KerasModel("uneven", uneven, deep_model.contract))
    reference = load_tflite(write_tflite(float32, deep_model.contract))
    path = write_tflite(per_tensor(float32), deep_model.contract)
    report = compare_layers(reference, path, small_drawn, images=6)
    named = {n.layer.layer: [c.cause.code for c in n.causes] for n in report.named}
    assert named["first_dw"] == ["per_tensor_weights"]
    assert not [n.layer.layer for n in report.named if n.damage]


def per_tensor(float32: bytes) -> bytes:
    """int8 weights with one scale each, widened before use."""
    from litert_quantizer import qtyping, recipe_manager

    manager = recipe_manager.RecipeManager()
    manager.add_weight_only_config(
        ".*",
        qtyping.TFLOperationName.ALL_SUPPORTED,
        8,
        granularity=qtyping.QuantGranularity.TENSORWISE,
    )
    return quantize._quantize(float32, manager.get_quantization_recipe(), [], None)


@pytest.mark.parametrize("recipe", ["int8", "int16x8"])
def test_a_regression_is_run_over_its_range(recipe: str, line_path: Path, tmp_path: Path) -> None:
    line = load_keras(line_path)
    limits = {"max_relative_error": None}
    path = export_model(line, load_recipe(recipe), tmp_path / "l.tflite", limits=limits).path
    report = compare_layers(line, path, None, images=50)
    assert (report.inputs.n, report.inputs.of, report.inputs.sha256) == (50, 50, None)
    assert [row.name for row in report.layers] == ["QUANTIZE", "FULLY_CONNECTED", "DEQUANTIZE"]
    assert not [named for named in report.named if named.damage]
    snr = report.layers[1].snr_db
    assert snr is not None
    assert snr > (30 if recipe == "int8" else 70)


def test_memory_does_not_grow_with_the_images(
    deep_float32: TfliteModel, deep_files: dict[str, Path], small_drawn: Path
) -> None:
    def peak(images: int) -> int:
        tracemalloc.start()
        try:
            compare_layers(deep_float32, deep_files["int8"], small_drawn, images=images)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)
    few, many = peak(2), peak(18)
    one = sum(
        4 * math.prod(t.shape) for t in deep_float32.opened.graph.tensors if not t.is_constant
    )
    assert many - few < one, (few, many, one)


def test_no_tensorflow_where_the_reference_is_a_tflite(
    deep_float32: TfliteModel, deep_files: dict[str, Path], small_drawn: Path
) -> None:
    code = (
        "import sys\n"
        "sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "from lesionlite_runtime.cli import main\n"
        f"sys.exit(main(['verify', {str(deep_float32.path)!r}, {str(deep_files['int8'])!r}, "
        f"'--data', {str(small_drawn)!r}, '--layers', '--layers-images', '2', '--quiet', "
        "'--limits', 'auc_difference=none', '--limits', 'mean_score_error=none', "
        "'--limits', 'flip_rate=none', '--limits', 'newly_missed_rate=none']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "second_dw" in done.stdout


def test_a_quantized_reference_is_refused(deep_files: dict[str, Path], small_drawn: Path) -> None:
    reference = load_tflite(deep_files["int8"])
    with pytest.raises(UnusableInput, match=r"quantized already .*; compare layers with the .ker"):
        compare_layers(reference, deep_files["int8-raw"], small_drawn)


def test_another_networks_weights_are_refused(
    deep_model: KerasModel,
    deep_files: dict[str, Path],
    small_drawn: Path,
    tmp_path: Path,
) -> None:
    other = load_keras(deep_model.path).network
    for layer in other.layers:
        layer.set_weights([w * np.float32(1.1) for w in layer.get_weights()])
    save_keras(other, deep_model.contract, tmp_path / "other.keras")
    with pytest.raises(UnusableInput, match=r"the weights of \d of its \d layers with weights are"):
        compare_layers(load_keras(tmp_path / "other.keras"), deep_files["int8"], small_drawn)


def test_a_float_form_that_is_not_keras_is_refused(
    deep_model: KerasModel,
    deep_files: dict[str, Path],
    small_drawn: Path,
    monkeypatch: pytest.MonkeyPatch,
    network_maker: Callable[..., Any],
) -> None:
    """A converter that goes wrong must not put its fault on the quantizer's account."""
    wrong = load_keras(deep_model.path).network
    kernel, bias = wrong.get_layer("score").get_weights()
    wrong.get_layer("score").set_weights([kernel, bias + 0.5])
    made = float32_tflite(KerasModel("wrong", wrong, deep_model.contract))
    monkeypatch.setattr(layers_reference, "make_tflite", lambda *_: made)
    with pytest.raises(UnusableInput, match=r"its float32 form gives other outputs than Keras, by"):
        compare_layers(deep_model, deep_files["int8"], small_drawn, images=2)


def test_two_labels_are_compared(
    deep_model: KerasModel,
    tiny_tensors: Tensors,
    small_drawn: Path,
    tmp_path: Path,
    small_sets: Any,
) -> None:
    limits = dict.fromkeys(("auc_difference", "flip_rate", "newly_missed_rate", "mean_score_error"))
    path = export_model(
        deep_model,
        load_recipe("int8"),
        tmp_path / "two.tflite",
        sets=small_sets,
        limits=limits,
        form=Form(two_labels=True),
    ).path
    report = compare_layers(deep_model, path, small_drawn, images=3)
    assert report.layers[-1].name == "CONCATENATION"
    assert report.reference.keras_difference is not None


def test_unreadable_images_are_left_out_and_told(
    deep_float32: TfliteModel, deep_files: dict[str, Path], small_drawn: Path, tmp_path: Path
) -> None:
    good = sorted((small_drawn / "valid").rglob("*.jpg"))[:2]
    lines = ["filepath,label", "bad.jpg,1"]
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    for i, photo in enumerate(good):
        (tmp_path / f"{i}.jpg").write_bytes(photo.read_bytes())
        lines.append(f"{i}.jpg,{i}")
    manifest = tmp_path / "m.csv"
    manifest.write_text("\n".join(lines) + "\n")
    report = compare_layers(deep_float32, deep_files["int8"], manifest)
    assert (report.inputs.n, report.inputs.of) == (2, 3)
    assert [item.image.path.name for item in report.unusable] == ["bad.jpg"]
    manifest.write_text("\n".join(lines[:2]) + "\n")
    with pytest.raises(UnusableInput, match="none of the 1 images of the sample can be used"):
        compare_layers(deep_float32, deep_files["int8"], manifest)


def test_wrong_usage(
    deep_float32: TfliteModel, deep_files: dict[str, Path], small_drawn: Path
) -> None:
    with pytest.raises(UsageError, match="there are no images to compare the layers on; pass"):
        compare_layers(deep_float32, deep_files["int8"], None)
    with pytest.raises(UsageError, match="0 images are too few"):
        compare_layers(deep_float32, deep_files["int8"], small_drawn, images=0)
