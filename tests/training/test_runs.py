"""The folder of a run: it is begun, gone on with, begun anew, or left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_training.runs import RECORD, check_run, open_run

SETTINGS: dict[str, Any] = {"seed": 1, "fine_tuning": {"batch": 8, "stages": [{"epochs": 2}]}}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with a trained fold in it, and a file of the user's."""
    folder = tmp_path / "m.run"
    open_run(folder, SETTINGS, resume=False, force=False)
    for member in ("fold-0", "final"):
        (folder / member).mkdir()
        (folder / member / "weights.npz").write_text("trained")
    (folder / "notes.txt").write_text("mine")
    return folder


def test_a_run_is_begun_in_a_folder_that_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "m.run"
    open_run(folder, SETTINGS, resume=True, force=False)
    assert json.loads((folder / RECORD).read_text()) == SETTINGS


def test_a_run_is_not_begun_over_another_one(run: Path) -> None:
    told = f"{run}: there is a run in this folder; pass --resume to go on with it, or --force to"
    with pytest.raises(UsageError) as caught:
        open_run(run, SETTINGS, resume=False, force=False)
    assert str(caught.value).startswith(told)
    with pytest.raises(UsageError) as caught:
        check_run(run, resume=False, force=False)
    assert str(caught.value).startswith(told)
    assert (run / "fold-0" / "weights.npz").exists()


@pytest.mark.parametrize(("resume", "force"), [(True, False), (False, True), (True, True)])
def test_a_run_may_be_gone_on_with_or_removed(run: Path, resume: bool, force: bool) -> None:
    check_run(run, resume=resume, force=force)


def test_the_same_run_goes_on(run: Path) -> None:
    open_run(run, SETTINGS, resume=True, force=False)
    assert (run / "fold-0" / "weights.npz").read_text() == "trained"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"seed": 2}, "seed"),
        ({"seed": None}, "seed"),
        ({"fine_tuning": {"batch": 9, "stages": [{"epochs": 2}]}}, "fine_tuning.batch"),
        ({"fine_tuning": {"batch": 8, "stages": [{"epochs": 3}]}}, "fine_tuning.stages"),
        ({"fine_tuning": {"stages": [{"epochs": 2}]}}, "fine_tuning.batch"),
        ({"more": 1}, "more"),
    ],
)
def test_another_run_is_named_by_the_field_that_differs(
    run: Path, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(UsageError) as caught:
        open_run(run, {**SETTINGS, **changes}, resume=True, force=False)
    assert str(caught.value) == (
        f"{run / RECORD}: the run in this folder differs in {field}; "
        "go on with its settings, or pass --force to begin anew"
    )
    assert (run / "fold-0" / "weights.npz").exists()


@pytest.mark.parametrize("resume", [False, True])
def test_force_begins_anew_and_leaves_what_is_no_run(run: Path, resume: bool) -> None:
    changed = {**SETTINGS, "seed": 2}
    open_run(run, changed, resume=resume, force=True)
    assert {path.name for path in run.iterdir()} == {RECORD, "notes.txt"}
    assert json.loads((run / RECORD).read_text()) == changed


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[1]", "this is no record of a run; name another folder"),
        ("{", "this is no valid JSON"),
        ("", "the file is empty"),
    ],
)
def test_a_damaged_record_is_named(run: Path, text: str, problem: str) -> None:
    (run / RECORD).write_text(text)
    with pytest.raises(UnusableInput) as caught:
        open_run(run, SETTINGS, resume=True, force=False)
    assert str(caught.value).startswith(f"{run / RECORD}: {problem}")


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    taken = tmp_path / "m.run"
    taken.write_text("mine")
    with pytest.raises(UnusableInput) as caught:
        open_run(taken, SETTINGS, resume=False, force=False)
    assert str(caught.value) == (
        f"{taken}: the folder of the run cannot be used (file exists); name another one with --run"
    )
    assert taken.read_text() == "mine"
