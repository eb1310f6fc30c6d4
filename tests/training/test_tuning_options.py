"""The options of fine-tuning: what they choose and refuse, and that the docs have them all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from lesionlite_runtime.cli import main
from lesionlite_runtime.errors import UsageError
from lesionlite_training import lesion
from lesionlite_training.augment import PRESETS
from lesionlite_training.commands.train_lesion import SECTIONS, command
from lesionlite_training.commands.tuning_options import chosen_tuning
from lesionlite_training.configuration import (
    CHOICES,
    FineTuning,
    Settings,
    Stage,
)
from lesionlite_training.configuration_file import read_configuration

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "training.md"
Capture = pytest.CaptureFixture[str]
CONFIGURED = FineTuning(blocks=2, batch=16, stages=(Stage(3, 160), Stage(4)), augmentation="mild")


def chosen(**given: Any) -> dict[str, Any]:
    """The parameters as click hands them over: None for what was not given."""
    names = {parameter.name for parameter in command.params}
    assert given.keys() <= names
    return {**dict.fromkeys(names), **given}


@pytest.mark.parametrize(
    ("configured", "given", "wanted"),
    [
        (None, {}, None),
        (None, {"fine_tune": "none"}, None),
        (None, {"fine_tune": "all"}, FineTuning()),
        (None, {"fine_tune": "head"}, FineTuning(blocks=0, augmentation="flips")),
        (None, {"fine_tune": "0"}, FineTuning(blocks=0, augmentation="flips")),
        (
            None,
            {"fine_tune": "head", "augmentation": "none"},
            FineTuning(blocks=0, augmentation="none"),
        ),
        (None, {"fine_tune": "3", "epochs": 7}, FineTuning(blocks=3, stages=(Stage(7),))),
        (CONFIGURED, {}, CONFIGURED),
        (CONFIGURED, {"fine_tune": "none"}, None),
        (CONFIGURED, {"batch": 64}, FineTuning(**{**vars(CONFIGURED), "batch": 64})),
        (CONFIGURED, {"epochs": 2}, FineTuning(**{**vars(CONFIGURED), "stages": (Stage(2),)})),
        (CONFIGURED, {"fine_tune": "all"}, FineTuning(**{**vars(CONFIGURED), "blocks": None})),
    ],
)
def test_what_is_chosen(
    configured: FineTuning | None, given: dict[str, Any], wanted: FineTuning | None
) -> None:
    assert chosen_tuning(configured, chosen(**given)) == wanted


@pytest.mark.parametrize(
    ("configured", "given", "problem"),
    [
        (None, {"epochs": 3}, "--epochs is for fine-tuning; pass --fine-tune, or leave it out"),
        (None, {"learning_rate": 0.1}, "--learning-rate is for fine-tuning; pass --fine-tune"),
        (CONFIGURED, {"fine_tune": "none", "ema": 0.9}, "--ema is for fine-tuning"),
        (None, {"fine_tune": "nonsense"}, "there is nothing called 'nonsense' to fine-tune; pass"),
        (None, {"fine_tune": "-1"}, "there is nothing called '-1' to fine-tune"),
        (None, {"fine_tune": "2.5"}, "there is nothing called '2.5' to fine-tune"),
        (None, {"fine_tune": "²"}, "there is nothing called '²' to fine-tune"),
        (None, {"fine_tune": "9" * 5000}, "there is nothing called '999"),
        (None, {"fine_tune": "head", "augmentation": "mild"}, "a head on frozen features cannot"),
        (None, {"fine_tune": "all", "patience": 3}, "patience needs images to judge the epochs"),
        (None, {"fine_tune": "all", "ema": 1.0}, "ema is out of range; pass 0 or more, under 1"),
        (CONFIGURED, {"fine_tune": "head"}, "a head on frozen features cannot be trained on the"),
    ],
)
def test_what_is_refused(
    configured: FineTuning | None, given: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UsageError) as caught:
        chosen_tuning(configured, chosen(**given))
    assert str(caught.value).startswith(problem)


def test_each_field_has_an_option_or_is_for_the_file_alone() -> None:
    options = {parameter.name for parameter in command.params}
    tuning = {field.name for field in fields(FineTuning)}
    assert tuning - options == {"blocks", "stages", "focal_gamma"}
    assert {field.name for field in fields(Settings)} - options == {
        *("copies", "fine_tuning", "levels", "regularization")
    }


def test_each_option_is_in_one_section_of_the_help(capsys: Capture) -> None:
    assert main(["train", "lesion", "--help"]) == 0
    text = "Data and model:" + capsys.readouterr().out.partition("Data and model:")[2]
    for parameter in command.params:
        flag = rf"^  (-\w, )?{parameter.opts[-1]}(?![\w-])"
        assert len(re.findall(flag, text, re.MULTILINE)) == 1
    assert re.findall(r"^(\w.*):$", text, re.MULTILINE) == [*SECTIONS, "Other"]
    assert all(len(line) < 81 for line in text.splitlines())


def test_the_help_shows_each_default(capsys: Capture) -> None:
    assert main(["train", "lesion", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for field in fields(FineTuning):
        flag = f"--{field.name.replace('_', '-')} "
        if field.name not in ("blocks", "stages", "focal_gamma", "augmentation"):
            assert re.search(rf"{flag}[^-].*?default {field.default}[.;]", text), field.name


@pytest.fixture
def settings_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture) -> Any:
    """The settings and the run that the command line would train with."""

    class Stopped(Exception):
        pass

    folder = tmp_path / "data"
    for name in ("melanoma", "nevus", "seborrheic_keratosis"):
        (folder / "train" / name).mkdir(parents=True)
        (folder / "train" / name / "1.jpg").touch()
    call: dict[str, Any] = {}

    def train_lesion(*_: Any, **given: Any) -> None:
        call.update(given)
        raise Stopped

    monkeypatch.setattr(lesion, "train_lesion", train_lesion)

    def settings(*arguments: str) -> dict[str, Any]:
        words = ["train", "lesion", "--data", str(folder), "--out", str(tmp_path / "m.keras")]
        assert main([*words, *arguments]) == 1
        assert "Stopped" in capsys.readouterr().err
        return call

    return settings


def test_options_come_before_the_file(settings_of: Any, tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text("folds = 3\nseed = 9\nrule = 'youden'\n[fine_tuning]\nbatch = 8\nema = 0.5\n")
    found = settings_of("--configuration", str(path), "--folds", "4", "--batch", "16")
    wanted = Settings(folds=4, seed=9, rule="youden", fine_tuning=FineTuning(batch=16, ema=0.5))
    assert found["settings"] == wanted
    assert settings_of("--configuration", str(path), "--seed", "0")["settings"].seed == 0
    assert settings_of()["settings"] == Settings()


def test_the_run_lies_beside_the_model_or_where_it_is_wanted(
    settings_of: Any, tmp_path: Path
) -> None:
    assert settings_of()["run"] is None
    run = settings_of("--fine-tune", "all")["run"]
    assert (run.folder, run.resume, run.watcher) == (tmp_path / "m.run", False, None)
    run = settings_of("--fine-tune", "all", "--run", str(tmp_path / "r"), "--resume")["run"]
    assert (run.folder, run.resume) == (tmp_path / "r", True)


@pytest.mark.parametrize(
    "arguments", [["--resume"], ["--run", "r"], ["--plots", "p"], ["--tensorboard", "t"]]
)
def test_what_is_for_fine_tuning_needs_it(
    arguments: list[str], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "lesion", "--data", ".", "--out", "m.keras", *arguments]) == 2
    assert capsys.readouterr().err == (
        f"lesionlite: {arguments[0]} is for fine-tuning; pass --fine-tune, or leave it out\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_plots_that_cannot_be_written_are_refused_before_any_work(
    tmp_path: Path, capsys: Capture
) -> None:
    taken = tmp_path / "plots"
    taken.write_text("mine")
    words = ["--data", str(tmp_path), "--out", str(tmp_path / "m.keras"), "--fine-tune", "head"]
    assert main(["train", "lesion", *words, "--plots", str(taken)]) == 2
    assert capsys.readouterr().err == (f"lesionlite: {taken}: this is a file; name a folder\n")
    assert main(["train", "lesion", *words, "--plots", str(tmp_path / "no" / "plots")]) == 2
    assert "no/plots: the folder for it does not exist; make it first" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["plots"]


# docs/training.md


def blocks(language: str) -> Iterator[str]:
    yield from re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_the_configuration_in_the_docs_can_be_read(tmp_path: Path) -> None:
    (example,) = blocks("toml")
    path = tmp_path / "example.toml"
    path.write_text(example)
    settings = read_configuration(path)
    assert settings.fine_tuning is not None
    assert len(settings.fine_tuning.stages) > 1


def test_every_option_and_every_field_is_in_the_docs() -> None:
    text = PAGE.read_text("utf-8")
    options = {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in parameter.opts
        if name.startswith("--")
    }
    assert {name for name in options if f"`{name}" not in text} == set()
    known = {field.name for kind in (Settings, FineTuning, Stage) for field in fields(kind)}
    assert {name for name in known if f"`{name}`" not in text} == set()
    choices = {choice for found in CHOICES.values() for choice in found} | set(PRESETS)
    assert {name for name in choices if f"`{name}`" not in text} == set()


def test_the_defaults_in_the_docs_are_the_defaults() -> None:
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    shown = dict(rows)
    plain = {
        field.name: str(field.default)
        for field in fields(FineTuning)
        if field.name not in ("blocks", "stages")
    }
    assert {name: shown[name].strip(" `") for name in plain} == plain
