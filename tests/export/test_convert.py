"""TensorFlow's converter behind one wrapper: names, static shapes, the same bytes each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export import convert
from lesionlite_export.keras_model import KerasModel, keras_outputs, load_keras
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.graph import read_graph

pytestmark = pytest.mark.tensorflow
Tensors = list[NDArray[np.uint8]]
Invoke = Callable[[bytes, NDArray[Any]], float]


def test_names_types_and_static_shapes(tiny_model: KerasModel) -> None:
    graph = read_graph(convert.float32_tflite(tiny_model))
    assert list(graph.inputs) == ["image"]
    assert list(graph.outputs) == ["score"]
    image, score = graph.tensors[graph.inputs["image"]], graph.tensors[graph.outputs["score"]]
    assert (image.shape, image.dtype) == ((1, 32, 32, 3), "uint8")
    assert (score.shape, score.dtype) == ((1, 1), "float32")
    assert all(-1 not in tensor.shape for tensor in graph.tensors)


def test_scores_are_those_of_keras(
    tiny_model: KerasModel, tiny_tensors: Tensors, invoke: Invoke
) -> None:
    made = convert.float32_tflite(tiny_model)
    (wanted,) = keras_outputs(tiny_model.network, (t[0] for t in tiny_tensors))
    assert np.ptp(wanted) > 0.3
    scores = [invoke(made, tensor) for tensor in tiny_tensors]
    assert scores == pytest.approx(wanted.tolist(), abs=1e-5)


def test_the_same_bytes_twice_and_from_a_model_built_anew(
    tiny_model: KerasModel,
    tiny_path: Path,
    tiny_tensors: Tensors,
) -> None:
    again = load_keras(tiny_path)
    for two_labels in (False, True):
        made, twice, anew = (
            convert.float32_tflite(model, two_labels) for model in (tiny_model, tiny_model, again)
        )
        assert made == twice == anew
    first, second = (convert.int8_tflite(model, tiny_tensors, []) for model in (tiny_model, again))
    assert first == second


def test_a_layer_that_tflite_does_not_know_is_named(
    tiny_model: KerasModel, network_maker: Callable[..., Any]
) -> None:
    import keras

    def body(x: Any) -> Any:
        class Determinant(keras.layers.Layer):  # type: ignore[misc]
            def call(self, x: Any) -> Any:
                import tensorflow as tf

                square = x[:, :3, :3, :]
                return x * tf.linalg.det(keras.ops.transpose(square, (0, 3, 1, 2)))[:, None, None]

        return Determinant(name="determinant")(x)

    model = KerasModel("m.keras", network_maker(body=body), tiny_model.contract)
    with pytest.raises(UnusableInput) as caught:
        convert.float32_tflite(model)
    sentence = str(caught.value)
    assert sentence.startswith("m.keras: the converter failed (")
    assert "MatrixDeterminant" in sentence
    assert sentence.endswith("; replace the layer that it names by one that TFLite knows")
    assert "\n" not in sentence


def test_another_name_in_the_contract_is_the_name_in_the_file(
    tiny_model: KerasModel, classifier_contract_maker: Callable[..., ClassifierContract]
) -> None:
    from dataclasses import replace

    contract = classifier_contract_maker()
    renamed = replace(
        contract,
        input=replace(contract.input, name="photo"),
        output=replace(contract.output, name="risk"),
    )
    graph = read_graph(convert.float32_tflite(KerasModel("m", tiny_model.network, renamed)))
    assert list(graph.inputs) == ["photo"]
    assert list(graph.outputs) == ["risk"]


def test_probes_cover_the_range_of_a_regression(line_path: Path, tiny_model: KerasModel) -> None:
    probes = convert.probe_inputs(load_keras(line_path), 5)
    assert [probe.shape for probe in probes] == [(1, 1)] * 5
    assert [float(probe[0, 0]) for probe in probes] == [-20.0, -10.0, 0.0, 10.0, 20.0]
    assert probes[0].dtype == np.float32
    with pytest.raises(UnusableInput, match="not a regression"):
        convert.probe_inputs(tiny_model, 5)
