"""Recording a kit of a tiny classifier, and ``verify --record``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lesionlite_export.conformance.judge import judge_results
from lesionlite_export.kit.manifest import BUILTIN, REFERENCE, XNNPACK, KitFolder, read_kit
from lesionlite_export.kit.photo import Photo
from lesionlite_export.kit.record import record_kit
from lesionlite_export.publish import Exported
from lesionlite_export.source import load_source
from lesionlite_runtime.classifier import Classifier
from lesionlite_runtime.cli import main
from lesionlite_runtime.errors import UsageError
from lesionlite_runtime.pixels import decode, pixels_sha256

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def recorded(
    tiny_exported: Exported, tiny_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> KitFolder:
    folder = tmp_path_factory.mktemp("recorded") / "kit"
    record_kit(tiny_exported.path, folder, source=load_source(tiny_path))
    return read_kit(folder)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_recording_twice_gives_the_same_bytes(
    recorded: KitFolder, tiny_exported: Exported, tiny_path: Path, tmp_path: Path
) -> None:
    record_kit(tiny_exported.path, tmp_path / "kit", source=load_source(tiny_path))
    assert contents(tmp_path / "kit") == contents(recorded.path)


def test_what_is_recorded_is_what_the_runtime_makes(
    recorded: KitFolder, tiny_exported: Exported
) -> None:
    kit = recorded.kit
    classifier = Classifier(tiny_exported.path, backend="litert")
    assert kit.model.id == classifier.model_id
    assert kit.model.contract_digest == classifier.contract.digest
    assert kit.threshold == classifier.threshold
    for image in kit.images:
        data = recorded.image_bytes(image)
        result = classifier.classify(data)
        assert image.scores[XNNPACK] == result.score
        assert image.decision == result.decision
        assert abs(image.scores[BUILTIN] - result.score) < 0.3
        assert abs(image.scores[REFERENCE] - result.score) < 0.3
        assert image.pixels_sha256 == pixels_sha256(classifier.tensor(data)[0])
        assert image.decoded.sha256 == pixels_sha256(decode(data))
        assert image.sha256 == hashlib.sha256(data).hexdigest()
        if image.tensor is not None:
            tensor = (recorded.path / image.tensor).read_bytes()
            assert hashlib.sha256(tensor).hexdigest() == image.pixels_sha256
        shown = [list(classifier.tensor(data)[0][tuple(place)]) for place in kit.places]
        assert [list(sample) for sample in image.samples] == shown
    assert sum(image.tensor is not None for image in kit.images) == 4


def test_the_hard_images_are_there(recorded: KitFolder) -> None:
    features = {feature for image in recorded.kit.images for feature in image.features}
    assert features >= {
        *("jpeg", "png", "4:2:0", "progressive", "grey", "cmyk", "palette", "alpha", "16-bit"),
        *("profile", "turned", "turned by a png's exif", "resized", "coloured"),
    }
    images = recorded.kit.images
    assert {image.orientation for image in images} == set(range(1, 9))
    shapes = [(image.decoded.width, image.decoded.height) for image in images]
    assert any(width >= 2.9 * height for width, height in shapes)
    assert any(height >= 2.9 * width for width, height in shapes)
    near = [image for image in images if image.name.startswith("threshold-")]
    assert {image.decision for image in near} == {"refer", "no_referral"}
    threshold = recorded.kit.threshold
    assert all(abs(image.scores[XNNPACK] - threshold) < 0.05 for image in near)
    assert {mistake.stage for mistake in recorded.kit.mistakes} == {
        *("decode", "orientation", "resize", "colour order", "range"),
    }


def test_the_runtime_s_own_results_conform(
    recorded: KitFolder, tiny_exported: Exported, tmp_path: Path, capsys: Any
) -> None:
    images = recorded.path / "images"
    arguments = ["classify", str(images), "-m", str(tiny_exported.path), "--json"]
    assert main([*arguments, "--backend", "litert"]) == 0
    path = tmp_path / "results.jsonl"
    path.write_text(capsys.readouterr().out)
    judged = judge_results(path, recorded.path)
    assert judged
    assert judged.is_whole
    assert judged.scores.equal == judged.scores.n


def test_a_float_file_of_the_same_network_is_another_file(
    recorded: KitFolder, tmp_path: Path
) -> None:
    rows = [{"file": i.name, "score": i.scores[REFERENCE]} for i in recorded.kit.images]
    path = tmp_path / "results.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    first = judge_results(path, recorded.path).first_wrong
    assert first is not None
    assert first.stage == "model"
    assert "the model that the file was made from" in first.sentence


def test_a_kit_is_replaced_by_force_alone(
    recorded: KitFolder, tiny_exported: Exported, tmp_path: Path
) -> None:
    out = tmp_path / "kit"
    record_kit(tiny_exported.path, out)
    (out / "README.md").write_text("of the old kit")
    with pytest.raises(UsageError, match="there is a kit already; pass --force"):
        record_kit(tiny_exported.path, out)
    record_kit(tiny_exported.path, out, force=True)
    assert (out / "README.md").read_text() != "of the old kit"
    assert list(tmp_path.iterdir()) == [out]
    other = tmp_path / "photos"
    other.mkdir()
    (other / "photo.jpg").write_text("mine")
    with pytest.raises(UsageError, match="something else than a kit lies there"):
        record_kit(tiny_exported.path, other, force=True)
    assert (other / "photo.jpg").read_text() == "mine"
    with pytest.raises(UsageError, match="the folder for it does not exist"):
        record_kit(tiny_exported.path, tmp_path / "no" / "kit")


def test_own_images_go_in_under_other_names(
    tiny_exported: Exported, small_drawn: Path, tmp_path: Path
) -> None:
    own = sorted((small_drawn / "valid").rglob("*.jpg"))[:3]
    found = record_kit(tiny_exported.path, tmp_path / "kit", own=own)
    assert (found.own, found.left_out) == (3, ())
    folder = read_kit(tmp_path / "kit")
    for number, path in enumerate(own, start=1):
        image = next(i for i in folder.kit.images if i.name == f"own-{number}.jpg")
        assert folder.image_bytes(image) == path.read_bytes()
        assert np.array_equal(Photo(path.read_bytes(), folder.kit.input).upright, decode(path))
    assert "whoever recorded the kit" in (tmp_path / "kit" / "README.md").read_text()


def verify(*arguments: object) -> int:
    return main(["verify", *map(str, arguments), "--quiet"])


def test_verify_records_without_data(
    tiny_path: Path, tiny_exported: Exported, recorded: KitFolder, tmp_path: Path, capsys: Any
) -> None:
    out = tmp_path / "kit"
    assert verify(tiny_path, tiny_exported.path, "--record", out, "--json") == 0
    body = json.loads(capsys.readouterr().out)
    assert body["schema"] == "lesionlite.recorded/1"
    assert body["digest"] == recorded.kit.digest
    assert body["images"] == len(recorded.kit.images)
    assert verify(tiny_path, tiny_exported.path, "--record", out) == 2
    assert "there is a kit already" in capsys.readouterr().err
    # The file alone, with nothing to compare it with, will do.
    assert verify(tiny_exported.path, tiny_exported.path, "--record", out, "--force") == 0
    assert capsys.readouterr().out.startswith(
        f"kit        {out}: {len(recorded.kit.images)} images"
    )


def test_verify_records_what_passes_with_some_of_its_images(
    tiny_path: Path, tiny_exported: Exported, small_drawn: Path, tmp_path: Path, capsys: Any
) -> None:
    out = tmp_path / "kit"
    options = ("--data", small_drawn, "--record", out)
    failing = ("--limits", "max_score_error=0,auc_difference=none")
    assert verify(tiny_path, tiny_exported.path, *options, *failing) == 3
    assert not out.exists()
    limits = ("--limits", "auc_difference=none")
    capsys.readouterr()
    assert verify(tiny_path, tiny_exported.path, *options, *limits, "--json") == 0
    text, error = capsys.readouterr()
    assert json.loads(text)["schema"] == "lesionlite.verify/1"
    assert "8 of your own images are in it as they are" in error
    own = [i for i in read_kit(out).kit.images if i.name.startswith("own-")]
    assert len(own) == 8
    assert {image.decision for image in own} == {"refer", "no_referral"}


def test_a_line_has_no_kit(line_path: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "line.tflite"
    assert main(["export", str(line_path), "--out", str(out), "--quiet"]) == 0
    capsys.readouterr()
    assert verify(line_path, out, "--record", tmp_path / "kit") == 2
    assert "a kit is of an image classifier of two labels" in capsys.readouterr().err
    assert not (tmp_path / "kit").exists()
