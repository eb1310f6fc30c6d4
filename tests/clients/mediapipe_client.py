"""MediaPipe Tasks for Python on the files of a job, beside LiteRT.

python -m tests.clients.mediapipe_client JOB FINDINGS

Runs in a virtual environment of its own; see `tests.clients.environments`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import types
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mediapipe as mp
import numpy as np
from mediapipe.tasks.metadata import metadata_schema_py_generated as schema
from numpy.typing import NDArray
from tests.clients.findings import Findings, real_scores
from tests.clients.mediapipe_pixels import judge_pixels
from tests.clients.mediapipe_task import (
    CLIENT,
    EVERYTHING,
    categories,
    classifier,
    decisions,
    litert,
    score_of,
)

LITERT = "LiteRT"


def judge(folder: Path) -> Findings:
    """Everything about MediaPipe that the job lets one see."""
    job = json.loads((folder / "job.json").read_text("utf-8"))
    pixels = np.fromfile(folder / "pixels.bin", np.uint8).reshape(job["n"], 224, 224, 3)
    findings = Findings(
        versions={name: version(name) for name in ("mediapipe", "ai-edge-litert", "numpy")}
    )
    for model in job["models"]:
        _check_litert(findings, folder, model, pixels)
        _check_metadata(findings, folder, model)
        _check_scores(findings, folder, model, pixels)
    _check_equal_score(findings, folder, job["equal"], pixels)
    _check_traps(findings, folder / job["models"][0]["file"], pixels[0])
    judge_pixels(findings, folder, job)
    return findings


def _check_litert(
    findings: Findings, folder: Path, model: dict[str, Any], pixels: NDArray[np.uint8]
) -> None:
    """LiteRT passes over metadata and zip."""
    with_it, without = (
        real_scores(litert(folder / model[key], pixels), model) for key in ("file", "plain")
    )
    findings.compare(LITERT, model["name"], (), with_it, without)
    same = with_it == without == model["scores"]
    findings.check(LITERT, f"{model['name']}: the same scores with metadata and without", same)


def _check_metadata(findings: Findings, folder: Path, model: dict[str, Any]) -> None:
    """MediaPipe's own readers find in the file what ours does."""
    ours = json.loads((folder / model["metadata"]).read_text("utf-8"))
    shown, packed = displayed(folder / model["file"])
    name = model["name"]
    same = rounded(shown) == rounded(ours)
    findings.check(CLIENT, f"{name}: its metadata displayer shows what was written", same, shown)
    files = sorted(packed) == ["labels.txt", "lesionlite.json"]
    findings.check(CLIENT, f"{name}: the metadata's files are packed", files, packed)
    generated = generated_threshold(folder / model["file"])
    wanted = least_float32(model["threshold"])
    findings.check(CLIENT, f"{name}: threshold by generated code", generated == wanted, generated)


def displayed(file: Path) -> tuple[Any, list[str]]:
    """The metadata as MediaPipe's displayer shows them, and the files packed with them."""
    # The wheel lacks a compiled module that only its metadata writer calls.
    for name in ("", ".metadata", ".metadata.python"):
        module = f"mediapipe.tasks.cc{name}"
        sys.modules.setdefault(module, types.ModuleType(module))
    missing = "mediapipe.tasks.cc.metadata.python._pywrap_metadata_version"
    sys.modules.setdefault(missing, types.ModuleType(missing))
    parent: Any = sys.modules["mediapipe.tasks.cc.metadata.python"]
    parent._pywrap_metadata_version = sys.modules[missing]
    from mediapipe.tasks.python.metadata.metadata import MetadataDisplayer

    displayer = MetadataDisplayer.with_model_file(str(file))
    return json.loads(displayer.get_metadata_json()), displayer.get_packed_associated_file_list()


