"""One layer of a finished file is damaged: that layer is named, with the right cause."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lesionlite_export.convert import float32_tflite
from lesionlite_export.keras_model import KerasModel
from lesionlite_export.layers.compare import compare_layers
from lesionlite_export.layers.names import layer_of
from lesionlite_export.layers.pairing import pair_graphs
from lesionlite_export.layers.result import LayerReport, NamedLayer
from lesionlite_export.tflite_model import TfliteModel, load_tflite
from lesionlite_runtime.operators import WITH_WEIGHTS

pytestmark = pytest.mark.tensorflow
RECIPES = ("float16", "dynamic", "int8", "int8-plain", "int8-raw", "int8-full")
Damaged = Callable[..., Path]
KINDS = {
    "weights": ("weights_changed", st.floats(0.02, 0.5)),
    "weights_scale": ("weights_scale", st.floats(0.5, 0.9) | st.floats(1.1, 2.0)),
    "bias": ("bias_changed", st.floats(1.5, 3.0)),
    "output_scale": ("output_scale", st.floats(0.4, 0.9) | st.floats(1.1, 2.5)),
    "zero_point": ("zero_point", st.integers(70, 120)),
}


def weighted(reference: TfliteModel, path: Path) -> dict[str, int]:
    """The number of each operator with integer weights and output, by Keras layer."""
    graph = load_tflite(path).opened.graph
    return {
        layer_of(reference.opened.graph, pair.reference): pair.operator
        for pair in pair_graphs(reference.opened.graph, graph)
        if pair.reference is not None
        and graph.operators[pair.operator].name in WITH_WEIGHTS
        and graph.tensors[graph.operators[pair.operator].inputs[1]].dtype == "int8"
    }


def codes(named_layer: NamedLayer) -> list[str]:
    return [named.cause.code for named in named_layer.causes]


def only_damaged(report: LayerReport) -> NamedLayer:
    """The one damaged layer of the report."""
    found = [named for named in report.named if named.damage]
    assert len(found) == 1, [(n.layer.layer, codes(n)) for n in report.named]
    return found[0]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("recipe", ["int8", "int8-plain"])
def test_any_layers_damage_is_named(
    recipe: str,
    data: st.DataObject,
    deep_float32: TfliteModel,
    deep_files: dict[str, Path],
    damaged: Damaged,
    small_drawn: Path,
) -> None:
    layers = weighted(deep_float32, deep_files[recipe])
    assert {"stem", "first_dw", "first_project", "second_dw", "last"} <= layers.keys()
    kind = data.draw(st.sampled_from(sorted(KINDS)), "kind")
    code, amounts = KINDS[kind]
    # A scale is vouched for by the biases behind it, a zero point by a ReLU in front of it. The
    # head has no bias but 0.
    vouched = {
        "bias": layers.keys() - {"score"},
        "output_scale": {"stem", "first_dw", "second_expand", "second_dw"},
        "zero_point": {"stem", "first_dw", "second_expand", "second_dw", "last"},
    }.get(kind, layers.keys())
    layer = data.draw(st.sampled_from(sorted(vouched & layers.keys())), "layer")
    amount = data.draw(amounts, "amount")
    path = damaged(deep_files[recipe], layers[layer], kind, amount, data.draw(st.integers(0, 9)))
    report = compare_layers(deep_float32, path, small_drawn, images=4)
    found = only_damaged(report)
    assert (found.layer.operator, found.layer.layer) == (layers[layer], layer)
    assert codes(found)[0] == code, found.causes
    assert found.causes[0].cause.damage


@pytest.mark.parametrize("recipe", RECIPES)
def test_undamaged_files_name_no_damaged_layer(
    recipe: str, deep_float32: TfliteModel, deep_files: dict[str, Path], small_drawn: Path
) -> None:
    report = compare_layers(deep_float32, deep_files[recipe], small_drawn, images=12)
    assert [(n.layer.layer, codes(n)) for n in report.named if n.damage] == []


@pytest.fixture(scope="module")
def lesion_float32(lesion_model: KerasModel, write_tflite: Callable[..., Path]) -> TfliteModel:
    """The full network in float32."""
    return load_tflite(write_tflite(float32_tflite(lesion_model), lesion_model.contract))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, drawn_photos: list[Path]) -> Path:
    """A manifest of the drawn photos."""
    folder = tmp_path_factory.mktemp("drawn_photos")
    lines = ["filepath,label"]
    for photo in drawn_photos:
        shutil.copy(photo, folder)
        lines.append(f"{photo.name},{int('melanoma' in photo.name)}")
    manifest = folder / "photos.csv"
    manifest.write_text("\n".join(lines) + "\n")
    return manifest


@pytest.mark.parametrize(
    ("layer", "kind", "amount", "code"),
    [
        ("stem_conv", "weights", 0.01, "weights_changed"),
        ("stem_conv", "output_scale", 0.5, "output_scale"),
        ("stem_conv", "zero_point", 64, "zero_point"),
        ("block1a_dw_conv", "weights_scale", 1.2, "weights_scale"),
        ("block2a_project_conv", "output_scale", 2.0, "output_scale"),
        ("block4b_expand_conv", "weights", 0.001, "weights_changed"),
        ("block4c_dw_conv", "bias", 1.5, "bias_changed"),
        ("block4c_expand_conv", "output_scale", 1.5, "output_scale"),
        ("block5b_expand_conv", "zero_point", 100, "zero_point"),
        ("block6d_project_conv", "weights_scale", 0.8, "weights_scale"),
        ("head_conv", "weights", 0.001, "weights_changed"),
        ("head_conv", "zero_point", 48, "zero_point"),
    ],
)
def test_of_the_shipped_network_the_damaged_layer_is_named(
    layer: str,
    kind: str,
    amount: float,
    code: str,
    lesion_float32: TfliteModel,
    shipped_model: Path,
    damaged: Damaged,
    photos: Path,
) -> None:
    path = damaged(shipped_model, weighted(lesion_float32, shipped_model)[layer], kind, amount)
    found = only_damaged(compare_layers(lesion_float32, path, photos, images=2))
    assert (found.layer.layer, codes(found)[0]) == (layer, code)


@pytest.mark.parametrize(
    ("layer", "kind", "amount", "code"),
    [
        ("block3b_project_conv", "zero_point", 110, "zero_point"),
        ("block6a_project_conv", "zero_point", -110, "zero_point"),
        ("block6d_project_conv", "output_scale", 0.1, "not_covered"),
        ("head_conv", "output_scale", 0.25, "not_covered"),
        ("block4b_project_conv", "output_scale", 20.0, "wide_range"),
    ],
)
def test_damage_that_a_poor_calibration_could_have_made_is_named_as_a_jump(
    layer: str,
    kind: str,
    amount: float,
    code: str,
    lesion_float32: TfliteModel,
    shipped_model: Path,
    damaged: Damaged,
    photos: Path,
) -> None:
    """Nothing else in the file vouches for the range of a tensor that no bias stands behind."""
    path = damaged(shipped_model, weighted(lesion_float32, shipped_model)[layer], kind, amount)
    report = compare_layers(lesion_float32, path, photos, images=2)
    assert not [named.layer.layer for named in report.named if named.damage]
    (found,) = (named for named in report.named if named.layer.layer == layer)
    assert found.jump
    assert codes(found)[0] == code


def test_the_shipped_file_is_not_damaged(
    lesion_float32: TfliteModel, shipped_model: Path, photos: Path
) -> None:
    report = compare_layers(lesion_float32, shipped_model, photos)
    assert report.inputs.n == 6
    assert not [named.layer.layer for named in report.named if named.damage]
