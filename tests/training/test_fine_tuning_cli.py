"""``lesionlite train lesion --fine-tune``: killed, resumed, refused, and on another backend."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lesionlite_export.keras_model import keras_outputs, load_keras
from lesionlite_export.manifest import read_isic_split
from lesionlite_runtime.cli import main
from lesionlite_runtime.container import read_contract
from lesionlite_runtime.pixels import image_tensor
from lesionlite_training.history_plot import read_histories
from lesionlite_training.trainer import BEST, CHECKPOINT, TRAINED

pytestmark = pytest.mark.tensorflow
Capture = pytest.CaptureFixture[str]
EPOCHS = 12

# As the console script does it, but every epoch is kept, and the process signals itself as soon as
# the second fold has two of them: whoever watched from outside could come too late.
PROGRAM = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background ignores it
from lesionlite_runtime.cli import main
from lesionlite_training import fine_tuning, trainer
number = int(sys.argv[1])
def watch(member, row):
    if member == "fold-1" and row["epoch"] == 2:
        os.kill(os.getpid(), number)
def train_member(member, tuning, folder, report, watcher):
    return trainer.train_member(member, tuning, folder, report, watch, keep_every=0)
fine_tuning.train_member = train_member
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for decoded drawings and features."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cache_is_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LESIONLITE_CACHE", str(cache))


@pytest.fixture(scope="module")
def arguments(few_drawings: Path, tiny_backbone: Path) -> Sequence[str]:
    """Of a training of the tiny backbone on 40 drawings, in two folds."""
    words = ["train", "lesion", "--data", str(few_drawings), "--backbone", str(tiny_backbone)]
    tuning = {"size": 40, "folds": 2, "batch": 8, "warmup-steps": 4, "learning-rate": 0.01}
    return [*words, *(f"--{name}={value}" for name, value in tuning.items()), "--quiet"]


def run(arguments: Sequence[str], out: Path, *more: object) -> int:
    return main([*arguments, "--out", str(out), *map(str, more)])


def digest(path: Path) -> str:
    return read_contract(path).provenance.network_sha256


@pytest.fixture(scope="module")
def whole(
    arguments: Sequence[str], cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The model of a run without a break, by what it trains."""
    done: dict[str, Path] = {}

    def model(what: str) -> Path:
        if what not in done:
            out = tmp_path_factory.mktemp(what) / "m.keras"
            assert run(arguments, out, "--fine-tune", what, "--epochs", EPOCHS) == 0
            done[what] = out
        return done[what]

    return model


def break_off(arguments: Sequence[str], number: int) -> tuple[int, str]:
    """Exit code and stderr of a training that gets a signal within its second fold."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(int(number)), *arguments],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("what", "number", "code"),
    [
        pytest.param("all", signal.SIGKILL, -9, marks=pytest.mark.slow),
        pytest.param("head", signal.SIGKILL, -9, marks=pytest.mark.slow),
        ("head", signal.SIGINT, 130),
    ],
)
def test_a_run_that_is_broken_off_goes_on_to_the_same_model(
    arguments: Sequence[str],
    whole: Callable[[str], Path],
    tmp_path: Path,
    capsys: Capture,
    what: str,
    number: int,
    code: int,
) -> None:
    out, folder = tmp_path / "m.keras", tmp_path / "m.run"
    words = [*arguments, "--fine-tune", what, "--epochs", str(EPOCHS)]
    found, told = break_off(
        [word for word in [*words, "--out", str(out)] if word != "--quiet"], number
    )
    assert found == code, told
    if number == signal.SIGINT:
        assert [line for line in told.splitlines() if line][-2:] == [
            f"{folder} keeps what is trained so far; --resume goes on from there",
            "lesionlite: interrupted",
        ]
    assert [path.name for path in tmp_path.iterdir()] == ["m.run"]
    assert (folder / "fold-0" / TRAINED).exists()
    kept = {path.name for path in (folder / "fold-1").iterdir() if path.name[0] != "."}
    assert {CHECKPOINT, BEST} <= kept
    assert TRAINED not in kept

    capsys.readouterr()
    assert run(words, out) == 2
    assert capsys.readouterr().err == (
        f"lesionlite: {folder}: there is a run in this folder; "
        "pass --resume to go on with it, or --force to begin anew\n"
    )
    assert run(words, out, "--resume", "--batch", 16) == 2
    assert capsys.readouterr().err == (
        f"lesionlite: {folder / 'run.json'}: the run in this folder differs in fine_tuning.batch; "
        "go on with its settings, or pass --force to begin anew\n"
    )
    assert not out.exists()
    assert run(words, out, "--resume") == 0
    assert digest(out) == digest(whole(what))
    assert {p.name for p in (folder / "fold-1").iterdir()} == {TRAINED, "epochs.csv"}


def test_force_begins_anew(
    arguments: Sequence[str], whole: Callable[[str], Path], tmp_path: Path, capsys: Capture
) -> None:
    """Of the other run's weights nothing is left."""
    out, folder = tmp_path / "m.keras", tmp_path / "kept"
    shutil.copytree(whole("head").with_suffix(".run"), folder)
    words = ["--fine-tune", "head", "--epochs", 1, "--run", folder]
    assert run(arguments, out, *words) == 2
    assert "there is a run in this folder" in capsys.readouterr().err
    assert run(arguments, out, *words, "--force") == 0
    assert digest(out) != digest(whole("head"))
    assert [len(table) for table in read_histories(folder).values()] == [1, 1, 1]
    assert not out.with_suffix(".run").exists()


