"""tflite-runtime 2.14 on the files of a job.

python -m tests.clients.tflite_client JOB FINDINGS

Runs in a virtual environment of its own; see `tests.clients.environments`.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tests.clients.findings import Findings, real_scores
from tflite_runtime.interpreter import Interpreter

CLIENT = "tflite-runtime"


def judge(folder: Path) -> Findings:
    """Whether each file runs, and as the one without metadata does."""
    job = json.loads((folder / "job.json").read_text("utf-8"))
    pixels = np.fromfile(folder / "pixels.bin", np.uint8).reshape(job["n"], 224, 224, 3)
    findings = Findings(versions={CLIENT: version("tflite-runtime")})
    for model in job["models"]:
        name = model["name"]
        try:
            with_it, without = (
                real_scores(scores(folder / model[key], pixels), model) for key in ("file", "plain")
            )
        except (ValueError, RuntimeError) as error:
            findings.check(CLIENT, f"{name}: it loads", False, error)
            continue
        same = with_it == without
        findings.check(CLIENT, f"{name}: the same scores with metadata and without", same)
        wanted = [score >= model["threshold"] for score in model["scores"]]
        equal = sum((a >= model["threshold"]) == b for a, b in zip(with_it, wanted, strict=True))
        findings.compare(CLIENT, name, (), with_it, model["scores"], equal)
    return findings


def scores(file: Path, pixels: NDArray[np.uint8]) -> list[float]:
    """The outputs; of two scores, the last."""
    runner = Interpreter(model_path=str(file)).get_signature_runner("serving_default")
    return [float(runner(image=image[np.newaxis])["score"][0, -1]) for image in pixels]


if __name__ == "__main__":
    judge(Path(sys.argv[1])).write(Path(sys.argv[2]))
