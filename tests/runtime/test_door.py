"""The door: whatever is wrong with a file, it is refused before any interpreter sees it."""

from __future__ import annotations

import hashlib
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesionlite_runtime.container import append_members, split_members
from lesionlite_runtime.contract import CONTRACT_MEMBER
from lesionlite_runtime.door import DeviceModel, check_model, open_model
from lesionlite_runtime.errors import UnusableInput


def refused(data: bytes) -> str:
    """The sentence that ``data`` is refused with."""
    with pytest.raises(UnusableInput) as caught:
        check_model(data, "model.tflite")
    assert caught.value.file == "model.tflite"
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    return str(caught.value)


def opened(data: bytes) -> DeviceModel | None:
    """The model, or None where it is refused by one sentence."""
    try:
        return check_model(data, "model.tflite")
    except UnusableInput as error:
        sentence = str(error)
    assert "\n" not in sentence
    return None


def test_the_shipped_model_passes(shipped_model: Path) -> None:
    data = shipped_model.read_bytes()
    model = open_model(shipped_model)
    assert model.path == str(shipped_model)
    assert model.file_sha256 == hashlib.sha256(data).hexdigest()
    assert data.startswith(model.flatbuffer)
    assert len(model.flatbuffer) == model.contract.flatbuffer_bytes
    assert list(model.graph.inputs) == ["image"]


def test_tiny_models_pass(classifier_file: Path, regression_file: Path) -> None:
    assert open_model(classifier_file).contract.task == "binary_classification"
    assert open_model(str(regression_file)).contract.task == "regression"


def test_every_truncation_of_a_tiny_model_is_refused(tiny_classifier: Any) -> None:
    data = tiny_classifier.file()
    for length in range(8, len(data)):
        refused(data[:length])


def test_truncations_of_the_shipped_model_are_refused(shipped_model: Path) -> None:
    data = shipped_model.read_bytes()
    cuts = [1, 30, 2**10, 2**12, 2**20, len(data) // 2, len(data) - 100, len(data) - 7]
    for cut in cuts:
        refused(data[:-cut])


@given(place=st.integers(0), change=st.integers(1, 255))
@settings(max_examples=300)
def test_a_flipped_byte_is_refused_or_changes_nothing(
    tiny_classifier: Any, place: int, change: int
) -> None:
    data = tiny_classifier.file()
    flipped = bytearray(data)
    flipped[place % len(data)] ^= change
    model = opened(bytes(flipped))
    if model is not None:
        whole = check_model(data, "model.tflite")
        assert model.flatbuffer == whole.flatbuffer
        assert model.contract.to_bytes() == whole.contract.to_bytes()


@pytest.mark.parametrize("change", [0x01, 0x80, 0xFF])
def test_no_byte_may_be_flipped_but_those_that_say_nothing(
    tiny_classifier: Any, change: int
) -> None:
    data = tiny_classifier.file()
    whole = check_model(data, "model.tflite")
    passed = []
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= change
        model = opened(bytes(flipped))
        if model is not None:
            passed.append(place)
            assert (model.flatbuffer, model.contract) == (whole.flatbuffer, whole.contract)
    # Only dates, versions and attributes in the zip's own headers are read by nobody.
    assert min(passed) >= len(whole.flatbuffer)
    assert len(passed) < 100


@pytest.mark.parametrize("place", [0, 4, 100, 10_000, 2_000_000, 3_970_000])
def test_a_flipped_byte_of_the_shipped_model_is_refused(shipped_model: Path, place: int) -> None:
    data = bytearray(shipped_model.read_bytes())
    data[place] ^= 0x10
    refused(bytes(data))


@pytest.mark.parametrize(
    "data", [b"x", b"TFL3", b"#!/bin/sh\necho TFL3\n", b"\0\0\0\0TFL3", bytes(1000)]
)
def test_what_is_no_model_is_refused(data: bytes) -> None:
    refused(data)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data: bytes) -> None:
    refused(data)
    refused(b"\x10\0\0\0TFL3" + data)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.tflite").touch()
    for name in ("missing.tflite", "empty.tflite", "."):
        with pytest.raises(UnusableInput):
            open_model(tmp_path / name)


