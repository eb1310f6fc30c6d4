"""Pairs and verdict of rows whose scores are given by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from lesionlite_export.gate import judge
from lesionlite_export.matrix.kernels import Kernels
from lesionlite_export.matrix.pairs import KERAS, Pair, pairs_of
from lesionlite_export.matrix.process import CRASHED, DONE, INVALID, MISSING, REFUSED, Outcome
from lesionlite_export.matrix.row_result import RowResult
from lesionlite_export.matrix.rows import rows_of
from lesionlite_export.matrix.subject import InvalidOutputs, Subject
from lesionlite_export.matrix.tolerances import default_tolerances
from lesionlite_export.matrix.verdict import MatrixVerdict, judge_matrix
from lesionlite_runtime.door import open_model
from lesionlite_runtime.errors import MissingHere, ProofFailed

ROWS = {row.name: row for row in rows_of(())}
KERNELS = {
    "litert-xnnpack": Kernels("xnnpack", 1, {"CAST": 1}),
    "tensorflow": Kernels("xnnpack", 1, {"CAST": 1}),
    "litert-builtin": Kernels("builtin", 0, {"CAST": 1, "CONV_2D": 9}),
    "litert-reference": Kernels("reference", 0, {"CAST": 1, "CONV_2D": 9}),
}
REFERENCE = (0.05, 0.2, 0.3, 0.09)  # the shipped file's threshold is 0.1059
LOOSE = {"flip_rate": 1.0, "newly_missed_rate": 1.0, "auc_difference": None}


@pytest.fixture(scope="module")
def subject(shipped_model: Path) -> Subject:
    """Four images."""
    return Subject(
        open_model(shipped_model),
        ("a.jpg", "b.jpg", "c.jpg", "d.jpg"),
        np.array([0, 1, 1, 0]),
        np.array(REFERENCE)[:, np.newaxis],
        "Keras",
    )


def scored(
    subject: Subject,
    name: str,
    scores: Sequence[float],
    numbers: tuple[int, ...] = (0, 1, 2, 3),
    limits: Mapping[str, float | None] = LOOSE,
) -> RowResult:
    """A row with these scores."""
    table = np.array(scores)[:, np.newaxis]
    return RowResult(
        ROWS[name],
        numbers,
        60.0,
        Outcome(DONE, outputs=table),
        KERNELS.get(name.partition("/")[0]),
        table,
        judge(subject.parity(table, numbers), limits),
        gated=len(numbers) == subject.n,
    )


def failed(name: str, status: str, reason: str) -> RowResult:
    """A row without scores."""
    return RowResult(ROWS[name], (0, 1, 2, 3), 60.0, Outcome(status, reason))


def verdict_on(
    subject: Subject,
    rows: Sequence[RowResult],
    tolerances: Mapping[str, float | None] | None = None,
    named: bool = False,
) -> MatrixVerdict:
    """The verdict at the tolerances of a quantized file."""
    limits = {**default_tolerances(True), **(tolerances or {})}
    return judge_matrix(rows, list(pairs_of(subject, rows)), limits, LOOSE, named=named)


def test_pairs_by_hand(subject: Subject) -> None:
    rows = [
        scored(subject, "litert-xnnpack/1", [0.05, 0.2, 0.32, 0.11]),
        failed("litert-xnnpack/2", CRASHED, "it crashed"),
        scored(subject, "litert-reference/1", [0.09, 0.3], (1, 2)),
    ]
    first, second, third = pairs_of(subject, rows)
    assert (first.a, first.b, first.kind, first.n, first.flips) == (
        KERAS,
        "litert-xnnpack/1",
        KERAS,
        4,
        1,
    )
    assert first.max_difference == pytest.approx(0.02)
    assert first.mean_difference == pytest.approx(0.01)
    assert not first.bit_equal
    assert (second.a, second.b, second.n, second.flips) == (KERAS, "litert-reference/1", 2, 1)
    assert second.max_difference == pytest.approx(0.11)
    assert (third.kind, third.n, third.flips) == ("kernels", 2, 1)
    assert third.max_difference == pytest.approx(0.11)
    assert third.mean_difference == pytest.approx(0.065)
    assert third.to_json() == {
        "a": "litert-xnnpack/1",
        "b": "litert-reference/1",
        "kind": "kernels",
        "n": 2,
        "bit_equal": False,
        "max_difference": third.max_difference,
        "mean_difference": third.mean_difference,
        "flips": 1,
    }


def test_of_several_labels_the_decision_counts(labels_file: Path) -> None:
    """Red, green and blue; the score that differs most is the image's difference."""
    reference = np.array([[0.5, 0.3, 0.2], [0.1, 0.45, 0.45], [0.3, 0.3, 0.4]])
    three = Subject(
        open_model(labels_file), ("a.jpg", "b.jpg", "c.jpg"), np.arange(3), reference, "Keras"
    )
    table = np.array([[0.4, 0.35, 0.25], [0.1, 0.44, 0.46], [0.3, 0.3, 0.4]])
    numbers = (0, 1, 2)
    verdict = judge(three.parity(table, numbers), {"flip_rate": None, "accuracy_difference": None})
    row = RowResult(
        ROWS["litert-xnnpack/1"],
        numbers,
        60.0,
        Outcome(DONE, outputs=table),
        KERNELS["litert-xnnpack"],
        table,
        verdict,
        gated=True,
    )
    (pair,) = pairs_of(three, [row])
    assert pair.flips == 1
    assert pair.max_difference == pytest.approx(0.1)
    assert pair.mean_difference == pytest.approx(0.11 / 3)
    assert three.decisions(table) is not None
    assert verdict.would_pass["flip_rate"] == pytest.approx(1 / 3)


