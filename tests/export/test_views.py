"""Several views in one network: what a client would get by asking for each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from lesionlite_export import convert
from lesionlite_export.keras_model import KerasModel
from lesionlite_export.views import views_network, with_views
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.contract_fields import ViewsThreshold
from lesionlite_runtime.errors import UsageError
from lesionlite_runtime.graph import read_graph

pytestmark = pytest.mark.tensorflow


def copies(pixels: NDArray[np.uint8], views: int) -> list[NDArray[np.uint8]]:
    """The image, its mirror images and half turn; for 8 the quarter turns of these."""
    four = [pixels, pixels[:, :, ::-1], pixels[:, ::-1], np.rot90(pixels, 2, (1, 2))]
    return four if views == 4 else [*four, *(np.rot90(copy, 1, (1, 2)) for copy in four)]


@pytest.mark.parametrize("views", [4, 8])
def test_the_score_is_the_mean_over_the_views(
    tiny_model: KerasModel, small_pixels: NDArray[np.uint8], views: int
) -> None:
    network = views_network(tiny_model.network, views)
    found = np.asarray(network.predict_on_batch(small_pixels))
    each = [
        np.asarray(tiny_model.network.predict_on_batch(np.ascontiguousarray(copy)))
        for copy in copies(small_pixels, views)
    ]
    assert np.ptp(np.array(each), axis=0).max() > 0.01  # the views do differ
    assert found == pytest.approx(np.mean(each, axis=0), abs=1e-6)


def test_eight_views_do_not_care_how_the_photo_is_held(
    tiny_model: KerasModel, small_pixels: NDArray[np.uint8]
) -> None:
    network = views_network(tiny_model.network, 8)
    upright = np.asarray(network.predict_on_batch(small_pixels))
    for copy in copies(small_pixels, 8):
        turned = np.asarray(network.predict_on_batch(np.ascontiguousarray(copy)))
        assert turned == pytest.approx(upright, abs=1e-6)


def with_threshold(model: KerasModel, views: int, value: float) -> KerasModel:
    contract = model.contract
    assert isinstance(contract, ClassifierContract)
    other = ViewsThreshold(views, replace(contract.threshold, value=value))
    return replace(model, contract=replace(contract, views_thresholds=(other,)))


def test_the_file_has_the_threshold_for_its_views(tiny_model: KerasModel) -> None:
    viewed = with_views(with_threshold(tiny_model, 8, 0.123), 8)
    contract = viewed.contract
    assert isinstance(contract, ClassifierContract)
    assert (contract.threshold.value, contract.provenance.views) == (0.123, 8)
    assert contract.views_thresholds is None
    graph = read_graph(convert.float32_tflite(viewed))
    assert graph.tensors[graph.inputs["image"]].shape == (1, 32, 32, 3)
    assert graph.tensors[graph.outputs["score"]].shape == (1, 1)
    assert with_views(tiny_model, 1) is tiny_model


def test_without_a_threshold_for_them_there_are_no_views(tiny_model: KerasModel) -> None:
    for views in (4, 8):
        with pytest.raises(UsageError, match=f"has no threshold for {views} views"):
            with_views(tiny_model, views)
    with pytest.raises(UsageError, match="has no threshold for 4 views"):
        with_views(with_threshold(tiny_model, 8, 0.1), 4)
    with pytest.raises(UsageError, match="3 views are not possible"):
        with_views(tiny_model, 3)