def test_a_model_without_a_contract_is_refused(tiny_classifier: Any) -> None:
    flatbuffer = tiny_classifier.flatbuffer()
    assert "carries no contract" in refused(flatbuffer)
    assert "carries no contract" in refused(append_members(flatbuffer, {"labels.txt": b"a\nb"}))


def test_a_contract_of_a_newer_version_is_refused(tiny_classifier: Any) -> None:
    body = {**tiny_classifier.body(), "schema": "lesionlite.contract/2"}
    members = {CONTRACT_MEMBER: tiny_classifier.contract_bytes(body)}
    message = refused(append_members(tiny_classifier.flatbuffer(), members))
    assert "schema is 'lesionlite.contract/2'" in message


def test_a_contract_of_other_bytes_is_refused(tiny_classifier: Any) -> None:
    spec = tiny_classifier.spec()
    spec["description"] = "made by hanD"
    flatbuffer, other = tiny_classifier.flatbuffer(), tiny_classifier.flatbuffer(spec)
    assert len(flatbuffer) == len(other)
    contract = tiny_classifier.contract(flatbuffer)
    members = {CONTRACT_MEMBER: contract.to_bytes()}
    assert opened(append_members(flatbuffer, members)) is not None
    assert "do not have the digest that its contract states" in refused(
        append_members(other, members)
    )


def test_a_contract_of_another_length_is_refused(tiny_classifier: Any) -> None:
    flatbuffer = tiny_classifier.flatbuffer()
    body = tiny_classifier.body()
    body["flatbuffer_sha256"] = hashlib.sha256(flatbuffer).hexdigest()
    body["flatbuffer_bytes"] = len(flatbuffer) + 1
    members = {CONTRACT_MEMBER: tiny_classifier.contract_bytes(body)}
    assert "do not have the digest" in refused(append_members(flatbuffer, members))


def test_a_contract_that_was_never_exported_is_refused(tiny_classifier: Any) -> None:
    body = {**tiny_classifier.body(), "flatbuffer_sha256": None, "flatbuffer_bytes": None}
    members = {CONTRACT_MEMBER: tiny_classifier.contract_bytes(body)}
    message = refused(append_members(tiny_classifier.flatbuffer(), members))
    assert "do not have the digest" in message


def test_a_second_contract_behind_the_first_is_refused(tiny_classifier: Any) -> None:
    body = tiny_classifier.body()
    body["threshold"]["value"] = 1
    other = tiny_classifier.contract(tiny_classifier.flatbuffer(), body)
    alone = append_members(b"", {CONTRACT_MEMBER: other.to_bytes()})
    assert "do not have the digest" in refused(tiny_classifier.file() + alone)


@pytest.mark.parametrize(
    ("place", "changes", "words"),
    [
        (0, {"name": "picture"}, "the model's input is named picture, and image in its contract"),
        (1, {"name": "label"}, "the model's output is named label, and score in its contract"),
    ],
)
def test_names_other_than_the_contract_s_are_refused(
    tiny_classifier: Any, place: int, changes: dict[str, str], words: str
) -> None:
    spec = tiny_classifier.spec()
    spec["signatures"][0][("inputs", "outputs")[place]][0] |= changes
    assert words in refused(tiny_classifier.file(spec))


@pytest.mark.parametrize(
    ("number", "changes", "words"),
    [
        (0, {"shape": [1, 6, 8, 3]}, "input is uint8 [1, 6, 8, 3], and uint8 [1, 8, 6, 3]"),
        (0, {"type": 9}, "input is int8 [1, 8, 6, 3], and uint8 [1, 8, 6, 3] in its contract"),
        (7, {"shape": [1, 2]}, "output is float32 [1, 2], and float32 [1, 1] in its contract"),
    ],
)
def test_tensors_other_than_the_contract_s_are_refused(
    tiny_classifier: Any, number: int, changes: dict[str, Any], words: str
) -> None:
    spec = tiny_classifier.spec()
    spec["subgraphs"][0]["tensors"][number] |= changes
    assert words in refused(tiny_classifier.file(spec))


