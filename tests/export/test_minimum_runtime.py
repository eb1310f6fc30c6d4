"""The oldest runtime that loads a file, by the operators in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lesionlite_export import convert, quantize
from lesionlite_export.keras_model import KerasModel, load_keras, save_keras
from lesionlite_export.minimum_runtime import (
    check_minimum_runtime,
    minimum_runtime,
    operator_version,
    runtime_version,
)
from lesionlite_export.noise import native_noise_logged
from lesionlite_runtime.container import split_members
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.flatbuffer import root_table
from lesionlite_runtime.graph import Graph, OperatorInfo, TensorInfo, read_graph
from lesionlite_runtime.operators import INPUT_COUNTS

ROOT = Path(__file__).parents[2]
TABLES = json.loads(
    (ROOT / "export" / "lesionlite_export" / "runtimes" / "operator_versions.json").read_text()
)
HERE = "ai-edge-litert 2.3.0"
TFLITE = "tflite-runtime 2.14.0"


@pytest.fixture(scope="module")
def shipped(shipped_model: Path) -> bytes:
    """The shipped FlatBuffer."""
    return split_members(shipped_model.read_bytes())[0]


@pytest.fixture(scope="module")
def behind(float32_flatbuffer: bytes) -> bytes:
    """A FlatBuffer of LiteRT's quantizer, which has its constants behind the tables if large."""
    return quantize.float16(float32_flatbuffer)


@pytest.fixture(scope="module")
def hello() -> bytes:
    """The FlatBuffer of the smallest sample: QUANTIZE, FULLY_CONNECTED, DEQUANTIZE."""
    data = (ROOT / "samples" / "linear" / "hello.int8.tflite").read_bytes()
    return split_members(data)[0]


def with_versions(flatbuffer: bytes, **versions: int) -> bytes:
    """``flatbuffer`` with other operator versions."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer, 0))
    for name, version in versions.items():
        number = getattr(schema.BuiltinOperator, name)
        (code,) = (c for c in model.operatorCodes if c.builtinCode == number)
        code.version = version
    builder = flatbuffers.Builder(len(flatbuffer))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def named(flatbuffer: bytes) -> tuple[str | None, str]:
    found = minimum_runtime(flatbuffer)
    return found.version, found.feature


def recorded(flatbuffer: bytes) -> str:
    """The version that TensorFlow's converter wrote into its own file."""
    model = root_table(flatbuffer)
    (entry,) = (e for e in model.tables(6) if e.text(0) == "min_runtime_version")
    start, length = model.tables(4)[entry.scalar(1, "<I")].vector(0, 1)
    return flatbuffer[start : start + length].rstrip(b"\0").decode()


def test_the_tables_have_every_operator_that_lesionlite_runs() -> None:
    assert set(TABLES["operators"]) == set(INPUT_COUNTS)
    for known in TABLES["packages"].values():
        assert set(known) == set(INPUT_COUNTS)
    assert list(TABLES["packages"]) == [TFLITE, "ai-edge-litert 2.1.0", HERE]


def test_a_package_loads_what_the_table_of_versions_says_of_its_own() -> None:
    """tflite-runtime 2.14.0 has TensorFlow Lite's own number: the two tables must agree."""
    for name, (first, last) in TABLES["packages"][TFLITE].items():
        versions = TABLES["operators"][name].items()
        loads = [int(n) for n, since in versions if runtime_version(since) <= (2, 14, 0)]
        assert loads == list(range(first, last + 1)), name


@pytest.mark.tensorflow
def test_constants_behind_the_flatbuffer_need_a_newer_runtime_than_any_operator(
    behind: bytes,
) -> None:
    found = minimum_runtime(behind)
    assert found.version == "2.14.0"
    assert found.feature == "constants stored behind the FlatBuffer"
    assert (found.operator, found.operator_version) == (None, None)
    assert set(found.loads.values()) == {True}


def test_the_operator_that_decides_is_named(hello: bytes) -> None:
    found = minimum_runtime(hello)
    assert found.to_json() == {
        "version": "1.14.0",
        "feature": "QUANTIZE version 1",
        "operator": "QUANTIZE",
        "operator_version": 1,
        "loads": {TFLITE: True, "ai-edge-litert 2.1.0": True, HERE: True},
    }
    newer = minimum_runtime(with_versions(hello, FULLY_CONNECTED=12))
    assert (newer.version, newer.operator, newer.operator_version) == (
        "2.17.0",
        "FULLY_CONNECTED",
        12,
    )
    assert newer.loads == {TFLITE: False, "ai-edge-litert 2.1.0": True, HERE: True}


