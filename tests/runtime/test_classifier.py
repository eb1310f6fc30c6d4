"""From a photo to a decision: one way, whatever it is given."""

from __future__ import annotations

import io
import math
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lesionlite_runtime.classifier import Classifier, check_threshold, shipped_model
from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError
from lesionlite_runtime.interpreter import BACKENDS, installed_backends
from lesionlite_runtime.result import Failure, Result

DECISIONS = {
    "synthetic_melanoma_000.jpg": (0.224, "refer"),
    "synthetic_melanoma_001.jpg": (0.300, "refer"),
    "synthetic_nevus_000.jpg": (0.009, "no_referral"),
    "synthetic_nevus_001.jpg": (0.003, "no_referral"),
    "synthetic_seborrheic_keratosis_000.jpg": (0.029, "no_referral"),
}


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """The shipped model."""
    return Classifier()


def test_the_shipped_model_is_the_default(classifier: Classifier, shipped_model: Path) -> None:
    named = Classifier(str(shipped_model))
    assert classifier.model_id == named.model_id
    assert classifier.threshold == classifier.contract.threshold.value == named.threshold
    assert classifier.backend == installed_backends()[0]


def test_shipped_model_is_a_file_of_the_package() -> None:
    assert shipped_model().is_file()


def test_drawn_photos_are_decided_as_they_were(
    classifier: Classifier, drawn_photos: list[Path]
) -> None:
    # 0.06 is what other kernels and processors may differ by (docs/recipes.md).
    for photo in drawn_photos:
        if photo.name in DECISIONS:
            score, decision = DECISIONS[photo.name]
            result = classifier.classify(photo)
            assert result.score == pytest.approx(score, abs=0.06)
            assert result.decision == decision
    assert set(DECISIONS) <= {photo.name for photo in drawn_photos}


def test_a_path_its_bytes_and_its_pixels_have_one_score(
    classifier: Classifier, drawn_photos: list[Path]
) -> None:
    path = drawn_photos[0]
    data = path.read_bytes()
    by_path, by_text = classifier.classify(path), classifier.classify(str(path))
    by_bytes = classifier.classify(data, file="camera")
    assert by_path.score == by_text.score == by_bytes.score
    assert by_path.sha256 == by_text.sha256 == by_bytes.sha256
    assert (by_path.file, by_text.file, by_bytes.file) == (str(path), str(path), "camera")
    assert classifier.classify(data).file == "<bytes>"
    assert classifier.score(classifier.tensor(path)) == by_path.score
    assert classifier.score(classifier.tensor(io.BytesIO(data))) == by_path.score
    pixels = np.asarray(Image.open(path).convert("RGB"))
    assert classifier.score(classifier.tensor(pixels)) == pytest.approx(by_path.score, abs=0.02)


def test_the_same_photo_has_the_same_score_again(
    classifier: Classifier, drawn_photos: list[Path]
) -> None:
    first, *_ = (classifier.classify(photo).score for photo in drawn_photos)
    assert classifier.classify(drawn_photos[0]).score == first
    assert Classifier(threads=2).classify(drawn_photos[0]).score == pytest.approx(first, abs=1e-3)


def test_the_tensor_is_the_contract_s_input(
    classifier: Classifier, drawn_photos: list[Path]
) -> None:
    tensor = classifier.tensor(drawn_photos[0])
    assert tensor.shape == tuple(classifier.contract.input.shape)
    assert tensor.dtype == np.uint8


def test_rows_and_columns_are_not_exchanged(classifier_file: Path) -> None:
    tensor = Classifier(classifier_file).tensor(np.zeros((80, 60, 3), np.uint8))
    assert tensor.shape == (1, 8, 6, 3)


@pytest.mark.parametrize(
    ("score", "threshold", "decision"),
    [
        (0.5, 0.5, "refer"),
        (0.5, 0.5000001, "no_referral"),
        (0.5, 0, "refer"),
        (0.5, 1, "no_referral"),
    ],
)
def test_a_score_at_the_threshold_is_referred(
    classifier_file: Path, score: float, threshold: float, decision: str
) -> None:
    grey = io.BytesIO()
    Image.new("RGB", (60, 80)).save(grey, "PNG")  # black: the tiny model's logit is 0
    result = Classifier(classifier_file, threshold=threshold).classify(grey.getvalue())
    assert (result.score, result.threshold, result.decision) == (score, threshold, decision)


@pytest.mark.parametrize("threshold", [0, 1, 0.0, 1.0])
def test_a_threshold_of_0_refers_all_and_of_1_none(
    drawn_photos: list[Path], threshold: float
) -> None:
    results = Classifier(threshold=threshold).classify_many(drawn_photos)
    expected = "no_referral" if threshold else "refer"
    assert [r.decision for r in results if isinstance(r, Result)] == [expected] * len(drawn_photos)


@pytest.mark.parametrize("threshold", [-0.01, 1.01, math.nan, math.inf, -math.inf])
def test_a_threshold_out_of_range_is_wrong_usage(threshold: float) -> None:
    with pytest.raises(UsageError, match=r"is out of range; pass a number from 0 to 1"):
        Classifier(threshold=threshold)
    with pytest.raises(UsageError):
        check_threshold(threshold)


