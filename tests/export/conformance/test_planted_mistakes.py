"""Each mistake of ports, planted in an independent one, is named; what is right conforms."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.export.conformance.port import Interpreter, tensor

from lesionlite_export.conformance.judge import judge_results
from lesionlite_export.conformance.verdict import PASSED, Conformance
from lesionlite_export.kit.manifest import KitFolder
from lesionlite_export.kit.rule import AT

Tensors = Mapping[str, NDArray[np.uint8]]
Scores = Mapping[str, float]
Write = Callable[..., Conformance]
# fault -> the first wrong stage, and the mistake's name
FAULTS = {
    "no exif": ("orientation", "orientation-ignored"),
    "bgr": ("colour order", "bgr"),
    "nearest": ("resize", "nearest-corner"),
    "no antialias": ("resize", "resized-by-tf-bilinear-v1"),
    "centre crop": ("resize", "centre-crop"),
    "letterbox": ("resize", "letterbox"),
    "divided by 255": ("range", "scaled-to-0-1"),
    "minus 1 to 1": ("range", "scaled-to-minus-1-1"),
    "grey in red": ("decode", "grey-in-red"),
    "inks inverted": ("decode", "inks-inverted"),
    "low bytes": ("decode", "low-bytes"),
    "alpha dropped": ("decode", "alpha-dropped"),
    "no profile": ("decode", "profile-ignored"),
}


@pytest.fixture(scope="session")
def port(shipped_kit: KitFolder, shipped_model: Path) -> Callable[..., tuple[Tensors, Scores]]:
    """Runs the port on every image of the kit, with a fault and in some kernels; once each."""
    done: dict[tuple[str, bool], tuple[Tensors, Scores]] = {}

    def run(fault: str = "", *, builtin: bool = False) -> tuple[Tensors, Scores]:
        if (fault, builtin) not in done:
            interpreter = Interpreter(shipped_model, builtin=builtin)
            images = shipped_kit.kit.images
            tensors = {i.name: tensor(shipped_kit.image_bytes(i), fault) for i in images}
            scores = {name: interpreter.score(pixels) for name, pixels in tensors.items()}
            done[fault, builtin] = tensors, scores
        return done[fault, builtin]

    return run


@pytest.fixture
def judged(shipped_kit: KitFolder, tmp_path: Path) -> Write:
    """Judges lines that consist of scores, and of what else is given for all or for each."""

    def judge(scores: Scores, tensors: Tensors | None = None, **shared: Any) -> Conformance:
        rows: list[dict[str, Any]] = [shared] if shared else []
        for name, score in scores.items():
            row: dict[str, Any] = {"file": name, "score": score}
            if tensors is not None:
                row["pixels_sha256"] = hashlib.sha256(tensors[name].tobytes()).hexdigest()
            rows.append(row)
        path = tmp_path / "results.jsonl"
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        return judge_results(path, shipped_kit.path)

    return judge


def stages(found: Conformance) -> list[str | None]:
    return [finding.stage for finding in found.findings]


def test_what_is_right_conforms(port: Any, judged: Write) -> None:
    tensors, scores = port()
    for found in (judged(scores), judged(scores, tensors, backend="LiteRT 2.3")):
        assert found
        assert found.is_whole
        assert found.family == "xnnpack"
        assert found.scores.equal == found.scores.n == 36
    assert found.pixels.equal == 36
    assert {s.stage: s.status for s in found.stages} == {
        **dict.fromkeys((s.stage for s in found.stages), PASSED),
        "threshold": "not tested",
    }


def test_another_colour_management_conforms(port: Any, judged: Write) -> None:
    """It differs by a level in one pixel of forty, and integers answer to that as to any change."""
    right, _ = port()
    tensors, scores = port("exact colours")
    apart = [name for name in right if not np.array_equal(right[name], tensors[name])]
    assert apart == ["profile.png"]
    for found in (judged(scores), judged(scores, tensors), judged(scores, backend="litert")):
        assert found


@pytest.mark.parametrize("fault", FAULTS)
def test_a_mistake_is_named_by_its_scores_alone(fault: str, port: Any, judged: Write) -> None:
    _, scores = port(fault)
    found = judged(scores)
    first = found.first_wrong
    assert first is not None
    stage, mistake = FAULTS[fault]
    assert (first.stage, first.mistake) == (stage, mistake)
    # Scores that the mistake does not explain to the last digit may be left over.
    assert set(stages(found)) - {None} == {stage}


@pytest.mark.parametrize("fault", ["no exif", "bgr", "centre crop", "low bytes", "divided by 255"])
def test_a_mistake_is_named_by_digests(fault: str, port: Any, judged: Write) -> None:
    tensors, scores = port(fault)
    first = judged(scores, tensors, backend="litert").first_wrong
    assert first is not None
    assert (first.stage, first.mistake) == FAULTS[fault]
    assert first.evidence == "pixels"


def test_of_two_mistakes_the_first_stage_is_first(port: Any, judged: Write) -> None:
    tensors, scores = port("no exif, bgr")
    for found in (judged(scores), judged(scores, tensors)):
        assert list(dict.fromkeys(stages(found))) == ["orientation", "colour order"]


@pytest.mark.parametrize("decoded", [False, True])
def test_of_two_mistakes_digests_name_no_stage_that_is_right(
    decoded: bool, port: Any, shipped_kit: KitFolder, tmp_path: Path
) -> None:
    tensors, scores = port("nearest, bgr")
    rows = [
        {
            "file": image.name,
            "score": scores[image.name],
            "pixels_sha256": hashlib.sha256(tensors[image.name].tobytes()).hexdigest(),
            **({"decoded_sha256": image.decoded.sha256} if decoded else {}),
        }
        for image in shipped_kit.kit.images
    ]
    path = tmp_path / "results.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = judge_results(path, shipped_kit.path)
    assert stages(found) == ["resize", "colour order"]
    assert (found.findings[1].mistake, found.findings[1].exact) == ("bgr", True)
    assert "digests do not tell two mistakes in one image: add `tensor` or `samples`" in found.notes
    assert not any("within what decoders differ by" in note for note in found.notes)
    assert {s.stage: s.status for s in found.stages}["decode"] == "not judged"


def test_other_kernels_conform_in_their_own_family_alone(port: Any, judged: Write) -> None:
    tensors, scores = port(builtin=True)
    for backend in ("litert-builtin", "tflite-runtime 2.14.0", "gpu"):
        assert judged(scores, backend=backend), backend
    assert judged(scores).family == "builtin"
    for found in (judged(scores, backend="litert"), judged(scores, tensors, backend="litert")):
        assert stages(found) == ["delegate"]
        assert "the family builtin" in found.findings[0].sentence


@pytest.mark.parametrize("fault", ["no exif", "bgr", "nearest", "centre crop", "divided by 255"])
def test_a_mistake_is_named_in_other_kernels(fault: str, port: Any, judged: Write) -> None:
    _, scores = port(fault, builtin=True)
    for backend in ("litert-builtin", "gpu"):
        first = judged(scores, backend=backend).first_wrong
        assert first is not None
        assert first.stage == FAULTS[fault][0]
        assert FAULTS[fault][1] in first.tied


def test_noise_beyond_the_tolerance_is_the_delegate_s(port: Any, judged: Write) -> None:
    tensors, scores = port()
    random = np.random.default_rng(0)
    noisy = {n: float(np.clip(s + random.normal(0, 0.08), 0, 1)) for n, s in scores.items()}
    for found in (judged(noisy, tensors, backend="litert"), judged(noisy, tensors, backend="gpu")):
        assert stages(found) == ["delegate"]


@pytest.mark.parametrize("value", [0.0, 0.09, 0.123, 0.3, 0.5, 1.0, 0.1685123])
def test_a_constant_score_is_the_delegate_s_whatever_its_value(
    value: float, port: Any, judged: Write
) -> None:
    tensors, scores = port()
    same = dict.fromkeys(scores, value)
    for found in (
        judged(same),
        judged(same, backend="gpu"),
        judged(same, tensors),
        judged(same, tensors, backend="litert"),
    ):
        assert stages(found) == ["delegate"]
        assert f"every score is {value:.4g}: the backend does not" in found.findings[0].sentence
        assert not any("JPEGs were decoded" in note for note in found.notes)


def test_a_mistake_that_makes_scores_the_same_is_still_named(port: Any, judged: Write) -> None:
    _, scores = port("divided by 255")
    rounded = {name: round(score, 2) for name, score in scores.items()}
    assert len(set(rounded.values())) == 1
    first = judged(rounded, backend="litert").first_wrong
    assert first is not None
    assert (first.stage, first.mistake) == FAULTS["divided by 255"]


def test_another_model_is_named(port: Any, judged: Write) -> None:
    tensors, scores = port()
    other = {n: 1 / (1 + math.exp(float(100 - t[..., 2].mean()) / 9)) for n, t in tensors.items()}
    assert stages(judged(other)) == ["model"]
    assert stages(judged(other, tensors)) == ["model"]
    stated = judged(scores, model="0123456789ab")
    assert stages(stated) == ["model"]
    assert "0123456789ab" in stated.findings[0].sentence
    turned = {name: 1 - score for name, score in scores.items()}
    assert "of the other label" in judged(turned).findings[0].sentence


def decided(scores: Scores, decide: Callable[[float], bool]) -> list[dict[str, Any]]:
    return [
        {"file": n, "score": s, "decision": "refer" if decide(s) else "no_referral"}
        for n, s in scores.items()
    ]


def test_another_threshold_is_named(
    port: Any, judged: Write, shipped_kit: KitFolder, tmp_path: Path
) -> None:
    _, scores = port()
    threshold = shipped_kit.kit.threshold

    def judge(rows: list[dict[str, Any]]) -> Conformance:
        path = tmp_path / "decided.jsonl"
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        return judge_results(path, shipped_kit.path)

    assert judge(decided(scores, lambda s: s >= threshold))
    half = judge(decided(scores, lambda s: s >= 0.5))
    assert stages(half) == ["threshold"]
    assert "a threshold between" in half.findings[0].sentence
    assert stages(judged(scores, threshold=0.5)) == ["threshold"]
    below = np.float32(threshold)
    if below >= threshold:
        below = np.nextafter(below, np.float32(0))
    rounded = judged(scores, threshold=float(below))
    assert "rounded down to a float32" in rounded.findings[0].sentence
    turned = judge(decided(scores, lambda s: s < threshold))
    assert "turned round" in turned.findings[0].sentence

    def rule(decide: Callable[[float], bool]) -> Conformance:
        cases = [
            {"case": c.case, "decision": "refer" if decide(c.score) else "no_referral"}
            for c in shipped_kit.kit.rule
        ]
        return judge([*decided(scores, lambda s: s >= threshold), *cases])

    assert rule(lambda s: s >= threshold)
    greater = rule(lambda s: s > threshold)
    assert stages(greater) == ["threshold"]
    assert "> in place of >=" in greater.findings[0].sentence
    assert AT in greater.findings[0].sentence
    in_float32 = rule(lambda s: np.float32(s) >= below)
    assert "rounded down to a float32" in in_float32.findings[0].sentence


def test_few_digits_are_no_fault(port: Any, judged: Write) -> None:
    _, scores = port()
    found = judged({name: round(score, 4) for name, score in scores.items()}, backend="litert")
    assert found
    assert "few digits" in found.notes[0]
