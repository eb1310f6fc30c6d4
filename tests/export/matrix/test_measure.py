"""The matrix on real backends: the shipped file, one of several labels, a regression."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlite_export.keras_model import KerasModel
from lesionlite_export.make import Form
from lesionlite_export.matrix import measure
from lesionlite_export.matrix.measure import SAMPLE, MatrixOptions, run_matrix, sample_of
from lesionlite_export.matrix.process import CRASHED, DONE, INVALID, MISSING
from lesionlite_export.matrix.result import Matrix
from lesionlite_export.matrix.rows import PYTHON_VARIABLES, rows_of
from lesionlite_export.publish import export_model
from lesionlite_export.recipe import load_recipe, recipe_names
from lesionlite_export.representative import PreparedImage
from lesionlite_export.sets import Sets
from lesionlite_export.source import load_source
from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError

LITERT = (
    "litert-xnnpack",
    "litert-builtin",
    "litert-reference",
    "litert-compiled-model",
)
# Of six images a single one that flips is a sixth.
FEW: dict[str, float | None] = {"flip_rate": 0.5, "auc_difference": None, "newly_missed_rate": 0.5}


@pytest.fixture(scope="module")
def shipped(shipped_model: Path, photo_list: Path) -> Matrix:
    """The shipped file against itself, in everything that LiteRT has."""
    options = MatrixOptions(LITERT, all_images=True)
    return run_matrix(load_source(shipped_model), shipped_model, photo_list, options, limits=FEW)


def test_every_row_has_scores(shipped: Matrix, photo_scores: list[float]) -> None:
    assert [row.outcome.status for row in shipped.rows] == [DONE] * 10, [
        row.outcome.reason for row in shipped.rows
    ]
    assert {len(row.numbers) for row in shipped.rows} == {6}
    assert shipped.rows[0].scores is not None
    assert shipped.rows[0].scores[:, 0].tolist() == photo_scores
    assert shipped.verdict.failures == ()
    assert shipped
    assert shipped.seed is None


def test_the_kernels_are_those_that_were_asked_for(shipped: Matrix) -> None:
    kernels = [row.kernels and row.kernels.name for row in shipped.rows]
    assert kernels == [*["xnnpack"] * 3, *["builtin"] * 3, *["reference"] * 3, None]
    first = shipped.rows[0].kernels
    assert first is not None
    assert (first.partitions, first.left) == (1, {"CAST": 1})


def test_threads_change_no_bit_of_an_int8_file(shipped: Matrix) -> None:
    for variant in LITERT[:3]:
        for threads in (2, 4):
            pair = shipped.pair(f"{variant}/1", f"{variant}/{threads}")
            assert pair is not None
            assert pair.bit_equal
            assert pair.max_difference == 0.0


def test_kernel_sets_differ(shipped: Matrix) -> None:
    """What the matrix is there for: were they equal, a row would not run what it says."""
    for a, b in (("xnnpack", "builtin"), ("xnnpack", "reference"), ("builtin", "reference")):
        pair = shipped.pair(f"litert-{b}/1", f"litert-{a}/1")
        assert pair is not None
        assert pair.kind == "kernels"
        assert 0.0 < pair.max_difference < 0.15


def test_columns_have_the_scores_of_every_row(shipped: Matrix, photo_scores: list[float]) -> None:
    columns = shipped.columns()
    assert list(columns)[:4] == ["filepath", "label", "score_keras", "score_litert-xnnpack/1"]
    assert len(columns) == 3 + 10
    assert columns["label"].tolist() == [1, 1, 0, 0, 0, 0]
    assert columns["score_litert-xnnpack/1"].tolist() == photo_scores


def test_a_matrix_is_json(shipped: Matrix) -> None:
    body = shipped.to_json()
    assert json.loads(json.dumps(body)) == body
    assert body["passed"] is True
    assert body["n"] == 6
    assert len(body["pairs"]) == 10 + 45


def test_slow_rows_get_a_sample_and_say_so(
    shipped_model: Path, photo_list: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two(images: Any, source: str, seed: int) -> tuple[int, ...]:
        return sample_of(images, source, seed, size=2)

    monkeypatch.setattr(measure, "sample_of", two)
    options = MatrixOptions(("litert-xnnpack", "litert-reference"), seed=5)
    matrix = run_matrix(load_source(shipped_model), shipped_model, photo_list, options)
    assert [len(row.numbers) for row in matrix.rows] == [6, 6, 6, 2, 2, 2]
    assert matrix.seed == 5
    rows = matrix.to_json()["rows"]
    assert [row["n"] for row in rows] == [6, 6, 6, 2, 2, 2]
    assert [row["keras"]["gated"] for row in rows] == [True] * 3 + [False] * 3
    column = matrix.columns()["score_litert-reference/1"]
    numbers = list(matrix.rows[3].numbers)
    assert np.flatnonzero(np.isfinite(column)).tolist() == numbers
    assert numbers != [0, 1]
    assert matrix.rows[3].scores is not None
    assert column[numbers].tolist() == matrix.rows[3].scores[:, 0].tolist()
    assert {int(matrix.subject.labels[i]) for i in numbers} == {0, 1}  # one of each label


def test_a_sample_is_drawn_by_its_seed(small_sets: Any) -> None:
    images = [
        PreparedImage(image, np.zeros((1, 1, 3), np.uint8), "") for image in small_sets.proof.images
    ]
    first = sample_of(images, "here", 0, size=9)
    assert first == sample_of(images, "here", 0, size=9)
    assert first != sample_of(images, "here", 1, size=9)
    assert list(first) == sorted(set(first))
    assert sum(images[i].image.label for i in first) == 3  # a third of them, as in the whole
    assert sample_of(images, "here", 0) == tuple(range(18))
    assert SAMPLE > 18


def test_a_file_of_several_labels(labels_file: Path, photo_list: Path, tmp_path: Path) -> None:
    rows = (
        photo_list.read_text().replace(",1\n", ",0\n").replace("nevus_000.jpg,0", "nevus_000.jpg,1")
    )
    listed = photo_list.with_name("labels.csv")
    listed.write_text(rows.replace("nevus_001.jpg,0", "nevus_001.jpg,2"))
    options = MatrixOptions(("litert-xnnpack", "litert-builtin", "litert-compiled-model"))
    matrix = run_matrix(load_source(labels_file), labels_file, listed, options)
    assert matrix.verdict.failures == ()
    assert matrix.subject.reference.shape == (6, 3)
    assert matrix.subject.threshold is None
    body = matrix.to_json()
    assert body["positives"] is None
    assert body["task"] == "multiclass_classification"
    assert {pair["flips"] for pair in body["pairs"]} == {0}
    assert all(row["keras"]["newly_missed"] is None for row in body["rows"])
    columns = matrix.columns()
    assert list(columns)[:3] == ["filepath", "label", "score_keras_red"]
    assert sorted(set(columns["label"])) == ["blue", "green", "red"]


def test_a_regression_needs_no_data(regression_file: Path) -> None:
    matrix = run_matrix(load_source(regression_file), regression_file, None, MatrixOptions(LITERT))
    assert matrix.verdict.failures == ()
    assert {row.outcome.status for row in matrix.rows} == {DONE}
    assert {len(row.numbers) for row in matrix.rows} == {1001}
    assert all(row.gated for row in matrix.rows)
    body = matrix.to_json()
    assert body["task"] == "regression"
    assert body["scale"] == pytest.approx(21.0)
    assert {pair["flips"] for pair in body["pairs"]} == {None}
    columns = matrix.columns()
    assert list(columns)[:2] == ["x", "y_keras"]
    assert columns["y_litert-xnnpack/4"].tolist() == pytest.approx(
        [2 * x - 1 for x in columns["x"]], abs=1e-4
    )


def test_a_backend_that_is_not_here_is_a_row_and_not_the_end(
    shipped_model: Path, photo_list: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python with neither NumPy nor an interpreter, and one that is no Python."""
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nkill -SEGV $$\n")
    broken.chmod(0o755)
    pythons = dict.fromkeys(PYTHON_VARIABLES, sys.executable)
    pythons |= {"tflite-runtime": str(bare), "tensorflow": str(broken)}
    one_thread = [row for row in rows_of(()) if row.threads == 1]
    monkeypatch.setattr(measure, "rows_of", lambda _: one_thread)
    options = MatrixOptions((), pythons, all_images=True)
    matrix = run_matrix(load_source(shipped_model), shipped_model, photo_list, options, limits=FEW)
    outcomes = {row.name: row.outcome for row in matrix.rows}
    assert outcomes["tflite-runtime/1"].status == MISSING
    assert outcomes["tflite-runtime/1"].reason == "tflite-runtime is not installed"
    assert outcomes["tensorflow/1"].status == CRASHED
    assert "SIGSEGV" in outcomes["tensorflow/1"].reason
    assert sum(outcome.status == DONE for outcome in outcomes.values()) == 4
    assert matrix.verdict.failures == (f"tensorflow/1: {outcomes['tensorflow/1'].reason}",)


