"""What MediaPipe does to a whole photo before the network sees it, and to the scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mediapipe as mp
import numpy as np
from PIL import Image
from tests.clients.comparison import Pair, compare_pixels
from tests.clients.findings import Drift, Findings
from tests.clients.mediapipe_task import (
    CLIENT,
    EVERYTHING,
    SIDE,
    categories,
    classifier,
    litert,
    score_of,
)

from lesionlite_runtime.pixels import decode, resize

NOISE = ((500, 333), (101, 203), (37, 41), (64, 80), (1000, 225), (3, 2), (1, 50), (1537, 2049))
OUR_PIXELS = "our decoded pixels"
Photo = dict[str, Any]


def judge_pixels(findings: Findings, folder: Path, job: dict[str, Any]) -> None:
    """Orientation, decoding and resize of whole photos, and what they do to the scores."""
    photos = job["photos"]
    _check_orientation(findings, folder / "turned.jpg")
    for side, file in job["echoes"].items():
        _check_resize(findings, folder / file, int(side), photos)
    _compare_decoders(findings, photos)
    for model in job["models"]:
        if model["name"] in ("shipped int8", "float32"):
            _measure_drift(findings, folder / model["file"], model, photos)


def _check_orientation(findings: Findings, file: Path) -> None:
    """A photo that a phone stored on its side, read by MediaPipe itself and by us."""
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (60, 40)).save(file, exif=exif)
    image = mp.Image.create_from_file(str(file))
    sizes = {"MediaPipe": (image.height, image.width), "lesionlite": decode(file).shape[:2]}
    upright = set(sizes.values()) == {(60, 40)}
    findings.check(CLIENT, "a file's EXIF orientation is honoured", upright, sizes)


def _check_resize(
    findings: Findings, file: Path, side: int, photos: dict[str, list[Photo]]
) -> None:
    """MediaPipe's pixels, which a model that returns its input shows, against ours."""
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (*size, 3), np.uint8) for size in NOISE]
    # Every value comes back as an object of its own: the more, the longer it takes.
    most = 48 if side == SIDE else 8
    some = {name: images[:: -(-len(images) // most)] for name, images in photos.items()}
    # A tie of places goes either way where the side is a multiple of 64, which noise shows most.
    limits = (4, 255) if side % 64 == 0 else (0, 0)
    with classifier(file) as task:

        def pairs(images: Sequence[Any]) -> Iterator[Pair]:
            for image in images:
                given = decode(image["path"]) if isinstance(image, dict) else image
                theirs = np.empty(side * side * 3)
                for category in categories(task, given):
                    theirs[category.index] = category.score
                yield theirs, resize(given, side, side, "mediapipe-bilinear-v1").ravel()

        what = f"resize to {side} x {side}, against `mediapipe-bilinear-v1`"
        for name, images in some.items():
            compare_pixels(findings, CLIENT, what, name, pairs(images), limits[0])
        compare_pixels(findings, CLIENT, what, "noise of odd sizes", pairs(noise), limits[1])


def _compare_decoders(findings: Findings, photos: dict[str, list[Photo]]) -> None:
    """Files that MediaPipe reads itself, at full size."""

    def pairs(images: Sequence[Photo]) -> Iterator[Pair]:
        for image in images:
            read = mp.Image.create_from_file(image["path"])  # owns the view's memory
            yield read.numpy_view()[..., :3], decode(image["path"])

    for name, images in photos.items():
        with_profile, without = [], []
        for image in images:
            with Image.open(image["path"]) as opened:
                (with_profile if "icc_profile" in opened.info else without).append(image)
        for kind, chosen in (("without a profile", without), ("with a profile", with_profile)):
            compare_pixels(findings, CLIENT, "decode", f"{name}, {kind}", pairs(chosen), 255)


def _measure_drift(
    findings: Findings, file: Path, model: dict[str, Any], photos: dict[str, list[Photo]]
) -> None:
    """Scores of whole photos in MediaPipe, against LiteRT on the pixels of each resize."""
    for name, images in photos.items():
        decoded = [decode(image["path"]) for image in images]
        labels = np.array([image["label"] for image in images])
        with classifier(file, score_threshold=EVERYTHING) as task:
            label = model["score_of"]
            whole = [score_of(categories(task, pixels), label) for pixels in decoded]
            read = [score_of(categories(task, image["path"]), label) for image in images]
        for method in ("pillow-bilinear-v1", "mediapipe-bilinear-v1"):
            tensors = np.stack([resize(pixels, 224, 224, method) for pixels in decoded])
            reference = np.array(litert(file, tensors))
            for handed, scores in ((OUR_PIXELS, whole), ("the file", read)):
                d = np.array(scores) - reference
                before, after = (s >= model["threshold"] for s in (reference, np.array(scores)))
                row = Drift(
                    name,
                    model["name"],
                    handed,
                    method,
                    len(d),
                    float(np.abs(d).mean()),
                    float(d.mean()),
                    float(np.abs(d).max()),
                    int((before != after).sum()),
                    int((before & ~after & (labels == 1)).sum()),
                )
                findings.drift.append(row)
                if (handed, method) == (OUR_PIXELS, "mediapipe-bilinear-v1"):
                    claim = f"{name}, {model['name']}: {method} gives the scores of whole photos"
                    findings.check(CLIENT, claim, row.largest == 0, row)
