"""A first forward pass on real images: whether what a draft says of a network can be true.

Two things speak for another scaling of pixels than the draft's. The network's first batch norm
keeps what it saw in training: `batch_norm_misfit`. And the scores tell the labels apart better.
What is refused and what is warned of comes from measurements, which docs/bring-your-own.md has.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.brought_keras import BroughtKeras
from lesionlite_export.brought_tflite import BroughtTflite
from lesionlite_export.pixel_scaling import (
    batch_norm_misfit,
    scaled,
    scaling_in_words,
    usual_scalings,
)
from lesionlite_export.progress import Reporter, Silent
from lesionlite_export.raw_scores import Raw, check_raw, scores_of
from lesionlite_export.representative import ImageTensor
from lesionlite_export.separation import Separation, separation_of
from lesionlite_runtime.contract import ClassifierContract
from lesionlite_runtime.draft import ImageDraft, RegressionDraft
from lesionlite_runtime.draft_fields import DraftImage
from lesionlite_runtime.errors import UnusableInput

PER_LABEL, FEWEST, FOR_BATCH_NORM = 32, 8, 32
"""Images of each label that are looked at; fewer than this in all are not judged; the most that the
batch norm is asked about."""
CONSTANT, NARROW = 1e-3, 0.05
"""Scores of all images that lie closer together decide nothing; or are warned of."""
MISFIT_WARNED, MISFIT_REFUSED = (0.3, 2.0), (2.0, 5.0)
"""Divergence under the draft's scaling, in nats, and how many times that under another."""
TRUST = "or pass --trust-contract if it is right"


@dataclass(frozen=True)
class _Pass:
    """The images, their labels, and how the network of a source takes them."""

    source: BroughtKeras | BroughtTflite
    draft: ImageDraft
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    files: tuple[str, ...]
    report: Reporter

    def raw(self, image: DraftImage) -> Raw:
        """Raw outputs under the scaling of ``image``."""
        label = f"Trying the network on pixels of {scaling_in_words(image)}"
        pixels = self.report.track(self.pixels, label, len(self.pixels))
        return np.concatenate(list(self.source.raw_outputs(image, pixels)))

    def separation(self, image: DraftImage) -> Separation:
        """How well the scores under the scaling of ``image`` tell the labels apart."""
        return separation_of(scores_of(self.raw(image), self.draft), self.labels)


def first_pass(
    source: BroughtKeras | BroughtTflite,
    images: Sequence[ImageTensor],
    *,
    trust: bool = False,
    report: Reporter | None = None,
) -> tuple[str, ...]:
    """Warnings of what speaks against the draft of ``source`` on ``images``.

    Args:
        source: an image classifier that was brought with a draft.
        images: prepared and labelled.
        trust: warn of what would else be refused, but for outputs that are no scores at all.
        report: who is told of the progress.

    Raises:
        UnusableInput: when the outputs are not what the draft says, or the images speak clearly
            for another scaling of pixels or another order of labels.
    """
    assert not isinstance(source.draft, RegressionDraft)
    if not images:
        return ("nothing of the contract was checked, for want of images",)
    chosen = balanced(images)
    look = _Pass(
        source,
        source.draft,
        np.stack([p.pixels for p in chosen]),
        np.array([p.image.label for p in chosen], np.int64),
        tuple(os.fspath(p.image.path) for p in chosen),
        report or Silent(),
    )
    raw = look.raw(source.draft.input)
    told = check_raw(raw, source.draft, look.files, source.path)
    scores = scores_of(raw, source.draft)
    own = separation_of(scores, look.labels)
    if len(chosen) < FEWEST:
        return (*told, f"{len(chosen)} images are too few to check the contract on")
    misfit = _misfit(look, told)
    refused = misfit or _constant(look, scores, told)
    if not refused and misfit is None:
        refused = _separation(look, own, told)
    refused = refused or _order(look, own)
    if refused and not trust:
        raise UnusableInput(refused, f"correct the draft, {TRUST}", source.path)
    if refused:
        told.append(refused)
    return (*told, *_one_sided(source, scores))


