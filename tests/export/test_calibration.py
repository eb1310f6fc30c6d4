"""The ranges of activations: by every method, over inputs that come one at a time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export import convert
from lesionlite_export.activations import FloatModel
from lesionlite_export.calibration import METHODS, Ranges, calibrate, check_method
from lesionlite_export.keras_model import KerasModel, load_keras, save_keras
from lesionlite_export.noise import native_noise_logged
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.graph import SIGNATURE_KEY, read_graph

Tensors = list[NDArray[np.uint8]]


@pytest.fixture(scope="module")
def float32(tiny_model: KerasModel) -> bytes:
    """The tiny classifier in float32."""
    return convert.float32_tflite(tiny_model)


def ends(ranges: Ranges) -> dict[str, tuple[float, float]]:
    return {name: (float(r["min"].item()), float(r["max"].item())) for name, r in ranges.items()}


def litert_quantizer_ranges(float32: bytes, tensors: Tensors, folder: Path) -> Ranges:
    """What litert-quantizer's own calibrator gives with extremes for an update."""
    with native_noise_logged():
        from litert_quantizer import calibrator, recipe, recipe_manager
        from litert_quantizer.utils import qsv_utils

        rules = recipe_manager.RecipeManager()
        rules.load_quantization_recipe(recipe.static_wi8_ai8())
        (folder / "f32.tflite").write_bytes(float32)
        tool = calibrator.Calibrator(
            str(folder / "f32.tflite"), num_threads=1, qsv_update_func=qsv_utils.min_max_update
        )
        tool.calibrate({SIGNATURE_KEY: [{"image": tensor} for tensor in tensors]}, rules)
    ranges: Ranges = tool.get_model_qsvs()
    return ranges


@pytest.mark.tensorflow
def test_extremes_are_those_of_litert_quantizer_bit_for_bit(
    float32: bytes, tiny_tensors: Tensors, tmp_path: Path
) -> None:
    mine = calibrate(float32, tiny_tensors, "image")
    theirs = litert_quantizer_ranges(float32, tiny_tensors, tmp_path)
    assert set(theirs) - set(mine) <= {
        read_graph(float32).tensors[0].name,
        "serving_default_image:0",
    }
    assert len(mine) >= 8
    for name in set(mine) & set(theirs):
        for end in ("min", "max"):
            assert mine[name][end].dtype == theirs[name][end].dtype == np.float32
            assert mine[name][end].shape == theirs[name][end].shape
            assert mine[name][end].tobytes() == theirs[name][end].tobytes()


@pytest.mark.tensorflow
@pytest.mark.parametrize("method", METHODS)
def test_litert_quantizer_takes_the_ranges_of_every_method(
    float32: bytes, tiny_tensors: Tensors, method: str, tmp_path: Path
) -> None:
    ranges = calibrate(float32, tiny_tensors, "image", method)
    (tmp_path / "f32.tflite").write_bytes(float32)
    with native_noise_logged():
        from litert_quantizer import quantizer, recipe

        tool = quantizer.Quantizer(str(tmp_path / "f32.tflite"))
        tool.load_quantization_recipe(recipe.static_wi8_ai8())
        whole = {**ranges, "serving_default_image:0": {"min": np.zeros(()), "max": np.ones(())}}
        made = bytes(tool.quantize(whole).quantized_model)
    scales = {t.name: t.scales[0] for t in read_graph(made).tensors if len(t.scales) == 1}
    low, high = ends(ranges)[last_convolution(float32)]
    assert scales[last_convolution(float32)] == pytest.approx((high - low) / 255, rel=1e-6)


def last_convolution(float32: bytes) -> str:
    graph = read_graph(float32)
    operator = [o for o in graph.operators if o.name == "CONV_2D"][-1]
    return graph.tensors[operator.outputs[0]].name


@pytest.mark.tensorflow
def test_ranges_are_those_of_all_values_on_all_inputs(
    float32: bytes, tiny_tensors: Tensors
) -> None:
    name = last_convolution(float32)
    model = FloatModel(float32, "image")
    values = []
    for tensor in tiny_tensors:
        model.run(tensor)
        values.append(model.value(model.activations[name]).ravel())
    joint = np.concatenate(values).astype(np.float64)
    found = {m: ends(calibrate(float32, tiny_tensors, "image", m))[name] for m in METHODS}
    bin_width = 2 * np.abs(joint).max() / 4096
    assert found["min_max"] == (joint.min(), joint.max())
    for percent in (99.9, 99.99):
        exact = np.percentile(joint, [100 - percent, percent])
        assert found[f"percentile_{percent}"] == pytest.approx(exact, abs=2 * bin_width + 0.02)
    for low, high in found.values():
        assert joint.min() <= low < 0 < high <= joint.max()
    assert found["percentile_99.9"][1] < found["percentile_99.99"][1] <= found["min_max"][1]


