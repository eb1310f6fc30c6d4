"""One line of a results file: what a port says of an image, or of a case of the rule."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lesionlite_runtime.errors import printable
from lesionlite_runtime.result import NO_REFERRAL, REFER, RESULT_SCHEMA

RESULTS_SCHEMA = "lesionlite.conformance_results/1"
_DECISIONS = (REFER, NO_REFERRAL)
_SHARED = ("schema", "kit", "model", "backend", "threshold")
_OF_IMAGE = (
    *("file", "score", "decision", "pixels_sha256", "samples", "tensor", "width", "height"),
    *("decoded_sha256", "error", "sha256"),
)
# What `classify --json` writes beside these.
_PASSED_OVER = ("findings", "decode_ms", "invoke_ms")
KNOWN = (*_SHARED, *_OF_IMAGE, "case", *_PASSED_OVER)
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_LEAST_PERCENTAGE = 2.0  # less is rounding, or a slip
_MODEL = re.compile(r"[0-9a-f]{12}\Z")


class LineFault(ValueError):
    """A line or a field that cannot be used; ``str()`` says what is wrong and what to do."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """What a line says; None for a field that it lacks.

    ``samples`` is ``[R, G, B]`` at each of the kit's places; ``tensor`` the path of a file.
    """

    number: int
    file: str | None = None
    case: str | None = None
    score: float | None = None
    decision: str | None = None
    pixels_sha256: str | None = None
    samples: tuple[tuple[int, ...], ...] | None = None
    tensor: str | None = None
    width: int | None = None
    height: int | None = None
    decoded_sha256: str | None = None
    error: str | None = None
    sha256: str | None = None
    kit: str | None = None
    model: str | None = None
    backend: str | None = None
    threshold: float | None = None

    @property
    def is_shared(self) -> bool:
        """Whether it says what holds for the lines behind it."""
        return self.file is None and self.case is None

    def same_as(self, other: Line) -> bool:
        """Whether it says what ``other`` says of the same image."""
        names = ("score", "decision", "pixels_sha256", "samples", "tensor", "decoded_sha256")
        return all(getattr(self, name) == getattr(other, name) for name in names)


def read_line(number: int, value: object, shared: Mapping[str, Any]) -> tuple[Line, list[str]]:
    """A line's JSON value, and what to say about fields of it that nobody knows.

    Args:
        number: of the line, from 1.
        value: parsed.
        shared: fields of a line without ``file`` and ``case`` that stood before it.

    Raises:
        LineFault: when it is no object, or a field has the wrong type or value.
    """
    if not isinstance(value, dict):
        raise LineFault("it is no JSON object; write {...} with `file` and `score`")
    unknown = [_unknown(key) for key in value if key not in KNOWN]
    schema = value.get("schema", RESULTS_SCHEMA)
    if schema not in (RESULTS_SCHEMA, RESULT_SCHEMA):
        shown = printable(str(schema))
        raise LineFault(f"its schema is {shown}; write {RESULTS_SCHEMA}, or leave it out")
    fields = {name: _READERS[name](name, item) for name, item in value.items() if name in _READERS}
    if "file" in fields and "case" in fields:
        raise LineFault("it has `file` and `case`; write a line for each")
    if "file" not in fields and "case" not in fields:
        stray = [name for name in fields if name not in _SHARED]
        if stray:
            raise LineFault(f"it has `{stray[0]}` and no `file`; name the image")
    return Line(number=number, **{**shared, **fields}), unknown


def shared_fields(line: Line) -> dict[str, Any]:
    """What ``line`` says for those behind it."""
    names = [name for name in _SHARED if name != "schema"]
    return {name: getattr(line, name) for name in names if getattr(line, name) is not None}


def _unknown(key: str) -> str:
    near = difflib.get_close_matches(key, KNOWN, n=1)
    hint = f"did you mean `{near[0]}`?" if near else "it is passed over"
    return f"there is no field `{printable(key)}`; {hint}"


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise LineFault(f"`{name}` is no text; write a string")
    return value


def _error(name: str, value: object) -> str:
    if isinstance(value, dict):
        value = value.get("message")
    return _text(name, value)


def _score(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LineFault(f"`{name}` is no number; write the score, 0 to 1")
    if not 0 <= value <= 1:
        ask = "is it a percentage?" if _LEAST_PERCENTAGE <= value <= 100 else "write the score"
        raise LineFault(f"`{name}` is {value!r}, outside 0 to 1; {ask}")
    return float(value)


def _decision(name: str, value: object) -> str:
    if value not in _DECISIONS:
        raise LineFault(f"`{name}` is {printable(str(value))!r}; write {' or '.join(_DECISIONS)}")
    return str(value)


def _digest(name: str, value: object) -> str:
    if not isinstance(value, str) or not _SHA256.match(value.lower()):
        raise LineFault(f"`{name}` is no SHA-256; write 64 hex digits")
    return value.lower()


def _model(name: str, value: object) -> str:
    if not isinstance(value, str) or not _MODEL.match(value.lower()[:12]):
        raise LineFault(
            f"`{name}` is no model id; write the first 12 digits of the contract's "
            "flatbuffer_sha256"
        )
    return value.lower()[:12]


def _size(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise LineFault(f"`{name}` is no size; write a whole number of pixels")
    return value


def _samples(name: str, value: object) -> tuple[tuple[int, ...], ...]:
    if not isinstance(value, list) or not all(map(_is_pixel, value)):
        raise LineFault(f"`{name}` is no list of [R, G, B], each 0 to 255")
    return tuple(tuple(row) for row in value)


def _is_pixel(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 3:
        return False
    return all(type(number) is int and 0 <= number <= 255 for number in value)


_READERS: Mapping[str, Callable[[str, object], Any]] = {
    "file": _text,
    "case": _text,
    "score": _score,
    "decision": _decision,
    "pixels_sha256": _digest,
    "samples": _samples,
    "tensor": _text,
    "width": _size,
    "height": _size,
    "decoded_sha256": _digest,
    "error": _error,
    "sha256": _digest,
    "kit": _digest,
    "model": _model,
    "backend": _text,
    "threshold": _score,
}