def test_a_contract_of_the_other_task_is_refused(
    tiny_classifier: Any, tiny_regression: Any
) -> None:
    message = refused(tiny_regression.file_of(tiny_classifier.flatbuffer()))
    assert "the model's input is named image, and x in its contract" in message


INTEGERS = {"end": None, "output_type": "uint8", "output_levels": (1 / 256, 3)}


def test_models_of_other_types_pass(tiny_image_model: Any, tiny_labels: Any) -> None:
    weights = [[1 / 256, 0, 0], [0, 1 / 256, 0]]
    for tiny in (
        tiny_labels,
        tiny_image_model(weights),
        tiny_image_model(weights[:1], **INTEGERS),
        tiny_image_model(pixels="float32", pixel_range=(-1, 1)),
        tiny_image_model(pixels="int8", pixel_range=(0, 1), pixel_levels=(1 / 255, -128)),
        tiny_image_model(pixels="uint8", pixel_levels=(1 / 255, 0)),
    ):
        assert opened(tiny.file()) is not None


@pytest.mark.parametrize("quantization", [{"scale": 1 / 255}, {"zero_point": 4}])
def test_a_quantization_other_than_the_output_s_is_refused(
    tiny_image_model: Any, quantization: dict[str, Any]
) -> None:
    tiny = tiny_image_model([[1 / 256, 0, 0]], **INTEGERS)
    body = tiny.body()
    body["output"]["quantization"] |= quantization
    stated = body["output"]["quantization"]
    # The threshold fits what the contract states, so that nothing else is wrong.
    body["threshold"]["quantized"] = math.ceil(0.5 / stated["scale"]) + stated["zero_point"]
    message = refused(tiny.file(body=body))
    assert "scale or zero point of the model's output is not the one in its contract" in message


def test_an_output_of_integers_without_a_scale_is_refused(tiny_image_model: Any) -> None:
    """Moved, not computed: such a tensor passes the checks of the graph."""
    tiny = tiny_image_model([[1 / 256, 0, 0]], **INTEGERS)
    spec = tiny.spec()
    graph = spec["subgraphs"][0]
    del graph["tensors"][-1]["quantization"]
    spec["operator_codes"][-1] |= {"old_code": 53, "code": 53}
    cast = {"first": 0, "second": 3}
    graph["operators"][-1] |= {"options_type": 37, "options": cast}
    assert "is not the one in its contract" in refused(tiny.file(spec))


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_a_range_of_an_integer_input_without_a_scale_is_refused(
    tiny_image_model: Any, dtype: str
) -> None:
    tiny = tiny_image_model(pixels=dtype, pixel_range=(0, 1))
    message = refused(tiny.file())
    assert "the model's input has no scale, and a range in its contract" in message
    assert opened(tiny_image_model(pixels="float32", pixel_range=(0, 1)).file()) is not None


@pytest.mark.parametrize(
    ("n_outputs", "units", "stated"), [(1, 2, [1, 2]), (2, None, [1, 1]), (3, 2, [1, 2])]
)
def test_units_other_than_the_contract_s_are_refused(
    tiny_image_model: Any, n_outputs: int, units: int | None, stated: list[int]
) -> None:
    tiny = tiny_image_model([[0, 0, 0]] * n_outputs)
    body = tiny.body()
    body["output"].pop("units", None)
    if units is not None:
        body["output"]["units"] = units
    words = f"output is float32 [1, {n_outputs}], and float32 {stated} in its contract"
    assert words in refused(tiny.file(body=body))


@pytest.mark.parametrize("n_labels", [3, 5])
def test_labels_as_many_as_outputs_pass_and_others_are_refused(
    tiny_image_model: Any, n_labels: int
) -> None:
    labels = ["a", "b", "c", "d", "e"][:n_labels]
    assert opened(tiny_image_model([[0, 0, 0]] * n_labels, labels=labels).file()) is not None
    message = refused(tiny_image_model([[0, 0, 0]] * 4, labels=labels).file())
    assert f"output is float32 [1, 4], and float32 [1, {n_labels}] in its contract" in message


