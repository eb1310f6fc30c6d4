"""A model on degraded copies: what is scored, in which order, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.progress import Silent
from lesionlite_export.sample import Sample
from lesionlite_export.statistics import Scores
from lesionlite_runtime import Classifier
from lesionlite_runtime.contract_fields import ImageInput
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.pixels import decode
from lesionlite_training.evaluation.degradations import DEGRADATIONS, Degradation
from lesionlite_training.evaluation.paired import compare
from lesionlite_training.evaluation.robustness import (
    Robustness,
    measure_robustness,
    network_input,
)
from lesionlite_training.evaluation.scorer import open_scorer

T = TypeVar("T")
THRESHOLD = 0.5
IDENTITY = Degradation("nothing", "none", lambda pixels: pixels)
DARK = Degradation("dark", "half", lambda pixels: pixels // 2)


@pytest.fixture
def images(drawn_photos: list[Path]) -> list[LabelledImage]:
    return [LabelledImage(path, int("melanoma" in path.name), "") for path in drawn_photos]


def sample_of(images: Sequence[LabelledImage]) -> Sample:
    labels = np.array([image.label for image in images])
    return Sample(labels, np.full(len(images), np.nan))


def image_input(resize: str = "pillow-bilinear-v1", side: int = 40) -> ImageInput:
    return ImageInput("image", (1, side, side, 3), "uint8", "RGB", "exif", resize, "stretch")


def mean_red(tensors: Sequence[np.ndarray]) -> Scores:
    """A model whose score is the mean of the red values."""
    return np.array([tensor[..., 0].mean() / 255 for tensor in tensors])


def measured(images: Sequence[LabelledImage], *degradations: Degradation) -> Robustness:
    return measure_robustness(
        mean_red, image_input(), images, sample_of(images), THRESHOLD, degradations, Silent()
    )


def test_the_figures_of_a_row_are_those_of_the_scores(images: list[LabelledImage]) -> None:
    found = measured(images, DARK, IDENTITY)
    photos = [decode(image.path) for image in images]
    before = mean_red([network_input(photo, image_input()) for photo in photos])
    after = mean_red([network_input(photo // 2, image_input()) for photo in photos])
    reference = Sample(sample_of(images).labels, before)
    assert found.undegraded == compare(reference, before, THRESHOLD)
    dark, same = found.rows
    assert (dark.name, dark.level) == ("dark", "half")
    assert dark.figures == compare(reference, after, THRESHOLD)
    assert dark.figures.bias == pytest.approx(-before.mean() / 2, abs=0.01)
    assert dark.figures.flips == (before >= THRESHOLD).sum() > 0
    assert same.figures == found.undegraded
    assert same.figures.max_difference == 0


def test_degrading_comes_before_the_contracts_resize(images: list[LabelledImage]) -> None:
    """And the tensor is the one that the contract asks for."""
    shapes: list[tuple[int, ...]] = []
    tensors: list[np.ndarray] = []

    def look(pixels: np.ndarray) -> np.ndarray:
        shapes.append(pixels.shape)
        return pixels

    def score(given: Sequence[np.ndarray]) -> Scores:
        tensors.extend(given)
        return mean_red(given)

    wanted = image_input("tf-bilinear-v1", 56)
    degradations = [Degradation("look", "", look)]
    sample = sample_of(images)
    measure_robustness(score, wanted, images, sample, THRESHOLD, degradations, Silent())
    photos = [decode(image.path) for image in images]
    assert shapes == [photo.shape for photo in photos]
    assert {tensor.shape for tensor in tensors} == {(56, 56, 3)}
    assert np.array_equal(tensors[0], network_input(photos[0], wanted))
    assert not np.array_equal(tensors[0], network_input(photos[0], image_input(side=56)))


def test_a_real_model_differs_in_nothing_where_nothing_is_degraded(
    shipped_model: Path, images: list[LabelledImage]
) -> None:
    classifier = Classifier(shipped_model)
    score = open_scorer(shipped_model)
    found, again = (
        measure_robustness(
            score,
            classifier.contract.input,
            images,
            sample_of(images),
            classifier.threshold,
            (IDENTITY, *DEGRADATIONS[:3]),
            Silent(),
        )
        for _ in range(2)
    )
    assert found == again
    assert found.rows[0].figures == found.undegraded
    assert found.rows[0].figures.max_difference == 0
    assert all(row.figures.max_difference > 0 for row in found.rows[1:])
    scores = np.array([classifier.classify(image.path).score for image in images])
    reference = Sample(sample_of(images).labels, scores)
    assert found.undegraded == compare(reference, scores, classifier.threshold)


def test_json_has_a_row_for_each_degradation(images: list[LabelledImage]) -> None:
    found = measured(images, DARK, IDENTITY)
    body = found.to_json()
    assert body["undegraded"] == found.undegraded.to_json()
    assert body["rows"][0] == {
        "name": "dark",
        "level": "half",
        **found.rows[0].figures.to_json(),
    }
    assert len(body["rows"]) == 2


class Counter(Silent):
    """A reporter that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.steps = 0

    def track(self, items: Iterable[T], label: str, total: int) -> Iterator[T]:
        """See `Silent`."""
        self.told.append((label, total))
        for item in items:
            yield item
            self.steps += 1


def test_progress_counts_the_images(images: list[LabelledImage]) -> None:
    report = Counter()
    measure_robustness(
        mean_red, image_input(), images, sample_of(images), THRESHOLD, [DARK, IDENTITY], report
    )
    assert report.told == [("Scoring 2 degraded copies of each image", len(images))]
    assert report.steps == len(images)


def test_an_image_that_went_away_is_named(images: list[LabelledImage], tmp_path: Path) -> None:
    gone = LabelledImage(tmp_path / "gone.jpg", 1, "")
    with pytest.raises(UnusableInput, match=r"gone\.jpg: there is no such file"):
        measured([*images, gone], DARK)
