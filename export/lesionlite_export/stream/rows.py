"""What stays of an image when its pixels are gone."""

from __future__ import annotations

from dataclasses import dataclass

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.reference import Outcome


@dataclass(frozen=True)
class ScoredImage:
    """An image, the digest of its pixels, what they look like, and the outputs of each side.

    ``kind`` is of `image_kind`.
    """

    image: LabelledImage
    sha256: str
    kind: str
    outcomes: tuple[Outcome, ...]
