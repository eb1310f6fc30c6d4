"""Contracts and thresholds of models whose scores are integers."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from lesionlite_runtime.contract import ClassifierContract, ImageContract
from lesionlite_runtime.contract_checks import least_level
from lesionlite_runtime.contract_fields import Quantization, SiteThreshold, Threshold
from lesionlite_runtime.errors import UnusableInput

T = TypeVar("T", Threshold, SiteThreshold)


def with_level(threshold: T, dtype: str, quantization: Quantization, file: str | None = None) -> T:
    """``threshold`` with the least integer of type ``dtype`` that reaches it.

    Raises:
        UnusableInput: when none does; ``file`` is named in it.
    """
    level = least_level(threshold.value, dtype, quantization)
    if level is None:
        raise UnusableInput(
            f"no level of the integer output reaches the threshold {threshold.value:.4f}",
            "choose a lower one, or export with a float32 output",
            file,
        )
    return replace(threshold, quantized=level)


def with_integer_output(
    contract: ImageContract, dtype: str, quantization: Quantization, file: str | None = None
) -> ImageContract:
    """``contract`` of a file that returns integers, the thresholds as integers included.

    Raises:
        UnusableInput: when no level reaches the threshold; ``file`` is named in it.
    """
    if not isinstance(contract, ClassifierContract):
        output = replace(contract.output, dtype=dtype, quantization=quantization)
        return replace(contract, output=output)
    return replace(
        contract,
        output=replace(contract.output, dtype=dtype, quantization=quantization),
        threshold=with_level(contract.threshold, dtype, quantization, file),
    )
