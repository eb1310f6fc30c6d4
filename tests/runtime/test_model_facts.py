"""What a model says of itself, without TensorFlow; tests/export has files of the real writers."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runtime.test_wire import field

from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.keras_config import config_facts
from lesionlite_runtime.model_facts import HDF5_START, ModelFacts, check_served, read_facts

Config = dict[str, Any]


def layer(kind: str, name: str, inputs: str | None = None, **config: Any) -> Config:
    """A layer as Keras 3 writes it in a functional model."""
    keras_tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": [inputs, 0, 0]}}
    nodes = [] if inputs is None else [{"args": [keras_tensor], "kwargs": {}}]
    return {"class_name": kind, "config": {"name": name, **config}, "inbound_nodes": nodes}


def functional(*layers: Config, output: str | None = None) -> Config:
    last = output or layers[-1]["config"]["name"]
    return {
        "class_name": "Functional",
        "config": {"name": "m", "layers": list(layers), "output_layers": [[last, 0, 0]]},
    }


INPUT = layer("InputLayer", "i", batch_shape=[None, 48, 32, 3], dtype="float32")
FUNCTION = {"class_name": "function", "config": "softmax"}
SIGMOID = layer("Dense", "score", "mean", units=1, activation="sigmoid")


@pytest.mark.parametrize(
    ("config", "facts"),
    [
        (functional(INPUT, SIGMOID), ((48, 32, 3), "float32", 1, "sigmoid", None)),
        (  # the output is not the layer that is listed last
            functional(INPUT, SIGMOID, layer("Dropout", "d", "i"), output="score"),
            ((48, 32, 3), "float32", 1, "sigmoid", None),
        ),
        (
            functional(
                layer("InputLayer", "i", batch_shape=[1, None, None, 3], dtype="uint8"),
                layer("Rescaling", "r", "i"),
                layer("Dense", "logits", "r", units=7, activation="linear"),
                layer("Softmax", "s", "logits"),
            ),
            ((None, None, 3), "uint8", 7, "softmax", "Rescaling"),
        ),
        (  # Keras 2
            {
                "class_name": "Sequential",
                "config": {
                    "layers": [
                        layer("InputLayer", "i", batch_input_shape=[None, 8, 8, 3], dtype="half"),
                        layer("Dense", "d", units=2, activation="linear"),
                        layer("Activation", "a", activation="softmax"),
                        layer("Dropout", "o"),
                    ]
                },
            },
            ((8, 8, 3), "half", 2, "softmax", None),
        ),
        (  # a Sequential that was built by a call
            {
                "class_name": "Sequential",
                "config": {
                    "layers": [layer("KerasLayer", "k"), layer("Dense", "d", units=1)],
                    "build_input_shape": [None, 299, 299, 3],
                },
            },
            ((299, 299, 3), "float32", 1, None, None),
        ),
        (  # a network in a network, in Keras 2's dialect
            {
                "class_name": "Functional",
                "config": {
                    "layers": [
                        {**INPUT, "inbound_nodes": []},
                        {
                            **functional(INPUT, SIGMOID),
                            "config": {
                                **functional(INPUT, SIGMOID)["config"],
                                "name": "inner",
                            },
                            "inbound_nodes": [[["i", 0, 0, {}]]],
                        },
                    ],
                    "output_layers": [["inner", 0, 0]],
                },
            },
            ((48, 32, 3), "float32", 1, "sigmoid", None),
        ),
        (
            functional(INPUT, layer("Dense", "d", "i", units=3, activation=FUNCTION)),
            ((48, 32, 3), "float32", 3, "softmax", None),
        ),
        (
            functional(INPUT, layer("Dense", "d", "i", units=3, activation="relu")),
            ((48, 32, 3), "float32", 3, None, None),
        ),
        (functional(INPUT, layer("Conv2D", "c", "i")), ((48, 32, 3), "float32", None, None, None)),
        (  # layers that lead in a circle
            functional(
                INPUT,
                layer("Dropout", "a", "b"),
                layer("Dropout", "b", "a"),
            ),
            ((48, 32, 3), "float32", None, None, None),
        ),
    ],
)
def test_a_config_says_input_units_and_function(config: Config, facts: tuple[Any, ...]) -> None:
    names = ("input_shape", "input_dtype", "units", "activation", "scaling")
    assert config_facts(config) == dict(zip(names, facts, strict=True))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def to_file(data: bytes) -> Path:
        path = tmp_path / "model"
        path.write_bytes(data)
        return path

    return to_file


def keras_file(config: Any) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    return stream.getvalue()


def test_the_kind_of_a_file_is_told_by_its_bytes(
    write: Callable[[bytes], Path], tiny_classifier: Any, tiny_labels: Any
) -> None:
    config = functional(INPUT, SIGMOID)
    facts = ModelFacts(".keras", (48, 32, 3), "float32", 1, "sigmoid")
    assert read_facts(write(keras_file(config))) == facts
    hdf5 = HDF5_START + b"\0" * 40 + json.dumps(config).encode() + b"\0more"
    assert read_facts(write(hdf5)) == ModelFacts("HDF5", (48, 32, 3), "float32", 1, "sigmoid")
    assert read_facts(write(tiny_classifier.file())) == ModelFacts(
        ".tflite", (8, 6, 3), "uint8", 1, "sigmoid"
    )
    assert read_facts(write(tiny_labels.flatbuffer())) == ModelFacts(
        ".tflite", (8, 6, 3), "uint8", 3, "linear"
    )


def test_a_tflite_ends_in_the_function_before_its_integers(
    write: Callable[[bytes], Path], tiny_image_model: Any
) -> None:
    model = tiny_image_model(
        [[0.1, 0, 0]] * 2, end="SOFTMAX", output_type="int8", output_levels=(1 / 256, -128)
    )
    assert read_facts(write(model.flatbuffer())).activation == "softmax"


def tensor_info(dtype: int, *sides: int, unknown_rank: bool = False) -> bytes:
    shape = b"".join(field(2, field(1, side % (1 << 64))) for side in sides)
    return field(2, dtype) + field(3, shape + (field(3, 1) if unknown_rank else b""))


def saved_model(inputs: dict[str, bytes], outputs: dict[str, bytes]) -> bytes:
    def entries(number: int, of: dict[str, bytes]) -> bytes:
        return b"".join(field(number, field(1, k.encode()) + field(2, v)) for k, v in of.items())

    signature = entries(1, inputs) + entries(2, outputs)
    graph = field(5, field(1, b"other") + field(2, b""))
    graph += field(5, field(1, b"serving_default") + field(2, signature))
    return field(1, 1) + field(2, graph)


@pytest.mark.parametrize(
    ("inputs", "outputs", "facts"),
    [
        (tensor_info(1, -1, 64, 48, 3), tensor_info(1, -1, 2), ((64, 48, 3), "float32", 2)),
        (tensor_info(4, -1, -1, -1, 3), tensor_info(1, -1, -1), ((None, None, 3), "uint8", None)),
        (tensor_info(1, unknown_rank=True), tensor_info(1, -1, 7), (None, "float32", 7)),
        (tensor_info(7, -1), tensor_info(1, unknown_rank=True), ((), None, None)),
    ],
)
def test_a_saved_model_says_what_its_signature_has(
    tmp_path: Path, inputs: bytes, outputs: bytes, facts: tuple[Any, ...]
) -> None:
    (tmp_path / "saved_model.pb").write_bytes(saved_model({"x": inputs}, {"y": outputs}))
    assert read_facts(tmp_path) == ModelFacts("SavedModel", *facts)


def test_several_inputs_say_their_number_and_none_nothing(tmp_path: Path) -> None:
    one = {"x": tensor_info(1, -1, 8, 8, 3)}
    for inputs, facts in (
        ({}, ModelFacts("SavedModel")),
        ({**one, "z": tensor_info(1, -1, 1)}, ModelFacts("SavedModel", inputs=2)),
    ):
        (tmp_path / "saved_model.pb").write_bytes(saved_model(inputs, one))
        assert read_facts(tmp_path) == facts


@pytest.mark.parametrize(
    ("named", "inputs"),
    [
        (["i", 0, 0], 1),
        ([["i", 0, 0]], 1),
        ([["i", 0, 0], ["j", 0, 0]], 2),
        ({"i": ["i", 0, 0], "j": ["j", 0, 0]}, 2),
        ([], 1),
        (None, 1),
    ],
)
def test_a_config_says_how_many_inputs_it_has(
    write: Callable[[bytes], Path], named: Any, inputs: int
) -> None:
    config = functional(INPUT, layer("InputLayer", "j", batch_shape=[None, 3]), SIGMOID)
    config["config"]["input_layers"] = named
    assert read_facts(write(keras_file(config))).inputs == inputs


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (ModelFacts(".keras", inputs=2), "it has 2 inputs, and lesionlite gives a model one"),
        (ModelFacts(".keras", (48, 48, 1)), "it takes [48, 48, 1], and lesionlite gives it images"),
        (ModelFacts("SavedModel", (3, None, None)), ""),
        (ModelFacts(".tflite", (3, 48, 48)), "it takes [3, 48, 48]"),
        (ModelFacts(".keras", (48, 48, 3)), ""),
        (ModelFacts(".keras", (1,)), ""),
        (ModelFacts(".keras"), ""),
    ],
)
def test_a_model_that_no_contract_is_for_is_refused(facts: ModelFacts, words: str) -> None:
    if not words:
        check_served(facts, "m.keras")
        return
    with pytest.raises(UnusableInput) as caught:
        check_served(facts, "m.keras")
    assert words in str(caught.value)


@pytest.mark.parametrize("data", [b"GIF89a", b"\0" * 40])
def test_what_is_no_model_is_refused(write: Callable[[bytes], Path], data: bytes) -> None:
    with pytest.raises(UnusableInput, match="this is no model that lesionlite knows"):
        read_facts(write(data))


@given(st.binary(max_size=300), st.sampled_from([HDF5_START, b"PK\3\4", b"\0\0\0\0TFL3", b""]))
def test_a_damaged_file_says_nothing(tmp_path_factory: Any, data: bytes, start: bytes) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / ("model" if start else "saved_model.pb")
    path.write_bytes(start + data + b"\0")
    facts = read_facts(path if start else folder)
    assert facts.units is None or start == b""


nested = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["class_name", "config", "layers", "name", "units", "inbound_nodes"]),
            inner,
            max_size=4,
        ),
    ),
)


@given(nested)
def test_any_config_is_read_or_says_nothing(tmp_path_factory: Any, config: Any) -> None:
    path = tmp_path_factory.mktemp("config") / "m.keras"
    path.write_bytes(keras_file(config))
    assert read_facts(path).kind == ".keras"
