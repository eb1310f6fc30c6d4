"""What a contract keeps of a calibration: ``provenance.representative``."""

from __future__ import annotations

from typing import Any

from lesionlite_export.representative import Sample
from lesionlite_export.seen import images_record
from lesionlite_runtime.contract import ImageContract, LabelsContract


def grid_record(method: str, n: int) -> dict[str, Any]:
    """The record of a calibration on ``n`` points of a range."""
    return {"method": method, "n": n, "on": "an even grid over the range"}


def images_calibration(
    contract: ImageContract, method: str, sample: Sample, seed: int | None
) -> dict[str, Any]:
    """The record of a calibration on images.

    Args:
        contract: of the model.
        method: of the calibration, see `calibrate`.
        sample: the images.
        seed: of the sample; None for images that a list names.
    """
    labels = [image.image.label for image in sample.images]
    found: dict[str, Any] = {"method": method, "n": len(labels)}
    if isinstance(contract, LabelsContract):
        names = contract.output.labels
        found["labels"] = {name: labels.count(i) for i, name in enumerate(names)}
    else:
        found["positives"] = sum(labels)
    found |= images_record(sample.images)
    if seed is None:
        return {**found, "on": "a list of representative images"}
    return {
        **found,
        "on": "a stratified sample of representative images",
        "seed": seed,
        "duplicates": sample.duplicates,
    }
