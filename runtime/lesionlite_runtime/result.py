"""What a run of a model says about one input, as JSON and as lines of text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lesionlite_runtime.errors import LesionliteError, printable

RESULT_SCHEMA = "lesionlite.result/1"
REFER = "refer"
NO_REFERRAL = "no_referral"
UNPROVED = "unproved_model"
RESEARCH_NOTE = "Research software, no medical device: a score is not a diagnosis."
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
        unproved = " · this model is unproved" if UNPROVED in self.findings else ""
        return (
            f"{printable(self.file)}: score {self.score:.4f}, threshold {self.threshold:.4f}: "
            f"{_WORDS[self.decision]} · model {self.model} · {self.backend}{unproved}"
        )


@dataclass(frozen=True)
class Failure:
    """One photo that could not be used: why, and no score."""

    file: str
    error: LesionliteError
    model: str
    backend: str

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.result/1`` with ``error`` in place of a score."""
        return {
            "schema": RESULT_SCHEMA,
            "file": self.file,
            "error": {"code": self.error.code, "message": str(self.error)},
            "model": self.model,
            "backend": self.backend,
        }
