"""The verdict as JUnit XML: counts that fit, and names that no reader chokes on."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lesionlite_export.comparability import Side
from lesionlite_export.gate import judge
from lesionlite_export.junit import junit_xml
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.parity import ValueParity, score_parity
from lesionlite_export.representative import Unusable
from lesionlite_export.verification_result import Verification
from lesionlite_runtime.errors import UnusableInput

REFERENCE = Side("keras", "m.keras", "1" * 12, "1" * 64, None, 0.5)
CANDIDATE = Side("tflite", "m\x1b<&>.tflite", "a" * 12, "1" * 64, "int8", 0.5)


def result_of(flips: int = 0, unscored: int = 0) -> Verification:
    keras = [0.9] * 50 + [0.1] * 50
    tflite = [0.1] * flips + keras[flips:]
    parity = score_parity([f"{i}.jpg" for i in range(100)], [1] * 50 + [0] * 50, keras, tflite, 0.5)
    verdict = judge(parity, {"auc_difference": None}, unscored)
    return Verification(REFERENCE, CANDIDATE, "litert", parity, None, verdict, None, unscored)


def suite_of(result: Verification) -> ET.Element:
    root = ET.fromstring(junit_xml(result))
    assert root.tag == "testsuites"
    (suite,) = root
    cases = suite.findall("testcase")
    assert suite.get("tests") == str(len(cases))
    for kind, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert suite.get(name) == str(len(suite.findall(f"testcase/{kind}")))
    assert all(case.get("name") and case.get("classname") for case in cases)
    return suite


def outcomes(suite: ET.Element) -> dict[str, str]:
    """How each case that did not pass went, by the beginning of its name."""
    return {
        str(case.get("name")).partition(":")[0]: f"{case[0].tag}: {case[0].get('message')}"
        for case in suite.findall("testcase")
        if len(case)
    }


def test_a_proof_that_passed_has_no_failure() -> None:
    suite = suite_of(result_of())
    assert outcomes(suite) == {"auc_difference": "skipped: no limit is set"}
    properties = {p.get("name"): p.get("value") for p in suite.findall("properties/property")}
    assert properties == {
        "reference": "m.keras",
        "reference_model": "1" * 12,
        "file": "m\\x1b<&>.tflite",
        "file_model": "a" * 12,
        "backend": "litert",
        "n": "100",
    }


def test_every_limit_that_failed_is_a_failure() -> None:
    suite = suite_of(result_of(flips=7))
    found = outcomes(suite)
    assert found["flip_rate"] == "failure: 0.07 is over the limit 0.05"
    assert found["newly_missed_rate"] == "failure: 0.14 is over the limit 0.05"
    assert suite.get("failures") == "3"


def test_what_was_not_compared_is_no_pass() -> None:
    image = LabelledImage(Path("b\x00d.jpg"), 0, "")
    bad = Unusable(image, UnusableInput("it is bl\x07ck", "leave it out", image.path))
    fault = UnusableInput("line 3: it was cut off", "", "old.jsonl")
    result = replace(result_of(unscored=1), unusable=(bad,), faults=(fault,))
    found = outcomes(suite_of(result))
    assert found["the file scores what the reference scores"] == (
        "failure: the file gives no score for 1 of the images that the reference scores"
    )
    assert found["every image could be used"] == "error: b\\x00d.jpg: it is bl\\x07ck; leave it out"
    assert found["every recorded line could be used"] == "error: old.jsonl: line 3: it was cut off"


def test_warnings_are_the_suite_s_output() -> None:
    warned = replace(result_of(), warnings=("few\x07 images", "another network"))
    output = suite_of(warned).findtext("system-out")
    assert output == "few\\x07 images\nanother network"


@pytest.mark.parametrize(("error", "failures"), [(0.0, "0"), (0.5, "1")])
def test_a_regression_has_its_limits_alone(error: float, failures: str) -> None:
    x = np.linspace(0, 1, 11)
    parity = ValueParity(x, x, x + error)
    result = replace(result_of(), parity=parity, verdict=judge(parity, {}))
    suite = suite_of(result)
    assert (suite.get("tests"), suite.get("failures")) == ("1", failures)


def test_one_label_skips_what_it_does_not_define() -> None:
    parity = score_parity(["a", "b"], [0, 0], [0.1, 0.9], [0.1, 0.9], 0.5)
    found = outcomes(suite_of(replace(result_of(), parity=parity, verdict=judge(parity, {}))))
    skipped = "skipped: it is not defined"
    assert found == {"auc_difference": skipped, "newly_missed_rate": skipped}
