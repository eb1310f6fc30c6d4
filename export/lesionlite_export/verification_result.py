"""The result of a verification: everything that was computed, and nothing of how it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lesionlite_export.comparability import Side, same_network
from lesionlite_export.gate import AnyParity, Verdict, task_of
from lesionlite_export.label_figures import LabelFigures
from lesionlite_export.labels_parity import LABEL_FLIPS, LabelScoreParity
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.parity import FLIPS, ScoreParity
from lesionlite_export.representative import Unusable, digest_of_digests
from lesionlite_export.sample import Clustering
from lesionlite_export.score_figures import ScoreFigures
from lesionlite_export.seen import SeenImages
from lesionlite_export.tools import tool_versions
from lesionlite_runtime.errors import LesionliteError


@dataclass(frozen=True)
class ProofSet:
    """The images that two models were compared on.

    Attributes:
        source: file or folder that lists them.
        clusters: which belong together.
        seen: which of them a model has seen before.
        unlike: names of the images that are no photos, by kind (`image_kind`).
        images: those that both sides gave scores for, in the order of the scores.
        digests: of their pixels.
        file_digests: of their files, as they were when they were read; None where nothing keeps it.
    """

    source: str
    clusters: Clustering
    seen: SeenImages
    unlike: Mapping[str, tuple[str, ...]]
    images: tuple[LabelledImage, ...] = field(repr=False)
    digests: tuple[str, ...] = field(repr=False)
    file_digests: tuple[str | None, ...] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON, but for the images."""
        return {
            "data": self.source,
            "images_sha256": digest_of_digests(self.digests),
            "clusters": self.clusters.to_json(),
            "seen_images": self.seen.to_json(),
            "unlike_photos": {kind: list(files) for kind, files in self.unlike.items()},
        }


@dataclass(frozen=True)
class Verification:
    """Whether a file decides like its reference, and the evidence; true when it does.

    Attributes:
        reference: what the file was compared with.
        candidate: the file.
        backend: the interpreter that ran it.
        parity: scores or values of both, input by input.
        figures: what follows from the scores; None for a regression.
        verdict: on the limits.
        proof_set: the images; None for a regression.
        unscored: images that the reference gave a score for and the file none.
        warnings: what to know before the figures are believed, a sentence each.
        unusable: images that are not among the figures, and why.
        faults: lines of recorded scores that could not be used.
        tools: versions of the packages that took part.
    """

    reference: Side
    candidate: Side
    backend: str
    parity: AnyParity = field(repr=False)
    figures: ScoreFigures | LabelFigures | None
    verdict: Verdict
    proof_set: ProofSet | None
    unscored: int = 0
    warnings: tuple[str, ...] = ()
    unusable: tuple[Unusable, ...] = ()
    faults: tuple[LesionliteError, ...] = ()
    tools: Mapping[str, str] = field(default_factory=tool_versions)

    def __bool__(self) -> bool:
        return bool(self.verdict)

    @property
    def complete(self) -> bool:
        """Whether every image and every recorded line could be used."""
        return not (self.unusable or self.faults)

    def to_json(self) -> dict[str, Any]:
        """The object of schema ``lesionlite.verify/1`` (docs/verification.md)."""
        body = self.parity.to_json()
        figures = {} if self.figures is None else self.figures.to_json()
        return {
            **body,
            "task": task_of(self.parity),
            **figures,
            **self.verdict.to_json(),
            "unscored": self.unscored,
            "reference": self.reference.to_json(),
            "candidate": {**self.candidate.to_json(), "backend": self.backend},
            "same_network": same_network(self.reference, self.candidate),
            **({} if self.proof_set is None else self.proof_set.to_json()),
            "warnings": list(self.warnings),
            "unusable": [
                {"file": str(u.image.path), "message": str(u.error)} for u in self.unusable
            ],
            "faults": [str(fault) for fault in self.faults],
            "tools": dict(self.tools),
        }

    def columns(self) -> dict[str, Any]:
        """A column a name, a row an image (or a point of a regression's grid)."""
        columns = self.parity.columns()
        if self.proof_set is None or not isinstance(self.parity, ScoreParity | LabelScoreParity):
            return columns
        flip = np.full(self.parity.n, "", object)
        for kind in FLIPS if isinstance(self.parity, ScoreParity) else LABEL_FLIPS:
            flip[getattr(self.parity, kind)] = kind
        return {
            **columns,
            "flip": flip,
            "class": [image.class_name for image in self.proof_set.images],
            "pixels_sha256": list(self.proof_set.digests),
        }
