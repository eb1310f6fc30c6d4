"""Where a threshold comes from, and whether the model has seen the images that it is judged on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lesionlite_export.representative import PreparedImage, list_digest
from lesionlite_runtime.contract import ClassifierContract

CONTRACT = "contract"
OPTION = "option"
THIS_DATA = "this_data"
THESE_SCORES = "these_scores"
TRAINING = "training"
CALIBRATION = "calibration"


@dataclass(frozen=True)
class ThresholdOrigin:
    """Where the threshold comes from.

    ``kind`` is ``contract`` (the model's own), ``option`` (given by the caller), ``this_data``
    (chosen on the images that the figures are of) or ``these_scores`` (chosen on the scores of a
    file); ``rule`` is what it was chosen by, None where nobody says; ``optimistic`` whether it was
    chosen on images that the figures are of.
    """

    kind: str
    rule: str | None
    optimistic: bool

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON."""
        return {"kind": self.kind, "rule": self.rule, "optimistic": self.optimistic}


def seen_images(contract: ClassifierContract, images: Sequence[PreparedImage]) -> str | None:
    """``training`` or ``calibration`` where ``images`` are the very set of it, else None.

    A contract holds one digest of all images in their order, with copies counted once. It is found
    in the order of ``images`` and in that of their paths; a part of the set is not found.
    """
    digests = set(_digests(images))
    provenance = contract.provenance
    if _digest(provenance.training) in digests:
        return TRAINING
    return CALIBRATION if _digest(provenance.calibration) in digests else None


def _digest(record: Mapping[str, Any] | None) -> object:
    return None if record is None else record.get("images_sha256")


def _digests(images: Sequence[PreparedImage]) -> Iterator[str]:
    by_path = sorted(images, key=lambda image: os.fspath(image.image.path))
    for ordered in (images, by_path):
        yield list_digest(ordered)
        yield list_digest(tuple({image.sha256: image for image in ordered}.values()))
