"""``lesionlite verify --layers`` at the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lesionlite_export.layers.apart import PARTS
from lesionlite_export.layers.causes import CODES
from lesionlite_export.tflite_model import TfliteModel
from lesionlite_runtime.cli import main

pytestmark = pytest.mark.tensorflow
DOCS = Path(__file__).resolve().parents[3] / "docs" / "layers.md"
OPEN = [
    part
    for name in ("auc_difference", "flip_rate", "newly_missed_rate", "mean_score_error")
    for part in ("--limits", f"{name}=none")
]
Damaged = Callable[..., Path]


@pytest.fixture
def verify(
    deep_float32: TfliteModel, small_drawn: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs ``verify`` of a file against the small float network; exit code, stdout, stderr."""

    def run(path: Path, *options: object) -> tuple[int, str, str]:
        arguments = [deep_float32.path, path, "--data", small_drawn, "--quiet", *options]
        code = main(["verify", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


def test_the_table_has_every_operator_and_the_start_behind_it(
    verify: Callable[..., tuple[int, str, str]], deep_files: dict[str, Path], damaged: Damaged
) -> None:
    path = damaged(deep_files["int8"], 8, "weights", 0.1)  # second_dw
    code, text, _ = verify(path, *OPEN, "--layers", "--layers-images", 4)
    assert code == 0
    assert "proof      passed" in text  # the figures of the proof stand in front, as without
    lines = text.splitlines()
    head = next(line for line in lines if line.startswith("layers "))
    assert head.startswith("layers     4 of 18 images (seed 0), in LiteRT ")
    rows = [re.split(r"\s*│\s*", line.strip("│ ")) for line in lines if line.startswith("│")]
    assert [int(row[0]) for row in rows] == list(range(len(rows)))
    marked = [row for row in rows if "DAMAGED" in row]
    assert [(row[1], row[2]) for row in marked] == [("DEPTHWISE_CONV_2D", "second_dw")]
    start = next(i for i, line in enumerate(lines) if line.startswith("starts at"))
    assert lines[start].startswith("starts at  second_dw (DEPTHWISE_CONV_2D, operator 8): given ")
    assert "DAMAGED: 10 % of its weights, in " in lines[start + 1]
    assert "all of its error alone changes the score by " in lines[start + 2]
    assert max(map(len, lines)) <= 160


def test_without_the_option_nothing_changes(
    verify: Callable[..., tuple[int, str, str]], deep_files: dict[str, Path]
) -> None:
    _, text, _ = verify(deep_files["int8"], *OPEN)
    assert "starts at" not in text
    _, text, _ = verify(deep_files["int8"], *OPEN, "--json")
    assert "layers" not in json.loads(text)


def test_json_is_the_documented_schema(
    verify: Callable[..., tuple[int, str, str]],
    deep_files: dict[str, Path],
    damaged: Damaged,
    tmp_path: Path,
) -> None:
    path, file = damaged(deep_files["int8"], 4, "zero_point", 80), tmp_path / "layers.json"
    options = (*OPEN, "--layers", "--layers-images", 3, "--layers-seed", 5)
    code, text, _ = verify(path, *options, "--json", "--layers-json", file)
    assert code == 0
    layers = json.loads(text)["layers"]
    assert layers == json.loads(file.read_text())
    assert layers["schema"] == "lesionlite.layers/1"
    assert (layers["inputs"]["n"], layers["inputs"]["seed"]) == (3, 5)
    assert layers["starts_at"] == "stem"
    assert layers["damaged"] == ["stem"]
    assert set(layers["layers"][0]["added"]["parts_db"]) == set(PARTS)
    documented = set(re.findall(r"`([a-z0-9_]+)`", DOCS.read_text("utf-8")))
    assert keys_of(layers) <= documented
    assert CODES.keys() <= documented


def keys_of(value: object) -> set[str]:
    """Every key in a JSON value."""
    if isinstance(value, dict):
        return set(value) | {key for item in value.values() for key in keys_of(item)}
    if isinstance(value, list):
        return {key for item in value for key in keys_of(item)}
    return set()


def test_a_failed_proof_has_its_layers_and_exit_code_3(
    verify: Callable[..., tuple[int, str, str]], deep_files: dict[str, Path]
) -> None:
    options = ("--limits", "max_score_error=0", "--layers", "--layers-images", 2)
    code, text, error = verify(deep_files["int8"], *options)
    assert code == 3
    assert "second_add" in text
    assert "the proof failed" in error


@pytest.mark.parametrize("option", ["--layers-json", "--layers-overlay"])
def test_files_of_layers_need_the_comparison(
    option: str,
    verify: Callable[..., tuple[int, str, str]],
    deep_files: dict[str, Path],
    tmp_path: Path,
) -> None:
    code, text, error = verify(deep_files["int8"], option, tmp_path / "x")
    assert (code, text) == (2, "")
    assert error == "lesionlite: --layers-json and --layers-overlay need --layers; add --layers\n"


def test_files_are_not_overwritten_without_force(
    verify: Callable[..., tuple[int, str, str]], deep_files: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "total.json").write_text("mine")
    options = (*OPEN, "--layers", "--layers-images", 2, "--layers-overlay", tmp_path)
    code, _, error = verify(deep_files["int8"], *options)
    assert code == 2
    assert f"{tmp_path / 'total.json'}: the file exists already; pass --force" in error
    assert (tmp_path / "total.json").read_text() == "mine"
    assert verify(deep_files["int8"], *options, "--force")[0] == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["added.json", "total.json"]
    missing = (*options[:-1], tmp_path / "none")
    code, _, error = verify(deep_files["int8"], *missing)
    assert code == 2
    assert "the folder for it does not exist" in error
