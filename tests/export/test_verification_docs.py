"""docs/verification.md against the command: its options, its schemas, its numbers."""

from __future__ import annotations

import copy
import importlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from lesionlite_export.comparability import Side
from lesionlite_export.gate import AnyParity, judge
from lesionlite_export.groups import FEWEST
from lesionlite_export.image_kinds import NOISE_SHARE
from lesionlite_export.label_figures import LabelFigures, label_figures
from lesionlite_export.labels_parity import label_score_parity
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.parity import ValueParity, score_parity
from lesionlite_export.recorded import SCHEMAS, SUFFIXES
from lesionlite_export.recorded_writing import reference_lines
from lesionlite_export.representative import Unusable
from lesionlite_export.sample import cluster
from lesionlite_export.score_figures import ScoreFigures, score_figures
from lesionlite_export.score_levels import ScoreLevels
from lesionlite_export.seen import PREFIX_BYTES, SeenImages
from lesionlite_export.set_warnings import FEWEST_IMAGES
from lesionlite_export.verification_result import ProofSet, Verification
from lesionlite_runtime.cli import ROUTES
from lesionlite_runtime.errors import UnusableInput

from ..runtime.test_cli_docs import faults  # noqa: TID252 (no package to name)

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "verification.md").read_text("utf-8")
SIDE = Side("keras", "m.keras", "1" * 12, "1" * 64, None, 0.5)
FILE = Side("tflite", "m.tflite", "a" * 12, "1" * 64, "int8", 0.5)
SEEN = SeenImages(
    {"training": ("list.csv",), "calibration": ()},
    {"training": ("0.jpg",), "calibration": ()},
    True,
)


def schema(title: str) -> dict[str, Any]:
    blocks = map(json.loads, re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL))
    return next(block for block in blocks if block["title"] == title)


def images(folder: Path) -> tuple[LabelledImage, ...]:
    """Files of 40 images with everything that a manifest may say of them."""
    listed = []
    for i in range(40):
        path = folder / f"{i}.jpg"
        path.write_bytes(b"x")
        facts = {"age": str(2 * i), "sex": "male", "site": "arm", "patient_id": f"P{i // 2}"}
        listed.append(LabelledImage(path, int(i < 12), f"class {i % 3}", facts))
    return tuple(listed)


def verification(
    parity: AnyParity,
    figures: ScoreFigures | LabelFigures | None,
    listed: tuple[LabelledImage, ...],
) -> Verification:
    """A result with a warning, an image and a line that could not be used."""
    proof = ProofSet(
        "v.csv",
        cluster(listed),
        SEEN,
        {"constant": ("3.jpg",), "noise": ()},
        listed,
        ("0" * 64,) * 40,
        (None,) * 40,
    )
    bad = Unusable(listed[0], UnusableInput("it is black", "", "b.jpg"))
    return Verification(
        SIDE,
        FILE,
        "litert",
        parity,
        figures,
        judge(parity, {}, 1),
        None if isinstance(parity, ValueParity) else proof,
        1,
        ("few",),
        (bad,),
        (UnusableInput("line 3: it was cut off", "", "old.jsonl"),),
    )


def two_labels(folder: Path, label: int | None = None) -> Verification:
    listed = images(folder)
    if label is not None:
        listed = tuple(replace(image, label=label) for image in listed)
    generator = np.random.default_rng(0)
    scores = generator.random(40)
    others = np.clip(scores + generator.normal(0, 0.2, 40), 0, 1)
    clusters = cluster(listed).of_image
    labels = [image.label for image in listed]
    files = [str(image.path) for image in listed]
    parity = score_parity(files, labels, scores.tolist(), others.tolist(), 0.5, clusters=clusters)
    figures = score_figures(parity, listed, "patients", ScoreLevels(256, 1 / 256, 0.5))
    return verification(parity, figures, listed)


def one_label(folder: Path) -> Verification:
    return two_labels(folder, 0)


