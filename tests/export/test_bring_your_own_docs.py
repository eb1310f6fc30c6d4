"""docs/bring-your-own.md against the draft's fields, the limits, and the commands that it shows."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.runtime.test_fixed_batch import opened
from tests.runtime.test_model_facts import functional, keras_file, layer

from lesionlite_export import first_pass, separation
from lesionlite_export.pixel_scaling import usual_scalings
from lesionlite_runtime.attach import ATTACHED_SCHEMA
from lesionlite_runtime.cli import main
from lesionlite_runtime.draft import (
    ClassifierDraft,
    LabelsDraft,
    RegressionDraft,
    draft_of_json,
    read_draft,
)
from lesionlite_runtime.draft_fields import VALUES, DraftImage

PAGE = (Path(__file__).parents[2] / "docs" / "bring-your-own.md").read_text("utf-8")
SIDE = 224


def fields(kind: Any, path: str = "") -> Iterator[str]:
    """The path of every field of a draft, those inside `chosen_on` and intervals left out."""
    import typing

    for name, hint in typing.get_type_hints(kind).items():
        inner = [h for h in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(h)]
        yield path + name
        if inner and name in ("input", "output", "threshold"):
            yield from fields(inner[0], f"{path}{name}.")


def test_every_field_of_a_draft_is_on_the_page_and_no_other() -> None:
    table = PAGE.partition("| field | meaning |")[2].partition("\n\n")[0]
    firsts = " ".join(re.findall(r"^\| (.*?) \| ", table, re.MULTILINE))
    shown = set(re.findall(r"`([a-z_.]+)`", firsts))
    wanted = {f for kind in (ClassifierDraft, LabelsDraft, RegressionDraft) for f in fields(kind)}
    parents = {"schema", "input", "output", "threshold.values", "threshold.rule"}
    assert shown - {"threshold"} == wanted - parents - {"threshold"} | {"threshold.rule"}
    for value in VALUES:
        assert f"`{value}`" in table


def commands() -> list[tuple[str, str]]:
    """(Command line, what the page shows below it) of the ``$`` lines."""
    blocks = re.findall(r"```\n\$ (.*?)```", PAGE, re.DOTALL)
    found = []
    for block in blocks:
        line, _, shown = block.replace("\\\n", " ").partition("\n")
        found.append((line, shown))
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_float: bytes) -> Path:
    """A folder with the files that the page's commands name."""
    image = layer("InputLayer", "i", batch_shape=[None, SIDE, SIDE, 3], dtype="float32")
    config = functional(image, layer("Dense", "d", "i", units=1, activation="sigmoid"))
    (tmp_path / "their.keras").write_bytes(keras_file(config))
    (tmp_path / "theirs.tflite").write_bytes(tiny_float)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tiny_float() -> bytes:
    """A float32 file of 224 pixels with an open batch, by hand."""
    from tests.runtime.conftest import _image_model

    tiny = _image_model([[0.02, -0.01, -0.01]], pixels="float32")
    spec = tiny.spec()
    for tensor in spec["subgraphs"][0]["tensors"]:
        if tensor["shape"] == [1, 8, 6, 3]:
            tensor["shape"] = [1, SIDE, SIDE, 3]
    return opened(dataclasses.replace(tiny, _spec=lambda: spec))


def test_the_commands_on_the_page_do_what_it_shows(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = commands()
    assert [line.split()[1:3] for line, _ in lines] == [
        ["contract", "init"],
        ["contract", "attach"],
    ]
    for line, shown in lines:
        assert main(shlex.split(line)[1:]) == 0
        text, _ = capsys.readouterr()
        if shown:
            assert re.sub(r"\b[0-9a-f]{12}\b", "MODEL", text) == shown
    example = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])
    assert read_draft(folder / "contract.json") == draft_of_json(example, None)
    assert f"`{ATTACHED_SCHEMA}`" in PAGE


def test_the_limits_of_the_first_pass_are_those_of_the_code() -> None:
    table = PAGE.partition("| what is seen | then |")[2].partition("\n\n")[0]
    (warned, times), (refused, more) = first_pass.MISFIT_WARNED, first_pass.MISFIT_REFUSED
    assert (times, more) == (2, 5)
    assert f"{refused:g} nats and more, and 5 times more" in table
    assert f"at {warned:g} nats, and twice" in table
    assert f"within {first_pass.CONSTANT:g} of each other" in table
    assert f"the same within {first_pass.NARROW:g}" in table
    (least, errors), (little, some) = separation.REFUSED, separation.WARNED
    assert f"{least:g} of AUC (two labels) or accuracy and {errors:g} standard errors" in table
    assert f"the same at {little:g} and {some:g} standard errors" in table
    assert f"in another order by {2 * least:g} of accuracy" in table
    assert f"up to {first_pass.PER_LABEL} images of each label" in PAGE
    assert f"Fewer than {first_pass.FEWEST} images" in PAGE


def test_the_benchmark_s_tables_are_there_with_every_scaling() -> None:
    odd = DraftImage((1, 8, 8, 3), (-3.0, 5.0), "RGB", "pillow-bilinear-v1")
    for part in ("misfit", "scores", "altered"):
        table = re.search(
            rf"<!-- benchmarks/first_pass.py {part} -->\n(.*?)<!-- end -->", PAGE, re.S
        )
        assert table
        head = table[1].splitlines()[0]
        assert all(f" {name} |" in head for name in usual_scalings(odd))
        assert np.greater(len(table[1].splitlines()), 5)
