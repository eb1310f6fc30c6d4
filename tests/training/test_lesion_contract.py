"""The contract of a trained skin model: what it says of the backbone, and what it does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.contract_fields import ChosenOn, Interval, Threshold
from lesionlite_training.backbones import Backbone, get_backbone
from lesionlite_training.lesion_contract import image_input_of, lesion_contract

from ..hub_form import write_hub_form  # noqa: TID252 (no package to name)

CLASSES = {"melanoma": 1, "nevus": 0}
THRESHOLD = Threshold(
    0.5, "youden", ChosenOn("out_of_fold", 9, 3), Interval(0.9, 0.8, 1.0), Interval(0.5, 0, 1), None
)


def contract_of(backbone: Backbone) -> ClassifierContract:
    image_input = image_input_of(backbone, "pillow-bilinear-v1")
    return lesion_contract(backbone, image_input, CLASSES, THRESHOLD, {"method": "none"})


def test_a_backbone_of_the_registry_is_named() -> None:
    backbone = get_backbone("efficientnet_lite0")
    contract = contract_of(backbone)
    assert contract.provenance.backbone == "efficientnet_lite0"
    assert contract.provenance.training == {
        "method": "none",
        "weights": backbone.weights,
        "weights_licence": "Apache-2.0",
    }
    assert contract.input.shape == (1, 224, 224, 3)
    assert dict(contract.output.classes) == CLASSES
    assert contract.threshold == THRESHOLD


@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", ["file", "folder", "folder with a slash"])
def test_a_backbone_by_path_leaves_no_path_of_the_machine(
    kind: str, tiny_backbone: Path, tmp_path: Path
) -> None:
    """A user's folder names a person, a project, a machine."""
    if kind == "file":
        name, given = "tiny.keras", str(tiny_backbone)
    else:
        name = "features"
        given = str(write_hub_form(tmp_path / name, side=40)) + "/" * (kind != "folder")
    folder = str(Path(given).parent)
    assert folder in given
    contract = contract_of(get_backbone(given, size=40))
    assert contract.provenance.backbone == name
    text = json.dumps(json.loads(contract.to_bytes()))
    assert name in text
    assert folder not in text
    assert "sha256" in contract.provenance.training["weights"]