def test_resume_begins_a_run_where_there_is_none_and_the_extras_are_written(
    arguments: Sequence[str], tmp_path: Path, capsys: Capture
) -> None:
    pytest.importorskip("tensorboard")
    out, plots, board = tmp_path / "m.keras", tmp_path / "plots", tmp_path / "board"
    configuration = tmp_path / "head.toml"
    configuration.write_text(
        "seed = 3\n[fine_tuning]\nblocks = 0\naugmentation = 'flips'\nbatch = 20\n"
        "targets = 'classes'\nvalidation = 0.25\n[[fine_tuning.stages]]\nepochs = 9\n"
    )
    extras = ["--plots", plots, "--tensorboard", board, "--configuration", configuration]
    words = [*arguments[:-1], "--epochs", "2"]  # the file's epochs, but not its other fields
    assert run(words, out, "--resume", *extras, "--json") == 0
    training = read_contract(out).provenance.training
    assert training["seed"] == 3
    assert training["fine_tuning"]["stages"] == [{"epochs": 2, "size": None}]
    assert training["fine_tuning"]["targets"] == "classes"
    assert (training["fine_tuning"]["batch"], training["fine_tuning"]["validation"]) == (8, 0.25)
    assert json.loads(capsys.readouterr().out)["n"] == 40
    assert [path.name for path in plots.iterdir()] == ["history.png"]
    assert sorted(path.name for path in board.iterdir()) == ["final", "fold-0", "fold-1"]
    assert all(
        "validation_loss" in table for table in read_histories(out.with_suffix(".run")).values()
    )

    assert run(words, tmp_path / "n.keras", *extras) == 2
    assert capsys.readouterr().err == (
        f"lesionlite: {plots / 'history.png'}: the file exists already; "
        "pass --force to overwrite it\n"
    )


def test_the_file_names_the_backbone_and_no_folder_of_the_machine(
    whole: Callable[[str], Path], tiny_backbone: Path
) -> None:
    model = whole("head")
    assert read_contract(model).provenance.backbone == tiny_backbone.name
    assert str(tiny_backbone.parent).encode() not in model.read_bytes()


