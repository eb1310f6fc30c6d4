"""``lesionlite evaluate``: a model on labelled photos, with intervals."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlite_export.manifest import LabelledImage, Manifest, read_isic_split
from lesionlite_export.rendering import interval_text
from lesionlite_export.representative import PreparedImage, list_digest, prepare
from lesionlite_export.sample import Sample
from lesionlite_export.statistics import interval_json
from lesionlite_runtime import Classifier
from lesionlite_runtime.cli import main
from lesionlite_runtime.container import append_members, read_contract, split_members
from lesionlite_runtime.contract import (
    CONTRACT_MEMBER,
    ClassifierContract,
    classifier_contract,
)
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_training.evaluate import evaluate_model
from lesionlite_training.evaluation.csv_files import scores_csv, submission_csv
from lesionlite_training.evaluation.degradations import DEGRADATIONS
from lesionlite_training.evaluation.figures import measure
from lesionlite_training.evaluation.groups import by_class
from lesionlite_training.evaluation.originals import SEEN, VERSIONS
from lesionlite_training.evaluation.result import Evaluation

MODEL = Path(__file__).parents[2] / "samples" / "lesion.keras"


@pytest.fixture(scope="module")
def photos(drawn_photos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's six drawn photos, and their mirror images, in the ISIC layout."""
    from PIL import Image, ImageOps

    folder = tmp_path_factory.mktemp("photos")
    for path in drawn_photos:
        kind = path.stem.removeprefix("synthetic_").rpartition("_")[0]
        target = folder / "valid" / kind
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / path.name)
        with Image.open(path) as image:
            ImageOps.mirror(image).save(target / f"mirrored_{path.name}", quality=95)
    assert len(list(folder.rglob("*.jpg"))) == 12
    return folder


@pytest.fixture(scope="module")
def manifest(photos: Path) -> Manifest:
    return read_isic_split(photos, "valid")


@pytest.fixture(scope="module")
def evaluation(shipped_model: Path, manifest: Manifest) -> Evaluation:
    return evaluate_model(shipped_model, manifest)


def scores_of(model: Path, manifest: Manifest) -> tuple[Any, Any]:
    classifier = Classifier(model)
    labels = np.array([image.label for image in manifest.images])
    return labels, np.array([classifier.classify(image.path).score for image in manifest.images])


def test_figures_are_those_of_the_devices_scores(
    evaluation: Evaluation, shipped_model: Path, manifest: Manifest
) -> None:
    labels, scores = scores_of(shipped_model, manifest)
    classifier = Classifier(shipped_model)
    assert evaluation.model == classifier.model_id
    assert evaluation.threshold == classifier.threshold
    assert evaluation.figures == measure(Sample(labels, scores), classifier.threshold, 0.025)
    assert (evaluation.figures.n, evaluation.figures.positives) == (12, 4)
    assert evaluation.classes == by_class(
        manifest.images, Sample(labels, scores), classifier.threshold
    )
    assert [one.name for one in evaluation.classes] == ["melanoma", "nevus", "seborrheic_keratosis"]
    assert evaluation.images == manifest.images
    assert evaluation.scores.tolist() == scores.tolist()
    assert (evaluation.subgroups, evaluation.clusters.by, evaluation.seen) == ({}, None, None)
    assert evaluation.origin.to_json() == {
        "kind": "contract",
        "rule": "sensitivity=0.90",
        "optimistic": False,
    }
    assert (evaluation.unusable, evaluation.warnings) == ((), ())


@pytest.mark.tensorflow
def test_a_keras_model_is_measured_like_its_file(
    evaluation: Evaluation, manifest: Manifest
) -> None:
    of_keras = evaluate_model(MODEL, manifest)
    assert of_keras.threshold == evaluation.threshold
    assert (of_keras.figures.n, of_keras.figures.positives) == (12, 4)
    assert of_keras.figures.auc is not None
    assert evaluation.figures.auc is not None
    assert of_keras.figures.auc.value == pytest.approx(evaluation.figures.auc.value, abs=0.15)
    assert of_keras.scores == pytest.approx(evaluation.scores, abs=0.2)
    assert of_keras.model != evaluation.model


