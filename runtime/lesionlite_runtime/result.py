"""What a run of a model says about one input, as JSON and as lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lesionlite_runtime.errors import LesionliteError, forget_locals, printable

RESULT_SCHEMA = "lesionlite.result/1"
LABELS_RESULT_SCHEMA = "lesionlite.labels_result/1"
REFER = "refer"
NO_REFERRAL = "no_referral"
UNPROVED = "unproved_model"
SITE_THRESHOLD = "site_threshold"
RESEARCH_NOTE = "Research software, no medical device: a score is not a diagnosis."
_FINDINGS = {
    UNPROVED: "this model is unproved",
    SITE_THRESHOLD: "this threshold was set at the site",
}
_MOST_SHOWN = 3
_WORDS = {REFER: "refer", NO_REFERRAL: "no referral at this threshold"}


@dataclass(frozen=True)
class Result:
    """One photo: ``score >= threshold`` decides ``refer``; ``sha256`` is of the file's bytes.

    ``decode_ms`` is the time for reading, decoding and resizing, ``invoke_ms`` for the network.
    """

    file: str
    sha256: str
    score: float
    threshold: float
    decision: str
    findings: tuple[str, ...]
    model: str
    backend: str
    decode_ms: float
    invoke_ms: float

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.result/1``."""
        return {
            "schema": RESULT_SCHEMA,
            "file": self.file,
            "sha256": self.sha256,
            "score": self.score,
            "threshold": self.threshold,
            "decision": self.decision,
            "findings": list(self.findings),
            "model": self.model,
            "backend": self.backend,
            "decode_ms": round(self.decode_ms, 3),
            "invoke_ms": round(self.invoke_ms, 3),
        }

    def to_text(self) -> str:
        """One line: file, score, threshold, decision, model and backend."""
        return (
            f"{printable(self.file)}: score {self.score:.4f}, threshold {self.threshold:.4f}: "
            f"{_WORDS[self.decision]} · model {self.model} · {self.backend}"
            f"{_findings_text(self.findings)}"
        )


@dataclass(frozen=True)
class LabelsResult:
    """One photo by a model of several labels; ``decision`` is None where no label qualifies."""

    file: str
    sha256: str
    scores: Mapping[str, float]
    decision: str | None
    findings: tuple[str, ...]
    model: str
    backend: str
    decode_ms: float
    invoke_ms: float

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.labels_result/1``."""
        return {
            "schema": LABELS_RESULT_SCHEMA,
            "file": self.file,
            "sha256": self.sha256,
            "scores": dict(self.scores),
            "decision": self.decision,
            "findings": list(self.findings),
            "model": self.model,
            "backend": self.backend,
            "decode_ms": round(self.decode_ms, 3),
            "invoke_ms": round(self.invoke_ms, 3),
        }

    def to_text(self) -> str:
        """One line: file, decision, the scores from the highest on, model and backend."""
        ranked = sorted(self.scores.items(), key=lambda item: -item[1])
        best = ranked[:_MOST_SHOWN]
        shown = ", ".join(f"{printable(label)} {score:.4f}" for label, score in best)
        decided = "no label" if self.decision is None else printable(self.decision)
        return (
            f"{printable(self.file)}: {decided} ({shown}) · model {self.model} · {self.backend}"
            f"{_findings_text(self.findings)}"
        )


def _findings_text(findings: tuple[str, ...]) -> str:
    return "".join(f" · {_FINDINGS[finding]}" for finding in findings)


@dataclass(frozen=True)
class Failure:
    """One photo that could not be used: why, and no score; ``schema`` is that of the results."""

    file: str
    error: LesionliteError
    model: str
    backend: str
    schema: str = RESULT_SCHEMA

    def __post_init__(self) -> None:
        """Let go of the photo, which the error's trace holds."""
        forget_locals(self.error)

    def to_json(self) -> dict[str, Any]:
        """The object of ``schema`` with ``error`` in place of a score."""
        return {
            "schema": self.schema,
            "file": self.file,
            "error": {"code": self.error.code, "message": str(self.error)},
            "model": self.model,
            "backend": self.backend,
        }