def several_labels(folder: Path) -> Verification:
    listed = images(folder)
    scores = np.random.default_rng(0).dirichlet([1, 1, 1], (2, 40))
    files, labels = [str(image.path) for image in listed], [image.label for image in listed]
    parity = label_score_parity(files, ("a", "b", "c"), labels, scores[0], scores[1], None)
    return verification(parity, label_figures(parity, listed), listed)


def several_thresholds(folder: Path) -> Verification:
    side = replace(SIDE, threshold=None, thresholds={"a": 0.5, "b": 0.1, "c": 0.3})
    return replace(several_labels(folder), reference=side)


def regression(folder: Path) -> Verification:
    x = np.linspace(0, 1, 5)
    return verification(ValueParity(x, x, x + 0.001), None, images(folder))


@pytest.mark.parametrize(
    "make", [two_labels, one_label, several_labels, several_thresholds, regression]
)
def test_every_kind_of_result_keeps_the_schema(
    make: Callable[[Path], Verification], tmp_path: Path
) -> None:
    wanted = schema("lesionlite.verify/1")
    body = json.loads(json.dumps(make(tmp_path).to_json(), allow_nan=False))
    assert faults(body, wanted, wanted) == []
    assert body["schema"] == "lesionlite.verify/1"
    for key in body:
        if key not in ("positives", "labels", "range"):
            assert faults({k: v for k, v in body.items() if k != key}, wanted, wanted), key


def test_the_schema_has_no_key_that_nothing_writes(tmp_path: Path) -> None:
    written = {
        key for make in (two_labels, several_labels, regression) for key in make(tmp_path).to_json()
    }
    assert written == set(schema("lesionlite.verify/1")["properties"])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("extra",), 1),
        (("passed",), 1),
        (("n",), 1.5),
        (("flips", "count"), -1),
        (("flips", "rate"), 2),
        (("newly_missed_rate", "of"), None),
        (("mcnemar", "decisions", "p"), "0.5"),
        (("bands", 0, "agreement"), 1),
        (("groups", "class", 0, "flips", "low"), None),
        (("levels", "threshold"), "x"),
        (("candidate", "backend"), "other"),
        (("reference", "kind"), "pytorch"),
        (("seen_images", "allowed"), None),
        (("warnings",), [1]),
        (("schema",), "lesionlite.verify/2"),
    ],
)
def test_the_schema_refuses_what_is_none(
    path: tuple[str | int, ...], value: Any, tmp_path: Path
) -> None:
    wanted = schema("lesionlite.verify/1")
    body = copy.deepcopy(two_labels(tmp_path).to_json())
    inner: Any = body
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert faults(body, wanted, wanted)


@pytest.mark.parametrize("make", [two_labels, several_labels])
def test_saved_scores_keep_their_schema(
    make: Callable[[Path], Verification], tmp_path: Path
) -> None:
    wanted = schema("lesionlite.recorded/1")
    lines = [json.loads(line) for line in reference_lines(make(tmp_path))]
    assert len(lines) == 40
    for line in lines:
        assert faults(line, wanted, wanted) == []
    assert faults({**lines[0], "score": 0.5, "scores": {"a": 0.5}}, wanted, wanted)


def test_the_page_names_every_option_and_no_other() -> None:
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `--"))
    command = importlib.import_module(ROUTES["verify"].module).command
    options = {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in parameter.opts
    }
    assert set(re.findall(r"`(--?[a-z-]+)`", rows)) == options


def test_the_page_has_the_numbers_that_are_in_force() -> None:
    text = " ".join(PAGE.split())
    assert f"fewer than {FEWEST_IMAGES} images" in text
    assert f"fewer than {FEWEST} images of a label" in text
    assert f"the first {8 * PREFIX_BYTES} bits of the digest" in text
    assert f"less than {100 * NOISE_SHARE:g} % of the variance" in text
    for name in (*SCHEMAS, *SUFFIXES):
        assert f"`{name}`" in text


def test_the_page_names_every_column_of_the_csv(tmp_path: Path) -> None:
    section = PAGE.partition("## Files")[2].partition("\n## ")[0]
    for column in two_labels(tmp_path).columns():
        assert f"`{column}`" in section
