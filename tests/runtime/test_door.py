"""The door: whatever is wrong with a file, it is refused before any interpreter sees it."""

from __future__ import annotations

import hashlib
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
    tiny_classifier: Any, tiny_regression: Any, seed: int
) -> None:
    rng = random.Random(seed)
    kinds = [tiny_classifier, tiny_regression]
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
    shape = model.contract.input.shape
    kind = np.uint8 if len(shape) == 4 else np.float32
    try:
        open_backend(model).invoke(np.full(shape, 3, kind))
    except LesionliteError:
        pass
print("done")
"""


def test_no_damage_that_passes_the_door_crashes_the_interpreter(
    tiny_classifier: Any, tiny_regression: Any, tmp_path: Path
) -> None:
    rng = random.Random(0)
    passed = 0
    while passed < 200:
        data = damaged(rng.choice([tiny_classifier, tiny_regression]), rng)
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
