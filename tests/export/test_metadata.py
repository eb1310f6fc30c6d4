"""Metadata in a `.tflite`: what they say, and that nothing else in the file changes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lesionlite_export import convert, quantize
from lesionlite_export.keras_model import KerasModel
from lesionlite_export.make import make_tflite
from lesionlite_export.metadata import read_metadata, with_metadata, without_metadata
from lesionlite_export.metadata_description import float32_threshold
from lesionlite_export.recipe import load_recipe
from lesionlite_runtime import Classifier
from lesionlite_runtime.container import append_members, split_members
from lesionlite_runtime.contract import (
    CONTRACT_MEMBER,
    ClassifierContract,
    Contract,
    LabelsContract,
    classifier_contract,
    with_flatbuffer,
)
from lesionlite_runtime.contract_fields import LabelsOutput, LabelThresholds, ScoreOutput
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.flatbuffer import Malformed, root_table
from lesionlite_runtime.graph import read_graph
from lesionlite_runtime.pixels import image_tensor

Sample = tuple[bytes, ClassifierContract]
WAYS = ("float32", "float16", "dynamic", "int8")


@pytest.fixture(scope="module")
def shipped(shipped_model: Path) -> Sample:
    """The shipped file's FlatBuffer, made by litert-quantizer, and its contract."""
    flatbuffer, members = split_members(shipped_model.read_bytes())
    return flatbuffer, of_classifier(members[CONTRACT_MEMBER])


@pytest.fixture(scope="module")
def made(tiny_model: KerasModel, tiny_tensors: list[NDArray[np.uint8]]) -> dict[str, bytes]:
    """The tiny classifier's FlatBuffer in every way, without metadata."""
    float32 = convert.float32_tflite(tiny_model)
    return {
        "float32": float32,
        "float16": quantize.float16(float32),
        "dynamic": quantize.dynamic(float32, []),
        "int8": make_tflite(tiny_model, load_recipe("int8"), tiny_tensors),
    }


def of_classifier(contract: bytes) -> ClassifierContract:
    return classifier_contract(ClassifierContract.from_bytes(contract))


def converted(build: Callable[[Any], Any], dtype: str = "uint8") -> bytes:
    """A float32 `.tflite` of ``build`` on 512 features of an image of 32 x 32 pixels.

    With so many weights, litert-quantizer packs them behind the root table (from 256 KiB on).
    """
    import keras

    from lesionlite_export.noise import native_noise_logged

    with native_noise_logged():
        import tensorflow as tf

        image = keras.Input(batch_shape=(1, 32, 32, 3), dtype=dtype, name="image")
        x = keras.layers.Conv2D(64, 3, strides=4)(keras.layers.Rescaling(1 / 255)(image))
        pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(512, 3)(x))
        network = keras.Model(image, {"score": build(pooled)}, name="net")
        return bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())


