"""A conformance kit in a second implementation: own decoders, resize and decision, in a browser.

python -m tests.clients.kit_client JOB PACKAGES CHROMIUM FINDINGS

The page (web/kit/) writes a results file for each of five ways to read the images, two right and
three wrong ones, and `lesionlite conform` judges each.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.clients.browser import BrowserFailed, run_page
from tests.clients.findings import Conforms, Findings

from lesionlite_export.conformance.judge import judge_results
from lesionlite_export.conformance.results import read_results
from lesionlite_export.conformance.verdict import Conformance
from lesionlite_export.kit.manifest import read_kit
from lesionlite_export.kit.photo import JPEG, PNG, PROFILE

CLIENT = "second implementation"
RIGHT = {"browser": "Chromium's JPEG decoder", "jpeg-js": "jpeg-js 0.4.4"}
WRONG = {"not turned": "orientation", "turned twice": "orientation", "canvas": "decode"}


def judge(folder: Path, packages: Path, chromium: Path) -> Findings:
    """Run the page, write down what it posts, and judge it."""
    findings = Findings()
    try:
        page = run_page(folder, packages, {}, chromium, "web/kit/index.html")
    except BrowserFailed as error:
        findings.check(CLIENT, "the page gets to its end", False, error)
        return findings
    judged = {
        way: _judged(folder, way, [line for line in page["results"] if line["way"] == way])
        for way in (*RIGHT, *WRONG)
    }
    for way, decoder in RIGHT.items():
        _right(findings, folder, decoder, judged[way])
    for way, stage in WRONG.items():
        first = judged[way].first_wrong
        found = None if first is None else first.stage
        claim = f"read wrongly ({way}), it does not conform, first wrong: {stage}"
        findings.check(CLIENT, claim, found == stage, judged[way].to_json()["findings"])
    return findings


def _judged(folder: Path, way: str, lines: Sequence[dict[str, Any]]) -> Conformance:
    """The verdict on what came back one way; tensors become files beside it."""
    name = f"kit-results-{way.replace(' ', '-')}"
    tensors = folder / name
    tensors.mkdir(exist_ok=True)
    rows = []
    for line in lines:
        row = {key: value for key, value in line.items() if key != "way"}
        if "tensor" in row:
            file = tensors / f"{row['file'].rpartition('/')[2]}.rgb"
            file.write_bytes(base64.b64decode(row["tensor"]))
            row["tensor"] = f"{name}/{file.name}"
        rows.append(json.dumps(row))
    path = folder / f"{name}.jsonl"
    path.write_text("\n".join([*rows, ""]), "utf-8")
    return judge_results(path, folder / "kit")


def _right(findings: Findings, folder: Path, decoder: str, judged: Conformance) -> None:
    """It conforms; what is stored without loss is read to the bit."""
    claim = f"with {decoder}, it conforms"
    findings.check(CLIENT, claim, bool(judged) and judged.is_whole, judged.to_json())
    kit = read_kit(folder / "kit").kit
    returned = read_results(judged.results, kit).images
    unlike = {
        image.name
        for image in kit.images
        if returned[image.name].pixels_sha256 != image.pixels_sha256
    }
    lossless = {i.name for i in kit.images if PNG in i.features and PROFILE not in i.features}
    claim = f"with {decoder}, its pixels of every PNG without a profile are bit-equal"
    findings.check(CLIENT, claim, not unlike & lossless, unlike)
    jpegs = {image.name for image in kit.images if JPEG in image.features}
    findings.conforms.append(
        Conforms(
            reads=f"JPEGs by {decoder}",
            n=len(kit.images),
            equal=len(kit.images) - len(unlike),
            jpegs=len(jpegs),
            jpegs_equal=len(jpegs - unlike),
            mean_pixel=judged.pixels.mean or 0.0,
            largest_pixel=int(judged.pixels.max or 0),
            largest_score=judged.scores.max or 0.0,
            verdict="conforms" if judged else "does not conform",
        )
    )


if __name__ == "__main__":
    job_, packages_, chromium_, out = (Path(argument) for argument in sys.argv[1:])
    judge(job_, packages_, chromium_).write(out)
