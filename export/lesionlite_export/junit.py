"""A verification as JUnit XML, for machines that collect tests.

Each limit is a test case, and so are what a proof presupposes: that every image could be used, that
the file scores what the reference scores, and that no image was seen before. The elements are those
that Jenkins, GitLab and pytest agree on.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass

from lesionlite_export.gate import WORDS, unscored_sentence
from lesionlite_export.parity import ValueParity
from lesionlite_export.verification_result import Verification
from lesionlite_runtime.errors import printable

SUITE = "lesionlite.verify"
FAILURE, ERROR, SKIPPED = "failure", "error", "skipped"


@dataclass(frozen=True)
class Case:
    """A test case; ``outcome`` is the element that says how it went, None for passed."""

    name: str
    outcome: str | None = None
    message: str = ""


def junit_xml(result: Verification) -> bytes:
    """The test suite of ``result``, UTF-8."""
    cases = list(_cases(result))
    counts = {
        kind: sum(case.outcome == kind for case in cases) for kind in (FAILURE, ERROR, SKIPPED)
    }
    suite = ET.Element(
        "testsuite",
        name=SUITE,
        tests=str(len(cases)),
        failures=str(counts[FAILURE]),
        errors=str(counts[ERROR]),
        skipped=str(counts[SKIPPED]),
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(result):
        ET.SubElement(properties, "property", name=name, value=printable(value))
    for case in cases:
        element = ET.SubElement(suite, "testcase", classname=SUITE, name=case.name)
        if case.outcome is not None:
            ET.SubElement(element, case.outcome, message=printable(case.message))
    ET.SubElement(suite, "system-out").text = "\n".join(map(printable, result.warnings))
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    text: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _cases(result: Verification) -> Iterator[Case]:
    verdict = result.verdict
    for name, limit in verdict.limits.items():
        value = verdict.would_pass.get(name)
        case = f"{name}: {WORDS[name]}"
        if limit is None or value is None:
            yield Case(case, SKIPPED, "no limit is set" if limit is None else "it is not defined")
        elif verdict.failed(name):
            yield Case(case, FAILURE, f"{value:.4g} is over the limit {limit:.4g}")
        else:
            yield Case(case)
    if isinstance(result.parity, ValueParity):
        return
    unscored = unscored_sentence(result.unscored)
    yield Case("the file scores what the reference scores", *_if(result.unscored, unscored))
    reasons = "; ".join(str(item.error) for item in result.unusable)
    yield Case("every image could be used", *_if(bool(reasons), reasons, ERROR))
    faults = "; ".join(map(str, result.faults))
    yield Case("every recorded line could be used", *_if(bool(faults), faults, ERROR))


def _if(wrong: int | bool, message: str, outcome: str = FAILURE) -> tuple[str | None, str]:
    return (outcome, message) if wrong else (None, "")


def _properties(result: Verification) -> Iterator[tuple[str, str]]:
    for name, side in (("reference", result.reference), ("file", result.candidate)):
        yield name, side.file
        yield f"{name}_model", str(side.model)
    yield "backend", result.backend
    yield "n", str(result.parity.to_json()["n"])
