"""What a judgement says, as frozen dataclasses that serialise to ``lesionlite.conformance/1``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lesionlite_runtime.errors import ProofFailed, SomeInputsFailed

CONFORMANCE_SCHEMA = "lesionlite.conformance/1"
PASSED, FAILED, NOT_JUDGED, NOT_TESTED = "passed", "wrong", "not judged", "not tested"
BY_PIXELS, BY_SCORES, BY_DECISIONS, BY_STATEMENT = "pixels", "scores", "decisions", "statement"


@dataclass(frozen=True)
class Finding:
    """A stage that goes wrong.

    Attributes:
        stage: one of `STAGES`; None where the results do not tell which.
        mistake: a known mistake that explains it, by name; None where none does.
        tied: others that would explain it as well, and ``mistake`` itself.
        exact: whether ``mistake`` gives just what came back.
        evidence: what shows it: ``pixels``, ``scores``, ``decisions``, ``statement``.
        sentence: what goes wrong.
        images: in which.
    """

    stage: str | None
    mistake: str | None
    tied: tuple[str, ...]
    exact: bool
    evidence: str
    sentence: str
    images: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The finding as an object."""
        return {
            "stage": self.stage,
            "mistake": self.mistake,
            "tied": list(self.tied),
            "exact": self.exact,
            "evidence": self.evidence,
            "sentence": self.sentence,
            "images": list(self.images),
        }


@dataclass(frozen=True)
class StageStatus:
    """One stage: its status, and how many of the images that go through it came back right."""

    stage: str
    status: str
    right: int
    images: int

    def to_json(self) -> dict[str, Any]:
        """The status as an object."""
        return {
            "stage": self.stage,
            "status": self.status,
            "right": self.right,
            "images": self.images,
        }


@dataclass(frozen=True)
class Differences:
    """How far scores or pixels lie from the recorded ones; None where there is none to compare."""

    n: int
    equal: int
    max: float | None
    mean: float | None

    def to_json(self) -> dict[str, Any]:
        """The differences as an object."""
        return {"n": self.n, "equal": self.equal, "max": self.max, "mean": self.mean}


@dataclass(frozen=True)
class Conformance:
    """The judgement of a results file; true when the port conforms.

    Attributes:
        kit: the kit's digest.
        model: the model's id.
        results: path of the results.
        backends: as they came back.
        family: the family that scores were judged by.
        chosen_by: ``option``, ``backend`` or ``scores``.
        tolerance: the family's largest difference.
        findings: what goes wrong, the first stage first.
        stages: every stage.
        scores: against the recorded ones of the family.
        pixels: of tensors and samples, in grey levels; digests count in ``n`` and ``equal`` alone.
        flips: images with another decision than the recorded one.
        missing: images that nothing usable came back for.
        refused: images that the port says it could not read, with its reason.
        problems: a sentence for each fault of the results file.
        notes: what is worth knowing and not wrong.
    """

    kit: str
    model: str
    results: str
    backends: tuple[str, ...]
    family: str
    chosen_by: str
    tolerance: float
    findings: tuple[Finding, ...]
    stages: tuple[StageStatus, ...]
    scores: Differences
    pixels: Differences
    flips: tuple[str, ...]
    missing: tuple[str, ...]
    refused: Mapping[str, str]
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    def __bool__(self) -> bool:
        return not self.findings

    @property
    def first_wrong(self) -> Finding | None:
        """The finding of the first wrong stage."""
        return self.findings[0] if self.findings else None

    @property
    def is_whole(self) -> bool:
        """Whether every image came back, every line could be used, and there are scores."""
        return self.scores.n > 0 and not (self.missing or self.refused or self.problems)

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.conformance/1``."""
        first = self.first_wrong
        return {
            "schema": CONFORMANCE_SCHEMA,
            "conforms": bool(self),
            "kit": self.kit,
            "model": self.model,
            "results": self.results,
            "backends": list(self.backends),
            "family": {
                "name": self.family,
                "chosen_by": self.chosen_by,
                "max_difference": self.tolerance,
            },
            "first_wrong": None if first is None else first.to_json(),
            "findings": [finding.to_json() for finding in self.findings],
            "stages": [stage.to_json() for stage in self.stages],
            "scores": self.scores.to_json(),
            "pixels": self.pixels.to_json(),
            "flips": list(self.flips),
            "missing": list(self.missing),
            "refused": dict(self.refused),
            "problems": list(self.problems),
            "notes": list(self.notes),
        }

    def error(self) -> ProofFailed:
        """The sentence that says what is wrong first."""
        first = self.first_wrong
        assert first is not None
        stage = "a stage that the results do not tell" if first.stage is None else first.stage
        remedy = (
            "correct that first, and run the kit again"
            if first.stage is not None
            else "add `tensor` or `samples` to the lines"
        )
        return ProofFailed(
            f"the port does not conform; first wrong: {stage} ({first.sentence})",
            remedy,
            self.results,
        )

    def incomplete(self) -> SomeInputsFailed:
        """The sentence that says what was not judged, of results that are not whole."""
        scores = "" if self.scores.n else "no score came back; "
        return SomeInputsFailed(
            f"it conforms in what came back; {scores}of {len(self.missing)} images nothing did, "
            f"{len(self.refused)} were refused, and {len(self.problems)} lines have faults",
            "see above",
            self.results,
        )
