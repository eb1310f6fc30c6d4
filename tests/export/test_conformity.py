"""What the converter made, against what the recipe promised."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export import convert, quantize
from lesionlite_export.conformity import check_recipe, operator_kinds
from lesionlite_export.file_contract import file_contract
from lesionlite_export.keras_model import KerasModel, load_keras
from lesionlite_export.make import Form, make_tflite
from lesionlite_export.noise import native_noise_logged
from lesionlite_export.recipe import load_recipe, recipe_names
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.graph import read_graph

pytestmark = pytest.mark.tensorflow
Tensors = list[NDArray[np.uint8]]


@pytest.fixture(scope="module")
def files(tiny_model: KerasModel, tiny_tensors: Tensors) -> Mapping[str, bytes]:
    """The tiny classifier by every recipe."""
    return {
        name: make_tflite(tiny_model, load_recipe(name), tiny_tensors)
        for name in recipe_names()
        if "image" in load_recipe(name).operators
    }


def converted(
    model: Any, tensors: Sequence[NDArray[Any]], deny: Sequence[str] = (), **settings: Any
) -> bytes:
    """``model`` by TensorFlow's own int8 converter, with ``settings`` of the converter's."""
    with native_noise_logged():
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([tensor] for tensor in tensors)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        for name, value in settings.items():
            setattr(converter, name, value)
        if not deny:
            return bytes(converter.convert())
        debug = tf.lite.experimental
        debugger = debug.QuantizationDebugger(
            converter=converter,
            debug_dataset=converter.representative_dataset,
            debug_options=debug.QuantizationDebugOptions(denylisted_nodes=list(deny)),
        )
        return bytes(debugger.get_nondebug_quantized_model())


def refused(flatbuffer: bytes, recipe: str, contract: Any) -> str:
    with pytest.raises(UnusableInput) as caught:
        check_recipe(flatbuffer, load_recipe(recipe), contract, "m.tflite")
    assert str(caught.value).startswith("m.tflite: ")
    return str(caught.value)


def test_each_recipe_makes_what_it_promises(
    files: Mapping[str, bytes], tiny_model: KerasModel
) -> None:
    for name, flatbuffer in files.items():
        recipe = load_recipe(name)
        contract = file_contract(tiny_model, recipe, Form(), None, flatbuffer)
        assert check_recipe(flatbuffer, recipe, contract, "m.tflite") == read_graph(flatbuffer)


@pytest.mark.parametrize(
    ("made", "offered", "fault"),
    [
        ("float32", "int8", "1 x DEPTHWISE_CONV_2D in float32*float32"),
        ("float32", "dynamic", "2 x CONV_2D in float32*float32"),
        ("float32", "float16", "1 x FULLY_CONNECTED in float32*float32"),
        ("float16", "float32", "2 x CONV_2D in float32*float16"),
        ("dynamic", "float32", "2 x CONV_2D in float32*int8"),
        ("dynamic", "int8", "2 x CONV_2D in float32*int8"),
        ("int8", "dynamic", "2 x CONV_2D in int8*int8"),
        ("int8", "float32", "1 x QUANTIZE in int8"),
    ],
)
def test_one_recipes_file_is_not_anothers(
    files: Mapping[str, bytes], tiny_model: KerasModel, made: str, offered: str, fault: str
) -> None:
    sentence = refused(files[made], offered, tiny_model.contract)
    assert f"the converter made what the recipe {offered} does not allow (" in sentence
    assert fault in sentence


def test_a_deny_list_that_the_converter_ignored_is_seen(
    tiny_model: KerasModel, tiny_tensors: Tensors
) -> None:
    """An unknown name in it gives a plain int8 file, head and all, without a word."""
    plain = convert.int8_tflite(tiny_model, tiny_tensors, ["no_such_node"])
    sentence = refused(plain, "int8", tiny_model.contract)
    assert "1 x FULLY_CONNECTED in int8*int8" in sentence
    assert "1 x LOGISTIC in int8" in sentence


def test_a_deny_list_that_the_converter_obeyed_passes(
    tiny_model: KerasModel, tiny_tensors: Tensors, files: Mapping[str, bytes]
) -> None:
    graph = read_graph(files["float32"])
    names = quantize.output_names(graph, [*quantize.scaling_of(graph), *quantize.head_of(graph)])
    obeyed = convert.int8_tflite(tiny_model, tiny_tensors, names)
    check_recipe(obeyed, load_recipe("int8"), tiny_model.contract, "m.tflite")


def test_weights_with_one_scale_for_all_channels_are_refused(
    tiny_model: KerasModel, tiny_tensors: Tensors, files: Mapping[str, bytes]
) -> None:
    graph = read_graph(files["float32"])
    names = quantize.output_names(graph, [*quantize.scaling_of(graph), *quantize.head_of(graph)])
    network = convert.wrapper(tiny_model)
    per_tensor = converted(network, tiny_tensors, names, _experimental_disable_per_channel=True)
    assert "are not quantized per channel" in refused(per_tensor, "int8", tiny_model.contract)


def test_another_interface_is_refused(
    files: Mapping[str, bytes],
    tiny_model: KerasModel,
    classifier_contract_maker: Callable[..., ClassifierContract],
) -> None:
    contract = tiny_model.contract
    assert isinstance(contract, ClassifierContract)
    renamed = replace(contract, input=replace(contract.input, name="picture"))
    assert "the model's input is named image, and picture in its contract" in refused(
        files["int8"], "int8", renamed
    )
    relabelled = replace(contract, output=replace(contract.output, name="probability"))
    assert "the model's output is named score, and probability" in refused(
        files["int8"], "int8", relabelled
    )
    larger = classifier_contract_maker(side=48)
    assert "input is uint8 [1, 32, 32, 3], and uint8 [1, 48, 48, 3]" in refused(
        files["int8"], "int8", larger
    )


def test_a_float_input_is_refused(tiny_model: KerasModel) -> None:
    import keras

    x = keras.Input(batch_shape=(1, 32, 32, 3), dtype="float32", name="image")
    network = keras.Model(x, {"score": tiny_model.network(keras.ops.cast(x, "uint8"))}, name="net")
    with native_noise_logged():
        import tensorflow as tf

        made = bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())
    assert "the model's input is float32 [1, 32, 32, 3], and uint8" in refused(
        made, "float32", tiny_model.contract
    )


def test_a_quantized_input_is_refused(tiny_model: KerasModel, tiny_tensors: Tensors) -> None:
    """Its scale says what a pixel means, and a calibration that missed black shifts all of it."""
    import tensorflow as tf
    from keras import Input, Model

    network = tiny_model.network
    start = network.get_layer("stem").input
    behind = Model(start, network.output)
    x = Input(batch_shape=(1, 32, 32, 3), dtype="float32", name="image")
    scaled = [((tensor - 127.0) / 128).astype(np.float32) for tensor in tiny_tensors]
    raw = converted(
        Model(x, {"score": behind(x)}, name="net"),
        scaled,
        inference_input_type=tf.uint8,
        inference_output_type=tf.float32,
    )
    with pytest.raises(UnusableInput, match="does not allow"):
        check_recipe(raw, load_recipe("int8"), tiny_model.contract, "m.tflite")

    recipe = load_recipe("int8")
    wide = {"FULLY_CONNECTED": ("int8*int8",), "LOGISTIC": ("int8",), "QUANTIZE": ("int8",)}
    allowed = {**recipe.operators["image"], **wide}
    lax = replace(recipe, operators={"image": allowed})
    with pytest.raises(UnusableInput, match="input is quantized, so that pixels would not mean"):
        check_recipe(raw, lax, tiny_model.contract, "m.tflite")


def test_an_operator_that_the_recipe_does_not_name_is_refused(
    tiny_model: KerasModel, network_maker: Callable[..., Any]
) -> None:
    from keras import layers

    def body(x: Any) -> Any:
        return layers.Conv2D(8, 3, activation="exponential", name="stem")(x)

    model = KerasModel("m.keras", network_maker(body=body), tiny_model.contract)
    made = convert.float32_tflite(model)
    assert "(1 x EXP in float32)" in refused(made, "float32", tiny_model.contract)


def test_a_recipe_for_another_task_is_refused(
    files: Mapping[str, bytes], tiny_model: KerasModel
) -> None:
    recipe = load_recipe("float32")
    only_lines = replace(recipe, operators={"value": recipe.operators["value"]})
    with pytest.raises(UnusableInput, match="float32 is not for binary_classification"):
        check_recipe(files["float32"], only_lines, tiny_model.contract, "m.tflite")


def test_what_is_no_model_is_refused(files: Mapping[str, bytes], tiny_model: KerasModel) -> None:
    for data in (b"", b"no model at all", files["float32"][:200]):
        assert "TFLite model" in refused(data, "float32", tiny_model.contract)


def test_a_line_passes_by_every_recipe(line_path: Any) -> None:
    line = load_keras(line_path)
    inputs = convert.probe_inputs(line, 11)
    for name in (n for n in recipe_names() if "value" in load_recipe(n).operators):
        made = make_tflite(line, load_recipe(name), inputs)
        check_recipe(made, load_recipe(name), line.contract, "line.tflite")


def test_kinds_look_through_widened_float16_weights(files: Mapping[str, bytes]) -> None:
    kinds = {o.name: kind for o, kind in operator_kinds(read_graph(files["float16"]))}
    assert kinds["CONV_2D"] == "float32*float16"
    assert kinds["DEQUANTIZE"] == kinds["LOGISTIC"] == "float32"
