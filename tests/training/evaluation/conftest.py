"""An evaluation that needs no model, and what it is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.sample import Sample, cluster
from lesionlite_training.evaluation.figures import measure
from lesionlite_training.evaluation.groups import by_class, by_column
from lesionlite_training.evaluation.origin import CONTRACT, ThresholdOrigin
from lesionlite_training.evaluation.result import Evaluation

THRESHOLD = 0.3
Maker = Callable[[Sequence[LabelledImage], Sequence[float]], Evaluation]


@pytest.fixture
def make_evaluation(tmp_path: Path) -> Maker:
    """Evaluations of images with given scores, at `THRESHOLD`."""

    def make(images: Sequence[LabelledImage], scores: Sequence[float]) -> Evaluation:
        clusters = cluster(images)
        values = np.array(scores, np.float64)
        labels = np.array([image.label for image in images], np.int64)
        sample = Sample(labels, values, clusters.of_image)
        return Evaluation(
            model="0123456789ab",
            score_file=None,
            source=str(tmp_path / "list.csv"),
            threshold=THRESHOLD,
            origin=ThresholdOrigin(CONTRACT, "sensitivity=0.90", False),
            seen=None,
            figures=measure(sample, THRESHOLD, 0.025),
            classes=by_class(images, sample, THRESHOLD),
            subgroups=by_column(images, sample, THRESHOLD, 0.025),
            clusters=clusters,
            warnings=(),
            unusable=(),
            images=tuple(images),
            scores=values,
        )

    return make


@pytest.fixture
def evaluation(make_evaluation: Maker, tmp_path: Path, drawn_photos: list[Path]) -> Evaluation:
    """40 drawn photos under names of their own, 16 of them labelled 1, in both decisions."""
    generator = np.random.default_rng(5)
    images, scores = [], []
    for number in range(40):
        label = int(number % 5 < 2)
        name = "melanoma" if label else ("nevus", "seborrheic_keratosis")[number % 2]
        path = tmp_path / name / f"photo_{number:02}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(drawn_photos[number % len(drawn_photos)].read_bytes())
        facts = {"sex": "female"} if number % 3 else {}
        images.append(LabelledImage(path, label, name, facts))
        scores.append(float(np.clip(generator.normal(0.25 + 0.25 * label, 0.2), 0, 1)))
    return make_evaluation(images, scores)
