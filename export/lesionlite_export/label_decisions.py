"""What a reference of several labels decides for, by its own rule."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lesionlite_export.comparison import Paired
from lesionlite_export.keras_model import KerasModel
from lesionlite_export.labels_parity import LabelScoreParity
from lesionlite_export.parity import ScoreParity
from lesionlite_export.recorded import RecordedScores, recorded_score
from lesionlite_export.reference import Reference
from lesionlite_runtime.contract import AnyContract, LabelsContract
from lesionlite_runtime.label_classifier import decide


def own_decisions(
    reference: Reference, contract: AnyContract, paired: Paired
) -> NDArray[np.int64] | None:
    """What ``reference`` decides for each image of ``paired``, int64 ``[n]``, -1 for none.

    None where all are what the file of ``contract`` makes of the same scores, and where there are
    no several labels. The Keras network that a file was made from decides by the file's rule.
    """
    if not isinstance(contract, LabelsContract):
        return None
    labels, scores = contract.output.labels, np.array(paired.reference)
    by_file = decide(scores, labels, contract.threshold)
    if isinstance(reference, RecordedScores):
        decided = _recorded_decisions(reference, labels, paired, by_file)
    else:
        theirs = reference.contract
        assert isinstance(theirs, LabelsContract)  # check_comparable
        same = theirs.provenance.network_sha256 == contract.provenance.network_sha256
        if isinstance(reference, KerasModel) and same:
            return None
        decided = decide(scores, labels, theirs.threshold)
    return None if np.array_equal(decided, by_file) else decided


def decision_warnings(
    parity: ScoreParity | LabelScoreParity, reference: str, file: str
) -> Iterator[str]:
    """A word where recorded decisions are not what the file's rule makes of the same scores."""
    if not isinstance(parity, LabelScoreParity) or parity.decided is None:
        return
    by_file = decide(parity.scores_keras, parity.label_names, parity.thresholds)
    other = int(np.sum(parity.decided != by_file))
    yield (
        f"{reference} has {other} decisions that {file} would not make of the recorded scores: a "
        "flip is a difference of their own decisions"
    )


def _recorded_decisions(
    recorded: RecordedScores,
    labels: tuple[str, ...],
    paired: Paired,
    by_file: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Those that were recorded; where a line has none, what the file makes of its scores."""
    decided = by_file.copy()
    for place, image in enumerate(paired.images):
        decision = recorded_score(recorded, image).decision
        if decision is not None:
            decided[place] = labels.index(decision) if decision else -1
    return decided