def test_another_threshold_moves_the_decisions_and_not_the_auc(
    evaluation: Evaluation, shipped_model: Path, manifest: Manifest
) -> None:
    everyone = evaluate_model(shipped_model, manifest, threshold=0.0)
    nobody = evaluate_model(shipped_model, manifest, threshold=1.0)
    all_in, none_in = everyone.figures.operating, nobody.figures.operating
    assert all_in.sensitivity.value == none_in.specificity.value == 1.0
    assert all_in.specificity.value == none_in.sensitivity.value == 0.0
    assert nobody.figures.accuracy.value == pytest.approx(nobody.figures.always_benign)
    assert everyone.figures.auc == nobody.figures.auc == evaluation.figures.auc
    assert everyone.origin.to_json() == {"kind": "option", "rule": None, "optimistic": False}


def test_another_prevalence_moves_the_predictive_values_alone(
    evaluation: Evaluation, shipped_model: Path, manifest: Manifest
) -> None:
    other = evaluate_model(shipped_model, manifest, prevalence=0.2).figures
    assert other.predictive.prevalence == 0.2
    assert other.predictive != evaluation.figures.predictive
    assert replace(other, predictive=evaluation.figures.predictive) == evaluation.figures


def test_a_threshold_chosen_on_these_images_needs_a_word_and_is_recorded(
    shipped_model: Path, manifest: Manifest
) -> None:
    with pytest.raises(UsageError, match=r"flatters the model; .* or pass --yes-optimistic"):
        evaluate_model(shipped_model, manifest, rule="sensitivity=1")
    found = evaluate_model(shipped_model, manifest, rule="sensitivity=1", yes_optimistic=True)
    assert found.figures.operating.sensitivity.value == 1.0
    assert found.threshold <= found.scores[[i.label == 1 for i in found.images]].min()
    body = found.to_json()
    assert body["threshold_origin"] == {
        "kind": "this_data",
        "rule": "sensitivity=1",
        "optimistic": True,
    }
    assert body["warnings"] == [
        "the threshold was chosen on these images (sensitivity=1): what is said at it is optimistic"
    ]


@pytest.mark.parametrize("kind", ["training", "calibration"])
def test_images_that_the_model_has_seen_need_a_word_and_are_recorded(
    kind: str, shipped_model: Path, manifest: Manifest, tmp_path: Path
) -> None:
    contract = classifier_contract(read_contract(shipped_model))
    prepared = [p for p in prepare(manifest.images, contract.input) if isinstance(p, PreparedImage)]
    assert len(prepared) == 12
    record: Any = {kind: {"images_sha256": list_digest(prepared)}}
    model = rewritten(
        shipped_model,
        tmp_path / "m.tflite",
        replace(contract, provenance=replace(contract.provenance, **record)),
    )
    with pytest.raises(UsageError, match=f"has seen these very images in its {kind}"):
        evaluate_model(model, manifest)
    with pytest.raises(UsageError, match="has seen these very images"):
        evaluate_model(model, manifest, threshold=0.5)
    found = evaluate_model(model, manifest, yes_optimistic=True)
    assert found.to_json()["seen_images"] == kind
    assert found.origin.optimistic == (kind == "training")
    (warning,) = found.warnings
    assert f"seen these images in its {kind}" in warning
    one_less = Manifest(manifest.source, manifest.images[1:])
    assert evaluate_model(model, one_less).seen is None


def test_what_the_manifest_knows_makes_groups_and_clusters(
    evaluation: Evaluation, shipped_model: Path, manifest: Manifest
) -> None:
    facts: list[dict[str, str]] = [
        {
            "patient_id": f"P{i % 6}",
            "sex": "female" if i % 6 < 4 else "male",
            "age": str(20 + 5 * i),
        }
        for i in range(12)
    ]
    images = tuple(replace(i, facts=f) for i, f in zip(manifest.images, facts, strict=True))
    found = evaluate_model(shipped_model, Manifest(manifest.source, images))
    assert (found.clusters.by, found.clusters.n) == ("patient_id", 6)
    assert found.figures == measure(found.sample, found.threshold, 0.025)
    assert found.sample.clusters is not None
    assert found.figures.auc is not None
    assert evaluation.figures.auc is not None
    assert found.figures.auc.value == evaluation.figures.auc.value
    assert found.figures.calibration_error.value == evaluation.figures.calibration_error.value
    assert found.figures.calibration_error != evaluation.figures.calibration_error
    assert {name: len(groups) for name, groups in found.subgroups.items()} == {"age": 5, "sex": 2}
    assert [w.partition(" to compare")[0] for w in found.warnings] == [
        "too few images by age",
        "too few images by sex",
    ]


