"""What stays of an image when its pixels are gone."""

from __future__ import annotations

from dataclasses import dataclass

from lesionlite_export.manifest import LabelledImage
from lesionlite_export.reference import Outcome


@dataclass(frozen=True)
class ScoredImage:
    """An image, the digests of its pixels and its file, and the outputs of each side.

    ``kind`` is of `image_kind`: what the pixels look like.
    """

    image: LabelledImage
    sha256: str
    file_sha256: str | None
    kind: str
    outcomes: tuple[Outcome, ...]
