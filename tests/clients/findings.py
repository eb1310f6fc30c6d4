"""What a client showed, as plain JSON between the processes: rows of tables, and checks."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


def real_scores(values: Sequence[float], model: dict[str, Any]) -> list[float]:
    """The scores that the outputs ``values`` of a job's model stand for: levels, of `int8-full`.

    In float32, as clients compute them.
    """
    scale, zero_point = np.float32(model["level"]["scale"]), model["level"]["zero_point"]
    return [float(scale * np.float32(value - zero_point)) for value in values]


@dataclass(frozen=True)
class Scores:
    """A client's scores of a model on the same resized pixels, against LiteRT's."""

    client: str
    model: str
    labels: str
    n: int
    equal: int
    largest: float
    decisions: int | None  # images decided as by the contract; None for a client without decisions


@dataclass(frozen=True)
class Pixels:
    """A client's own pixels against ours, over all values of all images, in steps of 255."""

    client: str
    what: str
    images: str
    n: int
    different: float  # share of the values
    mean: float
    largest: int
    limit: int  # of ``largest``


@dataclass(frozen=True)
class Drift:
    """Scores of whole photos in MediaPipe against those of other pixels in LiteRT."""

    photos: str
    model: str
    handed_over: str
    against: str
    n: int
    mean: float
    signed: float
    largest: float
    flips: int
    newly_missed: int


@dataclass(frozen=True)
class Conforms:
    """A second implementation on a conformance kit, as `lesionlite conform` judges it."""

    reads: str
    n: int
    equal: int  # images whose tensor is bit-equal to ours
    jpegs: int
    jpegs_equal: int
    largest_pixel: int  # of 255, over all tensors
    mean_pixel: float
    largest_score: float
    verdict: str


@dataclass(frozen=True)
class Check:
    """A claim about a client, and what was seen where it does not hold."""

    client: str
    claim: str
    holds: bool
    seen: str = ""


@dataclass
class Findings:
    """All of one process."""

    scores: list[Scores] = field(default_factory=list)
    pixels: list[Pixels] = field(default_factory=list)
    drift: list[Drift] = field(default_factory=list)
    conforms: list[Conforms] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)

    def check(self, client: str, claim: str, holds: bool, seen: object = "") -> None:
        """Note whether a claim holds."""
        self.checks.append(Check(client, claim, bool(holds), "" if holds else str(seen)))

    def compare(
        self,
        client: str,
        model: str,
        labels: Sequence[str],
        scores: Sequence[float],
        reference: Sequence[float],
        decisions: int | None = None,
    ) -> None:
        """A row for ``scores``; a score that is missing is NaN."""
        pairs = list(zip(scores, reference, strict=True))
        differences = [abs(score - wanted) for score, wanted in pairs]
        largest = math.nan if any(map(math.isnan, differences)) else max(differences)
        equal = sum(score == wanted for score, wanted in pairs)
        shown = ", ".join(labels)
        self.scores.append(Scores(client, model, shown, len(pairs), equal, largest, decisions))

    def add(self, other: Findings) -> None:
        """Take over the findings of another process."""
        self.scores += other.scores
        self.pixels += other.pixels
        self.drift += other.drift
        self.conforms += other.conforms
        self.checks += other.checks
        self.versions |= other.versions

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self), indent=1), "utf-8")

    @classmethod
    def read(cls, path: Path) -> Findings:
        """From JSON."""
        data: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return cls(
            [Scores(**row) for row in data["scores"]],
            [Pixels(**row) for row in data["pixels"]],
            [Drift(**row) for row in data["drift"]],
            [Conforms(**row) for row in data["conforms"]],
            [Check(**row) for row in data["checks"]],
            data["versions"],
        )