def test_a_backend_that_gives_nan_is_a_row_and_not_the_end(
    shipped_model: Path, photo_list: Path, tmp_path: Path
) -> None:
    """An interpreter's package that a stranger wrote."""
    package = tmp_path / "site" / "tflite_runtime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("__version__ = '0'")
    (package / "interpreter.py").write_text(
        "import enum, numpy\n"
        "class OpResolverType(enum.Enum):\n"
        "    AUTO = 0\n"
        "class Interpreter:\n"
        "    def __init__(self, **options): self.n = 0\n"
        "    def allocate_tensors(self): pass\n"
        "    def _get_ops_details(self): return []\n"
        "    def get_signature_runner(self, key): return self\n"
        "    def __call__(self, image):\n"
        "        self.n += 1\n"
        "        return {'score': numpy.float32([[numpy.nan if self.n == 4 else 0.5]])}\n"
    )
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={package.parent} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    pythons = dict.fromkeys(PYTHON_VARIABLES, sys.executable) | {"tflite-runtime": str(python)}
    options = MatrixOptions(("tflite-runtime",), pythons)
    matrix = run_matrix(load_source(shipped_model), shipped_model, photo_list, options)
    (row,) = matrix.rows
    assert row.outcome.status == INVALID
    fourth = sorted(photo_list.parent.glob("*.jpg"))[3]
    assert row.outcome.reason == f"it gave nan in place of a score for {fourth}"
    assert row.outcome.version == "0"
    assert row.scores is None
    assert matrix.pairs == ()
    assert not matrix


