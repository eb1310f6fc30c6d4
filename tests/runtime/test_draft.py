"""Drafts: what is read, what contract is made of it, and what is refused by its field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runtime.drafts import binary_draft, labels_draft, regression_draft

from lesionlite_runtime.contract import (
    ClassifierContract,
    Contract,
    LabelsContract,
    RegressionContract,
)
from lesionlite_runtime.draft import (
    NOT_STATED,
    ClassifierDraft,
    LabelsDraft,
    RegressionDraft,
    contract_of_draft,
    draft_of_json,
    read_draft,
)
from lesionlite_runtime.draft_fields import DraftImage
from lesionlite_runtime.errors import UnusableInput

DIGEST = "ab" * 32


def refused(body: Any) -> str:
    with pytest.raises(UnusableInput) as caught:
        draft_of_json(body, "d.json")
    sentence = str(caught.value)
    assert sentence.startswith("d.json: the draft of the contract cannot be used: ")
    return sentence.partition("cannot be used: ")[2].partition("; correct it")[0]


@pytest.mark.parametrize(
    ("body", "kind", "made"),
    [
        (binary_draft(), ClassifierDraft, ClassifierContract),
        (labels_draft(), LabelsDraft, LabelsContract),
        (regression_draft(), RegressionDraft, RegressionContract),
    ],
)
def test_a_draft_is_read_written_and_made_a_contract(
    body: Any, kind: type, made: type, tmp_path: Path
) -> None:
    path = tmp_path / "d.json"
    path.write_text(json.dumps(body))
    draft = read_draft(path)
    assert isinstance(draft, kind)
    path.write_bytes(draft.to_bytes())
    assert read_draft(path) == draft
    contract = contract_of_draft(draft, DIGEST)
    assert isinstance(contract, made)
    assert contract.provenance.network_sha256 == DIGEST
    assert contract.provenance.backbone == draft.name
    again = Contract.from_bytes(contract.to_bytes())
    assert again == contract
    assert draft_of_json(again.provenance.draft, None) == draft


def test_the_contract_has_lesionlites_own_form_whatever_the_network_takes() -> None:
    draft = draft_of_json(
        binary_draft(input={"range": [-1, 1], "color": "BGR", "std": [1, 2, 3]}), None
    )
    contract = contract_of_draft(draft, DIGEST)
    assert isinstance(contract, ClassifierContract)
    pixels = contract.input
    assert (pixels.name, pixels.dtype) == ("image", "uint8")
    assert (pixels.color, pixels.range) == ("RGB", None)
    assert (contract.output.name, contract.output.units) == ("score", None)
    assert contract.threshold.chosen_on == NOT_STATED
    assert contract.threshold.sensitivity is None


@pytest.mark.parametrize(("score_of", "index"), [("malignant", 1), ("benign", 0)])
def test_the_label_that_the_score_is_of_comes_second(score_of: str, index: int) -> None:
    classes = {"melanoma": "malignant", "nevus": "benign"}
    draft = draft_of_json(binary_draft(output={"score_of": score_of, "classes": classes}), None)
    contract = contract_of_draft(draft, DIGEST)
    assert isinstance(contract, ClassifierContract)
    assert contract.output.labels[1] == contract.output.score_of == score_of
    assert contract.output.classes == {"melanoma": index, "nevus": 1 - index}


def test_classes_are_the_labels_unless_named() -> None:
    contract = contract_of_draft(draft_of_json(labels_draft(), None), DIGEST)
    assert isinstance(contract, LabelsContract)
    assert contract.output.classes == {"red": 0, "green": 1, "blue": 2}
    named = labels_draft(output={"classes": {"ruber": "red", "rosso": "red"}})
    contract = contract_of_draft(draft_of_json(named, None), DIGEST)
    assert isinstance(contract, LabelsContract)
    assert contract.output.classes == {"ruber": 0, "rosso": 0}


def test_training_is_told_once() -> None:
    draft = draft_of_json(binary_draft(training={"epochs": 3}), None)
    provenance = contract_of_draft(draft, DIGEST).provenance
    assert provenance.training == {"epochs": 3}
    assert provenance.draft is not None
    assert "training" not in provenance.draft


ends = st.floats(-1e4, 1e4)
channels = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3).map(tuple)
spreads = st.lists(st.floats(1e-2, 1e3), min_size=3, max_size=3).map(tuple)


@given(ends, st.floats(1e-2, 1e4), channels, spreads, st.integers(0, 255))
def test_the_scaling_is_range_then_mean_then_deviation(
    low: float, width: float, mean: tuple[float, ...], std: tuple[float, ...], pixel: int
) -> None:
    image = DraftImage((1, 8, 6, 3), (low, low + width), "RGB", "pillow-bilinear-v1", mean, std)
    in_range = low + pixel * width / 255
    for factor, offset, m, s in zip(*image.scaling, mean, std, strict=True):
        assert pixel * factor + offset == pytest.approx((in_range - m) / s, rel=1e-6, abs=1e-6)
    plain = DraftImage((1, 8, 6, 3), (low, low + width), "RGB", "pillow-bilinear-v1")
    assert plain.plain_range == pytest.approx((low, low + width))


def test_channels_that_differ_have_no_plain_range() -> None:
    image = DraftImage((1, 8, 6, 3), (0, 1), "RGB", "pillow-bilinear-v1", (0.1, 0.1, 0.2))
    assert image.plain_range is None
    alike = DraftImage((1, 8, 6, 3), (0, 1), "RGB", "p", (0.5,) * 3, (0.5,) * 3)
    assert alike.plain_range == pytest.approx((-1, 1))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "the document must be an object"),
        (binary_draft(task="binary"), "task is 'binary', and must be binary_classification"),
        (binary_draft(schema="lesionlite.draft/2"), "schema is 'lesionlite.draft/2'"),
        (binary_draft(name=" "), "name is empty"),
        (binary_draft(extra=1), "extra is no field of this schema"),
        (binary_draft(threshold=None), "threshold is missing"),
        (binary_draft(threshold={"rule": None}), "threshold.rule is missing"),
        (binary_draft(threshold={"value": 1.5}), "threshold.value must lie in 0 to 1"),
        (binary_draft(input={"range": None}), "input.range is missing"),
        (binary_draft(input={"range": [1, -1]}), "input.range must be [low, high]"),
        (binary_draft(input={"range": [0, 0]}), "input.range must be [low, high]"),
        (binary_draft(input={"range": [0, 1, 2]}), "input.range must be [low, high]"),
        (binary_draft(input={"range": [0, 1e7]}), "input.range must be [low, high]"),
        (binary_draft(input={"shape": [None, 8, 6, 3]}), "input.shape[0] must be an integer"),
        (binary_draft(input={"shape": [1, 8, 6, 1]}), "input.shape must be [1, H, W, 3]"),
        (binary_draft(input={"color": "RBG"}), "input.color is 'RBG', and must be RGB or BGR"),
        (binary_draft(input={"resize": "nearest"}), "input.resize is 'nearest'"),
        (binary_draft(input={"mean": [0.5]}), "input.mean must be three numbers"),
        (binary_draft(input={"std": [1, 1, 0]}), "input.std must be over 0"),
        (binary_draft(output={"values": "logits"}), "output.values is 'logits'"),
        (binary_draft(output={"values": "softmax"}), "output.values cannot be softmax of one"),
        (binary_draft(output={"units": 3}), "output.units must be 1 or 2"),
        (binary_draft(output={"labels": ["a", "b", "c"]}), "output.labels must be two"),
        (binary_draft(output={"labels": ["a", "a"]}), "output.labels has a label twice"),
        (binary_draft(output={"labels": ["a", ""]}), "output.labels has an empty label"),
        (binary_draft(output={"score_of": "evil"}), "output.score_of is 'evil'"),
        (binary_draft(output={"classes": {"n": "good"}}), "output.classes.n is 'good'"),
        (binary_draft(output={"classes": {}}), "output.classes must map"),
        (labels_draft(output={"labels": ["a", "b"]}), "output.labels must be 3 to"),
        (labels_draft(output={"score_of": "red"}), "output.score_of is no field"),
        (
            labels_draft(threshold={"values": {"red": 1}, "rule": "r"}),
            "threshold.values must have every label",
        ),
        (regression_draft(input={"range": [2, 1]}), "input.range must be [low, high]"),
        (regression_draft(input={"range": [0, 1e39]}), "input.range must be [low, high]"),
        (regression_draft(threshold={"value": 0.5, "rule": "r"}), "threshold is no field"),
    ],
)
def test_what_contradicts_itself_is_refused_by_its_field(body: Any, words: str) -> None:
    assert refused(body).startswith(words)


def test_a_finished_contract_is_no_draft(tmp_path: Path, tiny_classifier: Any) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(tiny_classifier.contract_bytes())
    with pytest.raises(UnusableInput, match="the contract of a finished file, not a draft"):
        read_draft(path)


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    path.write_text('{"schema": "lesionlite.draft/1", "schema": 1}')
    with pytest.raises(UnusableInput, match="the key 'schema' stands there twice"):
        read_draft(path)
