"""What tasks-vision and LiteRT.js show in Chromium, on the files of a job.

python -m tests.clients.browser_client JOB PACKAGES CHROMIUM FINDINGS

Runs in MediaPipe's virtual environment, whose packages the comparison needs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.clients.browser import BrowserFailed, run_page
from tests.clients.comparison import Pair, compare_pixels
from tests.clients.findings import Findings, real_scores

from lesionlite_runtime.pixels import decode, resize

TASKS, LITERT_JS, CANVAS = "tasks-vision", "LiteRT.js", "Chromium's canvas"
METRICS = "https://odml.pa.googleapis.com/v1/log"
SIDE = 224
NOISE = ((500, 333), (101, 203), (37, 41), (64, 80), (1000, 225))
N_PHOTOS = 4


def judge(folder: Path, packages: Path, chromium: Path) -> Findings:
    """Run the page, and compare what it posts."""
    job = json.loads((folder / "job.json").read_text("utf-8"))
    findings = Findings(versions=_versions(packages))
    whole = _whole(job["photos"])
    served = {f"/whole/{name}": pixels.tobytes() for name, pixels in whole.items()}
    listed = [
        {"file": f"/whole/{name}", "width": pixels.shape[1], "height": pixels.shape[0]}
        for name, pixels in whole.items()
    ]
    served["/whole.json"] = json.dumps(listed).encode()
    try:
        page = run_page(folder, packages, served, chromium)
    except BrowserFailed as error:
        for client in (TASKS, LITERT_JS):
            findings.check(client, "the page gets to its end", False, error)
        return findings
    findings.versions["Chromium"] = page["done"]["browser"].partition("Chrome/")[2].split()[0]
    models = {model["name"]: model for model in job["models"]}
    seen = set()
    for result in page["results"]:
        if "model" in result:
            seen.add((result["client"], result["model"]))
            _scores(findings, models[result["model"]], result)
        elif "blocked" in result:
            _addresses(findings, result["client"], set(result["blocked"]))
    for client in (TASKS, LITERT_JS):
        missing = [name for name in models if (client, name) not in seen]
        findings.check(client, "every model was run", not missing, missing)
    _resizes(findings, whole, page["results"])
    return findings


def _versions(packages: Path) -> dict[str, str]:
    names = ("@mediapipe/tasks-vision", "@litertjs/core")
    files = {name: packages / name / "package.json" for name in names}
    return {name: json.loads(file.read_text("utf-8"))["version"] for name, file in files.items()}


def _whole(photos: dict[str, list[dict[str, Any]]]) -> dict[str, NDArray[np.uint8]]:
    """Images of other sizes than the network's, by name."""
    random = np.random.default_rng(0)
    images = {
        f"noise-{height}x{width}": random.integers(0, 256, (height, width, 3), np.uint8)
        for height, width in NOISE
    }
    large = next(iter(photos.values()))
    for number, photo in enumerate(large[:: max(1, len(large) // N_PHOTOS)][:N_PHOTOS]):
        images[f"photo-{number}"] = np.array(decode(photo["path"]))
    return images


def _scores(findings: Findings, model: dict[str, Any], result: dict[str, Any]) -> None:
    client, name, threshold = result["client"], model["name"], model["threshold"]
    # MediaPipe gives scores, LiteRT.js what the file gives.
    given = result["scores"]
    scores = given if client == TASKS else real_scores(given, model)
    decided = [score >= threshold for score in scores]
    if client == TASKS:
        right = result["labels"] == model["labels"]
        findings.check(client, f"{name}: its labels", right, result["labels"])
        claim = f"{name}: the metadata's threshold decides as the contract does"
        findings.check(client, claim, result["shown"] == decided, result["shown"])
        claim = f"{name}: a misspelt allowlist lets everything through"
        findings.check(client, claim, result["misspelt"])
    litert_decides = [score >= threshold for score in model["scores"]]
    equal = sum(a == b for a, b in zip(decided, litert_decides, strict=True))
    labels = result.get("labels", ())
    findings.compare(client, name, labels, scores, model["scores"], equal)


def _addresses(findings: Findings, client: str, asked: set[str]) -> None:
    """Where a client would have gone, had the page's policy allowed it."""
    if client == TASKS:
        claim = f"it runs though it may not send its metrics to {METRICS}"
        findings.check(client, claim, asked == {METRICS}, asked)
    else:
        findings.check(client, "it asks for nothing from elsewhere", not asked, asked)


def _resizes(
    findings: Findings, whole: dict[str, NDArray[np.uint8]], results: list[dict[str, Any]]
) -> None:
    """The page's own resize, which a model that returns its input shows, and a canvas's."""
    resizes = {TASKS: "mediapipe-bilinear-v1", CANVAS: "pillow-bilinear-v1"}
    for kind, name in (("photo", "whole photos"), ("noise", "noise of odd sizes")):
        pairs: dict[tuple[str, str], list[Pair]] = {}
        for result in results:
            key = result.get("file", "").removeprefix("/whole/")
            if not key.startswith(kind) or (result["client"] == CANVAS and kind == "noise"):
                continue
            method = resizes[result["client"]]
            ours = resize(whole[key], SIDE, SIDE, method).ravel()
            quality = f", quality {result['quality']}" if "quality" in result else ""
            what = f"resize to {SIDE} x {SIDE}{quality}, against `{method}`"
            pairs.setdefault((result["client"], what), []).append(
                (np.array(result["values"]), ours)
            )
        for (client, what), found in pairs.items():
            compare_pixels(findings, client, what, name, found, 0 if client == TASKS else 255)


if __name__ == "__main__":
    job_, packages_, chromium_, out = (Path(argument) for argument in sys.argv[1:])
    judge(job_, packages_, chromium_).write(out)
