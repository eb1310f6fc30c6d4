"""A site's own threshold: the contract changes, the network's bytes stay."""

from __future__ import annotations

import errno
import io
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lesionlite_runtime.classifier import Classifier
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.container import append_members, split_members
from lesionlite_runtime.contract import CONTRACT_MEMBER, ClassifierContract
from lesionlite_runtime.contract_fields import Interval, OperatingPoint, SiteThreshold
from lesionlite_runtime.door import open_model
from lesionlite_runtime.errors import MissingHere, UnusableInput, UsageError
from lesionlite_runtime.interpreter import installed_backends
from lesionlite_runtime.site_threshold import (
    around,
    clear_site_threshold,
    set_site_threshold,
)

REASON = "few clinics — « ländlich »"
RED_ALONE = [[1 / 256, 0, 0]]


def photo(red: int) -> bytes:
    """A photo of one red."""
    stream = io.BytesIO()
    Image.new("RGB", (60, 80), (red, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def contract_of(path: Path) -> ClassifierContract:
    """The contract of a classifier's file, through the door."""
    contract = open_model(path).contract
    assert isinstance(contract, ClassifierContract)
    return contract


@pytest.fixture
def red_file(tiny_image_model: Any, tmp_path: Path) -> Path:
    """A model whose score is a 256th of a photo's red; threshold 0.5."""
    path = tmp_path / "red.tflite"
    path.write_bytes(tiny_image_model(RED_ALONE, end=None).file())
    return path


@pytest.mark.parametrize("backend", installed_backends())
def test_the_decision_changes_when_the_threshold_passes_the_score(
    red_file: Path, backend: str
) -> None:
    before = Classifier(red_file, backend=backend)
    old = before.classify(photo(64))
    assert (old.score, old.decision, old.findings) == (0.25, "no_referral", ())
    for value, decision in (
        (0.2, "refer"),
        (0.25, "refer"),
        (math.nextafter(0.25, 1), "no_referral"),
        (0.9, "no_referral"),
        (0, "refer"),
        (1, "no_referral"),
    ):
        set_site_threshold(red_file, value, REASON)
        after = Classifier(red_file, backend=backend)
        result = after.classify(photo(64))
        assert after.model_id == before.model_id
        assert (result.score, result.threshold, result.decision) == (0.25, value, decision)
        assert result.findings == ("site_threshold",)
        assert "this threshold was set at the site" in result.to_text()


def test_the_network_and_all_else_in_the_contract_stay(red_file: Path) -> None:
    old, old_contract = open_model(red_file), contract_of(red_file)
    change = set_site_threshold(red_file, 0.25, REASON)
    new, contract = open_model(red_file), contract_of(red_file)
    assert new.flatbuffer == old.flatbuffer
    assert new.file_sha256 != old.file_sha256
    assert contract.site_threshold == SiteThreshold(0.25, REASON)
    assert contract.model_id == old_contract.model_id == change.model
    shown, was = contract.to_json(), old_contract.to_json()
    assert shown.pop("site_threshold") == {"value": 0.25, "reason": REASON}
    assert shown.pop("digest") != was.pop("digest")
    assert shown == was
    assert change.contract == contract


@given(value=st.floats(0, 1), second=st.floats(0, 1), reason=st.text(min_size=1, max_size=40))
@settings(max_examples=30)
def test_clearing_gives_the_bytes_from_before(
    tiny_image_model: Any,
    tmp_path_factory: pytest.TempPathFactory,
    value: float,
    second: float,
    reason: str,
) -> None:
    path = tmp_path_factory.mktemp("site") / "red.tflite"
    data = tiny_image_model(RED_ALONE, end=None).file()
    path.write_bytes(data)
    reason += "."
    first = set_site_threshold(path, value, reason)
    assert path.read_bytes() != data
    assert contract_of(path).site_threshold == SiteThreshold(value, reason)
    assert set_site_threshold(path, second, REASON).contract.decision_threshold == second
    assert clear_site_threshold(path).contract.site_threshold is None
    assert path.read_bytes() == data
    assert set_site_threshold(path, value, reason).contract == first.contract


def test_other_members_stay(tiny_image_model: Any, tmp_path: Path) -> None:
    path = tmp_path / "red.tflite"
    flatbuffer, members = split_members(tiny_image_model(RED_ALONE, end=None).file())
    labels = {"labels.txt": b"benign\nmalignant\n", "a/b.json": b"{}"}
    data = append_members(flatbuffer, {**members, **labels})
    path.write_bytes(data)
    set_site_threshold(path, 0.25, REASON)
    after = split_members(path.read_bytes())[1]
    assert after.pop(CONTRACT_MEMBER) != members[CONTRACT_MEMBER]
    assert after == labels
    clear_site_threshold(path)
    assert path.read_bytes() == data


def test_the_shipped_model_takes_one(
    shipped_model: Path, drawn_photos: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "site.tflite"
    (melanoma,) = (p for p in drawn_photos if p.name == "synthetic_melanoma_000.jpg")
    score = Classifier(shipped_model).classify(melanoma).score
    data = shipped_model.read_bytes()
    set_site_threshold(shipped_model, score + 0.01, REASON, out)
    assert shipped_model.read_bytes() == data
    before, after = (Classifier(path).classify(melanoma) for path in (shipped_model, out))
    assert (before.decision, after.decision) == ("refer", "no_referral")
    assert (before.model, before.score) == (after.model, after.score)
    clear_site_threshold(out)
    assert out.read_bytes() == data


@pytest.mark.parametrize(("dtype", "zero"), [("uint8", 0), ("int8", -128)])
def test_an_integer_output_gets_its_integer(
    tiny_image_model: Any, tmp_path: Path, dtype: str, zero: int
) -> None:
    path = tmp_path / "integers.tflite"
    levels = {"output_type": dtype, "output_levels": (1 / 256, zero)}
    path.write_bytes(tiny_image_model(RED_ALONE, end=None, **levels).file())
    data = path.read_bytes()
    change = set_site_threshold(path, 0.2001, REASON)
    assert change.contract.site_threshold == SiteThreshold(0.2001, REASON, 52 + zero)
    assert [Classifier(path).classify(photo(red)).decision for red in (51, 52)] == [
        "no_referral",
        "refer",
    ]
    changed = path.read_bytes()
    with pytest.raises(UnusableInput, match="no level of the integer output reaches") as caught:
        set_site_threshold(path, 0.999, REASON)
    assert caught.value.file == str(path)
    assert path.read_bytes() == changed
    clear_site_threshold(path)
    assert path.read_bytes() == data


def test_another_file_is_written_whole_where_it_is_named(red_file: Path, tmp_path: Path) -> None:
    data, out = red_file.read_bytes(), tmp_path / "site.tflite"
    change = set_site_threshold(red_file, 0.25, REASON, out)
    assert change.file == str(out)
    assert red_file.read_bytes() == data
    with pytest.raises(UsageError, match="the file exists already; pass --force"):
        set_site_threshold(red_file, 0.3, REASON, out)
    assert contract_of(out).decision_threshold == 0.25
    set_site_threshold(red_file, 0.3, REASON, out, force=True)
    assert contract_of(out).decision_threshold == 0.3
    clear_site_threshold(out, tmp_path / "own.tflite")
    assert (tmp_path / "own.tflite").read_bytes() == data
    for folder in (tmp_path, tmp_path / "missing" / "x.tflite"):
        with pytest.raises(UsageError):
            set_site_threshold(red_file, 0.3, REASON, folder, force=True)


def test_a_link_stays_one(red_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.tflite"
    link.symlink_to(red_file)
    assert set_site_threshold(link, 0.25, REASON).file == str(link)
    assert link.is_symlink()
    assert contract_of(red_file).decision_threshold == 0.25


def test_a_disk_that_is_full_leaves_the_file_as_it_was(
    red_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = red_file.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MissingHere, match="no space left on device"):
        set_site_threshold(red_file, 0.25, REASON)
    assert red_file.read_bytes() == data
    assert [path.name for path in red_file.parent.iterdir()] == [red_file.name]


@pytest.mark.parametrize("value", [-0.001, 1.001, math.nan, math.inf, -math.inf])
def test_a_threshold_out_of_range_is_wrong_usage(red_file: Path, value: float) -> None:
    with pytest.raises(UsageError, match=r"is out of range; pass a number from 0 to 1"):
        set_site_threshold(red_file, value, REASON)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("", "there is no reason"),
        (" \n\t", "there is no reason"),
        ("x" * 501, "the reason has 501 characters; pass 500 at most"),
    ],
)
def test_a_threshold_needs_a_reason_of_a_length_to_read(
    red_file: Path, reason: str, words: str
) -> None:
    data = red_file.read_bytes()
    with pytest.raises(UsageError, match=words):
        set_site_threshold(red_file, 0.25, reason)
    assert red_file.read_bytes() == data
    set_site_threshold(red_file, 0.25, "é" * 500)


def test_a_reason_that_no_file_can_hold_is_refused(red_file: Path) -> None:
    """An argument's byte that is no UTF-8 is a lone surrogate in Python."""
    data = red_file.read_bytes()
    with pytest.raises(UsageError, match="the reason is no valid text"):
        set_site_threshold(red_file, 0.25, "caf\udce9")
    assert red_file.read_bytes() == data


def test_nothing_to_clear_is_wrong_usage(red_file: Path) -> None:
    data = red_file.read_bytes()
    with pytest.raises(UsageError, match="no threshold was set at a site") as caught:
        clear_site_threshold(red_file)
    assert caught.value.file == str(red_file)
    assert red_file.read_bytes() == data


def test_what_is_no_classifier_of_two_labels_is_refused(
    labels_file: Path, regression_file: Path, shipped_model: Path, tmp_path: Path
) -> None:
    keras = tmp_path / "lesion.keras"
    keras.write_bytes((shipped_model.parents[3] / "samples" / "lesion.keras").read_bytes())
    (tmp_path / "text.tflite").write_text("no model")
    for path, words in (
        (labels_file, "a model for multiclass_classification; name an image classifier of two"),
        (regression_file, "a model for regression; name an image classifier of two labels"),
        (keras, "this is no TFLite model"),
        (tmp_path / "text.tflite", "this is no TFLite model"),
        (tmp_path / "missing.tflite", "no such file"),
    ):
        data = path.read_bytes() if path.exists() else None
        for change in (
            lambda path: set_site_threshold(path, 0.25, REASON),
            clear_site_threshold,
        ):
            with pytest.raises(UnusableInput, match=words) as caught:
                change(path)
            assert caught.value.file == str(path)
        assert (path.read_bytes() if path.exists() else None) == data


def test_a_file_that_the_door_refuses_stays_as_it_is(red_file: Path) -> None:
    data = bytearray(red_file.read_bytes())
    data[100] ^= 1
    red_file.write_bytes(data)
    with pytest.raises(UnusableInput, match="do not have the digest"):
        set_site_threshold(red_file, 0.25, REASON)
    assert red_file.read_bytes() == data


LOW, MIDDLE, HIGH = (
    OperatingPoint(threshold, Interval(s, 0, 1), Interval(1 - s, 0, 1))
    for threshold, s in ((0.2, 0.9), (0.4, 0.7), (0.6, 0.5))
)


@pytest.mark.parametrize(
    ("value", "below", "above"),
    [
        (0, None, LOW),
        (0.1999, None, LOW),
        (0.2, LOW, LOW),
        (0.3, LOW, MIDDLE),
        (0.4, MIDDLE, MIDDLE),
        (0.41, MIDDLE, HIGH),
        (0.6, HIGH, HIGH),
        (1, HIGH, None),
    ],
)
def test_the_rows_around_a_threshold(
    value: float, below: OperatingPoint | None, above: OperatingPoint | None
) -> None:
    assert around([LOW, MIDDLE, HIGH], value) == (below, above)
    assert around([], value) == (None, None)


def test_a_change_tells_of_the_table_and_of_nothing_where_there_is_none(
    tiny_image_model: Any, tmp_path: Path
) -> None:
    path = tmp_path / "red.tflite"
    tiny = tiny_image_model(RED_ALONE, end=None)
    path.write_bytes(tiny.file())
    change = set_site_threshold(path, 0.3, REASON)
    value = change.to_json()
    assert list(value) == [
        "schema", "file", "model", "digest", "threshold", "own_threshold", "site_threshold",
        "below", "above",
    ]  # fmt: skip
    assert value["schema"] == "lesionlite.site_threshold/1"
    assert value["file"] == str(path)
    assert value["digest"] == contract_of(path).digest
    assert (value["threshold"], value["own_threshold"]) == (0.3, 0.5)
    assert value["site_threshold"] == {"value": 0.3, "reason": REASON}
    assert (value["below"]["threshold"], value["above"]["threshold"]) == (0.25, 0.5)
    assert value["below"] == tiny.body()["threshold"]["table"][0]
    assert json_line(value)
    cleared = clear_site_threshold(path).to_json()
    assert (cleared["threshold"], cleared["site_threshold"]) == (0.5, None)
    assert cleared["below"] is cleared["above"] is None
    body = tiny.body()
    del body["threshold"]["table"]
    path.write_bytes(tiny.file(body=body))
    change = set_site_threshold(path, 0.3, REASON)
    assert change.below is change.above is None
