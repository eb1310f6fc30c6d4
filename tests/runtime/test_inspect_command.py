"""``lesionlite inspect``: the whole contract, and nothing that reaches the terminal raw."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lesionlite_runtime.cli import main
from lesionlite_runtime.inspection import inspect as inspection

Outcome = tuple[int, str, str]
Run = Callable[..., Outcome]


@pytest.fixture
def inspect(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``lesionlite inspect``: (exit code, stdout, stderr)."""

    def call(*arguments: str | Path) -> Outcome:
        code = main(["inspect", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return call


def test_json_is_the_inspection_on_one_line(inspect: Run, shipped_model: Path) -> None:
    code, out, err = inspect(shipped_model, "--json")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 1
    assert json.loads(out) == inspection(shipped_model)


def test_text_shows_tensors_operators_digests_and_contract(
    inspect: Run, shipped_model: Path
) -> None:
    code, out, err = inspect(shipped_model)
    report = inspection(shipped_model)
    assert (code, err) == (0, "")
    assert "input      image uint8 [1, 224, 224, 3]\n" in out
    assert "output     score float32 [1, 1]\n" in out
    assert "CONV_2D 33, DEPTHWISE_CONV_2D 16" in out
    assert f"file       sha256 {report['file_sha256']}\n" in out
    assert f'  flatbuffer_sha256: "{report["flatbuffer_sha256"]}"\n' in out
    assert f"    value: {report['contract']['threshold']['value']}\n" in out


def test_every_value_of_the_contract_is_shown(inspect: Run, shipped_model: Path) -> None:
    _, out, _ = inspect(shipped_model)

    def leaves(value: dict[str, Any]) -> list[tuple[str, Any]]:
        found = []
        for key, item in value.items():
            found += leaves(item) if isinstance(item, dict) and item else [(key, item)]
        return found

    lines = {line.strip() for line in out.splitlines()}
    for key, item in leaves(inspection(shipped_model)["contract"]):
        if key == "table":  # a line each, see below
            continue
        if key == "image_prefixes":
            shown = f"{item[:39]}... ({len(item) + 2} characters, see --json)"
            assert f'{key}: "{shown}' in lines
            continue
        assert f"{key}: {json.dumps(item, ensure_ascii=False)}" in lines


def test_the_table_of_thresholds_is_shown_a_line_each(inspect: Run, classifier_file: Path) -> None:
    code, out, _ = inspect(classifier_file)
    assert code == 0
    assert out.splitlines()[-4:] == [
        "thresholds, on the scores that the contract's (*) was chosen on",
        "  threshold  sensitivity             specificity",
        "  0.2500     1.000 (0.830 to 1.000)  0.200 (0.100 to 0.300)",
        "  0.5000     0.900 (0.700 to 1.000)  0.400 (0.300 to 0.500)  *",
    ]
    assert "table" not in out
    _, out, _ = inspect(classifier_file, "--json")
    assert json.loads(out)["contract"]["threshold"]["table"][0]["threshold"] == 0.25


def test_a_regression_has_no_table(inspect: Run, regression_file: Path) -> None:
    code, out, _ = inspect(regression_file)
    assert code == 0
    assert "thresholds" not in out
    assert "  threshold: null\n" in out


def test_a_keras_file_shows_its_contract(inspect: Run, shipped_model: Path) -> None:
    code, out, err = inspect(shipped_model.parents[3] / "samples" / "lesion.keras")
    assert (code, err) == (0, "")
    assert "operators" not in out
    assert '  task: "binary_classification"\n' in out


def test_a_value_that_fills_the_screen_is_cut_in_text_and_whole_in_json(
    inspect: Run, tiny_classifier: Any, tmp_path: Path
) -> None:
    body = tiny_classifier.body()
    body["provenance"]["training"] = {"image_prefixes": "A" * 13_000, "seed": 7}
    path = tmp_path / "long.tflite"
    path.write_bytes(tiny_classifier.file(body=body))
    _, out, _ = inspect(path)
    shown = f'image_prefixes: "{"A" * 39}... (13002 characters, see --json)'
    assert shown in {line.strip() for line in out.splitlines()}
    assert "seed: 7" in {line.strip() for line in out.splitlines()}
    _, out, _ = inspect(path, "--json")
    contract = json.loads(out)["contract"]
    assert contract["provenance"]["training"]["image_prefixes"] == "A" * 13_000


def test_hostile_words_in_a_contract_stay_on_their_line(
    inspect: Run, tiny_classifier: Any, tmp_path: Path
) -> None:
    body, spec = tiny_classifier.body(), tiny_classifier.spec()
    hostile = "\x1b[2J\x9b31m\u202e\nthreshold: 1"
    body["output"]["classes"] = {hostile: 1}
    body["provenance"]["training"] = {hostile: {hostile: hostile}}
    body["input"]["name"] = spec["signatures"][0]["inputs"][0]["name"] = hostile
    path = tmp_path / "hostile.tflite"
    path.write_bytes(tiny_classifier.file(spec, body))
    code, out, _ = inspect(path)
    assert code == 0
    assert out.replace("\n", "").isprintable()
    assert "threshold: 1" not in {line.strip() for line in out.splitlines()}
    code, out, _ = inspect(path, "--json")
    assert json.loads(out)["contract"]["output"]["classes"] == {hostile: 1}


@pytest.mark.parametrize("data", [b"", b"text", b"PK\x03\x04", b"\0\0\0\0TFL3" + bytes(40)])
def test_what_is_no_model_has_code_5(inspect: Run, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    code, out, err = inspect(path)
    assert (code, out) == (5, "")
    assert err.startswith(f"lesionlite: {path}: ")
    assert err.count("\n") == 1