def test_types_other_than_the_contract_s_are_refused(tiny_image_model: Any) -> None:
    floats = tiny_image_model([[1 / 256, 0, 0]], end=None)
    integers = tiny_image_model([[1 / 256, 0, 0]], **INTEGERS)
    flatbuffer = floats.flatbuffer()
    assert "output is float32 [1, 1], and uint8 [1, 1] in" in refused(integers.file_of(flatbuffer))
    flatbuffer = integers.flatbuffer()
    assert "output is uint8 [1, 1], and float32 [1, 1] in" in refused(floats.file_of(flatbuffer))
    float_pixels = tiny_image_model(pixels="float32", pixel_range=(0, 255))
    message = refused(float_pixels.file_of(tiny_image_model().flatbuffer()))
    assert "input is uint8 [1, 8, 6, 3], and float32 [1, 8, 6, 3] in its contract" in message


def test_an_operator_that_lesionlite_does_not_run_is_refused(tiny_classifier: Any) -> None:
    spec = tiny_classifier.spec()
    spec["operator_codes"][3] = {"code": 32, "custom_code": "Evil"}
    assert "lesionlite does not run the operator CUSTOM" in refused(tiny_classifier.file(spec))


def damaged(tiny: Any, rng: random.Random) -> bytes:
    """A file whose structure is damaged at random, and whose contract fits the damaged bytes."""
    flatbuffer = bytearray(tiny.flatbuffer())
    for _ in range(rng.choice([1, 1, 2, 3])):
        place = rng.randrange(len(flatbuffer))
        if rng.random() < 0.6:
            flatbuffer[place] = rng.choice([0, 1, 2, 4, 8, 127, 128, 255, rng.randrange(256)])
        else:
            word = rng.choice([0, 1, 2**31 - 1, 2**32 - 1, rng.randrange(len(flatbuffer))])
            place -= place % 4
            flatbuffer[place : place + 4] = word.to_bytes(4, "little")
    return bytes(tiny.file_of(bytes(flatbuffer)))


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_structure_with_a_fitting_digest_is_refused_or_opens(
    tiny_classifier: Any, tiny_regression: Any, tiny_image_model: Any, seed: int
) -> None:
    rng = random.Random(seed)
    kinds = [tiny_classifier, tiny_regression, tiny_image_model([[1 / 256, 0, 0]], **INTEGERS)]
    outcomes = [opened(damaged(rng.choice(kinds), rng)) for _ in range(60)]
    assert outcomes.count(None) > 20


RUN_EACH = """
import sys
from pathlib import Path
import numpy as np
from lesionlite_runtime.door import check_model
from lesionlite_runtime.errors import LesionliteError
from lesionlite_runtime.interpreter import open_backend

for path in sorted(Path(sys.argv[1]).iterdir()):
    print(path.name, flush=True)
    model = check_model(path.read_bytes(), path.name)
    image = model.contract.input
    try:
        open_backend(model).invoke(np.full(image.shape, 3, image.dtype))
    except LesionliteError:
        pass
print("done")
"""


def test_no_damage_that_passes_the_door_crashes_the_interpreter(
    tiny_classifier: Any, tiny_regression: Any, tiny_image_model: Any, tmp_path: Path
) -> None:
    rng = random.Random(0)
    quantized = {"pixels": "int8", "pixel_range": (0, 1), "pixel_levels": (1 / 256, -128)}
    integers = tiny_image_model(
        [[1, 0, 0], [0, 1, 0]], **{**INTEGERS, "end": "SOFTMAX"}, **quantized
    )
    kinds = [tiny_classifier, tiny_regression, integers]
    passed = 0
    while passed < 200:
        data = damaged(rng.choice(kinds), rng)
        if opened(data) is not None:
            (tmp_path / f"{passed:03}.tflite").write_bytes(data)
            passed += 1
    outcome = subprocess.run(
        [sys.executable, "-c", RUN_EACH, str(tmp_path)], capture_output=True, text=True, check=False
    )
    last = outcome.stdout.splitlines()[-1:]
    assert (outcome.returncode, last) == (0, ["done"]), f"it ended at {last}: {outcome.stderr}"


def test_members_beside_the_contract_are_allowed(tiny_classifier: Any) -> None:
    flatbuffer, members = split_members(tiny_classifier.file())
    data = append_members(flatbuffer, {**members, "labels.txt": b"benign\nmalignant\n"})
    assert opened(data) is not None
