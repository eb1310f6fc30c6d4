"""Results that are made by hand, for pictures and pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from lesionlite_export.comparability import Side
from lesionlite_export.gate import judge
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.parity import score_parity
from lesionlite_export.sample import cluster
from lesionlite_export.score_figures import score_figures
from lesionlite_export.seen import SeenImages
from lesionlite_export.verification_result import ProofSet, Verification

REFERENCE = Side("keras", "m.keras", "1" * 12, "1" * 64, None, 0.5)
CANDIDATE = Side("tflite", "m.tflite", "a" * 12, "1" * 64, "int8", 0.5)
NOTHING: dict[str, tuple[str, ...]] = {"training": (), "calibration": ()}
# Two flips of each kind but the last, of which there is one; none of them is larger than another.
KERAS = (0.9, 0.6, 0.7, 0.4, 0.1, 0.4, 0.3, 0.6, 0.2, 0.2)
TFLITE = (0.9, 0.4, 0.3, 0.6, 0.1, 0.6, 0.9, 0.4, 0.3, 0.2)
LABELS = (1, 1, 1, 1, 0, 0, 0, 0, 0, 0)
CLASSES = ("melanoma",) * 4 + ("nevus",) * 3 + ("keratosis",) * 3


@pytest.fixture
def verification() -> Callable[..., Verification]:
    """Makes a result of ten images: 2 newly missed, 1 newly found, 2 newly referred, 1 spared."""

    def make(files: Sequence[str] | None = None, classes: Sequence[str] = CLASSES) -> Verification:
        names = files or [f"{i}.jpg" for i in range(10)]
        images = tuple(
            LabelledImage(Path(name), label, kind, {})
            for name, label, kind in zip(names, LABELS, classes, strict=True)
        )
        parity = score_parity(names, LABELS, KERAS, TFLITE, 0.5)
        proof = ProofSet(
            "v.csv",
            cluster(images),
            SeenImages(NOTHING, NOTHING),
            {},
            images,
            ("0" * 64,) * 10,
            (None,) * 10,
        )
        figures = score_figures(parity, images)
        verdict = judge(parity, {})
        assert np.array_equal(parity.flipped.nonzero()[0], [1, 2, 3, 5, 6, 7])
        return Verification(REFERENCE, CANDIDATE, "litert", parity, figures, verdict, proof)

    return make