def balanced(images: Sequence[ImageTensor]) -> list[ImageTensor]:
    """The first `PER_LABEL` images of each label; of many labels fewer of each."""
    labels = sorted({p.image.label for p in images})
    each = max(1, min(PER_LABEL, 4 * PER_LABEL // len(labels)))
    kept = {label: [p for p in images if p.image.label == label][:each] for label in labels}
    return [p for label in labels for p in kept[label]]


def _misfit(look: _Pass, told: list[str]) -> str | None:
    """What the first batch norm says against the scaling; a warning goes to ``told``.

    Returns:
        A sentence; an empty one where the scaling is not refused; None where there is no such layer
        to be asked.
    """
    if not look.source.takes_any_scaling:
        return ""
    if not isinstance(look.source, BroughtKeras) or look.source.batch == 1:
        return None
    core = look.source.core
    some = look.pixels[:: max(1, len(look.pixels) // FOR_BATCH_NORM)]
    own = batch_norm_misfit(core, scaled(some, look.draft.input))
    if own is None:
        return None
    others = {
        name: batch_norm_misfit(core, scaled(some, other)) or 0.0
        for name, other in usual_scalings(look.draft.input).items()
    }
    best = min(others, key=lambda name: others[name])
    sentence = (
        f"the pixels are not those that its first batch norm was trained on: they lie {own:.3g} "
        f"nats from them as {scaling_in_words(look.draft.input)}, and {others[best]:.3g} as {best}"
    )
    for (least, times), refuses in ((MISFIT_REFUSED, True), (MISFIT_WARNED, False)):
        if own >= least and own >= times * others[best]:
            if refuses:
                return sentence
            told.append(f"{sentence}: check the range in the draft")
            return ""
    return ""


def _constant(look: _Pass, scores: Raw, told: list[str]) -> str | None:
    """Whether the scores do not depend on the image; a warning goes to ``told``."""
    spread = float(np.ptp(scores, axis=0).max())
    if spread >= NARROW:
        return None
    sentence = (
        f"the scores of all {len(scores)} images lie within {spread:.2g} of each other as "
        f"{scaling_in_words(look.draft.input)}"
    )
    if spread < CONSTANT:
        return f"{sentence}{_better(look)}"
    told.append(f"{sentence}: check range and values in the draft")
    return None


def _better(look: _Pass) -> str:
    """Under which scalings the scores would tell the labels apart."""
    found = _others(look) if look.source.takes_any_scaling else {}
    good = {name: other for name, other in found.items() if other.significant}
    return f"; {_best_of(good)} they tell the labels apart" if good else ""


def _best_of(found: Mapping[str, Separation]) -> str:
    """The best of the scalings, with those that are not clearly worse: ``as 0 to 1 (AUC 0.9)``."""
    best = max(found.values(), key=lambda separation: separation.value)
    kept = [name for name, other in found.items() if best.against(other) is None]
    kept.sort(key=lambda name: -found[name].value)
    return " or ".join(f"as {name} ({found[name].in_words()})" for name in kept)


def _others(look: _Pass) -> Mapping[str, Separation]:
    return {
        name: look.separation(other) for name, other in usual_scalings(look.draft.input).items()
    }


def _separation(look: _Pass, own: Separation, told: list[str]) -> str | None:
    """Whether another scaling tells the labels apart better by more than chance allows."""
    others = _others(look)
    verdict = max(others.values(), key=lambda separation: separation.value).against(own)
    if verdict is None:
        return None
    sentence = (
        f"on {len(look.labels)} images the scores tell the labels apart less well as "
        f"{scaling_in_words(look.draft.input)} ({own.in_words()}) than {_best_of(others)}"
    )
    if verdict == "refused":
        return sentence
    told.append(f"{sentence}: check the range in the draft")
    return None


def _order(look: _Pass, own: Separation) -> str | None:
    """Whether the labels would fit better in another order."""
    names = look.source.contract.output.labels  # type: ignore[union-attr]
    order = own.better_order()
    if order is None:
        return None
    if len(names) == 2:
        return (
            f"the scores are higher for {names[0]} than for {names[1]} ({own.in_words()}): the "
            "labels or score_of are the wrong way round, or the scaling of pixels is wrong"
        )
    stated, fitting = ", ".join(names), ", ".join(names[i] for i in order)
    return (
        f"the labels fit the images better in the order {fitting} than in the draft's, {stated} "
        f"({own.in_words()})"
    )


def _one_sided(source: BroughtKeras | BroughtTflite, scores: Raw) -> tuple[str, ...]:
    """A warning where every image gets the same decision."""
    if not isinstance(source.contract, ClassifierContract):
        return ()
    referred = int((scores >= source.contract.threshold.value).sum())
    if 0 < referred < len(scores):
        return ()
    return (
        f"at the threshold {source.contract.threshold.value:g} "
        f"{'none' if referred == 0 else 'each'} of {len(scores)} images of both labels is "
        "referred: check threshold and range in the draft",
    )