@pytest.fixture(scope="module")
def unbounded_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose activations nothing bounds."""
    import keras

    x = image = keras.Input((None, None, 3), name="image")
    for name in ("one", "two", "three"):
        x = keras.layers.Conv2D(8, 3, strides=2, name=name)(x)
    path = tmp_path_factory.mktemp("backbone") / "unbounded.keras"
    keras.Model(image, keras.layers.GlobalAveragePooling2D(name="features")(x)).save(path)
    return path


def test_a_rate_far_too_high_says_where_and_what_to_lower(
    arguments: Sequence[str], unbounded_backbone: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "m.keras"
    words = ["--fine-tune=all", "--optimizer=sgd", "--learning-rate=10", "--ema=0", "--epochs=9"]
    backbone = ["--backbone", unbounded_backbone, "--schedule=constant", "--warmup-steps=0"]
    assert run(arguments, out, *words, *backbone) == 5
    told = capsys.readouterr().err
    assert "\n" not in told.rstrip("\n")
    assert told.startswith("lesionlite: the loss is nan at step ")
    assert told.endswith("; lower the learning rate, to a tenth, say\n")
    assert not out.exists()


def test_a_full_disk_is_one_sentence(
    arguments: Sequence[str], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    out = tmp_path / "m.keras"
    assert run(arguments, out, "--fine-tune", "head", "--epochs", 2) == 6
    assert capsys.readouterr().err.splitlines() == [
        f"lesionlite: {tmp_path / 'm.run' / 'fold-0' / TRAINED}: the file cannot be written "
        "(no space left on device); free some space or name another folder"
    ]
    assert not out.exists()
    monkeypatch.undo()
    assert [path.name for path in tmp_path.glob("m.run/fold-0/*")] == ["epochs.csv"]


def test_images_that_cannot_be_read_are_counted_and_the_model_is_written(
    arguments: Sequence[str], few_drawings: Path, tmp_path: Path, capsys: Capture
) -> None:
    data, out = tmp_path / "data", tmp_path / "m.keras"
    shutil.copytree(few_drawings, data)
    bad = data / "train" / "nevus" / "bad.jpg"
    bad.write_bytes(b"no image")
    words = [str(data) if word == str(few_drawings) else word for word in arguments]
    assert run(words, out, "--fine-tune", "head", "--epochs", 1) == 4
    told = capsys.readouterr()
    assert told.out.startswith("images     40, 16 of them labelled 1\n")
    first, last = told.err.splitlines()
    assert first.startswith(f"lesionlite: {bad}: ")
    assert last.startswith(f"lesionlite: {out}: 1 of 41 images could not be used, and the model")
    load_keras(out)


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (
            "--fine-tune head --batch 21",
            5,
            "fold 1 of 2 has 20 training images, fewer than a batch of 21; lower the batch",
        ),
        (
            "--fine-tune head --folds 17",
            5,
            "one label has 16 images, fewer than the 17 folds; add images, or pass fewer --folds",
        ),
        (
            "--fine-tune head --label melanoma=1 --label nevus=1 --label seborrheic_keratosis=1",
            5,
            "{data}/train: all 40 images have the label 1; ",
        ),
        (
            "--fine-tune 3",
            2,
            "the blocks of the backbone tiny.keras are not known; train all of it, or the head",
        ),
    ],
)
def test_what_cannot_be_trained_on_is_one_sentence(
    arguments: Sequence[str],
    few_drawings: Path,
    tmp_path: Path,
    capsys: Capture,
    words: str,
    code: int,
    problem: str,
) -> None:
    out = tmp_path / "m.keras"
    assert run(arguments, out, *words.split()) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"lesionlite: {problem.format(data=few_drawings)}")
    assert told.err.count("\n") == 1
    assert not out.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", ["--fine-tune 3", "--fine-tune head --batch 21"])
def test_a_run_in_the_way_outlives_what_is_refused(
    arguments: Sequence[str], tmp_path: Path, words: str
) -> None:
    out = tmp_path / "m.keras"
    trained = tmp_path / "m.run" / "final" / TRAINED
    trained.parent.mkdir(parents=True)
    trained.touch()
    (tmp_path / "m.run" / "run.json").write_text("{}")
    assert run(arguments, out, *words.split(), "--force") in (2, 5)
    assert trained.exists()


# Keras' own code asks for TensorFlow when it writes a model down; ours must not before that.
ON_JAX = """
import json, sys
asked = []

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            asked.append(name)
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NotInstalled())
from pathlib import Path
from lesionlite_export.manifest import DEFAULT_CLASSES, read_isic_split
from lesionlite_training import lesion, lesion_setup
from lesionlite_training.configuration import Settings
from lesionlite_training.configuration_file import read_configuration

def save(*arguments):
    asked_before.extend(asked)
    return saved(*arguments)

asked_before = []
saved, lesion.save_keras = lesion.save_keras, save
lesion_setup.network_sha256 = lambda network: "0" * 64
data, configuration, out = map(Path, sys.argv[1:])
manifest = read_isic_split(data, "train")
settings = read_configuration(configuration)
trained = lesion.train_lesion(manifest, DEFAULT_CLASSES, out, settings=settings)
scores = trained.out_of_fold.scores.tolist()
print(json.dumps({"asked": asked_before, "scores": scores, "loaded": "tensorflow" in sys.modules}))
"""


def test_on_jax_the_same_is_learnt_without_tensorflow(
    arguments: Sequence[str], few_drawings: Path, tiny_backbone: Path, tmp_path: Path
) -> None:
    pytest.importorskip("jax")
    configuration = tmp_path / "all.toml"
    configuration.write_text(
        f"backbone = '{tiny_backbone}'\nsize = 40\nfolds = 2\n[fine_tuning]\nbatch = 8\n"
        "optimizer = 'sgd'\nema = 0.0\nwarmup_steps = 1\nlearning_rate = 0.03\n"
        "augmentation = 'mild'\n[[fine_tuning.stages]]\nepochs = 3\n"
    )
    ours, theirs = tmp_path / "ours.keras", tmp_path / "theirs.keras"
    words = ["train", "lesion", "--data", str(few_drawings), "--configuration", str(configuration)]
    assert run(words, ours, "--quiet", "--scores", tmp_path / "scores.csv") == 0
    done = subprocess.run(
        [sys.executable, "-c", ON_JAX, str(few_drawings), str(configuration), str(theirs)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert (body["asked"], body["loaded"]) == ([], False)
    pairs = [read_histories(path.with_suffix(".run")) for path in (ours, theirs)]
    for member in ("fold-0", "fold-1", "final"):
        losses = [history[member]["loss"].to_numpy() for history in pairs]
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    wanted = pd.read_csv(tmp_path / "scores.csv")["score"].to_numpy()
    assert np.array(body["scores"]) == pytest.approx(wanted, abs=1e-4)
    # What JAX has saved, TensorFlow loads.
    image = read_isic_split(few_drawings, "train").images[0].path
    pixels = image_tensor(image, 40, 40, "pillow-bilinear-v1", "stretch")
    found = [next(keras_outputs(load_keras(m).network, [pixels]))[0] for m in (ours, theirs)]
    assert found[0] == pytest.approx(found[1], abs=1e-4)
