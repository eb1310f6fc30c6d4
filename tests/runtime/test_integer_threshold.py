"""Thresholds of models whose scores are integers."""

from __future__ import annotations

import pytest

from lesionlite_runtime.contract_fields import (
    ChosenOn,
    Quantization,
    SiteThreshold,
    Threshold,
)
from lesionlite_runtime.errors import UnusableInput
from lesionlite_runtime.integer_threshold import with_level

LEVELS = Quantization(1 / 256, -128)


def test_a_threshold_gets_its_integer_and_stays_what_it_is() -> None:
    site = SiteThreshold(0.25, "few clinics")
    assert with_level(site, "int8", LEVELS) == SiteThreshold(0.25, "few clinics", -64)
    own = Threshold(0.3, "by hand", ChosenOn("out_of_fold", 10, 2), None, None)
    made = with_level(own, "int8", LEVELS)
    assert (made.value, made.rule, made.quantized) == (0.3, "by hand", 77 - 128)


def test_a_threshold_over_every_level_is_refused() -> None:
    with pytest.raises(UnusableInput) as caught:
        with_level(SiteThreshold(0.9999, "none"), "int8", LEVELS, "model.tflite")
    assert str(caught.value) == (
        "model.tflite: no level of the integer output reaches the threshold 0.9999; "
        "choose a lower one, or export with a float32 output"
    )
