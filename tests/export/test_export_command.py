"""``lesionlite export`` at the command line: exit codes, what goes to which stream, files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lesionlite_export.manifest import read_isic_split
from lesionlite_runtime.cli import main
from lesionlite_runtime.container import read_contract

pytestmark = pytest.mark.tensorflow
NOT_GATED = ("--limits", "auc_difference=none")


def export(*arguments: object) -> int:
    return main(["export", *map(str, arguments)])


@pytest.fixture
def sets(small_drawn: Path) -> tuple[Path, Path]:
    """`small_drawn`'s two splits as manifests beside it."""
    for split in ("train", "valid"):
        images = read_isic_split(small_drawn, split).images
        rows = [f"{i.path.relative_to(small_drawn)},{i.label},{i.class_name}" for i in images]
        text = "\n".join(["filepath,label,class", *rows])
        (small_drawn / f"{split}.csv").write_text(text)
    return small_drawn / "train.csv", small_drawn / "valid.csv"


def test_a_folder_gives_a_file_a_list_and_the_evidence(
    tiny_path: Path, small_drawn: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "m.tflite"
    assert export(tiny_path, "--data", small_drawn, "--out", out, *NOT_GATED) == 0
    text, progress = capfd.readouterr()
    contract = read_contract(out)
    assert contract.provenance.recipe == "int8"
    lines = text.splitlines()
    assert lines[0] == "images     18, 6 of them labelled 1"
    assert "proof      passed" in lines
    assert "limit      auc_difference: not gated" in lines
    size = f"{out.stat().st_size:,} bytes"
    assert lines[-2] == f"published  {out}, {size}, model {contract.model_id}"
    assert lines[-1].endswith(f"{tmp_path / 'm.representative.csv'}: the images that calibrated it")
    for words in ("Loading the model ...", "Quantizing (litert-quantizer) ...", "Scoring"):
        assert words in progress
    assert "WARNING" not in progress
    assert "tensorflow" not in progress.lower()


def test_json_is_one_object_and_quiet_is_quiet(
    tiny_path: Path, small_drawn: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "m.tflite"
    options = ("--data", small_drawn, "--out", out, *NOT_GATED, "--quiet")
    assert export(tiny_path, *options, "--json", "--representative-size", 10) == 0
    text, progress = capfd.readouterr()
    assert progress == ""
    body = json.loads(text)
    assert set(body) == {
        "schema",
        "file",
        "bytes",
        "model",
        "recipe",
        "representative_list",
        "proof",
        "warnings",
    }
    assert body["schema"] == "lesionlite.export/1"
    assert (body["file"], body["bytes"]) == (str(out), out.stat().st_size)
    assert body["recipe"] == "int8"
    assert body["model"] == read_contract(out).model_id
    listed = Path(body["representative_list"]).read_text().splitlines()
    assert len(listed) == 1 + 10
    assert body["proof"]["passed"] is True
    assert body["proof"]["schema"] == "lesionlite.verify/1"
    assert body["proof"]["limits"]["auc_difference"] is None

    assert export(tiny_path, *options, "--force") == 0
    assert capfd.readouterr() == ("", "")


def test_manifests_in_place_of_a_folder(
    tiny_path: Path,
    sets: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train, valid = sets
    out = tmp_path / "m.tflite"
    options = ("--representative", train, "--proof", valid, "--out", out, *NOT_GATED)
    assert export(tiny_path, *options) == 0
    listed = (tmp_path / "m.representative.csv").read_text().splitlines()
    # Paths count from the manifest's folder, so that the list could stand in its place.
    assert listed[1].startswith("train/melanoma/")

    uncalibrated = ("--recipe", "float16", "--proof", valid, "--out", tmp_path / "h.tflite")
    assert export(tiny_path, *uncalibrated, *NOT_GATED) == 0
    unproved = ("--representative", train, "--no-proof", "--out", tmp_path / "u.tflite")
    capsys.readouterr()
    assert export(tiny_path, *unproved) == 0
    assert "every result of this file will say that it is unproved" in capsys.readouterr().out
    assert read_contract(tmp_path / "u.tflite").parity is None


def test_a_trial_needs_no_proof_images(tiny_path: Path, small_drawn: Path, tmp_path: Path) -> None:
    folder = tmp_path / "drawn"
    shutil.copytree(small_drawn / "train", folder / "train")
    out = tmp_path / "m.tflite"
    assert export(tiny_path, "--data", folder, "--no-proof", "--out", out) == 0
    assert export(tiny_path, "--data", folder, "--out", tmp_path / "n.tflite") == 5


def test_a_failed_proof_is_exit_code_3_and_leaves_nothing(
    tiny_path: Path, small_drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "m.tflite"
    limits = ("--limits", "auc_difference=none,mean_score_error=0")
    assert export(tiny_path, "--data", small_drawn, "--out", out, *limits, "--quiet") == 3
    text, error = capsys.readouterr()
    assert text == ""
    assert error.count("\n") == 1
    assert error.startswith(f"lesionlite: {out}: the proof failed: mean_score_error")
    assert list(tmp_path.iterdir()) == []
    # The very limit that it names lets the file pass.
    named = error.partition("`--limits ")[2].partition("`")[0]
    options = ("--data", small_drawn, "--out", out, *NOT_GATED, "--limits", named, "--quiet")
    assert export(tiny_path, *options) == 0
    assert out.is_file()


def test_wrong_usage_is_exit_code_2(
    tiny_path: Path,
    sets: tuple[Path, Path],
    small_drawn: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    taken = tmp_path / "taken.tflite"
    taken.write_text("mine")
    new = ("--out", tmp_path / "m.tflite")
    cases: list[tuple[tuple[object, ...], str]] = [
        (("--recipe", "int9", "--data", small_drawn, *new), "there is no recipe 'int9'; pass int8"),
        (("--limits", "flips=1", "--data", small_drawn, *new), "there is no limit 'flips'; pass"),
        (("--label", "nevus=2", "--data", small_drawn, *new), "nevus has the label 2, not 0 or 1"),
        (("--label", "nevus=no", "--data", small_drawn, *new), "is not of the form CLASS=0"),
        (
            ("--label", "nevus=0", "--label", "nevus=1", "--data", small_drawn, *new),
            "--label gives nevus twice",
        ),
        (("--data", small_drawn, "--proof", sets[1], *new), "--data stands for both sets"),
        (("--data", small_drawn, "--out", taken), "the file exists already; pass --force"),
        (("--data", small_drawn, "--out", tmp_path), "this is a folder"),
        (new, "needs images to be calibrated and proved on; pass --data FOLDER"),
        (("--representative", sets[0], *new), "there are no proof images"),
        (("--proof", sets[1], *new), "the recipe int8 needs representative images"),
        (("--representative-size", 0, "--data", small_drawn, *new), "0 is not in the range"),
        (("--data", small_drawn), "Missing option '-o' / '--out'"),
        (("--seed", -1, "--data", small_drawn, *new), "-1 is not in the range"),
        (("--proof", taken, "--out", taken, "--force"), "--proof and --out name the same file"),
        (
            ("--proof", tmp_path / "m.representative.csv", "--force", *new),
            "--proof and the list beside --out name the same file",
        ),
    ]
    for options, words in cases:
        assert export(tiny_path, "--quiet", *options) == 2, options
        text, error = capsys.readouterr()
        assert text == ""
        assert words in error
        assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken.tflite"]
    assert taken.read_text() == "mine"


def test_unusable_inputs_are_exit_code_5(
    tiny_path: Path,
    small_drawn: Path,
    shipped_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text_file = tmp_path / "text.keras"
    text_file.write_text("no model")
    out = ("--out", tmp_path / "m.tflite", "--quiet")
    cases: list[tuple[tuple[object, ...], str]] = [
        ((text_file, "--data", small_drawn), f"{text_file}: this is neither a .keras nor a"),
        ((tmp_path / "no.keras", "--data", small_drawn), "no such file"),
        ((shipped_model, "--data", small_drawn), "this file is quantized already"),
        ((tiny_path, "--data", tmp_path), f"{tmp_path}: there is no folder valid in it"),
        ((tiny_path, "--data", small_drawn, "--label", "nevus=0"), "melanoma has no label"),
        ((tiny_path, "--representative", text_file, "--proof", text_file), "text.keras: the colu"),
    ]
    for arguments, words in cases:
        assert export(*arguments, *out) == 5, arguments
        printed, error = capsys.readouterr()
        assert printed == ""
        assert words in error
        assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["text.keras"]


def test_sets_that_share_an_image_are_exit_code_5(
    tiny_path: Path, small_drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "drawn"
    shutil.copytree(small_drawn, folder)
    first = sorted((folder / "train" / "nevus").iterdir())[0]
    shutil.copyfile(first, folder / "valid" / "nevus" / "under_another_name.jpg")
    assert export(tiny_path, "--data", folder, "--out", tmp_path / "m.tflite") == 5
    error = capsys.readouterr().err
    assert "under_another_name.jpg: the proof image has the same pixels as the representative" in (
        error
    )
    assert not (tmp_path / "m.tflite").exists()


def test_an_unreadable_image_among_good_ones_is_exit_code_4_with_a_file(
    tiny_path: Path, small_drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "valid"):
        folder = tmp_path / split
        shutil.copytree(small_drawn, folder)
        bad = folder / split / "nevus" / "bad.jpg"
        bad.write_bytes(b"no image")
        out = tmp_path / f"{split}.tflite"
        options = ("--data", folder, "--out", out, *NOT_GATED, "--json", "--quiet")
        assert export(tiny_path, *options) == 4
        text, error = capsys.readouterr()
        assert json.loads(text)["proof"]["n"] == 18
        first, second = error.splitlines()
        assert first.startswith(f"lesionlite: {bad}: ")
        assert second == (
            f"lesionlite: {out}: 1 images could not be used, and the file was published without "
            "them; see the reasons above"
        )
        assert read_contract(out).parity is not None


def test_labels_at_the_command_line_are_for_classes_of_another_name(
    tiny_path: Path, small_drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "drawn"
    shutil.copytree(small_drawn, folder)
    for split in ("train", "valid"):
        (folder / split / "nevus").rename(folder / split / "mole")
    out = tmp_path / "m.tflite"
    assert export(tiny_path, "--data", folder, "--out", out, "--quiet") == 5
    assert "the class mole has no label; give it one (--label mole=0 or =1)" in (
        capsys.readouterr().err
    )
    labels = [o for c in ("melanoma=1", "mole=0", "seborrheic_keratosis=0") for o in ("--label", c)]
    assert export(tiny_path, "--data", folder, "--out", out, *labels, *NOT_GATED) == 0


def test_a_line_needs_no_images(
    line_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "line.tflite"
    assert export(line_path, "--out", out) == 0
    text = capsys.readouterr().out
    assert text.startswith("values     1001 points from -20 to 20\n")
    assert "proof      passed" in text
    assert main(["predict", str(out), "3"]) == 0
    assert export(line_path, "--out", out, "--force", "--limits", "flip_rate=0.1") == 2
    assert "the limit flip_rate is not for this kind of model" in capsys.readouterr().err


def test_a_disk_that_cannot_be_written_is_exit_code_6(
    line_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import errno
    import tempfile

    make: Callable[..., tuple[int, str]] = tempfile.mkstemp

    def refusing(*args: object, **options: object) -> tuple[int, str]:
        if options.get("dir") == tmp_path:
            raise OSError(errno.EROFS, "Read-only file system")
        return make(*args, **options)

    monkeypatch.setattr(tempfile, "mkstemp", refusing)
    assert export(line_path, "--out", tmp_path / "line.tflite", "--quiet") == 6
    assert "the file cannot be written (read-only file system)" in capsys.readouterr().err


def test_help_has_an_example_and_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--help"]) == 0
    text = capsys.readouterr().out
    assert "lesionlite export model.keras --recipe int8 --data isic2017" in " ".join(text.split())
    for option in ("--recipe", "--data", "--proof", "--no-proof", "--limits", "--force", "--json"):
        assert option in text
