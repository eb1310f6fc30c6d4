"""Where a threshold comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CONTRACT = "contract"
OPTION = "option"
THIS_DATA = "this_data"
THESE_SCORES = "these_scores"


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
