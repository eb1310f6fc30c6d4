"""Images less their copies, which would stand in two folds at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lesionlite_export.grouping import LESION, PATIENT
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.representative import ImageTensor
from lesionlite_runtime.errors import UnusableInput


def distinct_images(
    images: Sequence[ImageTensor],
) -> tuple[tuple[ImageTensor, ...], tuple[LabelledImage, ...]]:
    """The first image of each set of equal pixels, and what is known of it from all of them.

    Raises:
        UnusableInput: when two such images have different labels, lesions or patients.
    """
    first: dict[str, ImageTensor] = {}
    known: dict[str, LabelledImage] = {}
    for item in images:
        kept = first.setdefault(item.sha256, item).image
        if kept.label != item.image.label:
            raise _contradiction(item.image, kept, "label", "labels")
        facts = known.get(item.sha256, kept).facts
        for name in (PATIENT, LESION):
            if facts.get(name) and item.image.facts.get(name, facts[name]) != facts[name]:
                raise _contradiction(item.image, kept, name, "ids")
        known[item.sha256] = replace(kept, facts={**item.image.facts, **facts})
    return tuple(first.values()), tuple(known.values())


def _contradiction(
    image: LabelledImage, kept: LabelledImage, name: str, both: str
) -> UnusableInput:
    return UnusableInput(
        f"this image has the pixels of {kept.path}, and another {name}",
        f"correct one of the {both}, or leave both out",
        image.path,
    )