def test_types_count_where_a_file_does_not_state_their_version(
    hello: bytes, shipped: bytes
) -> None:
    """litert-quantizer writes version 1 for int8, which is what a float operator has."""
    for file, name, version in ((hello, "FULLY_CONNECTED", 4), (shipped, "CONV_2D", 3)):
        graph = read_graph(file)
        operator = next(o for o in graph.operators if o.name == name)
        assert operator.version == 1
        assert operator_version(graph, operator) == version


def graph_of(name: str, *dtypes: str, scales: int = 0) -> Graph:
    """One operator whose inputs and output are of ``dtypes``, its weights with ``scales``."""
    tensors = tuple(
        TensorInfo(f"t{i}", (2, 2), dtype, (1.0,) * scales * (i == 1), (), 0, 0)
        for i, dtype in enumerate(dtypes)
    )
    inputs = tuple(range(len(dtypes) - 1))
    return Graph(tensors, (OperatorInfo(name, 1, inputs, (len(inputs),), 0, None),), {}, {})


@pytest.mark.parametrize(
    ("graph", "version"),
    [
        (graph_of("CONV_2D", "float32", "float32", "float32"), 1),
        (graph_of("CONV_2D", "float32", "int8", "float32", scales=1), 2),
        (graph_of("CONV_2D", "float32", "int8", "float32", scales=2), 5),
        (graph_of("CONV_2D", "int8", "int8", "int8", scales=2), 3),
        (graph_of("CONV_2D", "int8", "int4", "int8", scales=2), 7),
        (graph_of("DEPTHWISE_CONV_2D", "float32", "int8", "float32", scales=2), 6),
        (graph_of("FULLY_CONNECTED", "float32", "int8", "float32", scales=2), 12),
        (graph_of("ADD", "int8", "int8", "int8"), 2),
        (graph_of("SPLIT", "int32", "int8", "int8"), 2),
        (graph_of("SPLIT", "int32", "float32", "float32"), 1),
        (graph_of("CAST", "uint8", "float32"), 1),
        (graph_of("CAST", "float32", "int8"), 3),
        (graph_of("CAST", "int8", "float32"), 3),
        (graph_of("DEQUANTIZE", "float16", "float32"), 3),
        (graph_of("QUANTIZE", "float32", "int8"), 1),
        (graph_of("ADD", "float32"), 1),
    ],
)
def test_the_version_that_types_ask_for(graph: Graph, version: int) -> None:
    assert operator_version(graph, graph.operators[0]) == version


def test_where_the_packages_load_later_than_the_table_says_theirs_counts(hello: bytes) -> None:
    """TensorFlow Lite's table has 2.11.0; TensorFlow 2.12.0 does not load it, 2.13.0 does."""
    assert named(with_versions(hello, FULLY_CONNECTED=10))[0] == "2.13.0"


@pytest.mark.parametrize("version", [15, 99])
def test_a_version_that_no_table_has_is_unknown(hello: bytes, version: int) -> None:
    file = with_versions(hello, FULLY_CONNECTED=version, QUANTIZE=3)
    assert named(file) == (None, f"FULLY_CONNECTED version {version}")
    found = minimum_runtime(file)
    assert found.to_json()["version"] == "unknown"
    assert set(found.loads.values()) == {False}
    with pytest.raises(UnusableInput) as caught:
        check_minimum_runtime(file, "9.9", "a.tflite")
    assert str(caught.value) == (
        "a.tflite: it is not known which TensorFlow Lite is the first with FULLY_CONNECTED version "
        f"{version}; export with another recipe, or without a minimum runtime"
    )


