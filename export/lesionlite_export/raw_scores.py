"""A brought network's raw outputs as scores, in NumPy; and outputs that no score can come from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lesionlite_runtime.draft import ClassifierDraft, ImageDraft
from lesionlite_runtime.draft_fields import SIGMOID, SIGMOID_LOGITS, SOFTMAX, SOFTMAX_LOGITS
from lesionlite_runtime.errors import UnusableInput, printable

Raw = NDArray[np.float64]
TOLERANCE = 1e-3
_LOGITS_OF = {SIGMOID: SIGMOID_LOGITS, SOFTMAX: SOFTMAX_LOGITS}


def scores_of(raw: Raw, draft: ImageDraft) -> Raw:
    """The scores ``[n]`` of two labels, or ``[n, labels]``, of raw outputs ``[n, units]``."""
    values = draft.output.values
    scores = raw
    with np.errstate(over="ignore"):
        if values == SIGMOID_LOGITS:
            scores = 1 / (1 + np.exp(-raw))
        elif values == SOFTMAX_LOGITS:
            shifted = np.exp(raw - raw.max(1, keepdims=True))
            scores = shifted / shifted.sum(1, keepdims=True)
    if not isinstance(draft, ClassifierDraft):
        return np.asarray(scores)
    column = draft.output.labels.index(draft.output.score_of)
    if draft.output.units == 2:
        return np.asarray(scores[:, column])
    return np.asarray(scores[:, 0] if column == 1 else 1 - scores[:, 0])


def check_raw(raw: Raw, draft: ImageDraft, files: Sequence[str], model: str) -> list[str]:
    """Refuse raw outputs that are not what the draft's ``output.values`` says.

    Args:
        raw: ``[n, units]``.
        draft: of the network.
        files: the images.
        model: name of the network's file.

    Returns:
        A warning where logits may be scores already, else none.

    Raises:
        UnusableInput: see above; also for NaN and infinities.
    """
    finite = np.isfinite(raw).all(1)
    if not finite.all():
        first = printable(files[int(np.argmin(finite))])
        raise UnusableInput(
            f"the network gives NaN or infinity for {int((~finite).sum())} of {len(raw)} images, "
            f"{first} among them",
            "train it anew, or restore an earlier checkpoint",
            model,
        )
    values, low, high = draft.output.values, float(raw.min()), float(raw.max())
    within = low >= -TOLERANCE and high <= 1 + TOLERANCE
    sums = raw.sum(1)
    add_up = raw.shape[1] > 1 and bool(np.abs(sums - 1).max() <= TOLERANCE)
    if values in _LOGITS_OF and not within:
        raise UnusableInput(
            f"the network gives numbers from {low:.4g} to {high:.4g}, which are no scores",
            f"say {_LOGITS_OF[values]} in the draft if they are logits",
            model,
        )
    if values == SOFTMAX and not add_up:
        raise UnusableInput(
            f"the network's {raw.shape[1]} scores of an image add up to {float(sums.min()):.4g} to "
            f"{float(sums.max()):.4g}, and those of a softmax to 1",
            "say sigmoid in the draft if each stands for itself",
            model,
        )
    if values == SOFTMAX_LOGITS and within and add_up:
        raise UnusableInput(
            f"the {raw.shape[1]} outputs for an image add up to 1: they are scores already",
            "say softmax in the draft",
            model,
        )
    if values == SIGMOID_LOGITS and within:
        return [
            f"all outputs of the network lie in 0 to 1 ({low:.4g} to {high:.4g}): if they are "
            "scores already and no logits, say sigmoid in the draft"
        ]
    return []
