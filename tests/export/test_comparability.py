"""What two sides are to each other, and what cannot be compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lesionlite_export.comparability import (
    Side,
    check_comparable,
    file_side,
    origin_warnings,
    reference_side,
    same_network,
)
from lesionlite_export.keras_model import KerasModel
from lesionlite_export.recorded import RecordedScores
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.contract_fields import SiteThreshold, ViewsThreshold
from lesionlite_runtime.errors import UnusableInput

NETWORK, OTHER = "1" * 64, "2" * 64


@pytest.fixture
def contract(classifier_contract_maker: Callable[..., ClassifierContract]) -> ClassifierContract:
    made = classifier_contract_maker()
    provenance = replace(made.provenance, network_sha256=NETWORK, recipe="int8")
    return replace(made, provenance=provenance, flatbuffer_sha256="a" * 64, flatbuffer_bytes=8)


def keras(contract: ClassifierContract, network: str = NETWORK, **changes: Any) -> KerasModel:
    provenance = replace(contract.provenance, network_sha256=network, recipe=None)
    own = replace(
        contract, provenance=provenance, flatbuffer_sha256=None, flatbuffer_bytes=None, **changes
    )
    return KerasModel("m.keras", None, own)


def recorded(**changes: Any) -> RecordedScores:
    nothing = RecordedScores("old.jsonl", None, None, None, (), None, (), {}, ())
    return replace(nothing, **changes)


def test_sides_say_what_they_are(contract: ClassifierContract) -> None:
    file = file_side(contract, "m.tflite")
    own = Side("tflite", "m.tflite", "a" * 12, NETWORK, "int8", 0.5, None, contract.digest)
    assert file == own
    assert reference_side(keras(contract), contract) == Side(
        "keras", "m.keras", "1" * 12, NETWORK, None, 0.5
    )
    assert file.to_json() == {
        "kind": "tflite",
        "file": "m.tflite",
        "model": "a" * 12,
        "network_sha256": NETWORK,
        "recipe": "int8",
        "threshold": 0.5,
    }


def test_the_origin_decides_by_the_threshold_of_its_file(contract: ClassifierContract) -> None:
    site = replace(contract, site_threshold=SiteThreshold(0.25, "why not"))
    assert reference_side(keras(contract), site).threshold == 0.25
    assert reference_side(keras(contract, OTHER), site).threshold == 0.5


def test_another_network_decides_by_its_own_threshold_for_as_many_views(
    contract: ClassifierContract,
) -> None:
    own = ViewsThreshold(4, replace(contract.threshold, value=0.75))
    other = keras(contract, OTHER, views_thresholds=(own,))
    views = replace(contract, provenance=replace(contract.provenance, views=4))
    assert reference_side(other, views).threshold == 0.75
    assert reference_side(other, contract).threshold == 0.5


def test_recorded_scores_have_the_file_s_threshold_unless_they_say_one(
    contract: ClassifierContract,
) -> None:
    assert reference_side(recorded(), contract).threshold == 0.5
    side = reference_side(recorded(threshold=0.0, model="b" * 12), contract)
    assert (side.kind, side.threshold, side.model) == ("recorded", 0.0, "b" * 12)


@pytest.mark.parametrize(
    ("model", "network", "same"),
    [
        (None, None, None),
        ("b" * 12, None, None),
        ("a" * 12, None, True),
        ("b" * 12, NETWORK, True),
        ("b" * 12, OTHER, False),
    ],
)
def test_recorded_scores_of_the_same_network(
    contract: ClassifierContract, model: str | None, network: str | None, same: bool | None
) -> None:
    side = reference_side(recorded(model=model, network_sha256=network), contract)
    assert same_network(side, file_side(contract, "m.tflite")) is same


def test_what_another_converter_made_does_not_say_its_network(
    contract: ClassifierContract,
) -> None:
    of_itself = replace(contract.provenance, network_sha256=OTHER, recipe=None)
    attached = file_side(replace(contract, provenance=of_itself), "attached.tflite")
    sentence = "attached.tflite was made by another converter, and does not say from what network"
    for reference, file in (
        (reference_side(keras(contract), contract), attached),
        (attached, file_side(contract, "m.tflite")),
    ):
        assert same_network(reference, file) is None
        assert list(origin_warnings(reference, file)) == [sentence]
    assert same_network(attached, attached) is True
    assert list(origin_warnings(attached, attached)) == []


def test_another_network_is_said_first_and_other_thresholds_next(
    contract: ClassifierContract,
) -> None:
    file = file_side(contract, "m.tflite")
    same = reference_side(keras(contract), contract)
    assert list(origin_warnings(same, file)) == []
    changed = replace(contract.threshold, value=0.25)
    other = reference_side(keras(contract, OTHER, threshold=changed), contract)
    assert list(origin_warnings(other, file)) == [
        "m.tflite was made from another network (111111111111) than m.keras (222222222222): this "
        "compares two models",
        "m.keras decides at 0.2500 and m.tflite at 0.5000: a flip is a difference of their own "
        "decisions",
    ]


def test_the_type_and_order_of_pixels_are_the_file_s_own_affair(
    contract: ClassifierContract,
) -> None:
    pixels = replace(contract.input, dtype="float32", range=(0.0, 1.0), color="BGR", name="x")
    check_comparable(keras(contract), replace(contract, input=pixels), "m.tflite")
    resized = replace(contract.input, resize="tf-bilinear-v1")
    with pytest.raises(UnusableInput, match=r"^m.tflite: it wants other pixels than m.keras"):
        check_comparable(keras(contract), replace(contract, input=resized), "m.tflite")


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ("benign", "cancer"), "score_of": "cancer"},
        {"classes": {"melanoma": 1, "nevus": 0}},
        {"classes": {"melanoma": 0, "nevus": 1, "seborrheic_keratosis": 0}},
    ],
)
def test_other_label_maps_are_refused(
    contract: ClassifierContract, changes: dict[str, Any]
) -> None:
    other = replace(contract, output=replace(contract.output, **changes))
    with pytest.raises(UnusableInput) as caught:
        check_comparable(keras(contract), other, "m.tflite")
    assert str(caught.value) == (
        "m.tflite: its label map is not that of m.keras (see `lesionlite inspect`); "
        "compare models with the same classes"
    )


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"score_of": "malignant"}, True),
        ({"score_of": "benign"}, False),
        ({"labels": ("benign", "malignant")}, False),
    ],
)
def test_recorded_scores_must_be_of_the_same_label(
    contract: ClassifierContract, changes: dict[str, Any], fits: bool
) -> None:
    if fits:
        check_comparable(recorded(**changes), contract, "m.tflite")
        return
    with pytest.raises(UnusableInput, match=r"its label map is not that of old.jsonl"):
        check_comparable(recorded(**changes), contract, "m.tflite")
