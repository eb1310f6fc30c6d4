"""Files are refused before the work, and appear after it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lesionlite_export.manifest import LabelledImage, Manifest
from lesionlite_runtime.errors import LesionliteError, MissingHere, UnusableInput, UsageError
from lesionlite_training.evaluation.csv_files import (
    bare_scores_csv,
    scores_csv,
    submission_csv,
)
from lesionlite_training.evaluation.files import Outputs, check_outputs, write_outputs
from lesionlite_training.evaluation.paired import compare
from lesionlite_training.evaluation.result import Evaluation
from lesionlite_training.evaluation.robustness import DegradedFigures, Robustness

PNGS = {
    "roc.png",
    "precision_recall.png",
    "confusion_matrix.png",
    "reliability.png",
    "score_histogram.png",
    "gallery.png",
}


@pytest.fixture
def manifest(evaluation: Evaluation) -> Manifest:
    return Manifest(evaluation.source, evaluation.images)


def test_what_is_wanted_is_written(
    evaluation: Evaluation, manifest: Manifest, tmp_path: Path
) -> None:
    outputs = Outputs(tmp_path / "s.csv", tmp_path / "i.csv", tmp_path / "plots")
    check_outputs(outputs, manifest)
    written = write_outputs(outputs, evaluation)
    assert {path.name for path in written} == {"s.csv", "i.csv", *PNGS}
    assert {path.name for path in (tmp_path / "plots").iterdir()} == PNGS
    assert (tmp_path / "s.csv").read_bytes() == scores_csv(evaluation)
    assert (tmp_path / "i.csv").read_bytes() == submission_csv(evaluation)
    for path in (tmp_path / "plots").iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")


def test_scores_without_labels(evaluation: Evaluation, manifest: Manifest, tmp_path: Path) -> None:
    outputs = Outputs(scores=tmp_path / "s.csv", no_labels=True)
    check_outputs(outputs, manifest)
    assert write_outputs(outputs, evaluation) == (tmp_path / "s.csv",)
    wanted = bare_scores_csv(evaluation.images, evaluation.scores)
    assert (tmp_path / "s.csv").read_bytes() == wanted
    with pytest.raises(UsageError, match="--no-labels is for --scores; name its file, or leave"):
        check_outputs(Outputs(no_labels=True), manifest)


def test_the_plot_of_robustness_is_one_more(
    evaluation: Evaluation, manifest: Manifest, tmp_path: Path
) -> None:
    (tmp_path / "robustness.png").write_text("of another run")
    check_outputs(Outputs(plots=tmp_path), manifest)
    with pytest.raises(UsageError, match=r"robustness\.png: the file exists already"):
        check_outputs(Outputs(plots=tmp_path, robustness=True), manifest)
    figures = compare(evaluation.sample, evaluation.scores, evaluation.threshold)
    robustness = Robustness(figures, (DegradedFigures("blur", "a little", figures),))
    outputs = Outputs(plots=tmp_path / "plots", robustness=True)
    written = write_outputs(outputs, replace(evaluation, robustness=robustness))
    assert {path.name for path in written} == {*PNGS, "robustness.png"}


def test_nothing_is_wanted(evaluation: Evaluation, manifest: Manifest, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    check_outputs(Outputs(), manifest)
    assert write_outputs(Outputs(), evaluation) == ()
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_there_stays_without_force(manifest: Manifest, tmp_path: Path) -> None:
    there = tmp_path / "s.csv"
    there.write_text("mine")
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "gallery.png").write_text("mine")
    for outputs in (Outputs(scores=there), Outputs(plots=tmp_path / "plots")):
        with pytest.raises(UsageError, match="exists already; pass --force"):
            check_outputs(outputs, manifest)
    check_outputs(Outputs(scores=there, plots=tmp_path / "plots", force=True), manifest)


def test_nothing_that_is_read_is_overwritten_even_with_force(
    manifest: Manifest, tmp_path: Path
) -> None:
    listed, plots = tmp_path / "valid.csv", tmp_path / "plots"
    listed.write_text("mine")
    (tmp_path / "link.csv").symlink_to(listed)
    for outputs, name in (
        (Outputs(scores=listed, force=True), "--scores"),
        (Outputs(submission=tmp_path / "link.csv", force=True), "--submission"),
    ):
        with pytest.raises(UsageError, match=f"--data and {name} name the same file"):
            check_outputs(outputs, manifest, {"MODEL": tmp_path / "m.keras", "--data": listed})
    both = Outputs(scores=plots / "gallery.png", plots=plots, force=True)
    with pytest.raises(UsageError, match=r"--scores and gallery\.png of --plots name the same"):
        check_outputs(both, manifest)


@pytest.mark.parametrize(
    ("outputs", "kind", "words"),
    [
        (Outputs(scores=Path("no/s.csv")), UsageError, "the folder for it does not exist"),
        (Outputs(submission=Path("no/s.csv")), UsageError, "the folder for it does not exist"),
        (Outputs(Path("a.csv"), Path("./a.csv")), UsageError, "name the same file; name two"),
        (Outputs(plots=Path("no/plots")), UsageError, "the folder for it does not exist"),
        (Outputs(plots=Path("file")), UsageError, "this is a file; name a folder"),
    ],
)
def test_what_cannot_be_written_is_refused(
    outputs: Outputs,
    kind: type[LesionliteError],
    words: str,
    manifest: Manifest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    with pytest.raises(kind, match=words):
        check_outputs(outputs, manifest)


def test_a_folder_that_cannot_be_made_after_all(evaluation: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "plots").write_text("came up while the photos were scored")
    with pytest.raises(MissingHere, match="cannot be written; name another folder"):
        write_outputs(Outputs(plots=tmp_path / "plots"), evaluation)


def test_without_matplotlib_there_are_no_plots(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingHere, match=r"pip install 'lesionlite\[report\]'"):
        check_outputs(Outputs(plots=tmp_path / "plots"), manifest)
    check_outputs(Outputs(scores=tmp_path / "s.csv"), manifest)


def test_a_submission_needs_ids(evaluation: Evaluation, tmp_path: Path) -> None:
    first = evaluation.images[0]
    other = LabelledImage(first.path.with_suffix(".png"), first.label, first.class_name)
    twice = Manifest("list.csv", (*evaluation.images, other))
    with pytest.raises(UnusableInput, match="have one image id; leave --submission out"):
        check_outputs(Outputs(submission=tmp_path / "i.csv"), twice)
    with pytest.raises(UnusableInput, match="have one image id; leave --no-labels out"):
        check_outputs(Outputs(scores=tmp_path / "s.csv", no_labels=True), twice)
    check_outputs(Outputs(scores=tmp_path / "s.csv"), twice)