def test_refused_before_any_work(
    shipped_model: Path,
    labels_file: Path,
    photo_list: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full disk is seen before a row is run, too."""

    def no_row(*_: Any, **__: Any) -> None:
        raise AssertionError("a row was run")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(measure, "run_row", no_row)
    monkeypatch.setattr(measure, "write_array_header_1_0", full)
    source = load_source(shipped_model)
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(shipped_model.read_bytes()[:-40])
    cases: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: run_matrix(source, shipped_model, None, MatrixOptions()), UsageError, "--data"),
        (lambda: run_matrix(source, cut, photo_list, MatrixOptions()), UnusableInput, str(cut)),
        (
            lambda: run_matrix(source, labels_file, photo_list, MatrixOptions()),
            UnusableInput,
            "multiclass_classification",
        ),
        (
            lambda: run_matrix(
                source, shipped_model, photo_list, MatrixOptions(), limits={"max_relative_error": 1}
            ),
            UsageError,
            "max_relative_error is not for this kind of model",
        ),
        (
            lambda: run_matrix(source, shipped_model, photo_list, MatrixOptions(), limits=FEW),
            MissingHere,
            "the images cannot be written (no space left on device); free some space, or name",
        ),
    ]
    for call, kind, words in cases:
        with pytest.raises(kind) as caught:
            call()
        assert words in str(caught.value)


def test_tflite_runtime_where_it_is(shipped_model: Path, photo_list: Path) -> None:
    """In this Python, or in the one that LESIONLITE_PYTHON_TFLITE_RUNTIME names."""
    options = MatrixOptions(("litert-builtin", "tflite-runtime"))
    source = load_source(shipped_model)
    matrix = run_matrix(source, shipped_model, photo_list, options, limits=FEW)
    row = matrix.rows[-1]
    if row.outcome.status == MISSING:
        pytest.skip(row.outcome.reason)
    assert row.outcome.status == DONE, row.outcome.reason
    pair = matrix.pair("litert-builtin/1", "tflite-runtime/1")
    assert pair is not None
    # Its XNNPACK takes the float parts alone; integers are computed by the same kernels.
    assert row.kernels is not None
    assert row.kernels.name == "mixed"
    assert pair.max_difference < 1e-5


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("recipe", "form"),
    [
        *((name, Form()) for name in recipe_names() if "image" in load_recipe(name).operators),
        ("float32", Form(io="float32")),
        ("int8", Form(two_labels=True)),
    ],
)
def test_a_file_of_every_recipe(
    recipe: str,
    form: Form,
    tiny_model: KerasModel,
    small_sets: Sets,
    small_drawn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "tiny.tflite"
    export_model(tiny_model, load_recipe(recipe), out, sets=small_sets, form=form, prove=False)
    litert = [row for row in rows_of(LITERT) if row.threads == 1]
    monkeypatch.setattr(measure, "rows_of", lambda _: litert)
    limits = {**FEW, "mean_score_error": 0.06}
    matrix = run_matrix(tiny_model, out, small_drawn, MatrixOptions(), limits=limits)
    assert [row.outcome.status for row in matrix.rows] == [DONE] * 4, [
        row.outcome.reason for row in matrix.rows
    ]
    assert matrix.verdict.failures == ()
    assert matrix.subject.quantized is (recipe not in ("float32", "float16"))