def test_an_operator_that_no_table_has_is_unknown_everywhere(
    hello: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = json.loads(json.dumps(TABLES))
    for table in (tables["operators"], *tables["packages"].values()):
        del table["FULLY_CONNECTED"]
    monkeypatch.setattr("lesionlite_export.minimum_runtime._tables", lambda: tables)
    found = minimum_runtime(hello)
    assert (found.version, found.operator) == (None, "FULLY_CONNECTED")
    assert set(found.loads.values()) == {None}


def test_a_file_that_a_runtime_cannot_load_is_refused_in_one_sentence(hello: bytes) -> None:
    file = with_versions(hello, FULLY_CONNECTED=12)
    check_minimum_runtime(file, "2.17", "a.tflite")
    check_minimum_runtime(file, "10.0", "a.tflite")
    with pytest.raises(UnusableInput) as caught:
        check_minimum_runtime(file, "2.14", "a.tflite")
    assert str(caught.value) == (
        "a.tflite: TensorFlow Lite 2.14 cannot load it: 2.17.0 is the first with FULLY_CONNECTED "
        "version 12; export with another recipe, or for a newer runtime"
    )


@pytest.mark.tensorflow
def test_versions_are_compared_as_versions(behind: bytes) -> None:
    check_minimum_runtime(behind, "2.14", "a.tflite")
    check_minimum_runtime(behind, "2.14.0", "a.tflite")
    for older in ("2.9", "2.13.1", "1.99"):
        with pytest.raises(UnusableInput, match=r"2\.14\.0 is the first with constants"):
            check_minimum_runtime(behind, older, "a.tflite")


@given(
    st.lists(st.integers(0, 9999), min_size=2, max_size=3),
    st.lists(st.integers(0, 9999), min_size=2, max_size=3),
)
def test_numbers_order_versions(first: list[int], second: list[int]) -> None:
    def padded(parts: list[int]) -> list[int]:
        return parts + [0] * (3 - len(parts))

    versions = [runtime_version(".".join(str(part) for part in parts)) for parts in (first, second)]
    assert (versions[0] < versions[1]) == (padded(first) < padded(second))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2",
        "2.",
        "2.14.",
        "v2.14",
        "2.14.0.1",
        "2.14\n",
        " 2.14",
        "2.x",
        "2.14rc1",
        "٢.١٤",
        "-2.1",
    ],
)
def test_another_text_is_wrong_usage(hello: bytes, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_minimum_runtime(hello, text, "a.tflite")
    assert str(caught.value) == (
        f"{text!r} is no version of TensorFlow Lite; pass one such as 2.14 or 2.14.0"
    )


@pytest.mark.tensorflow
def test_a_file_of_tensorflow_s_has_the_version_that_its_converter_wrote_into_it(
    tiny_model: KerasModel, tiny_tensors: list[Any], line_path: Path
) -> None:
    files = [convert.float32_tflite(model) for model in (tiny_model, load_keras(line_path))]
    for file in (*files, convert.int8_tflite(tiny_model, tiny_tensors, [])):
        assert minimum_runtime(file).version == recorded(file)


@pytest.mark.tensorflow
def test_types_ask_for_the_versions_that_tensorflow_s_converter_writes(
    tiny_model: KerasModel, tiny_tensors: list[Any]
) -> None:
    """The converter states one version an operator's name: the newest that one of them needs."""
    graph = read_graph(convert.int8_tflite(tiny_model, tiny_tensors, []))
    stated = {operator.name: operator.version for operator in graph.operators}
    assert stated["CONV_2D"] == 3
    asked: dict[str, int] = {}
    for operator in graph.operators:
        version = operator_version(graph, replace(operator, version=1))
        asked[operator.name] = max(version, asked.get(operator.name, 1))
    assert asked == stated


@pytest.mark.tensorflow
def test_tensorflow_s_own_dynamic_file_is_none_for_tflite_runtime(
    network_maker: Callable[..., Any],
    classifier_contract_maker: Callable[..., Any],
    tmp_path: Path,
) -> None:
    import keras
    import tensorflow as tf

    def wide(x: Any) -> Any:
        return keras.layers.Conv2D(1280, 3, strides=8, name="wide")(x)

    save_keras(network_maker(body=wide), classifier_contract_maker(), tmp_path / "wide.keras")
    with native_noise_logged():
        network = convert.wrapper(load_keras(tmp_path / "wide.keras"))
        converter = tf.lite.TFLiteConverter.from_keras_model(network)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        made = bytes(converter.convert())
    found = minimum_runtime(made)
    assert (found.operator, found.operator_version) == ("FULLY_CONNECTED", 12)
    assert found.version == recorded(made) == "2.17.0"
    assert found.loads == {TFLITE: False, "ai-edge-litert 2.1.0": True, HERE: True}
    with pytest.raises(UnusableInput, match="FULLY_CONNECTED version 12"):
        check_minimum_runtime(made, "2.14", "a.tflite")
