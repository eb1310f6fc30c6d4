"""Outputs of both sides, image by image: an image without a number is no end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export.comparison import compare_images, pair_outputs
from lesionlite_export.keras_model import KerasModel
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.progress import Silent
from lesionlite_export.reference import load_reference, reference_outcomes, tflite_outcomes
from lesionlite_export.representative import PreparedImage
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.door import DeviceModel, open_model
from lesionlite_runtime.errors import UnusableInput

NAN = 13
"""The value of the pixels that a `Network` or a `Backend` has no number for."""


class Network:
    """A network that scores the mean of the pixels, and NaN where they are all `NAN`."""

    inputs = (np.empty((0, 224, 224, 3)),)  # of any batch

    def predict_on_batch(self, batch: NDArray[np.uint8]) -> NDArray[np.float64]:
        means = batch.mean((1, 2, 3), dtype=np.float64)
        return np.where(means == NAN, np.nan, means / 255)[:, np.newaxis]


class Backend:
    """An interpreter of the same network."""

    name = "litert"

    def invoke(self, value: NDArray[np.uint8]) -> NDArray[np.float32]:
        return Network().predict_on_batch(value)[0].astype(np.float32)


def images(*values: int) -> list[PreparedImage]:
    """An image of one colour for each value: 0.jpg, 1.jpg ..."""
    return [
        PreparedImage(
            LabelledImage(Path(f"{i}.jpg"), i % 2, ""),
            np.full((224, 224, 3), value, np.uint8),
            f"{i:064}",
        )
        for i, value in enumerate(values)
    ]


@pytest.fixture
def opened(shipped_model: Path, monkeypatch: pytest.MonkeyPatch) -> DeviceModel:
    """The shipped file, whose interpreter is a `Backend`."""
    monkeypatch.setattr("lesionlite_runtime.image_model.open_backend", lambda *_: Backend())
    return open_model(shipped_model)


@pytest.fixture
def keras(classifier_contract_maker: Callable[..., ClassifierContract]) -> KerasModel:
    return KerasModel("m.keras", Network(), classifier_contract_maker())


def said(outcomes: Sequence[Any]) -> list[Any]:
    return [
        str(one) if isinstance(one, Exception) else round(float(one[-1]), 4) for one in outcomes
    ]


def test_a_keras_network_that_gives_no_number_for_an_image(keras: KerasModel) -> None:
    """More images than a batch has, so that each comes from its own row."""
    values = [NAN if i in (3, 40) else 100 + i for i in range(45)]
    found = said(reference_outcomes(keras, images(*values), (), Silent()))
    for i, one in enumerate(found):
        if i in (3, 40):
            assert one == (
                f"{i}.jpg: no score by m.keras (the model gave nan in place of a score); "
                "check that model"
            )
        else:
            assert one == round(values[i] / 255, 4)


def test_a_file_that_gives_no_number_for_an_image(opened: DeviceModel) -> None:
    found = said(tflite_outcomes(opened, images(51, NAN, 102), Silent(), "", None, 1))
    assert found == [
        0.2,
        f"1.jpg: no score by {opened.path} (the model gave nan in place of a score); "
        "check that model",
        0.4,
    ]


def test_pairs_are_those_that_both_score(keras: KerasModel, opened: DeviceModel) -> None:
    class Other(Backend):
        def invoke(self, value: NDArray[np.uint8]) -> NDArray[np.float32]:
            return super().invoke(np.where(value == 200, NAN, value).astype(np.uint8))

    listed = images(51, NAN, 200, 102)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lesionlite_runtime.image_model.open_backend", lambda *_: Other())
        paired = pair_outputs(keras, opened, listed, Silent())
    assert [image.image.path.name for image in paired.images] == ["0.jpg", "3.jpg"]
    assert said(paired.reference) == said(paired.file) == [0.2, 0.4]
    assert [item.image.path.name for item in paired.unusable] == ["1.jpg", "2.jpg"]
    assert paired.unscored == 1  # the second has no score by either
    assert "m.keras" in str(paired.unusable[0].error)
    assert opened.path in str(paired.unusable[1].error)


def test_no_pair_at_all_is_the_fault_of_the_first(keras: KerasModel, opened: DeviceModel) -> None:
    with pytest.raises(UnusableInput, match=r"^0.jpg: no score by m.keras"):
        pair_outputs(keras, opened, images(NAN, NAN), Silent())


def test_a_gate_takes_no_missing_score(keras: KerasModel, opened: DeviceModel) -> None:
    with pytest.raises(UnusableInput, match=r"^1.jpg: no score by m.keras"):
        compare_images(keras, opened.path, images(51, NAN), Silent())


def test_the_ending_of_the_name_says_what_is_loaded(shipped_model: Path, tmp_path: Path) -> None:
    assert load_reference(shipped_model).path == str(shipped_model)
    path = tmp_path / "old.jsonl"
    path.write_text('{"schema": "lesionlite.recorded/1"}')
    with pytest.raises(UnusableInput, match="line 1: None is no number"):
        load_reference(path)
    with pytest.raises(UnusableInput, match="no such file"):
        load_reference(tmp_path / "no.keras")
