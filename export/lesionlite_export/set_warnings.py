"""What a set of images cannot prove, said before its figures are believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from lesionlite_export.groups import FEWEST
from lesionlite_export.image_kinds import CONSTANT, NOISE
from lesionlite_export.labels_parity import LabelScoreParity
from lesionlite_export.manifest import LabelledImage
from lesionlite_export.parity import ScoreParity
from lesionlite_export.seen import SeenImages
from lesionlite_export.statistics import proportion
from lesionlite_export.verification_result import ProofSet
from lesionlite_runtime.errors import printable

FEWEST_IMAGES = 72
"""Of fewer images even no flip is compatible with a flip rate over 5 %, the gate's limit."""
_LOOKS = {CONSTANT: "of one colour", NOISE: "noise"}


def unlike_photos(
    images: Sequence[LabelledImage], kinds: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """The names of the images that are of one colour, and of those that are noise, by kind.

    ``kinds`` has that of each image, see `image_kind`.
    """
    return {
        kind: tuple(
            str(image.path) for image, own in zip(images, kinds, strict=True) if own == kind
        )
        for kind in (CONSTANT, NOISE)
    }


def proof_warnings(proof: ProofSet, parity: ScoreParity | LabelScoreParity) -> Iterator[str]:
    """Every warning about the images of a proof and what the reference decides on them."""
    yield from _seen_warnings(proof.seen)
    yield from _kind_warnings(proof.images, parity)
    yield from _number_warnings(proof)
    yield from _image_warnings(proof)


def _seen_warnings(seen: SeenImages) -> Iterator[str]:
    for kind, files in seen.files.items():
        if files:
            yield (
                f"{len(files)} images are among those of the model's {kind}, and count all the "
                "same (--allow-training-images): a proof on them proves little"
            )


def _kind_warnings(
    images: Sequence[LabelledImage], parity: ScoreParity | LabelScoreParity
) -> Iterator[str]:
    """One class or label alone, decisions on one side of the threshold alone."""
    n, classes = len(images), {image.class_name for image in images}
    labels = {image.label for image in images}
    if len(classes) == 1 and "" not in classes:
        yield f"all {n} images are of the class {classes.pop()}: nothing is said of any other"
    elif len(labels) == 1:
        yield f"all {n} images have the label {labels.pop()}: nothing is said of any other"
    if isinstance(parity, LabelScoreParity):
        if len(np.unique(parity.decisions_keras)) == 1:
            yield f"the reference decides alike on all {n} images: no other decision was tried"
        return
    referred = int(parity.refers_keras.sum())
    if referred in (0, n):
        every = "refers all" if referred else "refers none of the"
        yield (
            f"the reference {every} {n} images: they are all on one side of the threshold, and no "
            "decision was tried from the other"
        )


def _number_warnings(proof: ProofSet) -> Iterator[str]:
    """Few images, or few of a label."""
    n, clusters = len(proof.images), proof.clusters
    if clusters.n < FEWEST_IMAGES:
        of = "" if clusters.by is None else f" of {clusters.n} {clusters.plural}"
        high = 100 * proportion(0, clusters.n).high
        yield (
            f"{n} images{of} are few: even no flip among them is compatible with a flip rate up to "
            f"{high:.1f} %, and of {FEWEST_IMAGES} with less than 5 %"
        )
    counts = Counter(image.label for image in proof.images)
    for label, count in sorted(counts.items()):
        if count < FEWEST and len(counts) > 1:
            yield f"only {count} images have the label {label}: figures on them say little"


def _image_warnings(proof: ProofSet) -> Iterator[str]:
    """Images that are no photos, and copies."""
    n = len(proof.images)
    for kind, files in proof.unlike.items():
        if files:
            yield (
                f"{len(files)} of {n} images {'is' if len(files) == 1 else 'are'} {_LOOKS[kind]} "
                f"({printable(files[0])} the first): what models make of them says nothing of "
                "photos"
            )
    copies = n - len(set(proof.digests))
    if copies:
        yield f"{copies} images have the pixels of another one, and each counts"