def test_a_result_says_which_model_and_backend_made_it(
    classifier: Classifier, drawn_photos: list[Path], shipped_model: Path
) -> None:
    result = classifier.classify(drawn_photos[0])
    assert result.backend == installed_backends()[0]
    assert result.model == classifier.contract.flatbuffer_sha256[:12]  # type: ignore[index]
    assert result.findings == ()
    assert result.decode_ms > 0
    assert result.invoke_ms > 0


def test_a_model_without_a_proof_says_so_in_every_result(
    tiny_classifier: Any, tmp_path: Path, drawn_photos: list[Path]
) -> None:
    path = tmp_path / "unproved.tflite"
    path.write_bytes(tiny_classifier.file(body={**tiny_classifier.body(), "parity": None}))
    result = Classifier(path).classify(drawn_photos[0])
    assert result.findings == ("unproved_model",)
    assert "this model is unproved" in result.to_text()


def red(value: int) -> bytes:
    """A photo of one red."""
    stream = io.BytesIO()
    Image.new("RGB", (60, 80), (value, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


RED_ALONE = [[1 / 256, 0, 0]]


def test_a_site_s_threshold_decides_and_shows(tiny_image_model: Any, tmp_path: Path) -> None:
    path = tmp_path / "site.tflite"
    site = {"value": 0.25, "reason": "few clinics"}
    path.write_bytes(tiny_image_model(RED_ALONE, end=None, site=site).file())
    classifier = Classifier(path)
    assert classifier.threshold == 0.25
    for level, decision in ((63, "no_referral"), (64, "refer"), (128, "refer")):
        result = classifier.classify(red(level))
        assert (result.threshold, result.decision) == (0.25, decision)
        assert result.findings == ("site_threshold",)
        assert result.to_text().endswith("this threshold was set at the site")
    # Whoever passes a threshold decides by that one, and no finding of the file's is about it.
    for threshold, decision in ((0.5, "no_referral"), (0.2, "refer")):
        result = Classifier(path, threshold=threshold).classify(red(64))
        assert (result.threshold, result.decision) == (threshold, decision)
        assert result.findings == ()


def test_an_unproved_model_with_a_site_s_threshold_says_both(
    tiny_image_model: Any, tmp_path: Path
) -> None:
    path = tmp_path / "site.tflite"
    tiny = tiny_image_model(RED_ALONE, end=None, site={"value": 0.25, "reason": "few clinics"})
    path.write_bytes(tiny.file(body={**tiny.body(), "parity": None}))
    assert Classifier(path).classify(red(0)).findings == ("unproved_model", "site_threshold")


def test_of_two_units_the_second_is_the_score(tiny_image_model: Any, tmp_path: Path) -> None:
    path = tmp_path / "two.tflite"
    weights = [[0, 1 / 256, 0], [1 / 256, 0, 0]]
    path.write_bytes(tiny_image_model(weights, end=None).file())
    classifier = Classifier(path)
    for level, decision in ((0, "no_referral"), (127, "no_referral"), (128, "refer")):
        result = classifier.classify(red(level))
        assert (result.score, result.decision) == (level / 256, decision)
    assert classifier.score(classifier.tensor(np.full((40, 40, 3), (64, 200, 9), np.uint8))) == 0.25


@pytest.mark.parametrize("backend", installed_backends())
@pytest.mark.parametrize(("dtype", "zero"), [("uint8", 0), ("int8", -128)])
@given(threshold=st.floats(0, 255 / 256), at_site=st.booleans())
@settings(max_examples=20)
def test_integers_decide_as_their_scores_do(
    tiny_image_model: Any,
    tmp_path_factory: pytest.TempPathFactory,
    backend: str,
    dtype: str,
    zero: int,
    threshold: float,
    at_site: bool,
) -> None:
    """The model's integer is the photo's red (less 128): each level just below and at it."""
    least = math.ceil(threshold * 256)
    levels = {"output_type": dtype, "output_levels": (1 / 256, zero)}
    given_at = {"threshold": threshold}
    if at_site:
        site = {"value": threshold, "reason": "few clinics", "quantized": least + zero}
        given_at = {"site": site}
    path = tmp_path_factory.mktemp("integers") / "integers.tflite"
    path.write_bytes(tiny_image_model(RED_ALONE, end=None, **given_at, **levels).file())
    classifier = Classifier(path, backend=backend)
    deciding = classifier.contract.site_threshold or classifier.contract.threshold
    assert deciding.quantized == least + zero
    for level in {max(least - 1, 0), least, min(least + 1, 255)}:
        result = classifier.classify(red(level))
        assert result.score == level / 256
        assert result.decision == ("refer" if level >= least else "no_referral")


@pytest.mark.parametrize(
    "tensor",
    [
        np.zeros((1, 8, 6, 3), np.float32),
        np.zeros((1, 8, 6, 3), np.int8),
        np.zeros((8, 6, 3), np.uint8),
        np.zeros((1, 6, 8, 3), np.uint8),
        np.zeros((2, 8, 6, 3), np.uint8),
        np.zeros((1, 8, 6, 4), np.uint8),
    ],
    ids=lambda tensor: f"{tensor.dtype}{tensor.shape}",
)
def test_a_tensor_of_another_shape_or_type_is_refused(
    classifier_file: Path, tensor: np.ndarray[Any, Any]
) -> None:
    with pytest.raises(UnusableInput, match=r"not uint8 \[1, 8, 6, 3\]; make it with"):
        Classifier(classifier_file).score(tensor)


@pytest.mark.parametrize("bias", [math.nan, math.inf])
def test_a_model_that_gives_no_score_is_refused(
    tiny_classifier: Any, tmp_path: Path, drawn_photos: list[Path], bias: float
) -> None:
    spec = tiny_classifier.spec()
    # Without the logistic at its end, the model gives whatever its bias says.
    spec["buffers"][3]["data"] = np.float32(bias).tobytes()
    operators = spec["subgraphs"][0]["operators"]
    operators[2]["outputs"] = [7]
    del operators[3]
    path = tmp_path / "broken.tflite"
    path.write_bytes(tiny_classifier.file(spec))
    with pytest.raises(UnusableInput, match=r"the model gave (nan|inf) in place of a score"):
        Classifier(path).classify(drawn_photos[0])


def test_a_bad_photo_is_a_failure_without_a_score(
    classifier: Classifier, drawn_photos: list[Path], tmp_path: Path
) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no photo")
    empty = tmp_path / "empty.jpg"
    empty.touch()
    missing = tmp_path / "missing.jpg"
    paths = [drawn_photos[0], text, empty, missing, tmp_path, drawn_photos[1]]
    outcomes = list(classifier.classify_many(paths))
    assert [type(outcome) for outcome in outcomes] == [Result, *[Failure] * 4, Result]
    for path, outcome in zip(paths[1:5], outcomes[1:5], strict=True):
        assert isinstance(outcome, Failure)
        assert outcome.file == str(path)
        assert outcome.error.exit_code == 5
        assert str(outcome.error).startswith(f"{path}: ")
        assert "score" not in outcome.to_json()
        assert (outcome.model, outcome.backend) == (classifier.model_id, classifier.backend)


def test_threads_get_the_scores_that_one_gets(
    classifier: Classifier, drawn_photos: list[Path]
) -> None:
    """One interpreter has one place for its input: calls that overlapped would mix photos."""
    alone = {path: classifier.classify(path).score for path in drawn_photos}
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(classifier.classify, drawn_photos * 5))
    assert [alone[Path(result.file)] for result in together] == [r.score for r in together]


def test_failures_do_not_keep_the_photos(
    classifier: Classifier, drawn_photos: list[Path], tmp_path: Path
) -> None:
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(drawn_photos[0].read_bytes()[:2000])
    (failure,) = classifier.classify_many([cut])
    assert isinstance(failure, Failure)
    error: BaseException | None = failure.error
    frames = []
    while error is not None:
        frames += [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        error = error.__cause__ or error.__context__
    assert len(frames) > 4
    held = [value for frame in frames for value in frame.f_locals.values()]
    assert not [value for value in held if isinstance(value, bytes | np.ndarray | Image.Image)]


def test_a_bad_photo_alone_is_raised_with_its_name(
    classifier: Classifier, drawn_photos: list[Path]
) -> None:
    cut = drawn_photos[0].read_bytes()[:2000]
    with pytest.raises(UnusableInput) as caught:
        classifier.classify(cut, file="camera")
    assert caught.value.file == "camera"
    with pytest.raises(UnusableInput):
        classifier.classify(b"")


def test_a_regression_is_no_classifier(regression_file: Path) -> None:
    with pytest.raises(UnusableInput, match=r"model for regression, not an image classifier"):
        Classifier(regression_file)


def test_a_backend_that_is_absent_is_missing_here() -> None:
    absent = [name for name in BACKENDS if name not in installed_backends()]
    if not absent:
        pytest.skip("every backend is installed here")
    with pytest.raises(MissingHere) as caught:
        Classifier(backend=absent[0])
    assert caught.value.exit_code == 6
    assert "pip install" in caught.value.remedy


def test_a_backend_that_is_named_is_the_one_in_the_results(drawn_photos: list[Path]) -> None:
    for name in installed_backends():
        assert Classifier(backend=name).classify(drawn_photos[0]).backend == name


@pytest.mark.data
def test_real_photos_are_decided_as_the_proof_says(classifier: Classifier, data_dir: Path) -> None:
    """Photos of the proof set, thirty of them melanomas: the AUC lies where the proof has it."""
    valid = data_dir / "isic2017" / "valid"
    melanomas = sorted((valid / "melanoma").glob("*.jpg"))
    others = sorted((valid / "nevus").glob("*.jpg"))[:70]
    scores = [[classifier.classify(path).score for path in group] for group in (melanomas, others)]
    wins = [(m > o) + 0.5 * (m == o) for m in scores[0] for o in scores[1]]
    assert len(wins) == 30 * 70
    assert 0.7 < sum(wins) / len(wins) < 0.95
