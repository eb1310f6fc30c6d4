"""What a model file says of itself."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from lesionlite_runtime.codec import json_line
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.inspection import inspect

KEYS = [
    "schema", "contract", "file_sha256", "flatbuffer_sha256", "inputs", "outputs", "operators",
]  # fmt: skip


def test_a_tflite_is_described_in_full(shipped_model: Path) -> None:
    report = inspect(shipped_model)
    assert list(report) == KEYS
    assert report["schema"] == "lesionlite.inspection/1"
    assert report["contract"]["schema"] == "lesionlite.contract/1"
    assert report["contract"]["digest"]
    assert report["file_sha256"] == hashlib.sha256(shipped_model.read_bytes()).hexdigest()
    assert report["flatbuffer_sha256"] == report["contract"]["flatbuffer_sha256"]
    assert report["inputs"] == [
        {
            "name": "image",
            "shape": [1, 224, 224, 3],
            "dtype": "uint8",
            "scales": [],
            "zero_points": [],
        }
    ]
    assert [(t["name"], t["dtype"], t["shape"]) for t in report["outputs"]] == [
        ("score", "float32", [1, 1])
    ]
    assert report["operators"]["CONV_2D"] == 33
    assert json.loads(json_line(report)) == report


def test_a_keras_file_has_a_contract_and_no_flatbuffer(shipped_model: Path) -> None:
    path = shipped_model.parents[3] / "samples" / "lesion.keras"
    report = inspect(path)
    assert list(report) == KEYS
    assert report["file_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert report["flatbuffer_sha256"] is None
    assert (report["inputs"], report["outputs"], report["operators"]) == ([], [], {})
    assert report["contract"]["task"] == "binary_classification"


def test_quantized_tensors_show_their_scales(tiny_classifier: Any, tmp_path: Path) -> None:
    spec = tiny_classifier.spec()
    spec["subgraphs"][0]["tensors"][0]["quantization"] = {"scale": [0.5], "zero_point": [128]}
    path = tmp_path / "quantized.tflite"
    path.write_bytes(tiny_classifier.file(spec))
    (image,) = inspect(path)["inputs"]
    assert (image["scales"], image["zero_points"]) == ([0.5], [128])


def test_the_contract_is_shown_as_it_stands_in_the_file(
    tiny_regression: Any, regression_file: Path
) -> None:
    flatbuffer = tiny_regression.flatbuffer()
    expected = tiny_regression.contract(flatbuffer).to_json()
    assert inspect(regression_file)["contract"] == expected


@pytest.mark.parametrize("data", [b"", b"text", b"PK\x03\x04 no zip", b"\0\0\0\0TFL3" + bytes(40)])
def test_what_is_no_model_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    with pytest.raises(UnusableInput) as caught:
        inspect(path)
    assert caught.value.file == str(path)