def test_bit_equal_means_every_bit(subject: Subject) -> None:
    nearly = [*REFERENCE[:3], float(np.nextafter(REFERENCE[3], 1))]
    rows = [
        scored(subject, "litert-xnnpack/1", REFERENCE),
        scored(subject, "litert-xnnpack/2", REFERENCE),
        scored(subject, "litert-xnnpack/4", nearly),
    ]
    pairs = {(pair.a, pair.b): pair for pair in pairs_of(subject, rows)}
    assert pairs[KERAS, "litert-xnnpack/1"].bit_equal
    assert pairs["litert-xnnpack/1", "litert-xnnpack/2"].bit_equal
    assert not pairs["litert-xnnpack/2", "litert-xnnpack/4"].bit_equal
    verdict = verdict_on(subject, rows)
    assert not verdict.passed
    (failure,) = verdict.failures
    assert failure.startswith("litert-xnnpack/1 and litert-xnnpack/4 (other threads, XNNPACK) are ")
    assert failure.endswith(" apart, over the tolerance 0")
    (kind,) = [item for item in verdict.tolerances if item.pairs]
    assert (kind.kind, kind.pairs, kind.bit_equal, kind.passed) == ("threads_xnnpack", 3, 1, False)
    error = verdict.error("m.tflite")
    assert isinstance(error, ProofFailed)
    assert "`--tolerance threads_xnnpack=1.39e-17` would have passed" in str(error)
    assert verdict_on(subject, rows, {"threads_xnnpack": 1.39e-17}).passed
    assert verdict_on(subject, rows, {"threads_xnnpack": None}).passed


def test_a_tolerance_belongs_to_the_kernels(subject: Subject) -> None:
    """What two kernel sets may differ by, threads of one may not."""
    apart = [0.05, 0.2, 0.4, 0.08]
    other_kernels = [
        scored(subject, "litert-xnnpack/1", REFERENCE),
        scored(subject, "litert-builtin/1", apart),
    ]
    assert verdict_on(subject, other_kernels).passed
    for name in ("litert-xnnpack/2", "tensorflow/1"):
        alike = [scored(subject, "litert-xnnpack/1", REFERENCE), scored(subject, name, apart)]
        assert not verdict_on(subject, alike).passed
    # Two builds may round a tie of an 8-bit mean otherwise; of a float file they have none.
    tied = [0.05, 0.2, 0.3002, 0.09]
    builds = [
        scored(subject, "litert-xnnpack/1", REFERENCE),
        scored(subject, "tensorflow/1", tied),
    ]
    assert verdict_on(subject, builds).passed
    assert not verdict_on(subject, builds, default_tolerances(False)).passed
    threads = [builds[0], scored(subject, "litert-xnnpack/2", tied)]
    assert not verdict_on(subject, threads).passed
    assert not verdict_on(subject, other_kernels, {"kernels": 0.09}).passed
    would_pass = verdict_on(subject, other_kernels).would_pass
    assert would_pass["kernels"] == pytest.approx(0.1)
    assert "builds" not in would_pass


