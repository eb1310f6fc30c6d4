"""Writing down what a reference said, so that a file can be verified without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lesionlite_export.labels_parity import LabelScoreParity
from lesionlite_export.parity import ScoreParity
from lesionlite_export.recorded import RECORDED_SCHEMA
from lesionlite_export.verification_result import Verification
from lesionlite_runtime.codec import json_line
from lesionlite_runtime.errors import UsageError


def reference_lines(verification: Verification) -> Iterator[str]:
    """The reference's scores, a JSON object of `RECORDED_SCHEMA` an image (docs/verification.md).

    Raises:
        UsageError: when it is no verification of an image classifier.
    """
    proof, parity = verification.proof_set, verification.parity
    if proof is None or not isinstance(parity, ScoreParity | LabelScoreParity):
        raise UsageError("a regression has no scores to save", "leave out --save-reference")
    side = verification.reference
    common = {
        "threshold": side.threshold,
        "model": side.model,
        "network_sha256": side.network_sha256,
    }
    rows = zip(proof.images, proof.digests, proof.file_digests, strict=True)
    for place, (image, digest, file) in enumerate(rows):
        yield json_line(
            {
                "schema": RECORDED_SCHEMA,
                "file": image.path.name,
                **({} if file is None else {"sha256": file}),
                "pixels_sha256": digest,
                **_scores(parity, place),
                **{key: value for key, value in common.items() if value is not None},
            }
        )


def _scores(parity: ScoreParity | LabelScoreParity, place: int) -> dict[str, Any]:
    if isinstance(parity, ScoreParity):
        return {"score": float(parity.score_keras[place])}
    row = parity.scores_keras[place].tolist()
    decided = int(parity.decisions_keras[place])
    return {
        "scores": dict(zip(parity.label_names, row, strict=True)),
        "decision": None if decided < 0 else parity.label_names[decided],
    }
