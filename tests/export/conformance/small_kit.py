"""A kit of a few images with scores out of thin air: what judging needs, without a model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lesionlite_export.kit import encode
from lesionlite_export.kit.families import KERNELS, TOLERANCES
from lesionlite_export.kit.folder import write_kit
from lesionlite_export.kit.manifest import (
    BUILTIN,
    KIT_SCHEMA,
    XNNPACK,
    Decoded,
    Family,
    Kit,
    KitFolder,
    KitImage,
    KitMistake,
    KitModel,
    read_kit,
)
from lesionlite_export.kit.photo import Photo
from lesionlite_export.kit.rule import decision, rule_cases
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.pixels import pixels_sha256

SIDE = 40
THRESHOLD = 0.5
SCORES = {"plain.png": 0.2, "other.png": 0.7, "turned.png": 0.4, "photo.jpg": 0.9}
INPUT = ImageInput(
    "image", (1, SIDE, SIDE, 3), "uint8", "RGB", "exif", "pillow-bilinear-v1", "stretch"
)


def _files() -> dict[str, bytes]:
    random = np.random.default_rng(0)
    exact, larger = (random.integers(0, 256, (s, s, 3), np.uint8) for s in (SIDE, 64))
    return {
        "plain.png": encode.png(exact),
        "other.png": encode.png(255 - exact),
        "turned.png": encode.png(larger, orientation=6),
        "larger.png": encode.png(larger),
        "photo.jpg": encode.jpeg(larger),
    }


def small_kit(folder: Path, changed: Mapping[str, float] | None = None) -> KitFolder:
    """Write the kit to ``folder``; ``changed`` are scores for those of `SCORES`, or beside them."""
    all_scores = {**SCORES, **(changed or {})}
    files = {name: data for name, data in _files().items() if name in all_scores}
    images = []
    for name, data in files.items():
        photo = Photo(data, INPUT)
        height, width = photo.upright.shape[:2]
        images.append(
            KitImage(
                file=f"images/{name}",
                sha256=hashlib.sha256(data).hexdigest(),
                purpose="to be judged",
                features=photo.features,
                orientation=photo.picture.orientation,
                decoded=Decoded(width, height, pixels_sha256(photo.upright)),
                pixels_sha256=pixels_sha256(photo.tensor),
                samples=(tuple(int(v) for v in photo.tensor[3, 5]),),
                scores={XNNPACK: all_scores[name], BUILTIN: all_scores[name] + 0.01},
                one_level=0.01,
                decision=decision(all_scores[name], THRESHOLD),
            )
        )
    kit = Kit(
        schema=KIT_SCHEMA,
        model=KitModel("m.tflite", "0" * 12, "0" * 64, "1" * 64, "2" * 64, "int8", True),
        input=INPUT,
        threshold=THRESHOLD,
        families=(
            Family("xnnpack", "one kind", ("litert",), XNNPACK, 2e-5, 2e-5),
            Family("other", "the others", ("gpu",), XNNPACK, KERNELS, 0.03),
        ),
        tolerances=TOLERANCES,
        places=((3, 5),),
        images=tuple(images),
        mistakes=(
            KitMistake(
                "orientation-ignored",
                "orientation",
                "the EXIF orientation is not applied",
                {XNNPACK: tuple(0.6 if name == "turned.png" else None for name in files)},
            ),
        ),
        rule=rule_cases(THRESHOLD),
        tools={},
    )
    write_kit(folder, kit, {f"images/{n}": d for n, d in files.items()}, force=False)
    return read_kit(folder)
