"""Reading recorded scores: JSON Lines that another program, or another machine, wrote."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lesionlite_export.recorded import SCHEMAS, RecordedScore, RecordedScores
from lesionlite_runtime.codec import parse_json
from lesionlite_runtime.errors import LesionliteError, UnusableInput, printable
from lesionlite_runtime.files import read_file

_MODEL, _DIGEST = re.compile(r"[0-9a-f]{12}"), re.compile(r"[0-9a-f]{64}")
_HEX = {"model": _MODEL, "network_sha256": _DIGEST, "sha256": _DIGEST, "pixels_sha256": _DIGEST}
_REMEDY = "record the scores anew with `lesionlite classify --json` or `verify --save-reference`"


def read_recorded(path: str | os.PathLike[str]) -> RecordedScores:
    """The scores recorded in the JSON Lines at ``path``.

    A line that cannot be used, such as one that was cut off, is a fault and not the end.

    Raises:
        UnusableInput: when the file cannot be read, no line can be used, a line has an unknown
            schema, or lines are of different models, thresholds or labels.
    """
    file = os.fspath(path)
    scores: list[RecordedScore] = []
    failures: dict[str, str] = {}
    faults: list[LesionliteError] = []
    common = _Common(file)
    lines = read_file(path).removeprefix(codecs.BOM_UTF8).split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            body = _parsed(line, number, file)
            if "error" in body:
                failures[Path(str(body.get("file"))).name] = _message(body["error"])
            else:
                scores.append(_score(body, number, file))
        except _LineFault as fault:
            faults.append(fault.error)
        else:
            common.add(body, number)
    if not scores:
        raise faults[0] if faults else UnusableInput("there is no score in it", _REMEDY, file)
    labels = tuple(scores[0].scores)
    return RecordedScores(
        file,
        common.values.get("model"),
        common.values.get("network_sha256"),
        common.values.get("threshold"),
        () if labels == ("",) else labels,
        common.values.get("score_of"),
        tuple(scores),
        failures,
        tuple(faults),
    )


class _LineFault(Exception):
    """A fault of one line; the file goes on."""

    def __init__(self, number: int, problem: str, file: str) -> None:
        super().__init__(problem)
        self.error = UnusableInput(f"line {number}: {problem}", _REMEDY, file)


class _Common:
    """What all lines must agree in."""

    def __init__(self, file: str) -> None:
        self.values: dict[str, Any] = {}
        self._file = file
        self._first: dict[str, int] = {}

    def add(self, body: Mapping[str, Any], number: int) -> None:
        """Take what the line says.

        Raises:
            UnusableInput: when it is not what another line says.
        """
        said = {key: body.get(key) for key in ("model", "network_sha256", "threshold", "score_of")}
        if "error" in body:
            said = {"model": body.get("model")}
        elif "scores" in body:
            said["labels"] = tuple(sorted(body["scores"]))
        else:
            said["labels"] = ()
        for key, value in said.items():
            if value is None:
                continue
            other = self.values.setdefault(key, value)
            first = self._first.setdefault(key, number)
            if other != value:
                raise UnusableInput(
                    f"lines {first} and {number} differ in {key} ({_shown(other)}, then "
                    f"{_shown(value)})",
                    "keep the lines of one model in a file of their own",
                    self._file,
                )


def _parsed(line: bytes, number: int, file: str) -> dict[str, Any]:
    try:
        body = parse_json(line, None)
    except UnusableInput as error:
        torn = not line.rstrip().endswith(b"}")
        raise _LineFault(number, "it was cut off" if torn else error.problem, file) from error
    if not isinstance(body, dict):
        raise _LineFault(number, "this is no JSON object", file)
    if body.get("schema") not in SCHEMAS:
        raise UnusableInput(
            f"line {number} has the schema {_shown(body.get('schema'))}",
            f"this version reads {', '.join(SCHEMAS)}",
            file,
        )
    return body


def _score(body: Mapping[str, Any], number: int, file: str) -> RecordedScore:
    scores = body.get("scores", {"": body.get("score")})
    if not isinstance(scores, dict) or not scores or ("scores" in body and "" in scores):
        raise _LineFault(number, "its scores are no object of numbers by label", file)
    for value in (*scores.values(), *([body["threshold"]] if "threshold" in body else [])):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise _LineFault(number, f"{_shown(value)} is no number from 0 to 1", file)
    for key, form in _HEX.items():
        value = body.get(key)
        if value is not None and not (isinstance(value, str) and form.fullmatch(value)):
            raise _LineFault(number, f"{key} is no digest", file)
    if body.get("sha256") is None and body.get("pixels_sha256") is None:
        raise _LineFault(number, "it has neither sha256 nor pixels_sha256", file)
    return RecordedScore(
        number,
        {str(name): float(value) for name, value in scores.items()},
        body.get("sha256"),
        body.get("pixels_sha256"),
        _decision(body, number, file),
    )


def _decision(body: Mapping[str, Any], number: int, file: str) -> str | None:
    """The decision for one of several labels, see `RecordedScore`."""
    if "scores" not in body or "decision" not in body:
        return None
    decision = body["decision"]
    if decision is not None and not (isinstance(decision, str) and decision in body["scores"]):
        raise _LineFault(number, f"its decision {_shown(decision)} is none of its labels", file)
    return decision or ""


def _message(error: object) -> str:
    text = error.get("message") if isinstance(error, dict) else None
    return printable(str(text or "it does not say why"))


def _shown(value: object) -> str:
    return printable(repr(value)[:60])
