"""``lesionlite evaluate`` on a stream: the same figures by several workers and from a journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lesionlite_export.drawn import write_drawn_dataset
from lesionlite_export.manifest import Manifest, read_isic_split
from lesionlite_export.stream.options import StreamOptions
from lesionlite_runtime import Classifier
from lesionlite_runtime.cli import main
from lesionlite_runtime.errors import UsageError
from lesionlite_training.evaluate import evaluate_model

pytestmark = pytest.mark.tensorflow
KERAS = Path(__file__).parents[2] / "samples" / "lesion.keras"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 small drawings in the ISIC layout: two chunks."""
    folder = tmp_path_factory.mktemp("stream") / "drawn"
    valid = {"melanoma": 10, "nevus": 20, "seborrheic_keratosis": 10}
    write_drawn_dataset(folder, train={"nevus": 1}, valid=valid, seed=2, size=(64, 64))
    return folder


@pytest.fixture(scope="module")
def manifest(folder: Path) -> Manifest:
    return read_isic_split(folder, "valid")


@pytest.mark.parametrize("kind", ["keras", "tflite"])
def test_figures_are_the_same_however_the_images_are_run(
    kind: str, shipped_model: Path, manifest: Manifest, tmp_path: Path
) -> None:
    model = KERAS if kind == "keras" else shipped_model
    plain = evaluate_model(model, manifest)
    journal = tmp_path / "evaluate.sqlite"
    for stream in (StreamOptions(2, journal), StreamOptions(1, journal), StreamOptions(2)):
        found = evaluate_model(model, manifest, stream=stream)
        assert found.scores.tolist() == plain.scores.tolist()
        assert json.dumps(found.to_json()) == json.dumps(plain.to_json())
    if kind == "tflite":
        classify = Classifier(shipped_model).classify
        assert plain.scores.tolist() == [classify(image.path).score for image in manifest.images]
    other = shipped_model if kind == "keras" else KERAS
    with pytest.raises(UsageError, match=r"journal of something else \(model.* differ"):
        evaluate_model(other, manifest, stream=StreamOptions(1, journal))


def test_the_command_keeps_a_journal_of_a_models_scores(
    shipped_model: Path,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    journal = tmp_path / "evaluate.sqlite"
    options = ["--data", str(folder), "--journal", str(journal), "--quiet", "--json"]
    bodies = []
    for workers in ("1", "2"):
        assert main(["evaluate", str(shipped_model), *options, "--workers", workers]) == 0
        bodies.append(json.loads(capsys.readouterr().out))
    assert bodies[0] == bodies[1]
    scores = tmp_path / "scores.csv"
    scores.write_text("image_id,score\n")
    assert main(["evaluate", str(scores), *options, "--threshold", "0.5"]) == 2
    assert "scores in a file have some already" in capsys.readouterr().err


def test_the_command_tells_its_figures_whatever_cannot_be_written(
    shipped_model: Path,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The folder of the scores goes while the images are scored."""
    from lesionlite_training import evaluate

    gone, measured = tmp_path / "gone", evaluate.evaluate_model
    gone.mkdir()

    def measuring(*arguments: object, **options: object) -> object:
        gone.rmdir()
        return measured(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluate, "evaluate_model", measuring)
    options = ["--data", str(folder), "--scores", str(gone / "s.csv"), "--quiet", "--json"]
    assert main(["evaluate", str(shipped_model), *options]) == 2
    text, error = capsys.readouterr()
    assert json.loads(text)["n"] == sum(1 for _ in (folder / "valid").glob("*/*"))
    assert "the folder for it does not exist" in error


def test_the_command_overwrites_nothing_that_it_reads(
    shipped_model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "m.tflite"
    model.write_bytes(shipped_model.read_bytes())
    options = ["--data", str(folder), "--force", "--quiet"]
    for name in ("--scores", "--journal"):
        assert main(["evaluate", str(model), *options, name, str(model)]) == 2
        assert f"MODEL and {name} name the same file" in capsys.readouterr().err
    journal = str(tmp_path / "j")
    assert main(["evaluate", str(model), *options, "--journal", journal, "--scores", journal]) == 2
    assert "--journal and --scores name the same file" in capsys.readouterr().err
    assert model.read_bytes() == shipped_model.read_bytes()