def test_copies_are_counted_and_told(shipped_model: Path, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    for name in ("a", "b"):
        (source,) = (folder / "valid" / "nevus").glob("synthetic_nevus_000.jpg")
        shutil.copyfile(source, folder / "valid" / "nevus" / f"{name}.jpg")
    found = evaluate_model(shipped_model, read_isic_split(folder, "valid"))
    assert found.figures.n == 14
    assert found.warnings == ("2 images have the pixels of another one, and each counts",)


def test_json_is_one_object_of_the_schema(
    evaluation: Evaluation,
    shipped_model: Path,
    photos: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["evaluate", str(shipped_model), "--data", str(photos), "--json", "--quiet"]
    assert main(arguments) == 0
    text, error = capsys.readouterr()
    assert error == ""
    body = json.loads(text)
    assert body == json.loads(json.dumps(evaluation.to_json()))
    assert body["schema"] == "lesionlite.evaluation/1"
    intervals = [value for value in body.values() if isinstance(value, dict) and "low" in value]
    assert len(intervals) == 11
    for interval in intervals:
        assert interval["low"] <= interval["value"] <= interval["high"]
    assert sum(body["confusion"].values()) == body["n"] == 12


def test_text_has_the_figures_and_stderr_the_warnings(
    evaluation: Evaluation,
    shipped_model: Path,
    photos: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["evaluate", str(shipped_model), "--data", str(photos), "--quiet"]
    assert main(arguments) == 0
    text, error = capsys.readouterr()
    assert error == ""
    assert "images     12, 4 of them labelled 1\n" in text
    assert f" {interval_text(evaluation.figures.auc)} " in text
    assert main([*arguments, "--at", "sensitivity=0.5", "--yes-optimistic"]) == 0
    text, error = capsys.readouterr()
    assert "CHOSEN ON THESE IMAGES" in text
    assert error.startswith("lesionlite: the threshold was chosen on these images")
    assert error.count("\n") == 1


def test_files_are_written_and_named(
    evaluation: Evaluation,
    shipped_model: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scores, submission = tmp_path / "scores.csv", tmp_path / "isic.csv"
    wanted = ["--scores", str(scores), "--submission", str(submission)]
    arguments = ["evaluate", str(shipped_model), "--data", str(photos), "--quiet", *wanted]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[-2:] == [f"written    {scores}", f"written    {submission}"]
    assert scores.read_bytes() == scores_csv(evaluation)
    assert submission.read_bytes() == submission_csv(evaluation)
    assert main(arguments) == 2
    assert f"{scores}: the file exists already" in capsys.readouterr().err
    assert main([*arguments, "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 12


def test_plots_are_written_by_the_command(
    shipped_model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(shipped_model), "--data", str(photos), "--quiet", "--json"]
    assert main([*arguments, "--plots", str(tmp_path / "plots")]) == 0
    assert len(list((tmp_path / "plots").glob("*.png"))) == 6
    assert json.loads(capsys.readouterr().out)["n"] == 12


def test_a_manifest_in_place_of_a_folder(
    evaluation: Evaluation,
    shipped_model: Path,
    manifest: Manifest,
    photos: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    listed = photos / "valid.csv"
    rows = [f"{i.path.relative_to(photos)},{i.label}" for i in manifest.images]
    listed.write_text("\n".join(["filepath,label", *rows]))
    arguments = ["evaluate", str(shipped_model), "--data", str(listed), "--json", "--quiet"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(evaluation.to_json())) | {
        "classes": []
    }


def test_the_classes_are_those_of_the_models_contract(
    shipped_model: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A model of other classes evaluates folders of those names, without being told."""
    folder = tmp_path / "photos"
    shutil.copytree(photos / "valid", folder / "valid")
    (folder / "valid" / "melanoma").rename(folder / "valid" / "malignant")
    classes = {"malignant": 1, "nevus": 0, "seborrheic_keratosis": 0}
    contract = classifier_contract(read_contract(shipped_model))
    altered = replace(contract, output=replace(contract.output, classes=classes))
    model = rewritten(shipped_model, tmp_path / "m.tflite", altered)
    arguments = ["evaluate", str(model), "--data", str(folder), "--json", "--quiet"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["positives"] == 4
    assert main(["evaluate", str(shipped_model), "--data", str(folder), "--quiet"]) == 5
    assert "the class malignant has no label" in capsys.readouterr().err


def rewritten(source: Path, target: Path, contract: ClassifierContract) -> Path:
    """A copy of a ``.tflite`` with another contract."""
    flatbuffer, _ = split_members(source.read_bytes())
    target.write_bytes(append_members(flatbuffer, {CONTRACT_MEMBER: contract.to_bytes()}))
    return target


def test_an_unreadable_image_is_exit_code_4_with_the_figures_of_the_others(
    shipped_model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    bad = folder / "valid" / "nevus" / "bad.jpg"
    bad.write_bytes(b"no image")
    arguments = ["evaluate", str(shipped_model), "--data", str(folder), "--json", "--quiet"]
    assert main(arguments) == 4
    text, error = capsys.readouterr()
    body = json.loads(text)
    assert body["n"] == 12
    (item,) = body["unusable"]
    assert item["file"] == str(bad)
    assert error.splitlines()[0] == f"lesionlite: {item['message']}"
    assert "1 images could not be used" in error.splitlines()[1]


def test_one_label_has_no_auc(
    shipped_model: Path, manifest: Manifest, photos: Path, tmp_path: Path
) -> None:
    benign = tuple(image for image in manifest.images if image.label == 0)
    with pytest.raises(UnusableInput, match="all 8 images have the label 0"):
        evaluate_model(shipped_model, Manifest("list.csv", benign))
    # Nor where the others of its label cannot be read.
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    for path in (folder / "valid" / "melanoma").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(UnusableInput, match="all 8 images have the label 0"):
        evaluate_model(shipped_model, read_isic_split(folder, "valid"))


@pytest.fixture(scope="module")
def score_file(shipped_model: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's scores of `photos`, without a label."""
    path = tmp_path_factory.mktemp("scores") / "s.csv"
    arguments = ["evaluate", str(shipped_model), "--data", str(photos), "--quiet", "--json"]
    assert main([*arguments, "--scores", str(path), "--no-labels"]) == 0
    assert path.read_text().startswith("image_id,score\n")
    return path


def test_a_csv_of_scores_gives_all_that_the_model_gives(
    evaluation: Evaluation,
    score_file: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["evaluate", str(score_file), "--data", str(photos), "--quiet"]
    given = ["--threshold", repr(evaluation.threshold), "--plots", str(tmp_path / "plots")]
    assert main([*arguments, *given, "--json"]) == 0
    text, error = capsys.readouterr()
    assert error == ""
    body = json.loads(text)
    of_model = json.loads(json.dumps(evaluation.to_json()))
    assert body == {
        **of_model,
        "model": None,
        "score_file": "s.csv",
        "threshold_origin": {"kind": "option", "rule": None, "optimistic": False},
    }
    assert (of_model["score_file"], len(body["classes"])) == (None, 3)
    assert len(list((tmp_path / "plots").glob("*.png"))) == 6
    assert main([*arguments, *given[:2]]) == 0
    text = capsys.readouterr().out
    assert text.startswith("scores     of s.csv\nimages     12, 4 of them labelled 1\n")
    assert "as given\n" in text


def test_a_threshold_may_be_chosen_on_scores_and_must_be_given_otherwise(
    score_file: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(score_file), "--data", str(photos), "--quiet"]
    assert main([*arguments, "--at", "sensitivity=1"]) == 0
    text, error = capsys.readouterr()
    assert "chosen on these scores by sensitivity=1\n" in text
    assert error.startswith("lesionlite: the threshold was chosen on these scores (sensitivity=1)")
    assert error.count("\n") == 1
    assert main([*arguments, "--at", "sensitivity=1", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["threshold_origin"] == {
        "kind": "these_scores",
        "rule": "sensitivity=1",
        "optimistic": True,
    }
    assert body["sensitivity"]["value"] == 1
    assert len(body["warnings"]) == 1
    for words, problem in (
        ([], "s.csv: scores in a file have no threshold of their own; pass --threshold T, or"),
        (["--at", "youden", "--threshold", "0.5"], "--threshold and --at both give a threshold"),
        (["--at", "best"], "there is no threshold rule 'best'"),
        (["--threshold", "2"], "the threshold 2.0 is out of range"),
        (["--threshold", "0.5", "--prevalence", "0"], "the prevalence 0.0 is out of range"),
        (["--threshold", "0.5", "--robustness"], "s.csv: --robustness runs a model; name a .keras"),
        (["--threshold", "0.5", "--originals", str(photos)], "--originals runs a model"),
        (["--threshold", "0.5", "--no-labels"], "--no-labels is for --scores"),
    ):
        assert main([*arguments, *words]) == 2, words
        assert problem in capsys.readouterr().err


WITHOUT_TENSORFLOW = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras", "ai_edge_litert", "tflite_runtime"):
            sys.exit(f"{name} was imported")

# The command line looks whether they are there before it runs a command of an extra.
from lesionlite_runtime import cli
cli.EXTRA_SENTINELS = {name: () for name in cli.EXTRA_SENTINELS}
sys.meta_path.insert(0, NotInstalled())
sys.exit(cli.main(sys.argv[1:]))
"""


def test_scores_in_a_csv_need_no_tensorflow(score_file: Path, photos: Path, tmp_path: Path) -> None:
    words = ["evaluate", score_file, "--data", photos, "--at", "youden", "--plots", tmp_path / "p"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, *map(str, words), "--json", "-q"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n"] == 12


def test_a_score_that_does_not_fit_is_exit_code_5(
    score_file: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = score_file.read_text().splitlines()
    path = tmp_path / "s.csv"
    path.write_text("\n".join(lines[:-1]))
    arguments = ["evaluate", str(path), "--data", str(photos), "--threshold", "0.5", "--quiet"]
    assert main(arguments) == 5
    text, error = capsys.readouterr()
    assert text == ""
    assert f"1 of the 12 images of {photos / 'valid'} have no score in it" in error
    assert error.count("\n") == 1


def test_robustness_is_beside_the_figures(
    evaluation: Evaluation,
    shipped_model: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["evaluate", str(shipped_model), "--data", str(photos), "--quiet", "--robustness"]
    assert main([*arguments, "--json", "--plots", str(tmp_path / "plots")]) == 0
    body = json.loads(capsys.readouterr().out)
    found = body.pop("robustness")
    plain = json.loads(json.dumps(evaluation.to_json()))
    assert plain.pop("robustness") is None
    assert body == plain
    names = [(row["name"], row["level"]) for row in found["rows"]]
    assert names == [(one.name, one.level) for one in DEGRADATIONS]
    undegraded = found["undegraded"]
    assert undegraded["auc"] == body["auc"]
    assert undegraded["confusion"] == body["confusion"]
    assert undegraded["flips"]["count"] == undegraded["score_difference"]["max"] == 0
    assert all(row["score_difference"]["max"] > 0 for row in found["rows"])
    assert (tmp_path / "plots" / "robustness.png").is_file()
    assert main(arguments) == 0
    assert "│ few pixels, longer side 64 " in capsys.readouterr().out


@pytest.fixture
def originals(drawn_photos: list[Path], tmp_path: Path) -> Path:
    """The photos of `photos` at twice the size, but for the mirrored ones."""
    from PIL import Image

    folder = tmp_path / "originals"
    folder.mkdir()
    for path in drawn_photos:
        with Image.open(path) as image:
            image.resize((2 * image.width, 2 * image.height)).save(folder / f"{path.stem}.png")
    return folder


def test_originals_are_compared_and_bad_ones_named(
    evaluation: Evaluation,
    shipped_model: Path,
    photos: Path,
    originals: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["evaluate", str(shipped_model), "--data", str(photos), "--quiet"]
    arguments += ["--originals", str(originals)]
    assert main([*arguments, "--json"]) == 0
    text, error = capsys.readouterr()
    body = json.loads(text)
    assert [row["name"] for row in body["originals"]] == list(VERSIONS)
    assert {row["n"] for row in body["originals"]} == {6}
    assert 0 < body["originals"][0]["score_difference"]["max"] < 0.5
    assert body["auc"] == interval_json(evaluation.figures.auc)
    assert body["warnings"] == [SEEN]
    assert error == f"lesionlite: {SEEN}\n"
    bad = next(originals.iterdir())
    bad.write_bytes(b"no image")
    assert main(arguments) == 4
    text, error = capsys.readouterr()
    assert "│ the original at the size of the image │ 5, " in text
    assert f"lesionlite: {bad}: " in error
    for path in originals.iterdir():
        path.rename(path.with_stem(f"x{path.stem}"))
    assert main(arguments) == 5
    assert "no photo in it has the name of an image" in capsys.readouterr().err


def test_originals_of_images_that_the_model_has_seen_are_not_refused(
    shipped_model: Path, manifest: Manifest, originals: Path, tmp_path: Path
) -> None:
    contract = classifier_contract(read_contract(shipped_model))
    prepared = [p for p in prepare(manifest.images, contract.input) if isinstance(p, PreparedImage)]
    record: Any = {"training": {"images_sha256": list_digest(prepared)}}
    provenance = replace(contract.provenance, **record)
    altered = replace(contract, provenance=provenance)
    model = rewritten(shipped_model, tmp_path / "m.tflite", altered)
    with pytest.raises(UsageError, match="has seen these very images"):
        evaluate_model(model, manifest)
    found = evaluate_model(model, manifest, originals=originals)
    assert found.originals is not None
    assert found.seen == "training"
    assert found.warnings[0].endswith("every figure is optimistic")
    assert found.warnings[1] == SEEN


def test_exit_codes(
    shipped_model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text_file = tmp_path / "text.tflite"
    text_file.write_text("no model")
    data, optimistic = ("--data", photos), ("--yes-optimistic",)
    cases: list[tuple[tuple[object, ...], int, str]] = [
        ((shipped_model,), 2, "Missing option '--data'"),
        ((shipped_model, *data, "--threshold", "1.5"), 2, "the threshold 1.5 is out of range"),
        ((shipped_model, *data, "--threshold", "nan"), 2, "the threshold nan is out of range"),
        ((shipped_model, *data, "--label", "nevus"), 2, "is not of the form CLASS=0"),
        ((shipped_model, *data, "--prevalence", "0"), 2, "the prevalence 0.0 is out of range"),
        ((shipped_model, *data, "--prevalence", "2.5"), 2, "the prevalence 2.5 is out of range"),
        ((shipped_model, *data, "--at", "sensitivity=0.9"), 2, "or pass --yes-optimistic"),
        ((shipped_model, *data, "--at", "best", *optimistic), 2, "best"),
        ((shipped_model, *data, "--at", "best"), 2, "best"),
        (
            (shipped_model, *data, "--at", "sensitivity=1", "--threshold", "0.5", *optimistic),
            2,
            "--threshold and --at both give a threshold",
        ),
        ((shipped_model, *data, "--plots", text_file), 2, "this is a file; name a folder"),
        ((shipped_model, *data, "--scores", tmp_path / "no" / "s.csv"), 2, "does not exist"),
        ((shipped_model, "--data", tmp_path), 5, "there is no folder valid in it"),
        ((shipped_model, "--data", tmp_path / "no.csv"), 5, "no such file"),
        ((text_file, *data), 5, "this is neither a .keras nor a .tflite model"),
        ((tmp_path / "no.tflite", *data), 5, "no such file"),
    ]
    for arguments, code, words in cases:
        assert main(["evaluate", *map(str, arguments), "--quiet"]) == code, arguments
        text, error = capsys.readouterr()
        assert text == ""
        assert words in error
        assert error.count("\n") == 1


@pytest.mark.data
def test_what_the_camera_gave_and_what_was_trained_on(shipped_model: Path, data_dir: Path) -> None:
    """41 originals; the small images are squashed to 256 x 256 pixels and compressed."""
    listed = {path.stem: path for path in (data_dir / "isic2017" / "train").rglob("*.jpg")}
    photos = sorted((data_dir / "fullres").rglob("*.jpg"))
    images = tuple(
        LabelledImage(listed[photo.stem], int(photo.parent.name == "melanoma"), photo.parent.name)
        for photo in photos
        if photo.stem in listed
    )
    manifest = Manifest("list.csv", images)
    found = evaluate_model(shipped_model, manifest, originals=data_dir / "fullres").originals
    assert found is not None
    original, small, again = (row.figures for row in found.rows)
    assert original.n == len(images) == 41
    # Compressed as they were, the photos' scores are near those of the small images.
    assert again.mean_difference < 0.75 * min(small.mean_difference, original.mean_difference)
    # The network that ships was trained with them; without, it was 0.077, and all to one side.
    assert original.mean_difference < 0.06
    assert again.rank_correlation is not None
    assert again.rank_correlation > 0.9


@pytest.mark.data
def test_the_shipped_file_tells_real_photos_apart(shipped_model: Path, data_dir: Path) -> None:
    """On the 148 proof images; frozen random weights reach 0.65 to 0.69."""
    found = evaluate_model(shipped_model, read_isic_split(data_dir / "isic2017", "valid"))
    figures = found.figures
    assert (figures.n, figures.positives) == (148, 30)
    assert figures.auc is not None
    assert figures.auc.value > 0.75
    # Out of fold and on these images the sensitivity may be the same.
    promised = Classifier(shipped_model).contract.threshold.sensitivity
    assert figures.operating.sensitivity.high >= promised.low
    assert found.unusable == ()