def test_rows_on_every_image_are_gated_against_the_reference_and_samples_are_not(
    subject: Subject,
) -> None:
    strict = {**LOOSE, "flip_rate": 0.2}
    names = ("litert-builtin/1", "litert-builtin/2")
    flipping = [scored(subject, name, [0.05, 0.2, 0.3, 0.11], limits=strict) for name in names]
    verdict = verdict_on(subject, flipping)
    (failure,) = verdict.failures
    assert failure.startswith("litert-builtin/1 litert-builtin/2: flip_rate (")
    assert failure.endswith(" is 0.25, over its limit 0.2")
    assert verdict.would_pass["flip_rate"] == 0.25
    sampled = scored(subject, "litert-reference/1", [0.3, 0.11], (2, 3), limits=strict)
    assert sampled.against_keras is not None
    assert not sampled.against_keras.passed
    verdict = verdict_on(subject, [sampled])
    assert verdict.passed
    assert "flip_rate" not in verdict.would_pass


def test_the_options_that_would_have_passed_are_told(subject: Subject) -> None:
    strict = {**LOOSE, "flip_rate": 0.2}
    row = scored(subject, "litert-builtin/1", [0.05, 0.2, 0.3, 0.11], limits=strict)
    rows = [row, failed("tflite-runtime/1", CRASHED, "it crashed")]
    pairs = list(pairs_of(subject, rows))
    verdict = judge_matrix(rows, pairs, {}, strict, named=False)
    assert str(verdict.error("m.tflite")) == (
        "m.tflite: the proof failed: tflite-runtime/1: it crashed, litert-builtin/1: flip_rate "
        "(share of decisions flipped at the threshold) is 0.25, over its limit 0.2; ship it for "
        "backends that pass, and name those by --row; of the limits, `--limits flip_rate=0.25` "
        "would have passed"
    )


@pytest.mark.parametrize("status", [CRASHED, INVALID])
def test_a_row_that_crashes_fails_the_proof(subject: Subject, status: str) -> None:
    good = scored(subject, "litert-xnnpack/1", REFERENCE)
    verdict = verdict_on(subject, [good, failed("litert-builtin/1", status, "it broke")])
    assert verdict.failures == ("litert-builtin/1: it broke",)
    assert isinstance(verdict.error("m.tflite"), ProofFailed)


@pytest.mark.parametrize(("status", "error"), [(MISSING, MissingHere), (REFUSED, ProofFailed)])
def test_a_row_that_is_not_here_or_refuses_the_file_fails_where_it_was_named(
    subject: Subject, status: str, error: type[Exception]
) -> None:
    good = scored(subject, "litert-xnnpack/1", REFERENCE)
    rows = [good, failed("tflite-runtime/1", status, "it is so")]
    assert verdict_on(subject, rows).passed
    verdict = verdict_on(subject, rows, named=True)
    assert verdict.failures == ("tflite-runtime/1: it is so",)
    assert isinstance(verdict.error("m.tflite"), error)
    # And where nothing else gave scores.
    assert not verdict_on(subject, rows[1:]).passed


def test_many_failures_are_counted(subject: Subject) -> None:
    rows = [failed(name, CRASHED, "it crashed") for name in list(ROWS)[:5]]
    message = str(verdict_on(subject, rows).error("m.tflite"))
    assert "litert-xnnpack/4: it crashed, and 2 more; ship it" in message


def test_what_is_no_score_is_named_by_its_image(subject: Subject) -> None:
    for wrong, shown in ((np.nan, "nan"), (1.5, "1.5"), (-0.5, "-0.5"), (np.inf, "inf")):
        outputs = np.array([[0.5], [wrong]])
        with pytest.raises(InvalidOutputs) as caught:
            subject.scores(outputs, [3, 1])
        assert str(caught.value) == f"it gave {shown} in place of a score for b.jpg"
    rounded = subject.scores(np.array([[1 + 1e-7], [-1e-7]]), [0, 1])
    assert rounded.tolist() == [[1.0], [0.0]]


def test_differences_of_a_regression_are_fractions(subject: Subject) -> None:
    row = failed("litert-builtin/1", DONE, "")
    pair = Pair("litert-xnnpack/1", "litert-builtin/1", "kernels", 9, False, 2.0, 1.0, None)
    for scale, passed in ((10.0, False), (20.0, True)):
        verdict = judge_matrix([row], [pair], {"kernels": 0.1}, {}, named=False, scale=scale)
        assert verdict.passed is passed
        assert verdict.would_pass["kernels"] == 2.0 / scale
