"""A contract for somebody else's ``.tflite``: which files are served, and how they then run."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.runtime.drafts import binary_draft, labels_draft, regression_draft
from tests.runtime.test_fixed_batch import opened

from lesionlite_runtime.attach import attach_contract, attached
from lesionlite_runtime.cli import main
from lesionlite_runtime.container import append_members, split_members
from lesionlite_runtime.contract import ClassifierContract, LabelsContract
from lesionlite_runtime.draft import draft_of_json
from lesionlite_runtime.errors import UnusableInput, UsageError
from lesionlite_runtime.interpreter import installed_backends
from lesionlite_runtime.label_classifier import open_classifier
from lesionlite_runtime.regressor import Regressor

needs_a_backend = pytest.mark.skipif(not installed_backends(), reason="no interpreter is here")
REDDER = [[0.02, -0.01, -0.01]]


@pytest.fixture
def attach(tmp_path: Path) -> Callable[..., Any]:
    """Attach the contract of a draft to a FlatBuffer."""

    def call(flatbuffer: bytes, draft: Any) -> Any:
        model = tmp_path / "theirs.tflite"
        model.write_bytes(flatbuffer)
        out = tmp_path / "out.tflite"
        return attach_contract(model, draft_of_json(draft, None), out, force=True)

    return call


def photo(*color: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (60, 80), color).save(stream, "PNG")
    return stream.getvalue()


def refused(flatbuffer: bytes, draft: Any) -> str:
    with pytest.raises(UnusableInput) as caught:
        attached(flatbuffer, draft_of_json(draft, None), "m.tflite")
    return str(caught.value)


@needs_a_backend
@pytest.mark.parametrize(
    ("made", "draft"),
    [
        ({}, binary_draft()),
        ({"pixels": "float32"}, binary_draft()),
        (
            {"pixels": "uint8", "pixel_levels": (1.0, 0)},
            binary_draft(),
        ),
        ({"pixels": "int8", "pixel_levels": (1.0, -128)}, binary_draft()),
    ],
)
def test_a_file_runs_by_its_contract_whatever_its_pixels(
    attach: Any, tiny_image_model: Any, made: dict[str, Any], draft: Any
) -> None:
    theirs = tiny_image_model(REDDER, **made)
    done = attach(theirs.flatbuffer(), draft)
    classifier = open_classifier(done.file)
    ours = tiny_image_model(REDDER)
    path = Path(done.file).with_name("ours.tflite")
    path.write_bytes(ours.file())
    reference = open_classifier(path)
    for color in ((200, 20, 20), (20, 200, 20), (0, 0, 0), (255, 255, 255)):
        result, wanted = classifier.classify(photo(*color)), reference.classify(photo(*color))
        assert result.score == pytest.approx(wanted.score, abs=1e-6)
        assert result.decision == ("refer" if result.score >= 0.4 else "no_referral")
        assert result.findings == ("unproved_model",)


@needs_a_backend
def test_a_range_and_an_order_of_channels_are_served(attach: Any, tiny_image_model: Any) -> None:
    bluer_in_bgr = tiny_image_model([[5.0, -2.0, -2.0]], pixels="float32")
    done = attach(bluer_in_bgr.flatbuffer(), binary_draft(input={"range": [-1, 1], "color": "BGR"}))
    classifier = open_classifier(done.file)
    assert classifier.classify(photo(0, 0, 250)).score > 0.9
    assert classifier.classify(photo(250, 0, 0)).score < 0.1
    contract = done.model.contract
    assert (contract.input.color, contract.input.range) == ("BGR", (-1, 1))


@needs_a_backend
def test_integers_are_scores_and_have_their_threshold(attach: Any, tiny_image_model: Any) -> None:
    theirs = tiny_image_model(REDDER, output_type="uint8", output_levels=(1 / 256, 0))
    done = attach(theirs.flatbuffer(), binary_draft())
    contract = done.model.contract
    assert isinstance(contract, ClassifierContract)
    assert contract.threshold.quantized == 103
    assert open_classifier(done.file).classify(photo(200, 20, 20)).decision == "refer"


@needs_a_backend
def test_two_and_more_labels(attach: Any, tiny_image_model: Any, tiny_labels: Any) -> None:
    two = tiny_image_model([[0.0, 0.0, 0.0], [0.02, -0.01, -0.01]], end="SOFTMAX")
    draft = binary_draft(output={"units": 2, "values": "softmax"})
    result = open_classifier(attach(two.flatbuffer(), draft).file).classify(photo(200, 20, 20))
    assert result.score > 0.9  # type: ignore[union-attr]
    done = attach(tiny_labels.flatbuffer(), labels_draft())
    assert isinstance(done.model.contract, LabelsContract)
    assert open_classifier(done.file).classify(photo(20, 200, 20)).decision == "green"


@needs_a_backend
def test_a_regression(attach: Any, tiny_regression: Any) -> None:
    done = attach(tiny_regression.flatbuffer(), regression_draft())
    assert Regressor(done.file).predict(10) == 19
    with pytest.raises(UnusableInput, match="outside the model's range -20 to 20"):
        Regressor(done.file).predict(21)


def test_the_network_stays_byte_for_byte_and_its_digest_is_told(
    attach: Any, tiny_classifier: Any
) -> None:
    theirs = append_members(tiny_classifier.flatbuffer(), {"labels.txt": b"benign\nmalignant\n"})
    done = attach(theirs, binary_draft())
    flatbuffer, members = split_members(Path(done.file).read_bytes())
    assert flatbuffer == tiny_classifier.flatbuffer()
    assert members["labels.txt"] == b"benign\nmalignant\n"
    assert not done.fixed_batch
    contract = done.model.contract
    assert contract.provenance.network_sha256 == hashlib.sha256(flatbuffer).hexdigest()
    assert contract.provenance.recipe is None
    assert contract.parity is None
    assert contract.provenance.draft == binary_draft()


@needs_a_backend
def test_an_open_batch_is_fixed_and_told(attach: Any, tiny_classifier: Any) -> None:
    theirs = opened(tiny_classifier)
    done = attach(theirs, binary_draft())
    assert done.fixed_batch
    assert done.model.contract.provenance.network_sha256 == hashlib.sha256(theirs).hexdigest()
    assert open_classifier(done.file).classify(photo(200, 20, 20)).decision == "refer"


EXPORT = "make a file of it with `lesionlite export --recipe float32 --contract`"


@pytest.mark.parametrize(
    ("made", "draft", "words"),
    [
        ({"end": None}, binary_draft(output={"values": "sigmoid_logits"}), EXPORT),
        ({"pixels": "float32"}, binary_draft(input={"mean": [1, 2, 3]}), EXPORT),
        (
            {},
            binary_draft(output={"score_of": "benign"}),
            "its score is of malignant, not",
        ),
        ({}, binary_draft(input={"shape": [1, 8, 8, 3]}), "it takes uint8 [1, 8, 6, 3], and by"),
        ({}, binary_draft(output={"units": 2}), "it gives float32 [1, 1], and by the draft [1, 2]"),
        ({}, labels_draft(), "it gives float32 [1, 1], and by the draft [1, 3]"),
        ({}, regression_draft(), "it takes uint8 [1, 8, 6, 3], and a regression float32 [1, 1]"),
        ({}, binary_draft(input={"range": [-1, 1]}), "it takes uint8 without a scale"),
        (
            {"output_type": "int8", "output_levels": (1e-4, 0)},
            binary_draft(),
            "no level of the integer output reaches the threshold",
        ),
    ],
)
def test_what_the_runtime_does_not_serve_is_refused_with_a_remedy(
    tiny_image_model: Any, made: dict[str, Any], draft: Any, words: str
) -> None:
    sentence = refused(tiny_image_model(REDDER, **made).flatbuffer(), draft)
    assert sentence.startswith("m.tflite: ")
    assert words in sentence
    assert "\n" not in sentence


def without_signature(spec: Any) -> Any:
    del spec["signatures"]
    return spec


def with_open_side(spec: Any) -> Any:
    spec["subgraphs"][0]["tensors"][0]["shape_signature"] = [-1, -1, 6, 3]
    return spec


def with_custom_code(spec: Any) -> Any:
    spec["operator_codes"][0] = {"old_code": 32, "version": 1, "code": 32, "custom_code": "Mine"}
    return spec


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_signature, "there is no signature 'serving_default'"),
        (with_open_side, "a tensor's shape is not fixed"),
        (with_custom_code, "lesionlite does not run the operator CUSTOM"),
    ],
)
def test_a_graph_that_the_door_refuses(tiny_classifier: Any, change: Any, words: str) -> None:
    sentence = refused(tiny_classifier.flatbuffer(change(tiny_classifier.spec())), binary_draft())
    assert f"m.tflite: the runtime does not serve this model ({words}" in sentence
    assert EXPORT in sentence


def test_a_contract_is_not_attached_twice(tiny_classifier: Any) -> None:
    assert "it carries a contract already" in refused(tiny_classifier.file(), binary_draft())


def test_what_is_no_tflite_is_refused() -> None:
    said = refused(b"\x89HDF\r\n\x1a\n" + bytes(40), binary_draft())
    assert said == (
        "m.tflite: this is no TFLite model; pass the .tflite that its converter wrote, or make one "
        "with `lesionlite export`"
    )
    assert "this is no TFLite model" in refused(b"", binary_draft())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tiny_image_model: Any, value: float) -> None:
    said = refused(tiny_image_model([[0.02, value, -0.01]]).flatbuffer(), binary_draft())
    assert "1 of the 3 weights " in said
    assert said.endswith(
        "are NaN or infinite; train the network anew, or restore an earlier checkpoint"
    )


def test_nothing_is_overwritten_without_force(tiny_classifier: Any, tmp_path: Path) -> None:
    model = tmp_path / "theirs.tflite"
    model.write_bytes(tiny_classifier.flatbuffer())
    with pytest.raises(UsageError, match="the file exists already"):
        attach_contract(model, draft_of_json(binary_draft(), None), model)
    assert model.read_bytes() == tiny_classifier.flatbuffer()


def test_the_command(
    tiny_classifier: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, draft, out = (tmp_path / name for name in ("theirs.tflite", "c.json", "m.tflite"))
    model.write_bytes(opened(tiny_classifier))
    draft.write_text(json.dumps(binary_draft()))
    line = ["contract", "attach", str(model), "--contract", str(draft), "--out", str(out)]
    assert main(line) == 0
    text, err = capsys.readouterr()
    digest = hashlib.sha256(split_members(out.read_bytes())[0]).hexdigest()
    assert err == ""
    assert text.splitlines() == [
        f"written    {out}",
        f"model      {digest[:12]}, binary_classification",
        "threshold  0.4, youden",
        "batch      it was open, and is 1 now",
        "proof      none: every result of this file will say that it is unproved",
    ]
    assert main(line) == 2
    assert main([*line, "--force", "--json"]) == 0
    body = json.loads(capsys.readouterr()[0])
    assert (body["schema"], body["model"]) == ("lesionlite.attached/1", digest[:12])
    assert set(body) == {"schema", "file", "model", "digest", "task", "fixed_batch"}
    draft.write_text("{}")
    assert main([*line, "--force"]) == 5
    assert open_classifier(out).model_id == digest[:12]
