"""Files whose score has few levels: where their threshold really lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lesionlite_runtime.contract_checks import INTEGER_LEVELS, dequantized, least_level
from lesionlite_runtime.contract_fields import Quantization
from lesionlite_runtime.graph import Graph


@dataclass(frozen=True)
class ScoreLevels:
    """The scores that a file can give, evenly spaced.

    Attributes:
        count: how many.
        step: from one to the next, in score.
        threshold: the least of them that decides for a referral, which is the threshold that the
            file has in effect; None where no level reaches the threshold, and nothing is referred.
    """

    count: int
    step: float
    threshold: float | None

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON."""
        return {"count": self.count, "step": self.step, "threshold": self.threshold}


def score_levels(graph: Graph, output: str, threshold: float) -> ScoreLevels | None:
    """The levels of the signature's ``output`` at ``threshold``; None where it has no few of them.

    An integer output has levels, and so has a float one that is only what an 8-bit integer stands
    for: the sigmoid of a fully quantized network has 256.
    """
    index = graph.outputs[output]
    for operator in graph.operators:
        if index in operator.outputs and operator.name == "DEQUANTIZE":
            index = operator.inputs[0]
            break
    tensor = graph.tensors[index]
    if tensor.dtype not in INTEGER_LEVELS or len(tensor.scales) != 1:
        return None
    quantization = Quantization(tensor.scales[0], tensor.zero_points[0])
    low, high = INTEGER_LEVELS[tensor.dtype]
    least = least_level(threshold, tensor.dtype, quantization)
    effective = None if least is None else max(0.0, dequantized(least, quantization))
    return ScoreLevels(high - low + 1, quantization.scale, effective)