def scores(flatbuffer: bytes, tensors: list[NDArray[Any]]) -> list[NDArray[np.float32]]:
    """What LiteRT gives for each tensor, by the signature's names."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=flatbuffer).get_signature_runner("serving_default")
    return [runner(image=tensor)["score"].copy() for tensor in tensors]


def unpacked(flatbuffer: bytes) -> Any:
    """Everything in a model but its metadata, as plain values; buffers by their bytes."""
    from ai_edge_litert import schema_py_generated as tfl

    model = tfl.ModelT.InitFromObj(tfl.Model.GetRootAs(flatbuffer))
    tables = root_table(flatbuffer).tables(4)
    buffers = [content(table.data, table) for table in tables]
    entries = [(entry.name, buffers[entry.buffer]) for entry in model.metadata or []]
    model.buffers = model.metadata = None
    used = [t.buffer for graph in model.subgraphs for t in graph.tensors]
    others = [entry for entry in entries if entry[0] != b"TFLITE_METADATA"]
    return plain(model), [buffers[number] for number in used], others


def content(data: bytes, buffer: Any) -> bytes:
    start, size = buffer.scalar(1, "<Q"), buffer.scalar(2, "<Q")
    if start <= 1:
        start, size = buffer.vector(0, 1)
    return data[start : start + size]


def plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list):
        return [plain(item) for item in value]
    if hasattr(value, "__dict__"):
        return type(value).__name__, {key: plain(item) for key, item in vars(value).items()}
    return value


def outside(flatbuffer: bytes) -> int:
    """How many buffers lie outside their table, where packing naively loses them."""
    return sum(table.scalar(1, "<Q") > 1 for table in root_table(flatbuffer).tables(4))


# Nothing else changes -----------------------------------------------------------------------------


def test_the_shipped_file_scores_the_same_bit_for_bit(
    shipped: Sample, drawn_photos: list[Path]
) -> None:
    flatbuffer, contract = shipped
    new, _ = with_metadata(flatbuffer, contract)
    tensors = [image_tensor(photo, 224, 224)[np.newaxis] for photo in drawn_photos]
    assert len(tensors) >= 6
    with_it, without = scores(new, tensors), scores(flatbuffer, tensors)
    assert len({score.tobytes() for score in without}) > 3
    assert [s.tobytes() for s in with_it] == [s.tobytes() for s in without]


@pytest.mark.tensorflow
@pytest.mark.parametrize("way", WAYS)
def test_a_file_keeps_its_graph_and_its_scores_however_it_was_made(
    way: str,
    made: dict[str, bytes],
    tiny_model: KerasModel,
    tiny_tensors: list[NDArray[np.uint8]],
) -> None:
    flatbuffer = made[way]
    assert read_metadata(flatbuffer) is None
    new, _ = with_metadata(flatbuffer, classifier_contract(tiny_model.contract))
    assert read_metadata(new) is not None
    assert unpacked(new) == unpacked(flatbuffer)
    with_it, without = scores(new, tiny_tensors), scores(flatbuffer, tiny_tensors)
    assert [s.tobytes() for s in with_it] == [s.tobytes() for s in without]


@pytest.mark.tensorflow
def test_constants_that_the_quantizer_left_behind_the_root_are_kept(
    classifier_contract_maker: Callable[..., ClassifierContract],
    tiny_tensors: list[NDArray[np.uint8]],
) -> None:
    import keras

    flatbuffer = quantize.dynamic(converted(keras.layers.Dense(1, activation="sigmoid")), [])
    new, _ = with_metadata(flatbuffer, classifier_contract_maker())
    assert outside(flatbuffer) > 0
    assert outside(new) == 0
    assert unpacked(new) == unpacked(flatbuffer)
    with_it, without = scores(new, tiny_tensors), scores(flatbuffer, tiny_tensors)
    assert [s.tobytes() for s in with_it] == [s.tobytes() for s in without]


def test_the_file_grows_by_the_metadata_alone(shipped: Sample) -> None:
    flatbuffer, contract = shipped
    new, _ = with_metadata(flatbuffer, contract)
    assert unpacked(new) == unpacked(flatbuffer)
    assert len(new) < len(flatbuffer) + 4000


def test_constants_are_aligned_as_the_schema_asks(shipped: Sample) -> None:
    new, _ = with_metadata(*shipped)
    places = [t.constant_offset for t in read_graph(new).tensors if t.is_constant]
    assert len(places) > 60
    assert {place % 16 for place in places} == {0}


def test_the_same_arguments_give_the_same_bytes(shipped: Sample) -> None:
    assert with_metadata(*shipped) == with_metadata(*shipped)


def test_what_an_export_adds_at_its_end_is_not_in_the_metadata(shipped: Sample) -> None:
    flatbuffer, contract = shipped
    later = replace(with_flatbuffer(contract, b"other"), parity=None)
    assert with_metadata(flatbuffer, later) == with_metadata(flatbuffer, contract)


def test_metadata_that_are_there_are_replaced(shipped: Sample) -> None:
    flatbuffer, contract = shipped
    once, _ = with_metadata(flatbuffer, contract)
    assert with_metadata(once, contract)[0] == once
    lower = replace(contract, threshold=replace(contract.threshold, value=0.01))
    changed, _ = with_metadata(once, lower)
    assert threshold_in(changed) == float32_threshold(0.01)
    assert threshold_in(once) == float32_threshold(contract.threshold.value)
    assert len(root_table(changed).tables(4)) == len(root_table(once).tables(4))
    names = [entry.text(0) for entry in root_table(changed).tables(6)]
    assert names.count("TFLITE_METADATA") == 1
    assert unpacked(changed) == unpacked(flatbuffer)


def test_metadata_are_taken_out_without_a_trace(shipped: Sample) -> None:
    bare = without_metadata(shipped[0])
    assert read_metadata(bare) is None
    assert unpacked(bare)[:2] == unpacked(shipped[0])[:2]
    with_them, _ = with_metadata(bare, shipped[1])
    assert without_metadata(with_them) == bare
    assert without_metadata(bare) == bare


def test_a_buffer_that_a_tensor_reads_is_not_overwritten(shipped: Sample) -> None:
    from ai_edge_litert import schema_py_generated as tfl

    flatbuffer, contract = shipped
    once, _ = with_metadata(flatbuffer, contract)
    shared = bytearray(once)
    (entry,) = [e for e in root_table(once).tables(6) if e.text(0) == "TFLITE_METADATA"]
    place = entry.place(1)
    assert place is not None
    weights = next(t.buffer for t in _tensors(tfl, once) if len(_buffer(once, t.buffer)) > 1000)
    struct.pack_into("<I", shared, place, weights)
    again, _ = with_metadata(bytes(shared), contract)
    assert unpacked(again)[:2] == unpacked(flatbuffer)[:2]
    assert read_metadata(again) == read_metadata(once)


def _tensors(tfl: Any, flatbuffer: bytes) -> Any:
    return tfl.ModelT.InitFromObj(tfl.Model.GetRootAs(flatbuffer)).subgraphs[0].tensors


def _buffer(flatbuffer: bytes, number: int) -> bytes:
    return content(flatbuffer, root_table(flatbuffer).tables(4)[number])


def threshold_in(flatbuffer: bytes) -> float:
    metadata = read_metadata(flatbuffer)
    assert metadata is not None
    (output,) = metadata["subgraph_metadata"][0]["output_tensor_metadata"]
    (unit,) = output["process_units"]
    assert unit["options_type"] == "ScoreThresholdingOptions"
    return float(unit["options"]["global_score_threshold"])


def test_the_file_passes_the_door_and_decides_as_before(
    shipped: Sample, shipped_model: Path, drawn_photos: list[Path], tmp_path: Path
) -> None:
    flatbuffer, contract = shipped
    new, files = with_metadata(flatbuffer, contract)
    members = {**files, CONTRACT_MEMBER: with_flatbuffer(contract, new).to_bytes()}
    path = tmp_path / "with.tflite"
    path.write_bytes(append_members(new, members))
    assert split_members(path.read_bytes())[1]["labels.txt"] == b"malignant\n"
    before, after = Classifier(shipped_model), Classifier(path)
    for photo in drawn_photos:
        old, result = before.classify(photo), after.classify(photo)
        assert (result.score, result.decision) == (old.score, old.decision)


# What they say ------------------------------------------------------------------------------------


def test_what_the_metadata_of_the_shipped_file_say(shipped: Sample) -> None:
    flatbuffer, contract = shipped
    new, files = with_metadata(flatbuffer, contract)
    assert files == {"labels.txt": b"malignant\n"}
    metadata = read_metadata(new)
    assert metadata is not None
    assert metadata["min_parser_version"] == "1.0.0"
    assert "license" not in metadata  # nobody asked whose network it is
    threshold = f"{contract.threshold.value:.6g}"
    for part in ("benign", "malignant", threshold, "sensitivity=0.90", "no medical device"):
        assert part in metadata["description"]
    (graph,) = metadata["subgraph_metadata"]
    (image,), (score,) = graph["input_tensor_metadata"], graph["output_tensor_metadata"]
    assert image["name"] == "image"
    assert "224 rows and 224 columns by pillow-bilinear-v1" in image["description"]
    assert "R, G, B; uint8 from 0 to 255" in image["description"]
    assert image["content"] == {
        "content_properties_type": "ImageProperties",
        "content_properties": {
            "color_space": "RGB",
            "default_size": {"width": 224, "height": 224},
        },
    }
    assert image["process_units"] == [normalization()]
    assert image["stats"] == {"min": [0.0], "max": [255.0]}
    assert score["name"] == "score"
    assert score["stats"] == {"min": [0.0], "max": [1.0]}
    assert score["associated_files"][0]["name"] == "labels.txt"
    assert score["associated_files"][0]["type"] == "TENSOR_AXIS_LABELS"
    assert [file["name"] for file in metadata["associated_files"]] == [CONTRACT_MEMBER]


def normalization() -> dict[str, Any]:
    return {"options_type": "NormalizationOptions", "options": {"mean": [0.0], "std": [1.0]}}


@pytest.mark.tensorflow
def test_two_scores_have_two_labels_in_the_order_of_their_index(
    classifier_contract_maker: Callable[..., ClassifierContract],
) -> None:
    import keras

    flatbuffer = converted(keras.layers.Dense(2, activation="softmax"))
    new, files = with_metadata(flatbuffer, classifier_contract_maker())
    assert files == {"labels.txt": b"benign\nmalignant\n"}
    metadata = read_metadata(new)
    assert metadata is not None
    (score,) = metadata["subgraph_metadata"][0]["output_tensor_metadata"]
    assert score["description"].startswith("benign and malignant: ")


@pytest.mark.tensorflow
def test_a_float32_input_has_a_normalization_that_leaves_pixels_alone(
    classifier_contract_maker: Callable[..., ClassifierContract],
) -> None:
    import keras

    flatbuffer = converted(keras.layers.Dense(1, activation="sigmoid"), "float32")
    new, files = with_metadata(flatbuffer, classifier_contract_maker())
    assert files == {"labels.txt": b"malignant\n"}
    metadata = read_metadata(new)
    assert metadata is not None
    (image,) = metadata["subgraph_metadata"][0]["input_tensor_metadata"]
    assert image["process_units"] == [normalization()]
    assert "float32 from 0 to 255" in image["description"]


@given(st.floats(0, 1), st.integers(-3, 3))
def test_a_client_that_compares_in_float32_decides_as_the_contract(
    threshold: float, steps: int
) -> None:
    limit = np.float32(float32_threshold(threshold))
    assert float(limit) == float32_threshold(threshold)
    score = np.float32(threshold)
    for _ in range(abs(steps)):
        score = np.nextafter(score, np.float32(np.sign(steps) * 2))
    assert (float(score) >= threshold) == bool(score >= limit)


def test_the_nearest_float32_would_refer_a_score_below_the_threshold() -> None:
    value = 0.09206766119363655
    assert float(np.float32(value)) < value < float32_threshold(value)


# What is refused ----------------------------------------------------------------------------------


def test_a_file_that_is_not_the_contracts_is_refused(shipped: Sample) -> None:
    flatbuffer, contract = shipped
    other = replace(contract, input=replace(contract.input, name="photo"))
    with pytest.raises(UnusableInput, match="input is named image, and photo in its contract"):
        with_metadata(flatbuffer, other)
    renamed = replace(contract, output=replace(contract.output, name="p"))
    with pytest.raises(UnusableInput, match="output is named score, and p in its contract"):
        with_metadata(flatbuffer, renamed)


@pytest.mark.tensorflow
def test_several_labels_have_their_lines_and_no_threshold_of_all(
    classifier_contract_maker: Callable[..., ClassifierContract],
) -> None:
    import keras

    names = ("melanoma", "nevus", "seborrheic_keratosis")
    two = classifier_contract_maker()
    output = LabelsOutput("score", "float32", names, {name: i for i, name in enumerate(names)})
    common = {f.name: getattr(two, f.name) for f in fields(Contract)}
    contract = LabelsContract(
        **{**common, "task": "multiclass_classification"},
        input=two.input,
        output=output,
        threshold=LabelThresholds(dict.fromkeys(names, 0.25), "given"),
        parity=None,
    )
    flatbuffer = converted(keras.layers.Dense(3, activation="softmax"))
    new, files = with_metadata(flatbuffer, contract)
    assert files == {"labels.txt": b"melanoma\nnevus\nseborrheic_keratosis\n"}
    metadata = read_metadata(new)
    assert metadata is not None
    (score,) = metadata["subgraph_metadata"][0]["output_tensor_metadata"]
    assert "process_units" not in score
    assert "nevus 0.25" in score["description"]
    most, _ = with_metadata(flatbuffer, replace(contract, threshold=None))
    assert "The label with the highest score is the decision" in str(read_metadata(most))


def test_a_regression_says_what_it_takes_and_gives(shipped_regression: Path) -> None:
    flatbuffer, members = split_members(shipped_regression.read_bytes())
    contract = Contract.from_bytes(members[CONTRACT_MEMBER])
    new, files = with_metadata(flatbuffer, contract)
    assert files == {}
    metadata = read_metadata(new)
    assert metadata is not None
    (graph,) = metadata["subgraph_metadata"]
    (x,), (y,) = graph["input_tensor_metadata"], graph["output_tensor_metadata"]
    assert (x["name"], x["stats"]) == ("x", {"min": [-20.0], "max": [20.0]})
    assert y["name"] == "y"
    assert metadata["description"].startswith("Gives y for x from -20 to 20.")


@pytest.mark.tensorflow
def test_three_scores_are_refused(
    classifier_contract_maker: Callable[..., ClassifierContract],
) -> None:
    import keras

    flatbuffer = converted(keras.layers.Dense(3, activation="softmax"))
    with pytest.raises(UnusableInput, match=r"shape \[1, 3\], not \[1, 1\] or \[1, 2\]"):
        with_metadata(flatbuffer, classifier_contract_maker())


@pytest.mark.parametrize("label", ["", " ", "two\nlines", "a\u2028b", " malignant", "x\r"])
def test_a_label_that_is_no_line_is_refused(shipped: Sample, label: str) -> None:
    flatbuffer, contract = shipped
    output: ScoreOutput = replace(contract.output, labels=("benign", label), score_of=label)
    with pytest.raises(UnusableInput, match="cannot stand on a line"):
        with_metadata(flatbuffer, replace(contract, output=output))


def test_a_damaged_model_is_refused(shipped: Sample) -> None:
    flatbuffer, contract = shipped
    with pytest.raises(UnusableInput, match="no TFLite model"):
        with_metadata(flatbuffer[: len(flatbuffer) // 2], contract)
    with pytest.raises(Malformed):
        read_metadata(flatbuffer[: len(flatbuffer) // 2])


def test_metadata_of_another_kind_are_refused(shipped: Sample) -> None:
    new, _ = with_metadata(*shipped)
    place = new.index(b"M001")
    with pytest.raises(Malformed, match="no TFLite metadata"):
        read_metadata(new[:place] + b"M002" + new[place + 4 :])