def rounded(value: Any) -> Any:
    """``value`` with floats to the six decimals that the displayer shows."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def generated_threshold(file: Path) -> float:
    """The threshold in the metadata, by the code that ``flatc`` generated for MediaPipe."""
    from mediapipe.tasks.metadata import schema_py_generated as tflite

    data = file.read_bytes()
    model = tflite.Model.GetRootAsModel(data, 0)
    entries = [model.Metadata(i) for i in range(model.MetadataLength())]
    (buffer,) = [entry.Buffer() for entry in entries if entry.Name() == b"TFLITE_METADATA"]
    metadata = schema.ModelMetadataT.InitFromPackedBuf(model.Buffers(buffer).DataAsNumpy())
    (output,) = metadata.subgraphMetadata[0].outputTensorMetadata
    (unit,) = output.processUnits
    assert isinstance(unit.options, schema.ScoreThresholdingOptionsT)
    return float(unit.options.globalScoreThreshold)


def least_float32(value: float) -> float:
    """The least float32 that is not below ``value``."""
    nearest = np.float32(value)
    return float(nearest if float(nearest) >= value else np.nextafter(nearest, np.float32(2)))


def _check_scores(
    findings: Findings, folder: Path, model: dict[str, Any], pixels: NDArray[np.uint8]
) -> None:
    """Labels and scores, and the decision by the metadata's threshold and by the app's."""
    name, label, file = model["name"], model["score_of"], folder / model["file"]
    with classifier(file, score_threshold=EVERYTHING) as task:
        found = [categories(task, image) for image in pixels]
    by_index = {c.index: c.category_name for c in found[0]}
    labels = [by_index[index] for index in sorted(by_index)]
    findings.check(CLIENT, f"{name}: its labels", labels == model["labels"], labels)
    scores = [score_of(shown, label) for shown in found]
    wanted = [score >= model["threshold"] for score in scores]
    options: tuple[dict[str, Any], ...] = (
        {"category_allowlist": [label]},
        {
            "category_allowlist": [label],
            "score_threshold": least_float32(model["threshold"]),
        },
    )
    decided = [decisions(file, pixels, label, **option) for option in options]
    for given, seen in zip(("the metadata's", "the app's"), decided, strict=True):
        claim = f"{name}: {given} threshold decides as the contract does"
        findings.check(CLIENT, claim, seen == wanted, seen)
    litert_decides = [score >= model["threshold"] for score in model["scores"]]
    equal = sum(a == b for a, b in zip(decided[0], litert_decides, strict=True))
    findings.compare(CLIENT, name, labels, scores, model["scores"], equal)
    with classifier(folder / model["plain"]) as task:
        plain = [categories(task, image) for image in pixels[:4]]
    last = [max(shown, key=lambda c: c.index) for shown in plain]
    same = [c.score for c in last] == scores[:4] and {c.category_name for c in last} == {None}
    findings.check(CLIENT, f"{name}: without metadata it runs, nameless", same, last)


def _check_equal_score(
    findings: Findings, folder: Path, equal: dict[str, Any], pixels: NDArray[np.uint8]
) -> None:
    """A score equal to the threshold refers, one just below it does not."""
    image = pixels[equal["image"] : equal["image"] + 1]
    (score,) = litert(folder / equal["at"], image)
    for name, refers in (("at", True), ("above", False)):
        seen = decisions(folder / equal[name], image, "malignant")
        findings.check(CLIENT, f"a threshold {name} the score, by metadata", seen == [refers], seen)
    above = float(np.nextafter(np.float32(score), np.float32(2)))
    for threshold, refers in ((score, True), (above, False)):
        seen = decisions(folder / equal["at"], image, "malignant", score_threshold=threshold)
        claim = f"a threshold {'at' if refers else 'above'} the score, by the app"
        findings.check(CLIENT, claim, seen == [refers], seen)


def _check_traps(findings: Findings, file: Path, image: NDArray[np.uint8]) -> None:
    """What the docs warn of."""
    with classifier(file, category_allowlist=["malignat"], score_threshold=EVERYTHING) as task:
        shown = categories(task, image)
    findings.check(CLIENT, "a misspelt allowlist lets everything through", bool(shown), shown)
    by_default, zero = (
        decisions(file, image[np.newaxis], "malignant", **options)
        for options in ({}, {"score_threshold": 0.0})
    )
    findings.check(CLIENT, "a score threshold of 0 counts as none", by_default == zero, zero)
    rgba = np.dstack([image, np.full((224, 224), 255, np.uint8)])
    with classifier(file, score_threshold=EVERYTHING) as task:
        wanted = categories(task, image)[0].score
        seen = task.classify(mp.Image(image_format=mp.ImageFormat.SRGBA, data=rgba))
        same = seen.classifications[0].categories[0].score == wanted
        findings.check(CLIENT, "RGBA gives what RGB gives", same, seen)
    # In a process of its own: a failed task raises again when it is closed, and one that is
    # collected while a module is being imported waits for ever.
    command = [sys.executable, "-m", "tests.clients.mediapipe_task", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    fails = "sizes do not match" in done.stdout
    findings.check(CLIENT, "a grey image fails", fails, done.stdout)


if __name__ == "__main__":
    judge(Path(sys.argv[1])).write(Path(sys.argv[2]))