@pytest.mark.tensorflow
def test_pixels_and_their_scaling_keep_their_extremes(
    float32: bytes, tiny_tensors: Tensors
) -> None:
    graph = read_graph(float32)
    names = [o.name for o in graph.operators]
    scaling = {graph.tensors[o.outputs[0]].name for o in graph.operators[: names.index("CONV_2D")]}
    assert len(scaling) == 3
    extremes = ends(calibrate(float32, tiny_tensors, "image"))
    for method in METHODS:
        found = ends(calibrate(float32, tiny_tensors, "image", method))
        assert {name: found[name] for name in scaling} == {n: extremes[n] for n in scaling}
        if method != "min_max":
            assert found != extremes


@pytest.mark.tensorflow
@pytest.mark.parametrize("method", METHODS)
def test_neither_order_nor_a_second_time_matters(
    float32: bytes, tiny_tensors: Tensors, method: str
) -> None:
    first = ends(calibrate(float32, tiny_tensors, "image", method))
    assert first == ends(calibrate(float32, tiny_tensors, "image", method))
    assert first == ends(calibrate(float32, iter(tiny_tensors[::-1]), "image", method))


@pytest.mark.tensorflow
def test_memory_does_not_grow_with_the_number_of_inputs(
    float32: bytes, tiny_tensors: Tensors
) -> None:
    def peak(n: int) -> int:
        def inputs() -> Iterator[NDArray[np.uint8]]:
            for number in range(n):
                yield tiny_tensors[number % len(tiny_tensors)].copy()

        tracemalloc.start()
        calibrate(float32, inputs(), "image", "mse")
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(2)
    few, many = peak(4), peak(200)
    assert many < few + 200 * 1024  # 200 inputs alone are 600 kB


@pytest.mark.tensorflow
def test_progress_is_told(float32: bytes, tiny_tensors: Tensors) -> None:
    told: list[tuple[str, int]] = []

    class Listener:
        def track(self, items: Any, label: str, total: int) -> Iterator[Any]:
            told.append((label, total))
            yield from items

    calibrate(float32, tiny_tensors, "image", report=Listener())  # type: ignore[arg-type]
    assert told == [("Calibrating", len(tiny_tensors))]


@pytest.mark.tensorflow
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_activations_that_are_no_numbers_are_refused_by_their_layer(
    network_maker: Callable[..., Any],
    classifier_contract_maker: Callable[..., Any],
    tiny_tensors: Tensors,
    bad: float,
    tmp_path: Path,
) -> None:
    network = network_maker()
    kernel, bias = network.get_layer("project").get_weights()
    bias[4] = bad
    network.get_layer("project").set_weights([kernel, bias])
    save_keras(network, classifier_contract_maker(), tmp_path / "bad.keras")
    float32 = convert.float32_tflite(load_keras(tmp_path / "bad.keras"))
    for method in METHODS:
        with pytest.raises(UnusableInput) as caught:
            calibrate(float32, tiny_tensors, "image", method)
        said = str(caught.value)
        assert "project" in said
        assert "(CONV_2D) are not all finite on representative input 1" in said
        assert len(said.splitlines()) == 1


@pytest.mark.tensorflow
def test_no_input_is_refused(float32: bytes) -> None:
    with pytest.raises(UnusableInput, match="there is no representative input"):
        calibrate(float32, [], "image")


@pytest.mark.tensorflow
def test_a_regression_is_calibrated_whole(line_path: Path) -> None:
    line = load_keras(line_path)
    float32 = convert.float32_tflite(line)
    found = ends(calibrate(float32, convert.probe_inputs(line, 255), "x"))
    assert sorted(found.values()) == [(-41, 39), (-20, 20)]


def test_an_unknown_method_is_wrong_usage() -> None:
    with pytest.raises(UsageError) as caught:
        check_method("percentile_99", "litert-quantizer")
    assert str(caught.value) == (
        "there is no calibration method 'percentile_99'; pass percentile_99.9 or percentile_99.99"
    )
    with pytest.raises(UsageError, match=r"pass min_max or percentile_99\.9 or "):
        check_method("!", "litert-quantizer")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("quantizer", ["litert-quantizer", "tflite-converter"])
def test_tflite_converter_calibrates_by_extremes_alone(method: str, quantizer: str) -> None:
    if method == "min_max" or quantizer == "litert-quantizer":
        check_method(method, quantizer)
        return
    with pytest.raises(UsageError) as caught:
        check_method(method, quantizer)
    assert str(caught.value) == (
        f"TFLiteConverter calibrates by min_max alone, not by {method}; "
        "pass min_max, or a recipe that litert-quantizer makes"
    )
